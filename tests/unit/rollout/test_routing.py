"""Weights follow the pods that are ready, and pods wait for the weights."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from fairlead.core.actions import Create, Delete, Patch
from fairlead.core.meta import LABEL_REVISION, LABEL_SERVING
from fairlead.expose.model import Routed
from fairlead.rollout.fleet import Course, Fleet, Group
from fairlead.rollout.model import Asked, Observed, Pause, Step, progress_of
from fairlead.rollout.model import BlueGreen as How
from fairlead.rollout.plan import plan
from fairlead.rollout.routing import carrying, decide
from fairlead.rollout.strategies.blue_green import BlueGreen
from fairlead.rollout.strategies.canary import Canary
from fairlead.rollout.testing import make_app, make_pods, make_revision

STEPS = (Step(weight=10), Step(pause=Pause()), Step(weight=50))
COURSE = Course((Step(weight=20), Step(pause=Pause())), passed=1)


def group(id: str, number: int, size: int, available: int | None = None, **more: Any) -> Group:
    return Group(id, number, size, available=size if available is None else available, **more)


def fleet(new: Group, *old: Group, course: Course | None = None, replicas: int = 10, by_header: bool = False) -> Fleet:
    return Fleet(new, old, replicas, surge=3, unavailable=0, course=course, routed=Routed(by_header=by_header))


OLD = group("v1", 1, 10, stable=True)
SHARES: dict[str, tuple[Fleet, dict[str, int]]] = {
    "a first release has everything": (fleet(group("v1", 1, 10, 0)), {"v1": 100}),
    "a canary without ready pods has nothing": (fleet(group("v2", 2, 2, 0), OLD, course=COURSE), {"v1": 100, "v2": 0}),
    "half a canary has half its weight": (fleet(group("v2", 2, 2, 1), OLD, course=COURSE), {"v1": 90, "v2": 10}),
    "a canary has its weight": (fleet(group("v2", 2, 2), OLD, course=COURSE), {"v1": 80, "v2": 20}),
    "more pods do not make it more": (fleet(group("v2", 2, 3), OLD, course=COURSE), {"v1": 80, "v2": 20}),
    "nor do fewer others": (
        fleet(group("v2", 2, 2), group("v1", 1, 8, 1, stable=True), course=COURSE),
        {"v1": 80, "v2": 20},
    ),
    "pods that are no endpoints yet have nothing": (
        fleet(group("v2", 2, 2, reached=0), OLD, course=COURSE),
        {"v1": 100, "v2": 0},
    ),
    "nor has the one of two that is none": (
        fleet(group("v2", 2, 2, reached=1), OLD, course=COURSE),
        {"v1": 90, "v2": 10},
    ),
    "endpoints that are no pods of it make it no more": (
        fleet(group("v2", 2, 2, reached=9), OLD, course=COURSE),
        {"v1": 80, "v2": 20},
    ),
    "after a switch the endpoints come first, too": (
        fleet(group("v2", 2, 10, reached=4), OLD, course=Course((Step(weight=100),))),
        {"v1": 60, "v2": 40},
    ),
    "on the way back, those of the old": (
        fleet(group("v1", 1, 6, reached=3), group("v2", 2, 4, reached=4)),
        {"v2": 58, "v1": 42},
    ),
    "a preview has nothing": (fleet(group("v2", 2, 10, serve=0), OLD, course=COURSE), {"v1": 100, "v2": 0}),
    "after the switch the old have nothing": (
        fleet(group("v2", 2, 10), group("v1", 1, 10, serve=0), course=Course((Step(weight=100), Step(pause=Pause())))),
        {"v1": 0, "v2": 100},
    ),
    "on the way back it is by what is ready": (fleet(group("v1", 1, 6), group("v2", 2, 4)), {"v2": 40, "v1": 60}),
    "what was given up shares the rest": (
        fleet(group("v3", 3, 1), group("v1", 1, 6, stable=True), group("v2", 2, 3), course=Course((Step(weight=10),))),
        {"v1": 60, "v2": 30, "v3": 10},
    ),
    "a restart is no other revision": (fleet(group("v1", 1, 3), group("v1~", 1, 7)), {"v1": 100}),
}


@pytest.mark.parametrize(("there", "shares"), SHARES.values(), ids=SHARES)
def test_the_weights(there: Fleet, shares: dict[str, int]) -> None:
    assert decide(there).weights == shares


@for_all(st.integers(1, 40), st.integers(0, 40), st.lists(st.integers(0, 40), max_size=3), st.integers(0, 100))
def test_they_are_a_hundred_and_what_is_on_trial_has_no_more_than_it_carries(
    replicas: int, ready: int, others: list[int], weight: int
) -> None:
    old = [group(f"v{number}", number, count, stable=number == 0) for number, count in enumerate(others)]
    there = fleet(group("new", 9, ready), *old, course=Course((Step(weight=weight),)), replicas=replicas)
    weights = decide(there).weights
    assert sum(weights.values()) == 100 and all(share >= 0 for share in weights.values())
    if any(others):
        assert weights["new"] <= weight
        assert weights["new"] * min(replicas, ready + sum(others)) <= 100 * ready


@for_all(st.integers(1, 200), st.integers(0, 100), st.integers(1, 10))
def test_either_side_carries_its_part_and_the_bound_holds(replicas: int, weight: int, surge: int) -> None:
    new, old = carrying(replicas, weight, replicas + surge)
    assert new * 100 >= replicas * weight and old * 100 >= replicas * (100 - weight)
    assert new + old <= replicas + surge


def test_what_asks_for_the_revision_on_trial_gets_it_while_it_has_pods() -> None:
    assert decide(fleet(group("v2", 2, 1), OLD, course=COURSE, by_header=True)).tried == "v2"
    assert decide(fleet(group("v2", 2, 1, 0), OLD, course=COURSE, by_header=True)).tried == ""
    assert decide(fleet(group("v2", 2, 1, reached=0), OLD, course=COURSE, by_header=True)).tried == "", (
        "it is no endpoint"
    )
    assert decide(fleet(group("v2", 2, 1), OLD, by_header=True)).tried == "", "it is not on trial any more"
    assert decide(fleet(group("v2", 2, 1), OLD, course=COURSE)).tried == "", "nobody asks"


def seen(routed: Routed | None) -> Observed:
    """A canary at its first weight: one new pod serves, and four old ones of which the fourth is to go no more."""
    rollout = {"sizes": {"v1": 3, "v2": 1}, "serving": {}, "desired": 4, "bound": 5, "step": 2}
    status = {"stableRevision": "shop-v1", "activeRevision": "shop-v2", "rollout": rollout}
    app = make_app(
        replicas=4, digest="v2", status=status, strategy="Canary", steps=STEPS[::2], max_surge=1, max_unavailable=0
    )
    pods = (*make_pods(4), *make_pods(2, "v2"))
    return Observed(app, (make_revision(), make_revision(number=2, hash="v2")), pods, routed=routed)


def deletes(routed: Routed | None) -> int:
    made = plan(seen(routed), 0.0, {"Canary": Canary()})
    return sum(isinstance(action, Delete) for action in made.actions)


def test_pods_go_only_when_the_route_has_taken_their_part_away() -> None:
    made = plan(seen(Routed({"v1": 100})), 0.0, {"Canary": Canary()})
    assert made.status_first and made.status
    decided = progress_of(made.status).weights
    assert sum(decided.values()) == 100 and deletes(Routed({"v1": 100})) == 0
    assert deletes(Routed(decided)) > 0 and deletes(None) > 0


def test_a_step_is_not_over_before_the_route_gives_its_weight() -> None:
    new, old = group("v2", 2, 2), group("v1", 1, 8, stable=True)
    behind = msgspec.structs.replace(fleet(new, old, course=COURSE), routed=Routed({"v1": 100}))
    there = msgspec.structs.replace(behind, routed=Routed({"v1": 80, "v2": 20}))
    held = [Canary().step(one).course for one in (behind, there)]
    assert [course.held for course in held if course] == [False, True]


def test_a_step_is_not_over_before_its_pods_are_endpoints() -> None:
    """The route gives what half of them carry, as it should: that is not the step's weight."""
    new, old = group("v2", 2, 2, reached=1), group("v1", 1, 8, stable=True)
    half = msgspec.structs.replace(fleet(new, old, course=COURSE), routed=Routed({"v1": 89, "v2": 11}))
    assert decide(half).same_as(Routed({"v1": 89, "v2": 11}))
    course = Canary().step(half).course
    assert course is not None and not course.held


