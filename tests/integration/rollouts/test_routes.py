"""HTTPRoutes of Apps on a real API server with Gateway API's own definitions: what it stores of what is applied, and a
definition that comes and goes. No Gateway runs here; its word is written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from substrate import versions
from substrate.golang import module_folder
from support.crds import undefine
from support.team import JSON, Team, image
from support.waiting import eventually

DEFINITION = "httproutes.gateway.networking.k8s.io"
ROUTE = {
    "parentRefs": [{"name": "web", "sectionName": "http"}],
    "hostnames": ["shop.example.com"],
    "canaryHeaders": [{"name": "x-canary", "value": "always"}],
}
EXPOSE = {"ports": [{"name": "http", "port": 80, "targetPort": "http"}], "route": ROUTE}
ROLLOUT = {
    "strategy": "Canary",
    "maxSurge": 1,
    "maxUnavailable": 0,
    "steps": [{"weight": 10}, {"pause": {}}, {"weight": 50}, {"pause": {}}],
}


def gateway_api(team: Team) -> None:
    """What the project's own installation applies, as far as it is about HTTPRoutes."""
    folder = module_folder("sigs.k8s.io/gateway-api", versions.GATEWAY_API) / "config" / "crd" / "standard"
    manifest = (folder / "gateway.networking.k8s.io_httproutes.yaml").read_text()
    team.lab.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)


def shares(team: Team) -> list[dict[str, int]]:
    """The weights of each rule, by the image behind them."""
    images = {
        pod["metadata"]["labels"]["fairlead.dev/revision"]: pod["spec"]["containers"][0]["image"] for pod in team.pods()
    }
    rules = team.get("httproute", "shop")["spec"]["rules"]
    refs = [{ref["name"].rpartition("-")[2]: ref["weight"] for ref in rule["backendRefs"]} for rule in rules]
    return [{images.get(name, name): weight for name, weight in rule.items() if weight} for rule in refs]


def promote(team: Team, step: int) -> None:
    team.kubectl("annotate", "fapp", "shop", "--overwrite", f"fairlead.dev/promote=2/{step}")


def accepted(team: Team) -> None:
    """What a Gateway's controller writes."""
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1}
    condition["lastTransitionTime"] = "2030-01-31T12:00:00Z"
    parent: JSON = {"parentRef": {"name": "web", "sectionName": "http"}, "controllerName": "example.com/gateway"}
    status = {"status": {"parents": [parent | {"conditions": [condition]}]}}
    team.kubectl("patch", "httproute", "shop", "--subresource=status", "--type=merge", "-p", json.dumps(status))


@contextmanager
def no_new_endpoints(team: Team) -> Iterator[None]:
    """As on a cluster whose controllers have too much to do: pods are ready before they are endpoints."""
    team.lab.pause("kcm")
    try:
        yield
    finally:
        team.lab.resume("kcm")


def test_an_app_gets_its_route_when_gateway_api_comes_and_goes_on_when_it_is_taken_away(team: Team) -> None:
    team.run(replicas=4, rollout=ROLLOUT, expose=EXPOSE)
    assert team.condition("Routed")["reason"] == "GatewayApiMissing"
    gateway_api(team)
    eventually(lambda: team.condition("Routed")["reason"] == "GatewayPending")
    assert shares(team) == [{"shop:1": 100}]
    accepted(team)
    eventually(lambda: team.condition("Routed")["reason"] == "RouteAccepted")

    with no_new_endpoints(team):
        team.patch({"template": image("2")})
        eventually(lambda: "to be among the endpoints of Service shop-" in team.condition("Progressing")["message"])
        assert shares(team) == [{"shop:1": 100}], "what is sent to pods that no Gateway can find is lost"
    eventually(lambda: shares(team) == [{"shop:2": 1}, {"shop:1": 90, "shop:2": 10}])
    eventually(lambda: "heldAt" in team.shop()["status"]["rollout"])
    assert len(team.pods()) == 5 and "WeightsExact" not in {c["type"] for c in team.shop()["status"]["conditions"]}
    before = team.get("httproute", "shop")["metadata"]
    promote(team, 2)
    eventually(lambda: shares(team)[-1] == {"shop:1": 50, "shop:2": 50})
    eventually(lambda: "heldAt" in team.shop()["status"]["rollout"] and len(team.pods()) == 4)
    after = team.get("httproute", "shop")["metadata"]
    assert after["generation"] - before["generation"] <= 3, (
        "a weight is a write, and another where a pod comes or goes late"
    )

    undefine(team.lab, DEFINITION)
    promote(team, 4)
    team.wait("condition=Ready", seconds=120)
    eventually(lambda: team.condition("Routed")["reason"] == "GatewayApiMissing")
    assert {pod["spec"]["containers"][0]["image"] for pod in team.pods()} == {"shop:2"}
