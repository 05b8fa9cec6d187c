"""The Service that shows a BlueGreen App's newest revision."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Apply, Delete, Plan, Try
from fairlead.core.children import Child, project_child
from fairlead.core.conditions import Condition
from fairlead.expose.model import Expose, Port, PreviewObserved
from fairlead.expose.plan import service
from fairlead.expose.preview import manifest, plan

NODE_PORT = Expose(type="NodePort", ports=(Port(80, "http", "web", node_port=30080),), session_affinity="ClientIP")
SEEN = PreviewObserved("default", "shop", "u", False, NODE_PORT, "shop-preview", "v2", None)


def stored(body: Any, uid: str = "s1") -> Child:
    body["metadata"] |= {"uid": uid, "resourceVersion": "5"}
    return project_child(msgspec.json.encode(body))


LIVE = stored(manifest(SEEN, NODE_PORT))


def decide(**more: Any) -> Plan:
    return plan(msgspec.structs.replace(SEEN, **more))


def said(made: Plan) -> Condition:
    assert made.status is not None
    (condition,) = made.status["conditions"]
    assert isinstance(condition, Condition)
    return condition


def test_it_has_the_ports_inside_the_cluster_and_the_pods_of_one_revision() -> None:
    spec = manifest(SEEN, NODE_PORT)["spec"]
    assert spec["type"] == "ClusterIP" and "sessionAffinity" not in spec
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "name": "http", "targetPort": "web"}]
    assert spec["selector"] == {"fairlead.dev/app": "shop", "fairlead.dev/revision": "v2"}


def test_it_is_left_alone_while_it_shows_the_newest_revision_and_follows_the_next() -> None:
    assert decide(live=LIVE).actions == () and said(decide(live=LIVE)).status == "True"
    (action,) = decide(live=LIVE, revision="v3").actions
    assert isinstance(action, Apply) and action.name == "shop-preview" and b'"v3"' in action.body


def test_before_the_first_revision_there_is_nothing_to_show() -> None:
    made = decide(revision="")
    assert made.actions == () and said(made).reason == "Creating"


OVER = {
    "the strategy is another": {"name": ""},
    "the App is not exposed any more": {"wanted": None},
    "it has another name now": {"name": "shop-next", "live": None, "revision": ""},
}


@pytest.mark.parametrize("case", OVER, ids=list(OVER))
def test_it_goes_when(case: str) -> None:
    made = decide(others=(LIVE,), **({"live": LIVE} | OVER[case]))
    assert [(type(action), action.name) for action in made.actions] == [(Delete, "shop-preview")]


def test_a_service_of_somebody_else_is_told_of_and_never_deleted() -> None:
    theirs = stored(service("default", "other", "other-uid", NODE_PORT, "shop-preview"))
    made = decide(live=theirs, refused=("NotOwned", 'Service "shop-preview" exists and has no controlling owner'))
    assert not any(isinstance(action, Delete) for action in made.actions)
    assert said(made).reason == "NotOwned" and "spec.rollout.blueGreen.previewService" in said(made).message


@pytest.mark.parametrize("reason", ["Contested", "Invalid"])
def test_a_refusal_is_told_in_the_servers_words(reason: str) -> None:
    assert "no such thing" in said(decide(refused=(reason, "no such thing"))).message


def test_between_headless_and_not_it_is_made_anew() -> None:
    made = decide(wanted=Expose(type="Headless"), live=LIVE)
    tried, gone = made.actions
    assert isinstance(tried, Try) and isinstance(gone, Delete) and gone.uid == "s1"
    assert (said(made).status, said(made).reason) == ("False", "Recreating")
    (event,) = made.events
    assert event.reason == "RecreatingService" and "Service shop-preview" in event.message


def test_one_whose_successor_is_refused_stays_and_says_why() -> None:
    made = decide(wanted=Expose(type="Headless"), live=LIVE, refused=("Invalid", "provided port is already allocated"))
    assert [type(action) for action in made.actions] == [Try, Delete], "it is tried again"
    assert said(made).reason == "ServiceRefused" and "already allocated" in said(made).message and not made.events