def test_without_a_route_no_weight_is_kept() -> None:
    made = plan(seen(None), 0.0, {"Canary": Canary()})
    assert made.status and "weights" not in made.status["rollout"]


class Rehearsal:
    """A release pass by pass: the plan's word becomes the status at once, a pass later the route and the pods."""

    def __init__(self, rollout: dict[str, Any], replicas: int = 4) -> None:
        self.rollout, self.replicas = rollout, replicas
        self.status: dict[str, Any] = {
            "stableRevision": "shop-v1",
            "activeRevision": "shop-v1",
            "rollout": {"sizes": {"v1": replicas}, "desired": replicas, "bound": replicas + 1, "weights": {"v1": 100}},
        }
        self.pods = {pod.name: pod for pod in make_pods(replicas)}
        self.routed = Routed({"v1": 100}, by_header=True)
        self.given: list[dict[str, int]] = []
        self.asked = Asked()
        self.passes = 0

    def go(self, works: bool = True) -> bool:
        """One pass; whether anything changed."""
        self.passes += 1
        app = make_app(replicas=self.replicas, digest="v2", status=self.status, asked=self.asked, **self.rollout)
        revisions = (make_revision(), make_revision(number=2, hash="v2"))
        pods = tuple(self.pods.values())
        strategies = {"Canary": Canary(), "BlueGreen": BlueGreen()}
        made = plan(Observed(app, revisions, pods, routed=self.routed), float(self.passes), strategies)
        assert made.status is not None
        before = (self.status.get("rollout"), sorted(self.pods), self.routed)
        decided = progress_of(self.status)  # what a pass earlier was stored is the route's now
        self.routed = Routed(decided.weights, decided.tried, by_header=True)
        self.given.append({hash: weight for hash, weight in decided.weights.items() if weight})
        self.status = msgspec.json.decode(msgspec.json.encode(self.status | made.status))
        for action in made.actions:
            self._carry_out(action, works)
        self._holds()
        return before != (self.status.get("rollout"), sorted(self.pods), self.routed)

    def _carry_out(self, action: Any, works: bool) -> None:
        if isinstance(action, Create) and action.kind == "Pod":
            labels = msgspec.json.decode(action.body)["metadata"]["labels"]
            (made,) = make_pods(1, labels[LABEL_REVISION], ready=works, serving=labels[LABEL_SERVING] == "true")
            self.pods[action.name] = msgspec.structs.replace(made, name=action.name, uid=f"uid-{action.name}")
        if isinstance(action, Delete) and action.kind == "Pod":
            del self.pods[action.name]
        if isinstance(action, Patch) and action.kind == "Pod":
            serving = msgspec.json.decode(action.body)["metadata"]["labels"][LABEL_SERVING] == "true"
            self.pods[action.name] = msgspec.structs.replace(self.pods[action.name], serving=serving)

    def _holds(self) -> None:
        """Whoever has a weight has the pods for it."""
        for hash, weight in self.routed.weights.items():
            ready = sum(pod.ready for pod in self.pods.values() if pod.revision == hash)
            assert 100 * ready >= (weight - 1) * self.replicas, f"{weight} % for {ready} pods of {hash}"
        assert len(self.pods) <= self.replicas + (self.replicas if self.rollout["strategy"] == "BlueGreen" else 1)

    def rests(self, works: bool = True) -> None:
        while self.go(works):
            assert self.passes < 200, f"it never rests: {self.status['rollout']}"

    def runs(self) -> set[str]:
        return {pod.revision for pod in self.pods.values()}


