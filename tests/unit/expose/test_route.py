"""The HTTPRoute of an App, and the Services of its revisions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Apply, Delete, Failure, Plan
from fairlead.core.children import Child, project_child
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON
from fairlead.expose.model import Expose, Header, Parent, Path, Port, Route, Routed, RouteObserved
from fairlead.expose.route import given, manifest, plan, revision_manifest

ROUTE = Route(
    parent_refs=(Parent("web", "gateways", "http"),),
    hostnames=("shop.example.com",),
    paths=(Path("/shop"), Path("/exactly", "Exact")),
    canary_headers=(Header("x-canary", "always"),),
)
EXPOSED = Expose(type="NodePort", ports=(Port(80, "http", "web", node_port=30080), Port(9090, "metrics")), route=ROUTE)
HALVES = Routed({"v1": 90, "v2": 10}, "v2")
SEEN = RouteObserved("default", "shop", "u", False, EXPOSED, HALVES, None)
ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}


def stored(body: JSON, status: JSON | None = None) -> Child:
    body = body | {"metadata": body["metadata"] | {"uid": "r1", "resourceVersion": "5"}, "status": status or {}}
    return project_child(msgspec.json.encode(body))


def parents(*conditions: JSON, **ref: Any) -> JSON:
    told = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web", "namespace": "gateways"}
    return {"parents": [{"parentRef": told | {"sectionName": "http"} | ref, "conditions": list(conditions)}]}


def services(*hashes: str) -> tuple[Child, ...]:
    return tuple(stored(revision_manifest(SEEN, EXPOSED, f"shop-{hash}", hash)) for hash in hashes)


LIVE = stored(manifest(SEEN, EXPOSED, ROUTE), parents(ACCEPTED))
THERE = msgspec.structs.replace(SEEN, live=LIVE, services=services("v1", "v2"))


def decide(seen: RouteObserved = THERE, **more: Any) -> Plan:
    return plan(msgspec.structs.replace(seen, **more))


def said(made: Plan) -> Condition:
    assert made.status is not None
    (condition,) = made.status["conditions"]
    assert isinstance(condition, Condition)
    return condition


def done(made: Plan) -> list[str]:
    return [f"{type(action).__name__} {action.kind} {action.name}" for action in made.actions]


def test_the_services_are_there_before_the_route_that_names_them() -> None:
    assert done(decide(SEEN)) == ["Apply Service shop-v1", "Apply Service shop-v2", "Apply HTTPRoute shop"]


def test_a_revisions_service_is_inside_the_cluster_and_has_all_its_pods() -> None:
    (service, _) = services("v1", "v2")
    assert service.spec["type"] == "ClusterIP" and "nodePort" not in service.spec["ports"][0]
    assert service.spec["selector"] == {"fairlead.dev/app": "shop", "fairlead.dev/revision": "v1"}
    assert service.metadata["labels"]["fairlead.dev/revision"] == "v1", "its EndpointSlices are found by it"


def test_the_route_says_where_it_is_attached_and_what_it_takes() -> None:
    spec = manifest(SEEN, EXPOSED, ROUTE)["spec"]
    assert spec["parentRefs"] == [{"name": "web", "namespace": "gateways", "sectionName": "http"}]
    assert spec["hostnames"] == ["shop.example.com"]
    headed, shared = spec["rules"]
    assert [match["path"]["value"] for match in headed["matches"]] == ["/shop", "/exactly"]
    assert all(match["headers"][0]["name"] == "x-canary" for match in headed["matches"])
    assert shared["backendRefs"] == [
        {"name": "shop-v1", "port": 80, "weight": 90},
        {"name": "shop-v2", "port": 80, "weight": 10},
    ]


def test_the_port_is_the_first_unless_another_is_named() -> None:
    route = msgspec.structs.replace(ROUTE, port=9090)
    refs = manifest(SEEN, EXPOSED, route)["spec"]["rules"][-1]["backendRefs"]
    assert {ref["port"] for ref in refs} == {9090}


def test_nothing_is_written_while_all_stands_as_decided() -> None:
    assert done(decide()) == [] and said(decide()).reason == "RouteAccepted"


def test_a_weight_changes_by_one_write() -> None:
    assert done(decide(decided=Routed({"v1": 50, "v2": 50}, "v2"))) == ["Apply HTTPRoute shop"]


def test_what_was_edited_by_hand_is_put_right() -> None:
    edited = manifest(msgspec.structs.replace(SEEN, decided=Routed({"v1": 0, "v2": 100}, "v2")), EXPOSED, ROUTE)
    edited["metadata"]["annotations"] = LIVE.metadata["annotations"]
    assert done(decide(live=stored(edited))) == ["Apply HTTPRoute shop"]


def test_a_service_goes_when_the_route_names_it_no_more() -> None:
    over = Routed({"v2": 100})
    assert done(decide(decided=over)) == ["Apply HTTPRoute shop"], "the route first"
    after = stored(manifest(msgspec.structs.replace(SEEN, decided=over), EXPOSED, ROUTE), parents(ACCEPTED))
    assert done(decide(decided=over, live=after)) == ["Delete Service shop-v1"]


def test_without_weights_it_names_the_apps_own_service() -> None:
    refs = manifest(msgspec.structs.replace(SEEN, decided=Routed()), EXPOSED, ROUTE)["spec"]["rules"]
    assert [rule["backendRefs"] for rule in refs] == [[{"name": "shop", "port": 80, "weight": 1}]]


@pytest.mark.parametrize("wanted", [None, msgspec.structs.replace(EXPOSED, route=None)], ids=["expose", "route"])
def test_all_goes_when_it_is_taken_away(wanted: Expose | None) -> None:
    made = decide(wanted=wanted)
    assert done(made) == ["Delete HTTPRoute shop", "Delete Service shop-v1", "Delete Service shop-v2"]
    assert made.status is None


def test_a_strangers_route_is_left_alone() -> None:
    assert decide(wanted=None, live=msgspec.structs.replace(LIVE, owner_uid="other"), services=()).actions == ()


def test_without_gateway_api_nothing_is_written_and_it_is_looked_for_again() -> None:
    made = decide(SEEN, missing="NotFound: no such kind")
    assert made.actions == () and said(made).reason == "GatewayApiMissing" and made.requeue_after
    assert "no such kind" in said(made).message and "counts of pods" in said(made).message


def test_no_weight_is_given_to_a_service_that_is_anothers() -> None:
    refusal = Failure("apply", "Service", "shop-v2", 0, "NotOwned", "owned by another", 0.0)
    made = decide(SEEN, refused=(refusal,))
    assert "Apply HTTPRoute shop" not in done(made)
    assert said(made).reason == "NotOwned" and "Service named shop-v2" in said(made).message


NOT_RESOLVED = {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "shop-v2"}
REFUSED = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no"}
GATEWAYS = {
    "the Gateway is silent": ({}, "GatewayPending"),
    "another Gateway speaks": (parents(ACCEPTED, name="other"), "GatewayPending"),
    "another listener speaks": (parents(ACCEPTED, sectionName="https"), "GatewayPending"),
    "it is refused": (parents(REFUSED), "RouteNotAccepted"),
    "a Service is not found": (parents(ACCEPTED, NOT_RESOLVED), "BackendsUnresolved"),
    "it is taken": (parents(ACCEPTED), "RouteAccepted"),
}


@pytest.mark.parametrize(("status", "reason"), GATEWAYS.values(), ids=GATEWAYS)
def test_the_condition_says_what_the_gateway_says(status: JSON, reason: str) -> None:
    condition = said(decide(live=msgspec.structs.replace(LIVE, status=status)))
    assert condition.reason == reason and "web" in condition.message


def test_what_the_server_refuses_is_told_in_its_words() -> None:
    condition = said(decide(SEEN, refused=(Failure("apply", "HTTPRoute", "shop", 422, "Invalid", "bad host", 0.0),)))
    assert (condition.status, condition.reason) == ("False", "RouteRefused") and "bad host" in condition.message


def test_what_a_route_gives_is_read_back_as_it_was_decided() -> None:
    assert given("shop", LIVE, ["v1", "v2"], True).same_as(HALVES)
    assert not given("shop", LIVE, ["v1", "v2"], True).same_as(Routed({"v1": 90, "v2": 10}))
    assert given("shop", None, ["v1"], False).weights == {}


def test_an_app_that_goes_takes_its_route_along() -> None:
    assert decide(deleting=True) == Plan()


def test_actions_name_their_owner() -> None:
    for action in decide(SEEN).actions:
        assert isinstance(action, Apply) and action.owner_uid == "u"
    for action in decide(wanted=None).actions:
        assert isinstance(action, Delete) and action.uid == "r1"
