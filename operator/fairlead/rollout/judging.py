"""What gates mean to a release: when they may be measured, when they let it go on, hold it, or fail it. Pure.

The gates' room measures and counts; its results are in the Revision's status, and all that is known of them here is a run's
phase and words.
"""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.core.conditions import Condition
from fairlead.gates.model import AFTER, BACKGROUND, BEFORE, Run, runs_of, step_moment
from fairlead.rollout.fleet import Course, Fleet
from fairlead.rollout.model import App, Rollout, Step, approved_gates
from fairlead.rollout.revisions import Target

GATE_FAILED = "GateFailed"

Runs = dict[tuple[str, str], Run]


def with_gates(rollout: Rollout, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a release with those at which its gates are judged: before the wanted revision takes everything, and
    when it has.

    >>> from fairlead.gates.model import GateEntry
    >>> gates = (GateEntry(name="smoke", when="BeforePromotion"), GateEntry(name="load", when="AfterPromotion"))
    >>> [step.moment or step.weight for step in with_gates(Rollout(gates=gates), (Step(weight=20),))]
    [20, 'BeforePromotion', 100, 'AfterPromotion']
    """
    before = (Step(moment=BEFORE),) if rollout.judged_at(BEFORE) else ()
    after = (Step(moment=AFTER),) if rollout.judged_at(AFTER) else ()
    switch = next((index for index, step in enumerate(steps) if step.weight == 100), None)
    if switch is None:
        return (*steps, *before, *((Step(weight=100), *after) if after else ()))
    return (*steps[:switch], *before, steps[switch], *after, *steps[switch + 1 :])


def moment_of(course: Course) -> str:
    """Which gates are judged at the current step, "" where none are."""
    step = course.current
    if step is None:
        return ""
    return step.moment or (step_moment(course.passed) if step.gate else "")


def open_moment(fleet: Fleet, complete: bool) -> str:
    """status.rollout.moment: the step's, once its pods are all as it wants them; else the background's."""
    course = fleet.course
    if course is None or complete or not course.judged_by:
        return ""
    return (moment_of(course) if course.held else "") or BACKGROUND


def runs_for(app: App, target: Target) -> Runs:
    """The runs of this release; none before its Revision is made."""
    return runs_of(target.revision.status, target.number) if target.revision else {}


def cleared(app: App, target: Target, names: Iterable[str], moment: str) -> bool:
    """All gates of a moment let the release go on: they have passed, a person has said so, or it was a dry run and is over.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> passed = {"gates": [{"name": "errors", "moment": "Step2", "release": 2, "phase": "Passed"}]}
    >>> target = Target("v2", 2, make_revision(number=2, hash="v2", status=passed))
    >>> cleared(make_app(), target, ["errors"], "Step2"), cleared(make_app(), target, ["errors", "load"], "Step2")
    (True, False)
    """
    runs, approved = runs_for(app, target), approved_gates(app.asked.approve, target.number)

    def clear(name: str) -> bool:
        run = runs.get((name, moment))
        return name in approved or (run is not None and (run.phase == "Passed" or (run.dry_run and run.settled)))

    return all(map(clear, names))


def hindrance(app: App, target: Target, moment: str) -> Run | None:
    """The run for which the release may not go on, of this moment or in the background: a failure first.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> said = {"gates": [{"name": "errors", "moment": "Background", "release": 2, "phase": "Error", "message": "no answer"}]}
    >>> target = Target("v2", 2, make_revision(number=2, hash="v2", status=said))
    >>> hindrance(make_app(), target, "").message
    'no answer'
    """
    approved = approved_gates(app.asked.approve, target.number)
    here = [run for run in runs_for(app, target).values() if run.moment in (BACKGROUND, moment)]
    blocking = [run for run in here if run.blocks and run.name not in approved]
    return min(blocking, key=lambda run: run.phase != "Failed", default=None)


def words_of(app: App, target: Target, names: Iterable[str], moment: str) -> str:
    """What the gates of a moment say, for whoever waits.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> words_of(make_app(), Target("v2", 2, make_revision()), ["errors"], "Step2")
    'gate errors, not measured yet'
    """
    runs = runs_for(app, target)
    said = []
    for name in names:
        run = runs.get((name, moment))
        if run is None or run.phase != "Passed":
            said.append(f"gate {name}, not measured yet" if run is None else f"gate {name}: {run.message}")
    return "; ".join(said)


def failure(run: Run) -> str:
    """What a failed gate measured, for status.rejected.

    >>> failure(Run("errors", "Background", 2, "Failed", "0.07 is above 0.01", taken=3, failures=2))
    'gate errors failed: 0.07 is above 0.01 (2 of 3 measurements failed)'
    """
    return f"gate {run.name} failed: {run.message} ({run.failures} of {run.taken} measurements failed)"


def progressing(app: App, course: Course | None) -> Condition | None:
    """The condition Progressing where gates decide on it; None where they do not."""
    run = course.hindrance if course else None
    if run is None or app.spec.rollout.paused:
        return None
    ways = f"`fairlead approve {app.name} {run.name}` to go on, `fairlead abort {app.name}` to go back"
    if run.phase == "Failed":
        return Condition("Progressing", "False", GATE_FAILED, f"{failure(run)}; {ways}")
    if run.phase == "Inconclusive":
        return Condition(
            "Progressing", "True", "GateInconclusive", f"gate {run.name} cannot tell: {run.message}; {ways}"
        )
    words = (
        f"gate {run.name} could not be measured {run.errors} times: {run.message}; it goes on when it can be; {ways}"
    )
    return Condition("Progressing", "True", "GateError", words)
