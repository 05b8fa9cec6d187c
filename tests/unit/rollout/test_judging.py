"""What gates mean to a release, by tables over what its Revision remembers of them."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.core.meta import JSON
from fairlead.gates.model import GateEntry
from fairlead.rollout.course import course_of, steps_of
from fairlead.rollout.fleet import Course
from fairlead.rollout.model import Asked, Rollout, Step
from fairlead.rollout.revisions import Target
from fairlead.rollout.testing import make_app, make_revision

STEPS = (Step(weight=25), Step(gate="errors"), Step(weight=50))
AT_THE_GATE = {"step": 1, "heldAt": "1970-01-01T00:01:00Z", "moment": "Step2"}


def course(*runs: JSON, asked: Asked = Asked(), **rollout: Any) -> Course:
    """Of revision 2 at the second of its steps, whose gate has these runs."""
    status = {"stableRevision": "shop-v1", "activeRevision": "shop-v2", "rollout": AT_THE_GATE}
    app = make_app(replicas=4, strategy="Canary", steps=STEPS, status=status, asked=asked, **rollout)
    v1, v2 = make_revision(), make_revision(number=2, hash="v2", status={"gates": list(runs)})
    found = course_of(app, Target("v2", 2, v2), (v1, v2), 100.0)
    assert found is not None
    return found


def run(phase: str, moment: str = "Step2", **fields: Any) -> JSON:
    return {"name": "errors", "moment": moment, "release": 2, "phase": phase, "message": "0.07 is above 0.01", **fields}


@pytest.mark.parametrize(
    ("runs", "asked", "left", "hindered"),
    [
        ((), Asked(), None, False),
        ((run("Running"),), Asked(), None, False),
        ((run("Passed"),), Asked(), 0.0, False),
        ((run("Failed"),), Asked(), None, True),
        ((run("Inconclusive"),), Asked(), None, True),
        ((run("Error"),), Asked(), None, True),
        ((run("Inconclusive"),), Asked(approve="2/errors"), 0.0, False),
        ((run("Inconclusive"),), Asked(approve="1/errors"), None, True),
        ((run("Inconclusive"),), Asked(promote="2/2"), 0.0, False),
        ((run("Failed", dryRun=True),), Asked(), 0.0, False),
        ((run("Error", dryRun=True),), Asked(), 0.0, False),
        ((run("Running", dryRun=True),), Asked(), None, False),
        ((run("Passed"), run("Failed", "Background")), Asked(), 0.0, True),
        ((run("Passed"), run("Running", "Background")), Asked(), 0.0, False),
        ((run("Passed", "Step4"),), Asked(), None, False),
        (({**run("Passed"), "release": 1},), Asked(), None, False),
        (({"name": "errors", "phase": 7},), Asked(), None, False),
    ],
)
def test_a_step_is_passed_and_held_by_what_its_gate_has_found(
    runs: tuple[JSON, ...], asked: Asked, left: float | None, hindered: bool
) -> None:
    found = course(*runs, asked=asked)

    assert (found.left, found.hindrance is not None) == (left, hindered)


def test_promoted_past_everything_no_gate_is_judged_any_more() -> None:
    found = course(run("Failed"), asked=Asked(promote="2"))

    assert (found.current, found.hindrance, found.judged_by) == (None, None, False)


GATES = tuple(GateEntry(name=when.lower(), when=when) for when in ("BeforePromotion", "AfterPromotion"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        (Rollout(), []),
        (Rollout(gates=GATES), ["BeforePromotion", 100, "AfterPromotion"]),
        (Rollout(strategy="Recreate", gates=GATES[1:]), [100, "AfterPromotion"]),
        (
            Rollout(strategy="Canary", steps=(Step(weight=20),), gates=GATES),
            [20, "BeforePromotion", 100, "AfterPromotion"],
        ),
        (
            Rollout(strategy="Canary", steps=(Step(weight=100),), gates=GATES),
            ["BeforePromotion", 100, "AfterPromotion"],
        ),
        (
            Rollout(strategy="BlueGreen", gates=GATES),
            ["scale", "pause", "BeforePromotion", 100, "AfterPromotion", "pause"],
        ),
    ],
)
def test_where_gates_are_judged_in_each_strategy(rollout: Rollout, words: list[str | int]) -> None:
    found = [step.moment or step.weight or ("pause" if step.pause else "scale") for step in steps_of(rollout)]

    assert found == words


def test_a_first_release_a_way_back_and_a_quick_undo_are_not_judged() -> None:
    status = {"stableRevision": "shop-v1", "activeRevision": "shop-v1"}
    app = make_app(replicas=4, steps=STEPS, strategy="Canary", status=status, fast_undo_seconds=60)
    v1 = make_revision()
    before = make_revision(number=3, hash="v0", status={"retiredAt": "1970-01-01T00:01:00Z"})

    assert course_of(app, Target("v1", 1, v1), (v1,), 0.0) is None
    assert course_of(app, Target("v0", 3, before), (v1, before), 100.0) is None
    assert course_of(app, Target("v0", 3, before), (v1, before), 200.0) is not None
