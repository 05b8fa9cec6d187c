"""BlueGreen: sizes and shares of the traffic at every step, the labels that follow, and properties over everything else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.actions import Create, Delete, Patch, Plan
from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON, LABEL_SERVING
from fairlead.core.podstate import Pod
from fairlead.rollout import blue_green, traffic
from fairlead.rollout.fleet import Course, Fleet, Group
from fairlead.rollout.model import Asked, Observed
from fairlead.rollout.model import BlueGreen as How
from fairlead.rollout.plan import plan
from fairlead.rollout.strategies.blue_green import BlueGreen
from fairlead.rollout.testing import make_app, make_pods, make_revision
from unit.rollout.test_plan import NOW, V1, V2, condition, ran, written

HALF_SHOWN = How(auto_promote=False, preview_replicas=2)


def group(id: str, size: int, serving: int | None = None, **more: Any) -> Group:
    """All its pods are available; `serving` of them get traffic, all unless said."""
    serves = size if serving is None else serving
    pods = make_pods(serves, id) + make_pods(size - serves, id, prefix=f"{id}-idle", serving=False)
    served = None if serves == size else serves
    fields: dict[str, Any] = {"available": size, "idle": size - serves, "served": served, "stable": id == "v1"} | more
    return Group(id, int(id[1:]), size, pods, **fields)


def fleet(target: Group, *old: Group, passed: int | None = 0, how: How = HALF_SHOWN, **course: Any) -> Fleet:
    way = None if passed is None else Course(blue_green.steps(how), passed, **course)
    return Fleet(target, old, replicas=4, surge=4, unavailable=0, course=way)


NEW = group("v2", 0, served=0)
# (before, (sizes, what each may serve, steps passed, held))
STEPS: dict[str, tuple[Fleet, tuple[JSON, JSON, int, bool]]] = {
    "a preview comes beside what serves": (
        fleet(NEW, group("v1", 4)),
        ({"v1": 4, "v2": 2}, {"v1": None, "v2": 0}, 0, False),
    ),
    "a preview that is available waits for a person": (
        fleet(group("v2", 2, 0), group("v1", 4)),
        ({"v1": 4, "v2": 2}, {"v1": None, "v2": 0}, 1, True),
    ),
    "promoted, the rest comes before anything moves": (
        fleet(group("v2", 2, 0), group("v1", 4), passed=1, promoted=2),
        ({"v1": 4, "v2": 4}, {"v1": None, "v2": 0}, 2, False),
    ),
    "one that is not available holds the switch": (
        fleet(group("v2", 4, 0, available=3, idle=3), group("v1", 4), passed=2),
        ({"v1": 4, "v2": 4}, {"v1": None, "v2": 0}, 2, False),
    ),
    "whole, it gets the label before the old ones lose theirs": (
        fleet(group("v2", 4, 0), group("v1", 4), passed=2),
        ({"v1": 4, "v2": 4}, {"v1": None, "v2": None}, 2, False),
    ),
    "three of four that serve are not enough for the old ones to leave": (
        fleet(group("v2", 4, idle=1), group("v1", 4), passed=2),
        ({"v1": 4, "v2": 4}, {"v1": None, "v2": None}, 2, False),
    ),
    "when all serve the old ones leave the traffic and stay": (
        fleet(group("v2", 4), group("v1", 4), passed=2),
        ({"v1": 4, "v2": 4}, {"v1": 0, "v2": None}, 2, False),
    ),
    "a pod that fails after the switch gives nothing back to the old ones": (
        fleet(group("v2", 4, available=3), group("v1", 4, 0), passed=3),
        ({"v1": 4, "v2": 4}, {"v1": 0, "v2": None}, 3, False),
    ),
    "the old ones are kept for a while": (
        fleet(group("v2", 4), group("v1", 4, 0), passed=3, since=70, now=80),
        ({"v1": 4, "v2": 4}, {"v1": 0, "v2": None}, 3, True),
    ),
    "and go when it is over": (
        fleet(group("v2", 4), group("v1", 4, 0), passed=3, since=70, now=100),
        ({"v1": 0, "v2": 4}, {"v1": 0, "v2": None}, 4, False),
    ),
    "a newer template takes the place of a preview, not of what serves": (
        fleet(group("v3", 0, served=0), group("v1", 4), group("v2", 2, 0)),
        ({"v1": 4, "v2": 0, "v3": 2}, {"v1": None, "v2": None, "v3": 0}, 0, False),
    ),
    "after a switch a newer template takes the place of what was kept": (
        fleet(group("v3", 0, served=0), group("v1", 4, 0), group("v2", 4)),
        ({"v1": 0, "v2": 4, "v3": 2}, {"v1": None, "v2": None, "v3": 0}, 0, False),
    ),
    "without anything beside it there is nothing to wait for": (
        fleet(NEW),
        ({"v2": 4}, {"v2": None}, 4, False),
    ),
}


@pytest.mark.parametrize("case", STEPS, ids=list(STEPS))
def test_a_blue_green_step(case: str) -> None:
    before, (sizes, serve, passed, held) = STEPS[case]
    after = BlueGreen().step(before)
    assert after.course is not None
    assert after.sizes == sizes
    assert {group.id: group.serve for group in after.groups} == serve
    assert (after.course.passed, after.course.held) == (passed, held)


# (before, (sizes, what each may serve))
TAKING_OVER: dict[str, tuple[Fleet, tuple[JSON, JSON]]] = {
    "a first release gets traffic as its pods become ready": (
        fleet(group("v2", 0, served=None), passed=None),
        ({"v2": 4}, {"v2": None}),
    ),
    "the way back from a preview takes the preview away": (
        fleet(group("v1", 4), group("v2", 2, 0), passed=None),
        ({"v1": 4, "v2": 0}, {"v1": None, "v2": None}),
    ),
    "the way back from a switch needs but the labels": (
        fleet(group("v1", 4, 0), group("v2", 4), passed=None),
        ({"v1": 4, "v2": 4}, {"v1": None, "v2": None}),
    ),
    "and then the failed ones go": (
        fleet(group("v1", 4), group("v2", 4), passed=None),
        ({"v1": 4, "v2": 0}, {"v1": None, "v2": None}),
    ),
    "a way back to pods that are no more makes them first": (
        fleet(group("v1", 0, served=0), group("v2", 4), passed=None),
        ({"v1": 4, "v2": 4}, {"v1": 0, "v2": None}),
    ),
    "it does not wait for its last pod while what serves is worse": (
        fleet(group("v1", 4, 0, available=3, idle=3), group("v2", 4, available=1), passed=None),
        ({"v1": 4, "v2": 4}, {"v1": None, "v2": None}),
    ),
    "a restart switches to its pods when all of them are there": (
        fleet(group("v1", 4, 0, available=3, idle=3), group("v0", 4, stable=True), passed=None),
        ({"v1": 4, "v0": 4}, {"v1": 0, "v0": None}),
    ),
}


@pytest.mark.parametrize("case", TAKING_OVER, ids=list(TAKING_OVER))
def test_without_steps(case: str) -> None:
    before, (sizes, serve) = TAKING_OVER[case]
    after = BlueGreen().step(before)
    assert after.sizes == sizes
    assert {group.id: group.serve for group in after.groups} == serve


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    replicas = draw(st.integers(0, 12))

    def any_group(id: str) -> Group:
        size = draw(st.integers(0, 2 * replicas))
        ready = [draw(st.booleans()) for _ in range(size)]
        labels = [draw(st.booleans()) for _ in range(size)]
        pods = tuple(
            pod
            for index, (well, label) in enumerate(zip(ready, labels, strict=True))
            for pod in make_pods(1, id, ready=well, prefix=f"{id}-{index}", serving=label)
        )
        idle = sum(well and not label for well, label in zip(ready, labels, strict=True))
        served = draw(st.sampled_from([None, 0]))
        return Group(id, int(id[1:]), size, pods, sum(ready), stable=id == "v1", idle=idle, served=served)

    old = tuple(any_group(f"v{number}") for number in range(1, draw(st.integers(1, 4))))
    course = draw(st.none() | st.builds(Course, st.just(blue_green.steps(How())), st.integers(0, 4), now=st.just(99.0)))
    return Fleet(any_group("v9"), old, replicas, replicas, 0, course=course)


@settings(max_examples=4 * settings().max_examples)
@given(fleets())
def test_a_step_leaves_as_much_traffic_as_there_was_or_all_that_is_needed(before: Fleet) -> None:
    after = BlueGreen().step(before)
    gone = {pod.uid for group in after.groups for pod in _surplus(group)}
    _, out = traffic.relabel(after, gone, lambda pod: pod.ready)
    lost = gone | {pod.uid for pod in out}
    pods = [pod for group in before.groups for pod in group.pods if pod.serving and pod.ready]
    left = [pod for pod in pods if pod.uid not in lost]
    assert len(left) >= min(len(pods), before.floor), "what is left of the traffic"
    assert after.total <= max(before.total, after.bound), "what is added stays within twice the replicas"


def _surplus(group: Group) -> list[Pod]:
    order = sorted(group.pods, key=lambda pod: (pod.serving and pod.ready, pod.name))
    return order[: max(0, len(group.pods) - group.size)]


# ---------------------------------------------------------------- the plan


def shop(status: JSON, replicas: int = 4, **more: Any) -> Any:
    return make_app(replicas=replicas, digest="v2", status=status, strategy="BlueGreen", blue_green=HALF_SHOWN, **more)


def at_step(step: int, sizes: JSON, serving: JSON) -> JSON:
    rollout = {"sizes": sizes, "serving": serving, "desired": 4, "bound": 8, "step": step, "stepAt": timestamp(NOW - 5)}
    rollout |= {"startedAt": timestamp(NOW - 60), "lastProgressAt": timestamp(NOW - 5)}
    moving = {"type": "Progressing", "status": "True", "reason": "RevisionUpdating"}
    return ran(4) | {"activeRevision": "shop-v2", "rollout": rollout, "conditions": [moving]}


def decide(app: Any, pods: tuple[Pod, ...], now: float = NOW) -> Plan:
    return plan(Observed(app, (V1, V2), pods), now, {"BlueGreen": BlueGreen()})


def labels(made: Plan) -> dict[str, str]:
    """What the plan makes of the pods' label, new pods too."""
    bodies = [(a.name, a.body) for a in made.actions if isinstance(a, Patch | Create) and a.kind == "Pod"]
    return {name: msgspec.json.decode(body)["metadata"]["labels"][LABEL_SERVING] for name, body in bodies}


