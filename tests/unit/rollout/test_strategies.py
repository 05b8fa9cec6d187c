"""The rollout strategies: tables of what upstream does, and properties over everything else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.budget import fenceposts
from fairlead.health.testing import make_gated_pods
from fairlead.rollout.fleet import Course, Fleet, Group, scale
from fairlead.rollout.model import Pause, Scale, Step
from fairlead.rollout.strategies.canary import Canary, split
from fairlead.rollout.strategies.recreate import Recreate
from fairlead.rollout.strategies.rolling import Rolling, clear_broken
from fairlead.rollout.testing import make_pods


def group(
    id: str, size: int, available: int | None = None, *, number: int = 1, broken: int = 0, stable: bool = True
) -> Group:
    ready = size if available is None else available
    pods = make_pods(ready, id) + make_pods(broken, id, prefix=f"{id}-bad", ready=False, problem="CrashLoopBackOff")
    pods += make_pods(max(0, size - ready - broken), id, prefix=f"{id}-new", ready=False)
    return Group(id, number, size, pods, ready, stable=stable, created=float(number))


ROLLING = {
    "a first release starts with all its pods": (
        Fleet(group("v1", 0), (), 4, 1, 1),
        {"v1": 4},
    ),
    "a new template takes the surge and what may be unavailable": (
        Fleet(group("v2", 0), (group("v1", 4),), 4, 1, 1),
        {"v1": 3, "v2": 2},
    ),
    "without surge old pods go first": (
        Fleet(group("v2", 0), (group("v1", 3),), 3, 0, 1),
        {"v1": 2, "v2": 1},
    ),
    "without unavailability nothing old goes before something new is available": (
        Fleet(group("v2", 1, 0), (group("v1", 3),), 3, 1, 0),
        {"v1": 3, "v2": 1},
    ),
    "each new pod that becomes available lets an old one go": (
        Fleet(group("v2", 1, 1), (group("v1", 3),), 3, 1, 0),
        {"v1": 2, "v2": 2},
    ),
    "a rollover gives the newest revision only what surge is left and drains the oldest first": (
        Fleet(group("v3", 0, number=3), (group("v1", 6), group("v2", 6, 6, number=2)), 10, 3, 2),
        {"v1": 2, "v2": 6, "v3": 5},
    ),
    "pods of a broken release that nobody wants go at once and the next release takes their place": (
        Fleet(
            group("v3", 0, number=3), (group("v1", 8), group("v2", 5, 0, number=2, broken=5, stable=False)), 10, 3, 2
        ),
        {"v1": 8, "v2": 0, "v3": 5},
    ),
    "a stuck release keeps what runs of the old one": (
        Fleet(group("v2", 5, 0, number=2, broken=5), (group("v1", 8),), 10, 3, 2),
        {"v1": 8, "v2": 5},
    ),
    "a stable revision whose pods all crash makes room for the release that mends it": (
        Fleet(group("v2", 0, number=2), (group("v1", 4, 0, broken=4),), 4, 1, 1),
        {"v1": 0, "v2": 4},
    ),
    "scaled to zero in the middle of a roll nothing is left": (
        Fleet(group("v2", 2, 1, number=2), (group("v1", 3),), 0, 0, 1),
        {"v1": 0, "v2": 0},
    ),
    "a scale-down takes the surplus of the wanted revision": (
        Fleet(group("v1", 7), (), 4, 1, 1),
        {"v1": 4},
    ),
}


@pytest.mark.parametrize("case", ROLLING, ids=list(ROLLING))
def test_rolling(case: str) -> None:
    fleet, want = ROLLING[case]
    assert Rolling().step(fleet).sizes == want


SCALES = {
    "a single revision takes everything": (Fleet(group("v1", 3), (), 10, 3, 2), 4, {"v1": 10}),
    "a stuck roll grows both sides by their share (upstream e2e)": (
        Fleet(group("v2", 5, 0), (group("v1", 8),), 30, 3, 2),
        13,
        {"v1": 20, "v2": 13},
    ),
    "a stuck roll shrinks both sides by their share": (
        Fleet(group("v2", 4, 0), (group("v1", 8),), 5, 2, 1),
        12,
        {"v1": 5, "v2": 2},
    ),
    "to zero takes everything": (Fleet(group("v2", 4, 0), (group("v1", 8),), 0, 0, 1), 12, {"v1": 0, "v2": 0}),
    "a saturated new revision lets the old ones go": (
        Fleet(group("v2", 6, 6), (group("v1", 2),), 6, 2, 1),
        8,
        {"v1": 0, "v2": 6},
    ),
}


@pytest.mark.parametrize("case", SCALES, ids=list(SCALES))
def test_scaling_in_the_middle_of_a_roll(case: str) -> None:
    fleet, bound, want = SCALES[case]
    assert scale(fleet, bound).sizes == want


def test_recreate_waits_for_the_last_old_pod_to_end() -> None:
    waiting = Fleet(group("v2", 0), (group("v1", 0),), 3, 0, 3, lingering=1)
    assert Recreate().step(waiting).sizes == {"v1": 0, "v2": 0}
    ended = Fleet(group("v2", 0), (), 3, 0, 3)
    assert Recreate().step(ended).sizes == {"v2": 3}


def test_recreate_scales_without_waiting_for_terminating_pods_of_its_own() -> None:
    assert Recreate().step(Fleet(group("v1", 5), (), 2, 0, 2)).sizes == {"v1": 2}


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    replicas = draw(st.integers(0, 40))
    percent = st.integers(0, 100).map(lambda n: f"{n}%")
    surge, unavailable = fenceposts(draw(st.integers(0, 10) | percent), draw(st.integers(0, 10) | percent), replicas)
    old = tuple(
        group(
            f"v{n}",
            size := draw(st.integers(0, 20)),
            available := draw(st.integers(0, size)),
            broken=draw(st.integers(0, size - available)),
            number=n,
            stable=draw(st.booleans()),
        )
        for n in range(1, draw(st.integers(1, 4)))
    )
    size = draw(st.integers(0, 40))
    available = draw(st.integers(0, size))
    target = group("new", size, available, broken=draw(st.integers(0, size - available)), number=9)
    return Fleet(target, old, replicas, surge, unavailable)


def test_old_pods_that_only_a_health_gate_holds_are_kept_as_those_whose_probe_fails_are() -> None:
    (held,) = make_gated_pods(1, "warm", status="False", problem="HealthGateNotPassed")
    crashed = make_pods(1, ready=False, prefix="bad", problem="CrashLoopBackOff")
    old = Group("v1", 1, 4, (*make_pods(2), held, *crashed), available=2, stable=True)

    assert clear_broken(Fleet(Group("v2", 2, 0), (old,), replicas=4, surge=0, unavailable=3)).sizes["v1"] == 3


@settings(max_examples=3 * settings().max_examples)
@given(fleets())
def test_a_rolling_step_keeps_every_promise(fleet: Fleet) -> None:
    after = Rolling().step(fleet)
    grown = after.target.size > fleet.target.size
    assert after.target.size <= fleet.replicas, "never more of the new than asked for"
    assert not grown or after.total <= fleet.bound, "what grows stays within replicas + surge"
    assert all(b.size <= a.size for a, b in zip(fleet.old, after.old, strict=True)), "old revisions never grow"
    before_available = sum(g.available for g in fleet.groups)
    kept = sum(min(g.available, g.size) for g in after.groups)
    if fleet.target.size <= fleet.replicas:
        assert kept >= min(before_available, fleet.floor), "no available pod below the floor is given away"
    assert Rolling().step(after).sizes == after.sizes, "a step is complete: nothing moves before a pod does"


@settings(max_examples=3 * settings().max_examples)
@given(fleets(), st.integers(1, 60))
def test_scaling_spreads_to_the_bound_and_never_below_zero(fleet: Fleet, recorded: int) -> None:
    after = scale(fleet, recorded)
    assert all(group.size >= 0 for group in after.groups)
    active = [g for g in fleet.groups if g.size]
    saturated = fleet.target.size == fleet.replicas == fleet.target.available
    if len(active) > 1 and not saturated and after.total != fleet.bound:
        # Rounding may overshoot what the largest can give back; upstream clamps at zero there.
        assert 0 in after.sizes.values()


@settings(max_examples=2 * settings().max_examples)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 6), st.integers(0, 6), st.data())
def test_every_roll_ends_when_pods_come_up(
    replicas: int, old: int, surge: int, unavailable: int, data: st.DataObject
) -> None:
    """Pods become available in any order: the roll ends at exactly the replicas, whatever the budgets."""
    surge, unavailable = fenceposts(surge, unavailable, replicas)
    fleet = Fleet(group("new", 0), (group("old", old),), replicas, surge, unavailable)
    for _ in range(4 * (replicas + old) + 4):
        fleet = Rolling().step(fleet)
        target = fleet.target
        if target.available < target.size:
            up = data.draw(st.integers(1, target.size - target.available))
            fleet = Fleet(group("new", target.size, target.available + up), fleet.old, replicas, surge, unavailable)
        fleet = Fleet(fleet.target, tuple(group(g.id, g.size) for g in fleet.old), replicas, surge, unavailable)
        if fleet.sizes == {"old": 0, "new": replicas} and fleet.target.available == replicas:
            return
    raise AssertionError(f"never done: {fleet.sizes}")


# ---------------------------------------------------------------- canary

WEIGHTS = [
    # replicas, weight, surge: new, old (argo-rollouts utils/replicaset/canary_test.go, where both have a case)
    ((10, 0, 3), (0, 10)),
    ((10, 10, 3), (1, 9)),
    ((10, 15, 0), (2, 8)),
    ((10, 100, 3), (10, 0)),
    ((4, 10, 1), (1, 4)),
    ((4, 99, 0), (3, 1)),
    ((2, 1, 0), (1, 1)),
    ((1, 50, 1), (1, 1)),
    ((1, 10, 0), (0, 1)),
    ((1, 90, 0), (1, 0)),
    ((0, 50, 1), (0, 0)),
]


@pytest.mark.parametrize(("asked", "want"), WEIGHTS, ids=str)
def test_a_weight_is_the_nearest_split_of_whole_pods(asked: tuple[int, int, int], want: tuple[int, int]) -> None:
    assert split(*asked) == want


STEPS = (Step(weight=20), Step(pause=Pause(60)), Step(weight=50), Step(pause=Pause()))


def canary(new: Group, *old: Group, passed: int = 0, **course: Any) -> Fleet:
    return Fleet(new, old, 10, 3, 0, course=Course(STEPS, passed, **course))


def held_back(size: int, serving: int) -> Group:
    """A canary, all available, of which so many get traffic."""
    return msgspec.structs.replace(group("v2", size, number=2), idle=size - serving)


def capacity(new: Group, *steps: Step, passed: int = 0, weight: int = 0, old: int = 10) -> Fleet:
    """Of ten with a surge of three; `weight`: a step before these."""
    way = ((Step(weight=weight),) if weight else ()) + steps
    course = Course(way, passed + bool(weight))
    return Fleet(new, (group("v1", old),), 10, 3, 0, course=course)


CANARY = {
    "the first step makes the canary's pods and takes nothing away before they serve": (
        canary(group("v2", 0), group("v1", 10)),
        ({"v1": 10, "v2": 2}, 0, False),
    ),
    "a canary that serves lets as many old pods go, and the pause begins": (
        canary(group("v2", 2), group("v1", 10)),
        ({"v1": 8, "v2": 2}, 1, True),
    ),
    "a pause holds": (
        canary(group("v2", 2), group("v1", 8), passed=1, since=100.0, now=159.0),
        ({"v1": 8, "v2": 2}, 1, True),
    ),
    "a pause that is over leads to the next weight": (
        canary(group("v2", 2), group("v1", 8), passed=1, since=100.0, now=160.0),
        ({"v1": 8, "v2": 5}, 2, False),
    ),
    "a pause without seconds waits for a person": (
        canary(group("v2", 5), group("v1", 5), passed=3, now=1e9),
        ({"v1": 5, "v2": 5}, 3, True),
    ),
    "a promoted pause is over at once": (
        canary(group("v2", 5), group("v1", 5), passed=3, promoted=4),
        ({"v1": 5, "v2": 8}, 4, False),
    ),
    "a pause is not over while a canary's pod is missing": (
        canary(group("v2", 2, 1), group("v1", 8), passed=1, since=0.0, now=1000.0),
        ({"v1": 8, "v2": 2}, 1, False),
    ),
    "a canary that was given up goes first, and the stable revision gets its share back": (
        canary(group("v3", 0, number=3), group("v1", 8), group("v2", 2, number=2, stable=False)),
        ({"v1": 8, "v2": 2, "v3": 2}, 0, False),
    ),
    "what is broken of a canary that was given up makes room at once": (
        canary(group("v3", 0, number=3), group("v1", 8), group("v2", 2, 0, number=2, broken=2, stable=False)),
        ({"v1": 8, "v2": 0, "v3": 2}, 0, False),
    ),
    "without a completed revision beside it there is nothing to share with": (
        canary(group("v2", 0), group("v1", 10, stable=False)),
        ({"v1": 10, "v2": 3}, 4, False),
    ),
}


# (before, (sizes, how many of the canary get traffic, steps passed, held))
CAPACITIES: dict[str, tuple[Fleet, tuple[dict[str, int], int | None, int, bool]]] = {
    "capacity comes before any traffic": (
        capacity(group("v2", 0), Step(scale=Scale(replicas=3)), Step(pause=Pause())),
        ({"v1": 10, "v2": 3}, 0, 0, False),
    ),
    "only the weight's share of it gets traffic, and as many old pods go": (
        capacity(held_back(3, 1), Step(scale=Scale(replicas=3)), Step(weight=10), Step(pause=Pause()), passed=1),
        ({"v1": 9, "v2": 3}, 1, 2, True),
    ),
    "it is not held before the label is there": (
        capacity(held_back(3, 0), Step(scale=Scale(replicas=3)), Step(weight=10), Step(pause=Pause()), passed=1),
        ({"v1": 10, "v2": 3}, 1, 1, False),
    ),
    "a weight that its pods cannot carry gives them what they can": (
        capacity(held_back(2, 2), Step(scale=Scale(replicas=2)), Step(weight=50), Step(pause=Pause()), passed=1),
        ({"v1": 8, "v2": 2}, None, 2, True),
    ),
    "it grows no further than the surge": (
        capacity(held_back(3, 0), Step(scale=Scale(percent=80)), Step(pause=Pause())),
        ({"v1": 10, "v2": 3}, 0, 1, True),
    ),
    "pods that are too many and serve nobody go at once": (
        capacity(held_back(3, 1), Step(scale=Scale(match_weight=True)), Step(pause=Pause()), weight=10, old=9),
        ({"v1": 9, "v2": 1}, None, 2, True),
    ),
}


@pytest.mark.parametrize("case", CAPACITIES, ids=list(CAPACITIES))
def test_a_canary_whose_pods_are_apart_from_its_weight(case: str) -> None:
    fleet, (sizes, traffic, passed, held) = CAPACITIES[case]
    after = Canary().step(fleet)
    assert after.course is not None
    assert (after.sizes, after.target.serve, after.course.passed, after.course.held) == (sizes, traffic, passed, held)


@settings(max_examples=3 * settings().max_examples)
@given(st.integers(1, 60), st.integers(1, 99), st.integers(0, 3), st.integers(1, 5))
def test_both_sides_keep_the_least_that_is_asked_for_as_far_as_there_are_pods(
    replicas: int, weight: int, surge: int, least: int
) -> None:
    new, old = split(replicas, weight, surge, least)
    assert replicas <= new + old <= replicas + min(surge, 1)
    possible = min(least, (replicas + min(surge, 1)) // 2)
    assert min(new, old) >= possible


@pytest.mark.parametrize("case", CANARY, ids=list(CANARY))
def test_a_canary_step(case: str) -> None:
    fleet, (sizes, passed, held) = CANARY[case]
    after = Canary().step(fleet)
    assert after.course is not None
    assert (after.sizes, after.course.passed, after.course.held) == (sizes, passed, held)


@settings(max_examples=3 * settings().max_examples)
@given(fleets(), st.lists(st.integers(0, 100).map(lambda w: Step(weight=w)), min_size=1, max_size=4))
def test_a_canary_step_keeps_every_promise(fleet: Fleet, steps: list[Step]) -> None:
    fleet = msgspec.structs.replace(fleet, course=Course(tuple(steps)))
    after = Canary().step(fleet)
    assert after.total <= max(fleet.total, fleet.bound), "what grows stays within replicas + surge"
    kept = sum(min(g.available, g.size) for g in after.groups)
    if fleet.target.size <= fleet.replicas:
        assert kept >= min(sum(g.available for g in fleet.groups), fleet.floor), "nothing below the floor is given away"
    assert Canary().step(after).sizes == after.sizes, "a step is complete: nothing moves before a pod does"


@settings(max_examples=2 * settings().max_examples)
@given(
    st.integers(1, 20),
    st.integers(0, 6),
    st.integers(0, 6),
    st.lists(st.integers(0, 100), min_size=1, max_size=4),
    st.data(),
)
def test_every_canary_ends_when_pods_come_up(
    replicas: int, surge: int, unavailable: int, weights: list[int], data: st.DataObject
) -> None:
    """Pods become available in any order: all steps are passed, and the new revision has all the replicas."""
    surge, unavailable = fenceposts(surge, unavailable, replicas)
    course: Course | None = Course(tuple(Step(weight=weight) for weight in weights))
    fleet = Fleet(group("new", 0), (group("old", replicas),), replicas, surge, unavailable, course=course)
    for _ in range(12 * replicas * len(weights) + 12):
        fleet = Canary().step(fleet)
        target, course = fleet.target, fleet.course
        if target.available < target.size:
            up = data.draw(st.integers(1, target.size - target.available))
            target = group("new", target.size, target.available + up)
        old = tuple(group(g.id, g.size) for g in fleet.old)
        fleet = Fleet(target, old, replicas, surge, unavailable, course=course)
        if fleet.sizes == {"old": 0, "new": replicas} and target.available == replicas:
            assert course is not None
            return
    raise AssertionError(f"never done: {fleet.sizes} {course}")
