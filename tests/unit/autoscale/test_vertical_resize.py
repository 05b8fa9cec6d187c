"""Which pods come to what is applied, in which order, and which of them another pod takes the place of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.autoscale.vertical.model import Applied
from fairlead.autoscale.vertical.resize import PATIENCE, Case, State, Turn, turn
from fairlead.autoscale.vertical.sizes import wanted
from fairlead.core.actions import Failure
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod, Resizing
from fairlead.rollout.testing import make_pods

NOW = 10_000.0
APPLIED = Applied({"web": {"cpu": 300}}, 9_000.0)
FORBIDDEN = Failure("patch", "Pod/resize", "shop-v1-1", 403, "Forbidden", "cannot patch pods/resize", 0.0)


def spec(cpu: str = "1", **more: JSON) -> JSON:
    return {"containers": [{"name": "web", "resources": {"requests": {"cpu": cpu}}, **more}]}


OLD, NEW = msgspec.json.encode(spec()), msgspec.json.encode(spec("300m"))


def pods(count: int, resources: bytes = OLD, start: int = 0, **fields: Any) -> list[Pod]:
    return list(make_pods(start + count, **({"resources": resources} | fields)))[start:]


def play(found: list[Pod], template: JSON | None = None, **fields: Any) -> Turn:
    """Of an App that can do without all of its pods, unless said."""
    wants = {"v1": wanted(APPLIED, template or spec())}
    return turn(Case(found, wants, **({"since": APPLIED.at, "at_once": 99} | fields)), NOW)


def resized(made: Turn) -> list[str]:
    return [action.name for action in made.actions if action.subresource == "resize"]


def marked(made: Turn) -> list[str]:
    return [action.name for action in made.actions if not action.subresource]


def state(pod: Pod, **fields: Any) -> State:
    (look,) = play([pod], **fields).looks
    return look.state


def test_a_resize_says_what_is_wanted_of_this_very_pod() -> None:
    (action,) = play(pods(1)).actions
    assert (action.subresource, action.type) == ("resize", "strategic")
    assert msgspec.json.decode(action.body) == {
        "metadata": {"uid": pods(1)[0].uid},
        "spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "300m"}}}]},
    }


@pytest.mark.parametrize(
    ("count", "at_once", "expected"), [(1, 99, 1), (3, 99, 1), (8, 99, 2), (9, 99, 2), (8, 1, 1), (8, 0, 1)]
)
def test_one_in_four_at_a_time_as_far_as_the_budget_goes_and_one_at_least(
    count: int, at_once: int, expected: int
) -> None:
    """Which disturbs nobody as long as it goes well, so that a budget of nothing must not hold it up for ever."""
    assert len(resized(play(pods(count), at_once=at_once))) == expected


def test_whom_a_kubelet_is_busy_with_counts() -> None:
    busy = pods(1, NEW, resizing=Resizing("InProgress", NOW))
    assert resized(play([*busy, *pods(7, start=1)])) == ["shop-v1-1"]
    assert resized(play([*busy, *pods(2, start=1)])) == []


def test_whom_a_kubelet_defers_does_not() -> None:
    waiting = pods(1, NEW, resizing=Resizing("Deferred", NOW))
    assert resized(play([*waiting, *pods(2, start=1)])) == ["shop-v1-1"]


def test_while_pods_that_have_it_are_not_ready_others_wait() -> None:
    assert resized(play([*pods(1, NEW, ready=False), *pods(3, start=1)])) == []


def test_pods_that_serve_nobody_go_first_and_all_at_once() -> None:
    """One that runs out of memory again and again is what is to be mended."""
    found = [*pods(2), *pods(3, start=2, ready=False)]
    assert resized(play(found)) == ["shop-v1-2", "shop-v1-3", "shop-v1-4", "shop-v1-0"]


def test_pods_that_have_it_are_left_alone() -> None:
    made = play(pods(4, NEW))
    assert not made.actions and len(made.of("Has")) == 4


@pytest.mark.parametrize(
    ("pod", "expected"),
    {
        "not seen by its kubelet": (pods(1, NEW, resizing=Resizing())[0], "Asked"),
        "under way": (pods(1, NEW, resizing=Resizing("InProgress", 0))[0], "Asked"),
        "tried and failed": (pods(1, NEW, resizing=Resizing("Error", 0))[0], "Asked"),
        "deferred a moment ago": (pods(1, NEW, resizing=Resizing("Deferred", NOW - PATIENCE + 1))[0], "Deferred"),
        "deferred for long": (pods(1, NEW, resizing=Resizing("Deferred", NOW - PATIENCE))[0], "Stuck"),
        "never": (pods(1, NEW, resizing=Resizing("Infeasible", NOW))[0], "Stuck"),
        "asked for something else since": (pods(1, OLD, resizing=Resizing("Infeasible", NOW))[0], "Due"),
        "on its way out": (pods(1, gives_way=True)[0], "Leaving"),
        "of a revision nobody keeps": (pods(1, revision="gone")[0], "Kept"),
        "of another class of service": (pods(1, b'{"containers":[{"name":"web"}]}')[0], "Stuck"),
    }.values(),
)
def test_how_a_pod_stands(pod: Pod, expected: State) -> None:
    assert state(pod) == expected


def test_what_was_deferred_before_anything_new_was_asked_has_its_time_anew() -> None:
    pod = pods(1, NEW, resizing=Resizing("Deferred", NOW - 2 * PATIENCE))[0]
    assert (state(pod, since=NOW - 10), state(pod)) == ("Deferred", "Stuck")


def test_a_container_that_would_start_anew_has_another_pod_take_its_place() -> None:
    def policy(resource: str) -> JSON:
        return spec(resizePolicy=[{"resourceName": resource, "restartPolicy": "RestartContainer"}])

    assert state(pods(1)[0], template=policy("cpu")) == "Stuck"
    assert state(pods(1)[0], template=policy("memory")) == "Due", "its memory stays as it is"


def test_what_the_api_server_does_not_resize_has_another_pod_take_its_place() -> None:
    no = msgspec.structs.replace(FORBIDDEN, name="shop-v1-0", code=422, reason="Invalid", message="odd", alone=True)
    made = play(pods(2), failures=(no,))
    assert [one.state for one in made.looks] == ["Stuck", "Due"]
    assert resized(made) == ["shop-v1-1", "shop-v1-0"] and not made.refused
    alone = play(pods(1), failures=(no,))
    assert (marked(alone), resized(alone)) == (["shop-v1-0"], ["shop-v1-0"]), (
        "held back by the engine, and not forgotten"
    )


def test_where_the_api_server_resizes_none_one_is_tried_again_and_the_others_stay() -> None:
    """403 for want of the right or of quota, 404 of a cluster that knows no such thing. The engine holds the write back until its
    pause is over; without it in the plan, the refusal would be forgotten."""
    made = play([*pods(4), *pods(1, start=4, gives_way=False)], failures=(FORBIDDEN,))
    assert resized(made) == ["shop-v1-1"]
    assert made.refused == "cannot patch pods/resize"


def test_a_refusal_says_nothing_any_more_when_all_have_it() -> None:
    assert not play(pods(2, NEW), failures=(FORBIDDEN,)).refused


STUCK = Resizing("Infeasible", NOW)


def test_another_pod_takes_the_place_of_one_in_four_at_a_time() -> None:
    assert marked(play(pods(8, NEW, resizing=STUCK))) == ["shop-v1-0", "shop-v1-1"]
    assert marked(play(pods(8, NEW, resizing=STUCK), at_once=1)) == ["shop-v1-0"]


@pytest.mark.parametrize(
    ("others", "fields"),
    {
        "a release is under way": ([], {"steady": False}),
        "another one is leaving": (pods(1, start=9, gives_way=True), {}),
        "a kubelet is at work": (pods(1, NEW, start=9, resizing=Resizing("InProgress", NOW)), {}),
        "others can be resized yet": (pods(1, start=9), {}),
        "one is not ready": (pods(1, NEW, start=9, ready=False), {}),
    }.values(),
)
def test_nobody_gives_way_while(others: list[Pod], fields: dict[str, Any]) -> None:
    assert marked(play([*pods(2, NEW, resizing=STUCK), *others], **fields)) == []


def test_a_mark_is_for_this_very_pod() -> None:
    (action,) = play(pods(1, NEW, resizing=STUCK)).actions
    assert msgspec.json.decode(action.body) == {
        "metadata": {"uid": pods(1)[0].uid, "annotations": {"fairlead.dev/gives-way": "resources"}}
    }