def test_the_preview_is_made_without_the_label_and_the_decision_is_stored_first() -> None:
    made = decide(shop(ran(4)), make_pods(4))
    assert sorted(labels(made).values()) == ["false", "false"]
    assert made.status_first
    assert written(shop(ran(4)), made)["rollout"]["serving"] == {"v2": 0}


def test_the_switch_labels_exactly_the_pods_that_were_looked_at_and_takes_none_from_the_old_ones_yet() -> None:
    app = shop(at_step(2, {"v1": 4, "v2": 4}, {"v2": 0}))
    made = decide(app, make_pods(4) + make_pods(4, "v2", serving=False))
    assert labels(made) == {f"shop-v2-{index}": "true" for index in range(4)}
    patched = next(action for action in made.actions if isinstance(action, Patch))
    meta = msgspec.json.decode(patched.body)["metadata"]
    assert (meta["uid"], meta["resourceVersion"]) == ("uid-shop-v2-0", "1")
    assert made.status_first and "serving" not in written(app, made)["rollout"]


def test_the_old_ones_leave_the_traffic_only_after_a_live_read() -> None:
    app = shop(at_step(2, {"v1": 4, "v2": 4}, {}))
    made = decide(app, make_pods(4) + make_pods(4, "v2"))
    assert labels(made) == {f"shop-v1-{index}": "false" for index in range(4)}
    assert made.confirm == "" and not [a for a in made.actions if isinstance(a, Delete)]
    assert decide(app, make_pods(4)).confirm == "", "nobody leaves while nobody else serves"


