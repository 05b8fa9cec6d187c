"""Which measurements are due, by tables over Apps and what their Revisions remember."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.meta import JSON
from fairlead.gates.counting import recorded
from fairlead.gates.model import Gate, GateSpec, Result
from fairlead.gates.plan import GatesObserved, plan
from fairlead.gates.testing import make_checks, make_judged_app
from fairlead.rollout.model import Asked, Step
from fairlead.rollout.testing import make_revision

PODS: list[JSON] = [{"pods": {}}]
BACKGROUND: JSON = {"name": "errors", "when": "Background", "checks": PODS, "intervalSeconds": 10, "delaySeconds": 20}
SIGN_OFF: JSON = {"name": "sign-off", "when": "BeforePromotion", "checks": [{"approval": {}}, *PODS]}
CHECKS = make_checks()
THREE_WEEKS = 21 * 86400.0


def run(**fields: Any) -> JSON:
    return {"name": "errors", "moment": "Background", "release": 2, "phase": "Running", **fields}


def measured(at: str, taken: int = 1) -> JSON:
    return {"taken": taken, "measurements": [{"at": at, "outcome": "Passed", "reason": "PodsWell", "message": "well"}]}


def observed(
    *gates: JSON, moment: str = "Background", runs: tuple[JSON, ...] = (), kept: tuple[Gate, ...] = (), **fields: Any
) -> GatesObserved:
    app = make_judged_app(active="shop-v2", moment=moment, since=60, gates=gates, **fields)
    revision = make_revision(number=2, hash="v2", status={"gates": list(runs)})
    return GatesObserved(app, {gate.name: gate for gate in kept}, revision)


@pytest.mark.parametrize(
    ("runs", "now", "due", "again"),
    [
        ((), 0.0, [], 20.0),
        ((), 20.0, ["errors"], None),
        ((run(**measured("1970-01-01T00:00:20Z")),), 25.0, [], 5.0),
        ((run(**measured("1970-01-01T00:00:20Z")),), 30.0, ["errors"], None),
        ((run(phase="Passed", **measured("1970-01-01T00:00:20Z")),), 90.0, [], None),
        ((run(phase="Failed", **measured("1970-01-01T00:00:20Z")),), 90.0, [], None),
        ((run(phase="Error", **measured("1970-01-01T00:00:20Z")),), 90.0, ["errors"], None),
        ((run(phase="Passed", **measured("1970-01-01T00:00:20Z")) | {"release": 1},), 90.0, ["errors"], None),
    ],
)
def test_when_a_measurement_is_due(runs: tuple[JSON, ...], now: float, due: list[str], again: float | None) -> None:
    made = plan(observed(BACKGROUND, runs=runs), now, CHECKS)

    assert [errand.task.name for errand in made.errands] == due
    assert made.requeue_after == again


def test_trust_45_a_clock_that_jumps_an_hour_ahead_measures_once_and_passes_nothing_early() -> None:
    runs = (run(**measured("1970-01-01T00:00:20Z")),)
    made = plan(observed(BACKGROUND | {"count": 5}, runs=runs), 3630.0, CHECKS)

    assert [errand.task.taken for errand in made.errands] == [1]


def test_trust_13_measurements_that_were_missed_in_three_weeks_are_made_up_for_by_one() -> None:
    shop = observed(BACKGROUND | {"count": 5}, runs=(run(**measured("1970-01-01T00:00:20Z")),))
    back = 20.0 + THREE_WEEKS
    made = plan(shop, back, CHECKS)
    (due,) = made.errands
    assert shop.revision is not None
    found = recorded(
        shop.revision.status, "errors", "Background", 2, due.task.taken, due.task.spec, Result("Passed", "A", ""), back
    )
    after = msgspec.structs.replace(shop, revision=make_revision(number=2, hash="v2", status={"gates": found}))

    assert due.task.taken == 1
    assert plan(after, back, CHECKS).errands == ()
    assert plan(after, back, CHECKS).requeue_after == 10.0


def test_nothing_is_measured_without_a_release_or_before_the_first_pod_serves() -> None:
    assert plan(observed(BACKGROUND, moment=""), 100.0, CHECKS) == plan(
        GatesObserved(make_judged_app(moment="", since=0)), 0, CHECKS
    )
    waiting = observed(BACKGROUND)
    waiting.app.status["rollout"]["available"] = 0
    assert not plan(waiting, 100.0, CHECKS).errands


def test_nothing_is_measured_while_the_status_speaks_of_an_older_spec() -> None:
    assert not plan(observed(BACKGROUND, generation=2), 100.0, CHECKS).errands


def test_what_waits_for_a_person_is_told_and_not_measured() -> None:
    made = plan(observed(SIGN_OFF, moment="BeforePromotion"), 100.0, CHECKS)

    assert not made.errands
    assert made.status is not None
    assert made.status["gates"][0]["phase"] == "Waiting"
    assert "fairlead approve shop" in made.status["gates"][0]["message"]


@pytest.mark.parametrize(("said", "due"), [("2/sign-off", 1), ("1/sign-off", 0), ("2/other", 0), ("1/a,2/sign-off", 1)])
def test_an_approval_counts_for_its_release_and_gate_alone(said: str, due: int) -> None:
    asked = Asked(approve=said)

    assert len(plan(observed(SIGN_OFF, moment="BeforePromotion", asked=asked), 100.0, CHECKS).errands) == due


RECORDED = run(name="sign-off", moment="BeforePromotion", phase="Passed", taken=1)


@pytest.mark.parametrize(
    ("checks", "asked", "runs", "due"),
    [
        ([{"approval": {}}], "2/sign-off", (), ["sign-off"]),
        ([{"approval": {}}], "2/sign-off", (RECORDED,), []),
        ([{"approval": {}}], "", (), []),
        ([{"approval": {}}, *PODS], "2/sign-off", (), []),
    ],
)
def test_an_approval_that_nobody_recorded_before_the_release_went_on_is_recorded_then(
    checks: list[JSON], asked: str, runs: tuple[JSON, ...], due: list[str]
) -> None:
    """A release goes on at once when it is approved; an operator may end in between."""
    made = plan(observed(SIGN_OFF | {"checks": checks}, runs=runs, asked=Asked(approve=asked)), 100.0, CHECKS)

    assert [errand.task.name for errand in made.errands] == due


def test_a_closed_window_is_looked_at_again_when_it_opens() -> None:
    night = {"name": "night", "when": "BeforePromotion", "checks": [{"window": {"start": "02:00", "end": "04:00"}}]}
    made = plan(observed(night, moment="BeforePromotion"), 3600.0, CHECKS)

    assert made.requeue_after == 3600.0
    assert not made.errands


def gate(name: str = "errors", invalid: str = "") -> Gate:
    return Gate("default", name, "uid", 1, 1, GateSpec(checks=({"pods": {}},)), invalid)


def test_a_step_is_judged_by_the_gate_of_that_name() -> None:
    steps = (Step(weight=10), Step(gate="errors"))
    made = plan(observed(moment="Step2", steps=steps, kept=(gate(),)), 100.0, CHECKS)

    assert [(errand.task.name, errand.task.moment) for errand in made.errands] == [("errors", "Step2")]


@pytest.mark.parametrize(
    ("kept", "words"),
    [((), "there is none in this namespace"), ((gate(invalid="spec cannot be read: x"),), "cannot be read")],
)
def test_a_gate_that_is_missing_or_cannot_be_read_is_told_before_it_is_needed(
    kept: tuple[Gate, ...], words: str
) -> None:
    made = plan(observed(moment="", steps=(Step(gate="errors"),), kept=kept), 0.0, CHECKS)

    assert made.status is not None
    (condition,) = made.status["conditions"]
    assert (condition.type, condition.status, condition.reason) == ("Gates", "False", "GateNotFound")
    assert words in condition.message


def test_a_check_that_is_not_installed_waits_and_harms_nothing() -> None:
    made = plan(observed({"name": "odd", "when": "Background", "checks": [{"datadog": {}}]}), 100.0, CHECKS)

    assert not made.errands
    assert made.status is not None
    assert "'datadog', which is not installed" in made.status["gates"][0]["message"]


def test_the_plan_is_pure() -> None:
    seen = observed(BACKGROUND, SIGN_OFF)

    assert plan(seen, 100.0, CHECKS) == plan(msgspec.structs.replace(seen), 100.0, CHECKS)
