"""What an App says of its autoscaling, when it is looked at, and what is written of that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.autoscale.history import Recommendation, State, as_json
from fairlead.autoscale.model import HandScaled, Metric, Reading, ResourceMetric
from fairlead.autoscale.plan import Decision, decide
from fairlead.autoscale.report import (
    KEPT,
    PERIOD,
    REFRESH,
    WARM_UP,
    AutoscaleObserved,
    Course,
    base,
    due_at,
    noted,
    plan,
    seen,
    tells,
)
from fairlead.autoscale.testing import autoscale, autoscaled, decided
from fairlead.core.actions import Failure, Plan
from fairlead.core.meta import JSON
from fairlead.disruption.model import Disruption
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_pods

REFUSED = Failure("create", "Pod", "shop-1", 403, "Forbidden", "exceeded quota: small", 0.0)


def observed(app: App, course: Course | None = None, **fields: Any) -> AutoscaleObserved:
    return AutoscaleObserved(app, fields.pop("pods", ()), course=course, **fields)


def said(made: Plan) -> JSON:
    assert made.status is not None
    return made.status


def unknown(size: int = 6) -> Decision:
    return Decision(size, "MetricsUnavailable", "stays at 6", State(size, asked=1, failing={"cpu": 0.0}))


# ---------------------------------------------------------------- when it looks


def test_an_app_that_nobody_has_looked_at_is_looked_at_at_once_and_says_what_it_said() -> None:
    made = plan(observed(autoscaled(6)), 100.0)

    (errand,) = made.errands
    assert (errand.slot, errand.name, errand.kind) == (("app-uid", "autoscale"), "", "autoscale resourceMetrics")
    assert made.requeue_after == PERIOD
    assert said(made)["autoscale"] == {"replicas": 6, "asked": 1}
    assert [(c.reason, c.message) for c in said(made)["conditions"]] == [("Followed", "as ever")]


def test_between_two_looks_there_is_none() -> None:
    made = plan(observed(autoscaled(6), decided(6, "as ever", at=100)), 102.0)

    assert (made.errands, made.requeue_after) == ((), 3.0)
    assert not made.status_first


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (autoscaled(6, generation=2), "the spec has changed"),
        (msgspec.structs.replace(autoscaled(6), hand_scaled=HandScaled("kubectl", 99, 8)), "a person has scaled it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_looked_at_at_once_when(changed: App, why: str) -> None:
    assert len(plan(observed(changed, decided(6, "", at=100)), 101.0).errands) == 1, why


@pytest.mark.parametrize(("until", "due"), [(None, 105.0), (103.0, 103.0), (200.0, 105.0), (90.0, 101.0)])
def test_it_is_looked_at_when_a_restraint_ends_and_not_all_the_time(until: float | None, due: float) -> None:
    course = decided(6, "", at=100)
    assert course.decision is not None
    course = msgspec.structs.replace(course, decision=msgspec.structs.replace(course.decision, until=until))

    assert due_at(autoscaled(6), course) == due


def test_apps_whose_sources_are_slow_wait_for_one_another_alone() -> None:
    jobs: JSON = {"external": {"metric": {"name": "jobs"}, "averageValue": 1, "from": {"prometheus": {"query": "x"}}}}
    spec = autoscale(metrics=(msgspec.convert(jobs, Metric), Metric(resource=ResourceMetric("cpu", 60))))

    assert plan(observed(autoscaled(6, spec=spec)), 0.0).errands[0].kind == "autoscale prometheus resourceMetrics"


def test_what_was_decided_of_another_spec_is_not_told() -> None:
    """An App that is stopped in between would be told to be scaled to what it no longer is to have."""
    app = autoscaled(6, generation=2)
    stopped = msgspec.structs.replace(app, autoscaled=0, spec=msgspec.structs.replace(app.spec, replicas=0))

    made = plan(observed(stopped, decided(9, "cpu 90 %", at=100)), 101.0)
    assert (made.events, made.status_first, len(made.errands)) == ((), False, 1)
    assert said(made)["autoscale"] == {"replicas": 6, "asked": 1}


# ---------------------------------------------------------------- what it says


def test_a_new_size_is_stored_before_anything_else_happens() -> None:
    made = plan(observed(autoscaled(6), decided(9, "cpu 90 %", at=100)), 120.0)

    assert made.status_first
    assert said(made)["autoscale"]["replicas"] == 9
    assert made.errands == (), "until it is stored there is no other look"
    assert said(made)["autoscale"]["changes"] == [
        {"time": "1970-01-01T00:01:40Z", "from": 6, "to": 9, "reason": "Followed", "message": "cpu 90 %"}
    ]
    assert [(event.type, event.reason) for event in made.events] == [("Normal", "Autoscaled")]


def test_the_last_changes_are_kept_the_newest_first() -> None:
    old = [{"time": f"t{number}", "from": number, "to": number + 1} for number in range(KEPT)]
    app = autoscaled(6, status={"autoscale": {"replicas": 6, "asked": 1, "changes": old}})

    kept = said(plan(observed(app, decided(7, "more", at=100)), 100.0))["autoscale"]["changes"]
    assert [change["to"] for change in kept] == [7, 1, 2, 3, 4]
    assert said(plan(observed(app, decided(6, "", at=100)), 100.0))["autoscale"]["changes"] == old


def test_what_is_stored_already_is_said_as_it_stands() -> None:
    """Else times that move on would be a write at each look."""
    stored = as_json(State(6, asked=1, recommendations=(Recommendation(0, 6),)))
    condition = {"type": "Autoscaling", "status": "True", "reason": "Followed", "message": "cpu 60 %"}
    app = autoscaled(6, status={"autoscale": stored, "conditions": [condition]})
    state = State(6, asked=1, recommendations=(Recommendation(95, 6),))
    course = Course(100, 0, 1, decision=Decision(6, "Followed", "cpu 61 %", state), message="cpu 60 %")

    assert said(plan(observed(app, course), 100.0))["autoscale"] == stored
    assert not tells(observed(app), course)


def test_numbers_in_the_same_words_are_written_after_a_minute() -> None:
    before = observed(autoscaled(6), decided(6, "cpu 61 %", at=100))
    latest = Decision(6, "Followed", "cpu 62 %", State(6, asked=1))

    soon = noted(before, (), latest, 100 + REFRESH - 1)
    assert soon.message == "cpu 61 %"
    late = noted(before, (), latest, 100 + REFRESH)
    assert late.message == "cpu 62 %"
    assert tells(before, late)


@pytest.mark.parametrize("reason", ["Limited", "Held"])
def test_another_reason_is_written_at_once(reason: Any) -> None:
    before = observed(autoscaled(6), decided(6, "cpu 61 %", at=100))

    assert noted(before, (), Decision(6, reason, "now so", State(6, asked=1)), 105.0).message == "now so"


def test_a_source_that_has_died_is_told_by_an_event_once() -> None:
    course = Course(100, 0, 1, decision=unknown(), message="stays at 6")
    made = plan(observed(autoscaled(6), course), 100.0)
    assert [(event.type, event.reason) for event in made.events] == [("Warning", "MetricsUnavailable")]

    assert made.status is not None
    (condition,) = made.status["conditions"]
    told = {"type": "Autoscaling", "status": "False", "reason": condition.reason, "message": condition.message}
    stored = autoscaled(6, status={"autoscale": made.status["autoscale"], "conditions": [told]})
    assert plan(observed(stored, course), 101.0).events == ()


def test_an_operator_that_begins_says_nothing_of_what_it_cannot_know_yet() -> None:
    app = autoscaled(6)
    first = noted(observed(app), (), unknown(), 100.0)
    assert (first.decision, tells(observed(app), first)) == (None, False)
    second = noted(observed(app, first), (), unknown(), 100 + WARM_UP - 1)
    assert second.decision is None
    third = noted(observed(app, second), (), unknown(), 100 + WARM_UP)
    assert third.decision is not None
    assert tells(observed(app), third)


def test_a_source_that_dies_later_is_told_at_once() -> None:
    known = observed(autoscaled(6), decided(6, "as ever", at=100))

    assert noted(known, (), unknown(), 105.0).message == "stays at 6"


# ---------------------------------------------------------------- without autoscale, and at the end


def test_a_size_stays_when_autoscale_is_taken_away_and_the_status_says_so() -> None:
    app = autoscaled(6)
    without = msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, autoscale=None))

    made = plan(observed(without), 0.0)
    assert said(made)["autoscale"] == {"replicas": 6, "asked": 1}
    assert [(c.status, c.reason) for c in said(made)["conditions"]] == [("False", "TakenAway")]
    assert made.errands == ()
    for replicas in (2, 0):
        other = msgspec.structs.replace(without.spec, replicas=replicas)
        assert plan(observed(msgspec.structs.replace(without, spec=other)), 0.0) == Plan()


@pytest.mark.parametrize("fields", [{"deleting": True}, {"invalid": "spec cannot be read"}])
def test_an_app_that_goes_or_cannot_be_read_keeps_what_is_stored(fields: Any) -> None:
    assert plan(observed(autoscaled(6, **fields)), 0.0) == Plan(status={"autoscale": {"replicas": 6, "asked": 1}})


# ---------------------------------------------------------------- what is seen


def test_a_decision_sees_the_app_as_it_stands() -> None:
    app = autoscaled(4)
    app = msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, disruption=Disruption(min_available=2)))
    pods = (*make_pods(4), *make_pods(2, "v2", serving=False), *make_pods(1, "v1", prefix="x", deleting=9.0))

    found = seen(AutoscaleObserved(app, pods, (REFUSED,)))

    assert (found.size, found.active, found.asked, found.available) == (4, 6, 1, 2)
    assert found.releasing
    assert found.refused == "exceeded quota: small"
    assert [pod.idle for pod in found.pods] == [False] * 4 + [True] * 2 + [False]
    assert found.pods[-1].deleting


def test_a_budget_in_per_cent_is_no_min() -> None:
    app = autoscaled(4)
    half = msgspec.structs.replace(app.spec, disruption=Disruption(min_available="50%"))

    assert seen(AutoscaleObserved(msgspec.structs.replace(app, spec=half), ())).available == 0


def test_an_operator_begins_with_what_the_status_says_and_takes_it_to_have_held_until_now() -> None:
    stored = as_json(State(6, asked=1, recommendations=(Recommendation(0, 6),)))
    app = autoscaled(6, status={"autoscale": stored})

    assert base(observed(app), 500.0).recommendations == (Recommendation(500, 6),)
    assert base(observed(app, decided(6, "", at=499)), 500.0).recommendations == ()
    assert base(observed(app, decided(9, "", at=499)), 500.0).replicas == 6, "what was never stored never was"


def test_trust_25_a_horizontalpodautoscaler_beside_it_changes_nothing_and_is_told() -> None:
    rival = HandScaled("kube-controller-manager", 95.0, 9)
    app = msgspec.structs.replace(autoscaled(6), hand_scaled=rival)
    view = msgspec.structs.replace(seen(observed(app)), readings=(Reading(error="no answer"),))

    told = decide(autoscale(), State(6, asked=1), view, 100.0)

    assert (told.replicas, told.reason) == (6, "MetricsUnavailable")
    assert told.message.endswith(
        "; a HorizontalPodAutoscaler scales this App too, which changes nothing while spec.autoscale is there; delete one of the two"
    )