def test_a_pod_that_is_made_anew_after_the_switch_gets_the_label_at_birth_and_one_of_the_old_ones_does_not() -> None:
    app = shop(at_step(3, {"v1": 4, "v2": 4}, {"v1": 0}))
    made = decide(app, make_pods(3, serving=False) + make_pods(3, "v2"))
    assert sorted((name[:7], value) for name, value in labels(made).items()) == [
        ("shop-v1", "false"),
        ("shop-v2", "true"),
    ]


def test_a_release_is_not_complete_while_its_pods_get_no_traffic() -> None:
    """All pods of the old revision were lost at once: that is no promotion."""
    app = shop(at_step(1, {"v1": 4, "v2": 4}, {"v2": 0}) | {"replicas": 8})
    made = decide(app, make_pods(4, "v2", serving=False))
    assert written(app, made)["stableRevision"] == "shop-v1"
    assert condition(app, made, "Ready")["status"] == "False"


WORDS = {
    "a preview that waits for a person": (
        at_step(1, {"v1": 4, "v2": 2}, {"v2": 0}),
        make_pods(4) + make_pods(2, "v2", serving=False),
        "the preview of revision 2 to be promoted, 2 pods are available: `fairlead promote`",
        "Preview 2/4: waiting",
    ),
    "a switch under way": (
        at_step(2, {"v1": 4, "v2": 4}, {}),
        make_pods(4) + make_pods(4, "v2", serving=False),
        "the traffic to come to 4 of 4 pods of revision 2",
        "Switching 4/4",
    ),
    "the time of the way back": (
        at_step(3, {"v1": 4, "v2": 4}, {"v1": 0}),
        make_pods(4, serving=False) + make_pods(4, "v2"),
        f"revision 2 has all the traffic; the pods it came from are kept until {timestamp(NOW + 25)}",
        "Switched 4/4",
    ),
}


