"""How many pods an App is to have, and why."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.autoscale.history import Recommendation, ScaleEvent, State, as_json, state_of
from fairlead.autoscale.model import (
    Autoscale,
    Behavior,
    ExternalMetric,
    Fallback,
    HandScaled,
    Identifier,
    Load,
    Metric,
    Policy,
    Reading,
    ResourceMetric,
    Rules,
    Schedule,
    Seen,
)
from fairlead.autoscale.plan import Decision, decide
from fairlead.autoscale.testing import at_percent, autoscale, cpu, fleet, queue, reading_of, seen

NOW = 36_000.0  # ten o'clock
MEMORY = Metric(resource=ResourceMetric("memory", average_value="100Mi"))
FAST = Behavior(scale_down=Rules(0))  # down at once
KUBECTL = HandScaled("kubectl", NOW - 60, 8)


def decided(
    size: int, percent: float, spec: Autoscale | None = None, state: State | None = None, **fields: Any
) -> Decision:
    """For so many pods at so much of their cpu, of which 60 % are wanted."""
    return decide(spec or autoscale(behavior=FAST), state or State(size), seen(size, percent, **fields), NOW)


def with_readings(size: int, *readings: Reading, metrics: tuple[Metric, ...], **fields: Any) -> Decision:
    return decided(size, 0, autoscale(metrics=metrics, behavior=FAST), readings=readings, **fields)


BROKEN = Reading(error="connection refused")


# ---------------------------------------------------------------- several metrics


def test_of_several_metrics_the_highest_decides() -> None:
    pods = fleet(4, cpu=1000)
    told = with_readings(4, at_percent(pods, 60), reading_of(pods, 150 * 1024 * 1024 * 1000), metrics=(cpu(60), MEMORY))
    assert (told.replicas, told.message) == (
        6,
        "memory 150Mi of 100Mi over 4 ready pods → 6; cpu 60 % of 60 % over 4 ready pods → 4",
    )


@pytest.mark.parametrize(
    ("percent", "replicas", "reason"),
    [
        pytest.param(120, 8, "Followed", id="what is known asks for more: so many at least"),
        pytest.param(60, 4, "Followed", id="what is known asks for nothing: nothing"),
        pytest.param(30, 4, "MetricsUnavailable", id="what is known asks for fewer: the other might not"),
    ],
)
def test_while_a_metric_fails_nothing_is_taken_away(percent: int, replicas: int, reason: str) -> None:
    pods = fleet(4, cpu=1000)
    told = with_readings(4, at_percent(pods, percent), BROKEN, metrics=(cpu(60), MEMORY))
    assert (told.replicas, told.reason) == (replicas, reason)


def test_trust_15_where_no_metric_can_be_told_the_size_stays() -> None:
    told = with_readings(4, BROKEN, Reading(), metrics=(cpu(60), MEMORY))
    assert (told.replicas, told.reason) == (4, "MetricsUnavailable")
    assert told.message == (
        "stays at 4, since metrics cannot be told: cpu: connection refused (since 1970-01-01T10:00:00Z); "
        "memory: the source has no sample of these pods (since 1970-01-01T10:00:00Z)"
    )
    assert told.condition.status == "False"


def test_trust_15_a_source_that_says_no_number_never_leads_to_zero() -> None:
    spec = autoscale(min=0, metrics=(queue(),), behavior=FAST)
    for odd in (Reading(), Reading(values=(float("nan"),)), BROKEN):
        assert decided(4, 0, spec, readings=(odd,)).replicas == 4


def test_since_when_a_metric_fails_is_remembered_until_it_does_not() -> None:
    pods = fleet(4, cpu=1000)
    first = with_readings(4, BROKEN, metrics=(cpu(60),), state=State(4, failing={"cpu": NOW - 300}))
    assert first.state.failing == {"cpu": NOW - 300}
    assert "since 1970-01-01T09:55:00Z" in first.message
    assert with_readings(4, at_percent(pods, 60), metrics=(cpu(60),), state=first.state).state.failing == {}


def test_a_fallback_stands_in_for_a_metric_that_has_failed_long_enough() -> None:
    metrics = (queue(fallback=Fallback(12, after_seconds=180)),)
    early = with_readings(4, BROKEN, metrics=metrics, state=State(4, failing={"queue_length": NOW - 179}))
    assert (early.replicas, early.reason) == (4, "MetricsUnavailable")
    late = with_readings(4, BROKEN, metrics=metrics, state=State(4, failing={"queue_length": NOW - 180}))
    assert late.recommended == 12
    assert late.message == (
        "queue_length failing since 1970-01-01T09:57:00Z (connection refused) of its fallback → 12, "
        "limited to 8 by scaleUp policy 4 per 15 s until 10:00:15Z"
    )


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("size", "replicas", "message"),
    [(40, 30, "max is 30, and the App had 40"), (2, 3, "min is 3, and the App had 2")],
)
def test_a_size_beyond_its_bounds_goes_to_the_nearest_at_once(size: int, replicas: int, message: str) -> None:
    told = decided(size, 60, autoscale(min=3))
    assert (told.replicas, told.reason, told.message) == (replicas, "OutOfBounds", message)
    assert told.state.events == (ScaleEvent(NOW, replicas - size),)


def test_bounds_hold_while_no_metric_can_be_told() -> None:
    assert decided(40, 60, readings=(BROKEN,)).replicas == 30


def test_a_window_that_opens_raises_the_size_at_once() -> None:
    morning = Schedule("morning", "0 10 * * *", duration_seconds=3600, min=12)
    before = decide(autoscale(schedules=(morning,)), State(4), seen(4, 60), NOW - 1)
    assert (before.replicas, before.until) == (4, NOW)
    told = decided(4, 60, autoscale(schedules=(morning,)))
    assert (told.replicas, told.message, told.until) == (
        12,
        "min of schedule morning is 12, and the App had 4",
        NOW + 3600,
    )


def test_a_schedule_that_cannot_be_followed_is_told_with_each_decision() -> None:
    told = decided(4, 60, autoscale(schedules=(Schedule("odd", "soon", duration_seconds=60, min=9),)))
    assert told.replicas == 4
    assert told.message.startswith(
        "cpu 60 % of 60 % over 4 ready pods → 4; schedule odd is not followed: start 'soon' must"
    )


def test_a_budget_keeps_its_pods() -> None:
    told = decided(6, 1, available=4)
    assert (told.replicas, told.message) == (
        4,
        "cpu 1 % of 60 % over 6 ready pods → 1, limited to 4 by spec.disruption.minAvailable",
    )


def test_refused_pods_are_not_asked_for_in_greater_numbers() -> None:
    told = decided(4, 120, refused='exceeded quota: pods, requested: 1, limited: 4 (quota "team")')
    assert (told.replicas, told.reason) == (4, "Limited")
    assert told.message.endswith(
        'stays at 4 while more pods are refused: exceeded quota: pods, requested: 1, limited: 4 (quota "team")'
    )
    assert decided(4, 30, refused="exceeded quota").replicas == 2


# ---------------------------------------------------------------- zero


def at_zero(length: int, spec: Autoscale, state: State, **fields: Any) -> Decision:
    said: dict[str, Any] = {
        "size": 0,
        "active": 0,
        "asked": 1,
        "pods": (),
        "readings": (Reading(values=(length * 1000,)),),
    }
    return decide(spec, state, Seen(**(said | fields)), NOW)


QUEUED = autoscale(min=0, metrics=(queue(10),), behavior=FAST)


def test_a_load_of_nothing_leads_to_zero_where_min_allows() -> None:
    told = decided(3, 0, QUEUED, readings=(Reading(values=(0,)),))
    assert (told.replicas, told.state.to_zero) == (0, True)
    assert decided(3, 0, autoscale(metrics=(queue(10),), behavior=FAST), readings=(Reading(values=(0,)),)).replicas == 1


def test_from_zero_a_metric_beyond_the_pods_leads_back() -> None:
    told = at_zero(25, QUEUED, State(0, to_zero=True))
    assert (told.replicas, told.state.to_zero) == (3, False)
    assert at_zero(0, QUEUED, State(0, to_zero=True)).replicas == 0


def test_from_zero_to_a_min_that_has_been_raised() -> None:
    spec = msgspec.structs.replace(QUEUED, min=5)
    told = at_zero(0, spec, State(0, to_zero=True))
    assert (told.replicas, told.message) == (5, "queue_length 0 of 10 for each pod → 0, raised to 5 by min")


def test_from_zero_to_a_min_that_has_been_raised_while_no_metric_can_be_told() -> None:
    """Upstream would wait for the metric."""
    spec = msgspec.structs.replace(QUEUED, min=5)
    assert at_zero(0, spec, State(0, to_zero=True), readings=(BROKEN,)).replicas == 5
    assert at_zero(0, QUEUED, State(0, to_zero=True), readings=(BROKEN,)).replicas == 0


def test_from_zero_no_pods_metric_leads_anywhere() -> None:
    told = at_zero(0, autoscale(min=0), State(0, to_zero=True), readings=(Reading(),))
    assert (told.replicas, told.message) == (
        0,
        "stays at 0, since metrics cannot be told: cpu: there is no pod to measure (since 1970-01-01T10:00:00Z)",
    )


def test_a_stop_is_no_zero_of_ours() -> None:
    """spec.replicas 0 stops whatever the metrics say; what comes after begins from what is asked for."""
    told = decided(4, 120, asked=0, hand_scaled=HandScaled("kubectl", NOW, 0))
    assert (told.replicas, told.reason, told.state) == (0, "Stopped", State(0, asked=0))
    again = at_zero(0, autoscale(behavior=FAST), told.state, asked=6, readings=(BROKEN,))
    assert (again.replicas, again.reason) == (6, "MetricsUnavailable")


# ---------------------------------------------------------------- people


def test_a_scale_by_hand_is_held_and_named() -> None:
    told = decided(
        5, 30, asked=8, hand_scaled=KUBECTL, pods=fleet(8, cpu=1000), readings=(at_percent(fleet(8, cpu=1000), 30),)
    )
    assert (told.replicas, told.state.replicas, told.reason, told.until) == (8, 8, "Held", NOW + 540)
    assert told.message == (
        "held at 8 by kubectl, which scaled the App at 1970-01-01T09:59:00Z, until 1970-01-01T10:09:00Z; set "
        "spec.autoscale.holdSeconds to 0 to end it now; else it would be 4: cpu 30 % of 60 % over 8 ready pods → 4"
    )
    assert (told.condition.type, told.condition.status) == ("Autoscaling", "False")


def test_after_a_hold_it_goes_on_from_there() -> None:
    held = decided(5, 60, asked=8, hand_scaled=KUBECTL)
    later = decide(autoscale(behavior=FAST), held.state, seen(8, 30, hand_scaled=KUBECTL), NOW + 540)
    assert (later.replicas, later.reason) == (4, "Followed")
    assert later.state.events == (ScaleEvent(NOW + 540, -4),)


def test_a_hold_may_lie_beyond_min_and_max() -> None:
    assert decided(5, 60, asked=50, hand_scaled=HandScaled("kubectl", NOW, 50)).replicas == 50


def test_a_hold_of_no_length_is_a_size_to_start_from() -> None:
    spec = autoscale(behavior=FAST, hold_seconds=0)
    assert decided(8, 30, spec, state=State(8), hand_scaled=KUBECTL).replicas == 4


def test_what_an_apply_writes_into_spec_replicas_is_no_hold() -> None:
    assert decided(5, 60, asked=2).replicas == 5


UNDATED = HandScaled("kubectl", None, 8)


def test_a_scale_by_hand_stands_from_when_it_is_first_seen_and_so_it_is_remembered() -> None:
    first = decided(5, 60, state=State(5, asked=1), asked=8, hand_scaled=UNDATED)
    assert (first.replicas, first.until) == (8, NOW + 600)
    assert first.state.held == HandScaled("kubectl", NOW, 8)
    later = decide(autoscale(behavior=FAST), first.state, seen(8, 30, asked=8, hand_scaled=UNDATED), NOW + 599)
    assert (later.replicas, later.until) == (8, NOW + 600)
    over = decide(autoscale(behavior=FAST), later.state, seen(8, 30, asked=8, hand_scaled=UNDATED), NOW + 600)
    assert (over.replicas, over.reason, over.state.held) == (4, "Followed", None)
    still = decide(autoscale(behavior=FAST), over.state, seen(4, 60, asked=8, hand_scaled=UNDATED), NOW + 700)
    assert still.reason == "Followed", "it does not begin again"


def test_another_scale_by_hand_stands_anew() -> None:
    first = decided(5, 60, state=State(5, asked=1), asked=8, hand_scaled=UNDATED)
    again = HandScaled("kubectl", None, 9)
    told = decide(autoscale(), first.state, seen(8, 30, asked=9, hand_scaled=again), NOW + 100)
    assert (told.replicas, told.until) == (9, NOW + 700)


def test_what_an_app_was_scaled_to_before_it_had_an_autoscaler_is_no_hold() -> None:
    assert decided(8, 60, state=State(), asked=8, hand_scaled=UNDATED).reason == "Followed"


def test_a_hold_is_no_scale_event_of_ours() -> None:
    earlier = State(5, events=(ScaleEvent(NOW - 5, 1),))
    assert decided(5, 240, state=earlier, asked=8, hand_scaled=KUBECTL).state.events == earlier.events


# ---------------------------------------------------------------- beginnings and other leaders


def test_the_first_size_is_what_the_app_has() -> None:
    """And down only after the window: nobody knows yet that fewer would do."""
    told = decided(6, 20, autoscale(), state=State())
    assert (told.replicas, told.recommended) == (6, 2)
    assert told.message == (
        "cpu 20 % of 60 % over 6 ready pods → 2, stays at 6 until 10:05:00Z: "
        "6 were recommended at 10:00:00Z, within the scaleDown window of 300 s"
    )


def test_a_new_leader_decides_what_the_old_one_would_have() -> None:
    """Two operators look at the same, one of which begins anew from the status before each look."""
    spec = autoscale(
        behavior=Behavior(
            Rules(60, policies=(Policy("Pods", 3, 45),)), Rules(120, policies=(Policy("Percent", 20, 60),))
        )
    )
    loads = [
        60,
        95,
        30,
        180,
        20,
        20,
        70,
        10,
        10,
        10,
        66,
        120,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        300,
        300,
        300,
        45,
        5,
        5,
        5,
        5,
        5,
        5,
    ] * 3
    old = new = State()
    size = 5
    for number, load in enumerate(loads):
        now = NOW + 15.4 * number
        one, other = (decide(spec, state, seen(size, load), now) for state in (old, new))
        assert one == other
        old, new = one.state, state_of({"autoscale": as_json(other.state)})
        size = one.replicas


def test_trust_45_what_a_clock_that_was_ahead_has_written_holds_no_longer_than_its_window() -> None:
    """An hour ahead, eight were recommended and three added."""
    slow = Behavior(Rules(0, policies=(Policy("Pods", 3, 60),)), Rules(120))
    ahead = State(4, recommendations=(Recommendation(NOW + 3600, 8),), events=(ScaleEvent(NOW + 3600, 3),))
    told = decided(4, 120, autoscale(behavior=slow), state=ahead)
    assert (told.replicas, told.until) == (4, NOW + 60)
    later = decide(autoscale(behavior=slow), told.state, seen(4, 15), NOW + 120)
    assert later.replicas == 1


# ---------------------------------------------------------------- releases


def test_pods_without_traffic_do_not_dilute_the_average() -> None:
    """Four carry the load at twice the target, and a preview of four does nothing."""
    pods = (*fleet(4, cpu=1000), *fleet(4, start=4, cpu=1000, idle=True))
    told = decided(4, 0, pods=pods, readings=(reading_of(pods, [1200] * 4 + [0] * 4),), releasing=True, active=8)
    assert told.replicas == 8
    assert "over 4 ready pods" in told.message


@pytest.mark.parametrize("carriers", [4, 5, 6, 8])
def test_however_a_release_shares_the_load_the_size_is_the_same(carriers: int) -> None:
    """4.8 cores in all, of which a pod is to have 0.6."""
    pods = fleet(carriers, cpu=1000)
    told = decided(4, 0, pods=pods, readings=(reading_of(pods, 4800 / carriers),), releasing=True, active=carriers)
    assert told.replicas == 8


def test_a_value_is_not_inflated_by_the_surge_of_a_release() -> None:
    length = Metric(external=ExternalMetric(Identifier("queue_length"), value=100))
    spec = autoscale(metrics=(length,), behavior=FAST)
    surged: dict[str, Any] = {"pods": fleet(8), "active": 8, "readings": (Reading(values=(150_000,)),)}
    assert decided(4, 0, spec, releasing=True, **surged).replicas == 6
    assert (
        decided(4, 0, spec, releasing=False, **surged).recommended == 12
    )  # upstream's rule, where nothing is released


# ---------------------------------------------------------------- numbers


def test_a_decision_carries_its_numbers() -> None:
    slow = autoscale(behavior=Behavior(scale_up=Rules(policies=(Policy("Pods", 2, 60),))))
    told = decided(6, 83, slow)
    assert (told.replicas, told.recommended, told.reason, told.until) == (8, 9, "Limited", NOW + 60)
    assert [(one.metric, one.usage, one.target, one.over, one.replicas) for one in told.proposals] == [
        ("cpu", "83 %", "60 %", "6 ready pods", 9)
    ]
    assert told.normalized is not None and told.normalized.limited is not None
    assert (told.normalized.limited.reason, told.normalized.limited.replicas) == ("ScaleUpLimit", 8)
    assert told.state.replicas == 8
    assert told.state.events == (ScaleEvent(NOW, 2),)
    assert told.state.recommendations == (Recommendation(NOW, 9),)


def test_time_counts_in_whole_seconds_as_the_status_keeps_it() -> None:
    spec, state = autoscale(), State(4)
    assert decide(spec, state, seen(4, 120), NOW + 0.9) == decide(spec, state, seen(4, 120), NOW)


def test_an_app_whose_pods_are_all_idle_is_left_alone() -> None:
    told = decided(2, 0, pods=(Load("a", idle=True), Load("b", idle=True)), readings=(Reading(),))
    assert (told.replicas, told.reason) == (2, "MetricsUnavailable")