CANARY: dict[str, Any] = {"strategy": "Canary", "steps": STEPS, "max_surge": 1, "max_unavailable": 0}
GREEN: dict[str, Any] = {"strategy": "BlueGreen", "max_unavailable": 0, "blue_green": How(scale_down_delay_seconds=0)}


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 7, 10])
def test_a_canary_has_its_weight_to_the_per_cent_and_then_everything(replicas: int) -> None:
    release = Rehearsal(CANARY, replicas)
    release.rests()
    assert release.given[-1] == {"v1": 90, "v2": 10} and release.routed.tried == "v2"
    release.asked = Asked(promote="2/2")
    release.rests()
    assert {"v1": 50, "v2": 50} in release.given or replicas == 1
    assert release.given[-1] == {"v2": 100} and release.runs() == {"v2"} and len(release.pods) == replicas
    assert release.routed.tried == ""


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 7, 10])
def test_a_canary_that_is_taken_back_gives_its_weight_back_before_its_pods_go(replicas: int) -> None:
    release = Rehearsal(CANARY | {"steps": (Step(weight=50), Step(pause=Pause()))}, replicas)
    release.rests()
    assert release.given[-1] == {"v1": 50, "v2": 50}
    release.asked = Asked(abort="2")
    release.rests()
    assert release.given[-1] == {"v1": 100} and release.runs() == {"v1"} and len(release.pods) == replicas


def test_a_canary_that_never_gets_ready_gets_nothing() -> None:
    release = Rehearsal(CANARY)
    release.rests(works=False)
    assert release.given[-1] == {"v1": 100} and release.routed.tried == "" and release.runs() == {"v1", "v2"}


def test_a_switch_is_all_at_once() -> None:
    release = Rehearsal(GREEN)
    release.rests()
    assert release.given[-1] == {"v2": 100} and release.runs() == {"v2"}
    assert all(given in ({"v1": 100}, {"v2": 100}) for given in release.given)