@pytest.mark.parametrize("case", WORDS, ids=list(WORDS))
def test_the_status_says_where_it_stands(case: str) -> None:
    status, pods, waiting, summary = WORDS[case]
    app = shop(status)
    told = written(app, decide(app, pods))
    assert told["rollout"]["waitingFor"] == waiting
    assert told["summary"] == summary


def test_an_abort_in_the_time_of_the_way_back_makes_no_pod() -> None:
    app = shop(at_step(3, {"v1": 4, "v2": 4}, {"v1": 0}), asked=Asked(abort="2"))
    made = decide(app, make_pods(4, serving=False) + make_pods(4, "v2"))
    assert labels(made) == {f"shop-v1-{index}": "true" for index in range(4)}
    assert written(app, made)["rejected"]["reason"] == "Aborted"


def test_pods_that_lost_the_label_by_hand_get_it_back() -> None:
    app = make_app(replicas=2, status=ran(2), strategy="BlueGreen")
    made = decide(app, make_pods(1) + make_pods(1, prefix="stripped", serving=False))
    assert labels(made) == {"shop-stripped-0": "true"}


def test_what_was_to_be_gone_and_is_still_there_gets_no_traffic_back() -> None:
    """The operator ended after it had decided that v1, out of the traffic, gives way to v3, and before it deleted it."""
    status = at_step(0, {"v2": 4, "v3": 2}, {"v3": 0}) | {"activeRevision": "shop-v3"}
    app = make_app(replicas=4, digest="v3", status=status, strategy="BlueGreen", blue_green=HALF_SHOWN)
    v3 = make_revision(number=3, hash="v3")
    pods = make_pods(4, serving=False) + make_pods(4, "v2")
    made = plan(Observed(app, (V1, V2, v3), pods), NOW, {"BlueGreen": BlueGreen()})
    assert {action.name[:7] for action in made.actions if isinstance(action, Delete)} == {"shop-v1"}
    assert sorted(labels(made).values()) == ["false", "false"]
