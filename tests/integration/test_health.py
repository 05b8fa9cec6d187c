"""Health gates on a real control plane: what the API server makes of the operator's patches, with the rights that the chart gives
it, and which gates it takes. KWOK plays kubelets that wait for readinessGates, and a server on a socket is the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.backend import Backend
from support.crds import accept, app, app_with_pod, install, refusal
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.rights import as_the_chart_has_it, may_patch
from support.team import JSON, Team
from support.waiting import eventually

STAGES = Path(__file__).with_name("health.yaml")
QUERY: JSON = {"query": 'queue{pod="$(pod)"}', "success": {"max": 10}}
WARM: JSON = {"name": "warm", "intervalSeconds": 1, "failureThreshold": 2, "checks": [{"prometheus": QUERY}]}
HEALTH: JSON = {"gates": [WARM]}


@pytest.fixture(scope="module")
def plane(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with whole_lab("health", kwok_args=f"--config={STAGES}") as lab:
        install(lab)
        where = tmp_path_factory.mktemp("identity") / "kubeconfig"
        where.write_text(json.dumps(as_the_chart_has_it(lab)))
        with Operator(lab, kubeconfig=where, gate_allow="127.0.0.0/8", gate_prometheus=backend.address):
            yield lab


@pytest.fixture(autouse=True)
def _well(backend: Backend) -> None:
    backend.value = "0"
    backend.special.clear()


def conditions(pod: JSON) -> dict[str, JSON]:
    return {condition["type"]: condition for condition in pod["status"].get("conditions", ())}


def gate(pod: JSON) -> JSON:
    return conditions(pod).get("gates.fairlead.dev/warm", {})


def ready(team: Team) -> set[str]:
    return {pod["metadata"]["name"] for pod in team.pods() if conditions(pod).get("Ready", {}).get("status") == "True"}


def test_each_pod_is_ready_when_what_is_measured_of_it_is_as_it_should_be(team: Team, backend: Backend) -> None:
    backend.value = "70"
    team.apply(app("shop", replicas=3, health=HEALTH))
    team.problem("HealthGateNotPassed")
    (problem,) = team.shop()["status"]["problems"]
    assert not ready(team)
    assert "health gate warm: 70 is above 10" in problem["message"]
    eventually(
        lambda: [gate(pod).get("reason") for pod in team.pods()] == ["CheckFailed"] * 3
    )  # asked one after the other

    backend.value = "3"
    team.wait("condition=Ready")
    assert len(ready(team)) == 3
    for pod in team.pods():
        assert (gate(pod)["status"], gate(pod)["message"]) == ("True", "3 is at most 10")
        assert conditions(pod)["ContainersReady"]["status"] == "True", "the kubelet's own are as they were"
    before = {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in team.pods()}
    count = len(backend.asked)
    eventually(lambda: len(backend.asked) > count + 12)
    after = {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in team.pods()}
    assert before == after, "nothing changed, so nothing was written"

    one = min(before)
    backend.special[one] = "11"
    eventually(lambda: ready(team) == before.keys() - {one})
    del backend.special[one]
    eventually(lambda: len(ready(team)) == 3)


def test_a_dead_backend_takes_nobody_out_and_lets_nobody_in(team: Team, backend: Backend) -> None:
    team.run(replicas=2, health=HEALTH)
    backend.value = None
    team.patch({"replicas": 3})
    team.problem("HealthGateError")
    eventually(lambda: "cannot be measured on 2 of 3 pods" in told(team))
    assert len(ready(team)) == 2
    backend.value = "0"
    team.wait("condition=Ready")


def test_a_gate_that_is_added_rolls_nothing_and_one_that_is_removed_holds_nobody(team: Team, backend: Backend) -> None:
    team.run(replicas=2)
    before = team.uids()
    backend.value = "70"
    team.patch({"health": HEALTH, "replicas": 3})
    team.problem("HealthGateNotPassed")
    assert before < team.uids()
    team.patch({"health": None})
    team.wait("condition=Ready")
    assert before < team.uids()
    assert sorted(gate(pod).get("reason", "") for pod in team.pods()) == ["", "", "GateRemoved"]


def test_without_the_right_to_write_pods_statuses_the_app_says_which_is_missing(team: Team) -> None:
    role = team.lab.get("clusterrole", "fairlead-workloads")
    rules = [rule for rule in role["rules"] if "pods/status" not in rule["resources"]]
    assert len(rules) == len(role["rules"]) - 1

    def give(granted: list[JSON]) -> None:
        team.lab.kubectl(
            "patch", "clusterrole", "fairlead-workloads", "--type=merge", "-p", json.dumps({"rules": granted})
        )

    give(rules)
    try:
        eventually(lambda: not may_patch(team.lab, "pods", "status"))
        team.apply(app("shop", replicas=2, health=HEALTH))
        eventually(lambda: told(team) != "")
        assert team.condition("HealthGates")["reason"] == "HealthGateRefused"
        assert 'cannot patch resource "pods/status"' in team.condition("HealthGates")["message"]
        assert not ready(team)
    finally:
        give(role["rules"])
    team.wait("condition=Ready")


def told(team: Team) -> str:
    """What the condition HealthGates says, if it is there."""
    conditions = team.shop()["status"]["conditions"]
    return next((str(c["message"]) for c in conditions if c["type"] == "HealthGates"), "")


def gated(*checks: JSON, **fields: object) -> JSON:
    return app(health={"gates": [{"name": "warm", "checks": list(checks)} | fields]})


HTTP: JSON = {"http": {"port": "http", "path": "/warm"}}
REFUSED: dict[str, tuple[JSON, str]] = {
    "no checks": (gated(), "checks"),
    "two kinds in one check": (gated(HTTP | {"prometheus": QUERY}), "exactly one of http and prometheus"),
    "a check of a release": (gated({"approval": {}}), "spec.health.gates[0].checks[0].approval"),
    "a query that is the same for all pods": (
        gated({"prometheus": QUERY | {"query": "sum(queue)"}}),
        "must name the pod that it is about",
    ),
    "a query without a condition": (gated({"prometheus": {"query": "$(pod)"}}), "needs success, failure or both"),
    "a name that is no label": (gated(HTTP, name="Warm_1"), "the name of a health gate"),
    "the same name twice": (
        app(health={"gates": [{"name": "warm", "checks": [HTTP]}, {"name": "warm", "checks": [HTTP]}]}),
        "Duplicate value",
    ),
    "a port that no container has": (gated({"http": {"port": "grpc"}}), "names a port that no container"),
    "an interval of nothing": (gated(HTTP, intervalSeconds=0), "intervalSeconds"),
    "an interval of a day": (gated(HTTP, intervalSeconds=86400), "intervalSeconds"),
    "trust 17: a time limit of an hour": (gated({"http": {"timeoutSeconds": 3600}}), "timeoutSeconds"),
    "trust 16: an address": (gated({"http": {"url": "http://169.254.169.254/"}}), "url"),
    "pods on their node's network": (
        app(
            "shop",
            **app_with_pod(hostNetwork=True)["spec"] | {"health": {"gates": [{"name": "warm", "checks": [HTTP]}]}},
        ),
        "hostNetwork",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_health_gate_that_cannot_be_meant_is_refused_with_its_field_and_the_way_out(plane: Lab, case: str) -> None:
    body, words = REFUSED[case]

    assert words in refusal(plane, body)


def test_defaults_are_those_of_a_kubelets_probe(plane: Lab) -> None:
    (made,) = accept(plane, gated(HTTP))["spec"]["health"]["gates"]

    assert (made["intervalSeconds"], made["successThreshold"], made["failureThreshold"]) == (10, 1, 3)
