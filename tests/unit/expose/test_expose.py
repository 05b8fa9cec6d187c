"""The Service of an App."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Apply, Delete, Plan, Try
from fairlead.core.children import Child, project_child
from fairlead.core.conditions import Condition
from fairlead.expose.model import Expose, ExposeObserved, Port
from fairlead.expose.plan import add_drain, plan, service

HTTP = Expose(ports=(Port(80, "http", "web"),))


def live(expose: Expose, owner: str = "u", **spec: Any) -> Child:
    body = service("default", "shop", owner, expose)
    body["metadata"] |= {"uid": "s1", "resourceVersion": "5"}
    body["spec"] = {"clusterIP": "10.0.0.1", **body["spec"], **spec}
    return project_child(msgspec.json.encode(body))


def decide(wanted: Expose | None, there: Child | None = None, **more: Any) -> Plan:
    return plan(ExposeObserved("default", "shop", "u", more.pop("deleting", False), wanted, there, **more))


def said(made: Plan) -> Condition:
    assert made.status is not None
    (condition,) = made.status["conditions"]
    assert isinstance(condition, Condition)
    return condition


def test_a_service_that_is_as_wanted_is_left_alone() -> None:
    made = decide(HTTP, live(HTTP))
    assert made.actions == () and said(made).status == "True"


def test_a_headless_service_without_ports_is_as_wanted_although_no_empty_list_is_stored() -> None:
    headless = Expose(type="Headless")
    there = live(headless, clusterIP="None")
    there.spec.pop("ports", None)
    assert decide(headless, there).actions == ()


EDITS: dict[str, tuple[Expose, dict[str, Any]]] = {
    "a selector that somebody edited": (HTTP, {"selector": {"app": "other"}}),
    "a selector that somebody narrowed": (
        HTTP,
        {"selector": {"fairlead.dev/app": "shop", "fairlead.dev/serving": "true", "app": "other"}},
    ),
    "a port that somebody added": (
        HTTP,
        {"ports": [{"port": 80, "protocol": "TCP", "name": "http", "targetPort": "web"}, {"port": 81}]},
    ),
    "a type that somebody changed": (HTTP, {"type": "NodePort"}),
}


@pytest.mark.parametrize("case", EDITS, ids=list(EDITS))
def test_is_put_right(case: str) -> None:
    wanted, edit = EDITS[case]
    assert isinstance(decide(wanted, live(wanted, **edit)).actions[0], Apply)


def test_a_field_that_was_removed_from_the_app_is_removed_from_the_service() -> None:
    before = msgspec.structs.replace(HTTP, session_affinity="ClientIP", session_affinity_timeout_seconds=60)
    (action,) = decide(HTTP, live(before)).actions
    assert isinstance(action, Apply) and b"sessionAffinity" not in action.body


def test_what_others_add_to_the_service_is_theirs() -> None:
    there = live(HTTP)
    there.metadata["annotations"]["cloud/address"] = "x"
    assert decide(HTTP, msgspec.structs.replace(there, spec=there.spec | {"healthCheckNodePort": 31000})).actions == ()


def test_no_expose_any_more_takes_the_service_away_but_only_ours() -> None:
    assert isinstance(decide(None, live(HTTP)).actions[0], Delete)
    assert decide(None, live(HTTP, owner="another")).actions == ()


def test_between_headless_and_not_the_service_is_made_anew() -> None:
    headless = msgspec.structs.replace(HTTP, type="Headless")
    tried, gone = decide(headless, live(HTTP)).actions
    assert isinstance(tried, Try) and isinstance(gone, Delete)
    assert service("default", "shop", "u", headless)["spec"]["clusterIP"] == "None"


def test_a_service_whose_successor_is_refused_stays_and_says_why() -> None:
    headless = live(msgspec.structs.replace(HTTP, type="Headless"), clusterIP="None")
    made = decide(HTTP, headless, refused=("Invalid", "spec.ports[0].nodePort: provided port is already allocated"))
    tried, _ = made.actions
    assert isinstance(tried, Try) and msgspec.json.decode(tried.body)["spec"]["type"] == "ClusterIP"
    assert said(made).reason == "ServiceRefused" and "already allocated" in said(made).message and not made.events


def test_a_foreign_service_of_that_name_is_named_with_the_way_out() -> None:
    condition = said(decide(HTTP, None, refused=("NotOwned", 'Service "shop" exists and has no controlling owner')))
    assert condition.reason == "NotOwned" and "rename the App" in condition.message


def test_a_load_balancer_waits_for_its_address() -> None:
    balanced = msgspec.structs.replace(HTTP, type="LoadBalancer")
    assert said(decide(balanced, live(balanced))).reason == "LoadBalancerPending"
    addressed = msgspec.structs.replace(live(balanced), status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})
    assert said(decide(balanced, addressed)).status == "True"


def test_an_app_that_is_being_deleted_keeps_its_service_to_garbage_collection() -> None:
    assert decide(HTTP, live(HTTP), deleting=True) == Plan()


def test_a_container_with_a_pre_stop_of_its_own_keeps_it() -> None:
    own = {"preStop": {"exec": {"command": ["/drain"]}}}
    spec = add_drain(HTTP, {"containers": [{"name": "a", "lifecycle": own}, {"name": "b"}]})
    assert spec["containers"][0]["lifecycle"] == own
    assert spec["containers"][1]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


@pytest.mark.parametrize(
    ("expose", "spec"),
    [
        (None, {"containers": [{}]}),
        (Expose(drain_seconds=0), {"containers": [{}]}),
        (HTTP, {"containers": [{}], "terminationGracePeriodSeconds": 0}),
    ],
)
def test_nothing_is_drained_where_nothing_is_exposed_or_nobody_waits(
    expose: Expose | None, spec: dict[str, Any]
) -> None:
    assert add_drain(expose, spec) == spec


def test_the_apps_own_grace_is_not_eaten_by_the_drain() -> None:
    assert (
        add_drain(Expose(drain_seconds=20), {"containers": [{}], "terminationGracePeriodSeconds": 10})[
            "terminationGracePeriodSeconds"
        ]
        == 30
    )
