"""To zero for want of requests, and back with the first one: what is decided at each moment."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.autoscale.history import Recommendation, State, as_json, resumed, state_of
from fairlead.autoscale.model import (
    Autoscale,
    Behavior,
    ExternalMetric,
    Identifier,
    Idle,
    Load,
    Metric,
    PodsMetric,
    Reading,
    Rules,
    Sample,
    Schedule,
    Seen,
    Standby,
)
from fairlead.autoscale.plan import Decision, decide

NOW = 10_000.0
RATE = Metric(pods=PodsMetric(Identifier("requests"), 10))
JOBS = Metric(external=ExternalMetric(Identifier("jobs"), average_value=1))
QUICK = Behavior(scale_down=Rules(stabilization_window_seconds=0))
READY = Standby(ready=2)


def spec(*metrics: Metric, **fields: Any) -> Autoscale:
    said: dict[str, Any] = {"max": 5, "min": 0, "metrics": metrics or (RATE,), "behavior": QUICK, "idle": Idle(300)}
    return Autoscale(**(said | fields))


def decision(
    size: int,
    *,
    rate: float = 0.0,
    jobs: float | None = None,
    past: tuple[Recommendation, ...] = (Recommendation(0, 2), Recommendation(5, 0)),
    standby: Standby | None = READY,
    wanted: Autoscale | None = None,
    now: float = NOW,
    error: str = "",
    failing: dict[str, float] | None = None,
    **fields: Any,
) -> Decision:
    wanted = wanted or spec(*((RATE,) if jobs is None else (RATE, JOBS)))
    pods = tuple(Load(f"p{number}") for number in range(size))
    reading = Reading(error=error) if error else Reading({pod.name: Sample(rate * 1000, now, 30) for pod in pods})
    readings = (reading,) if jobs is None else (reading, Reading(values=(jobs * 1000,)))
    seen = Seen(size, size, 1, pods, readings, standby=standby, **fields)
    before = State(size, asked=1, to_zero=size == 0, recommendations=past, failing=failing or {})
    return decide(wanted, before, seen, now)


def busy(ago: float) -> tuple[Recommendation, ...]:
    return (Recommendation(NOW - ago, 2), Recommendation(NOW - ago + 5, 0))


CASES: dict[str, tuple[Decision, int, str]] = {
    "idle for long enough, it goes": (decision(2, past=busy(301)), 0, "Followed"),
    "idle for less, one stays": (decision(2, past=busy(299)), 1, "Limited"),
    "while a release is under way it stays": (decision(1, released=False), 1, "Limited"),
    "with requests it stays": (decision(1, rate=4.0), 1, "Followed"),
    "one metric of two is enough to stay": (decision(1, jobs=1.0), 1, "Followed"),
    "a metric that cannot be told keeps it": (decision(1, error="no answer"), 1, "MetricsUnavailable"),
    "without anybody to hold requests it stays": (decision(1, standby=Standby(trouble="none")), 1, "NoActivator"),
    "nobody told of an activator: it stays": (decision(1, standby=None), 1, "NoActivator"),
    "at zero it rests": (decision(0), 0, "Idle"),
    "at zero a request wakes it": (decision(0, standby=Standby(ready=1, waiting=NOW)), 1, "Woken"),
    "at zero a metric wakes it too": (decision(0, jobs=3.0), 3, "Followed"),
    "at zero a metric that cannot be told keeps it there": (decision(0, error="no answer"), 0, "Idle"),
    "at zero with nobody to hold requests for less than 30 s": (
        decision(0, standby=Standby(trouble="none", since=NOW - 29)),
        0,
        "Idle",
    ),
    "and for 30 s: it is brought back": (
        decision(0, standby=Standby(trouble="none", since=NOW - 30)),
        1,
        "NoActivator",
    ),
    "woken, with nothing to measure yet": (
        decision(1, error="no sample", standby=Standby(ready=1, waiting=NOW)),
        1,
        "Woken",
    ),
    "a person's stop stands, whoever waits": (
        decide(spec(), State(0, asked=1, to_zero=True), Seen(0, 0, 0, (), (), standby=Standby(waiting=NOW)), NOW),
        0,
        "Stopped",
    ),
    "a schedule's min is a min": (
        decision(
            0,
            wanted=spec(schedules=(Schedule("day", "* * * * *", duration_seconds=3600, min=2),)),
            standby=Standby(ready=1, waiting=NOW),
        ),
        2,
        "Woken",
    ),
}


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_the_size_is(case: str) -> None:
    made, replicas, reason = CASES[case]
    assert (made.replicas, made.reason) == (replicas, reason), made.message


def test_a_wake_holds_it_for_as_long_as_it_has_to_be_idle() -> None:
    woken = decision(0, standby=Standby(ready=1, waiting=NOW))
    later = decision(1, past=woken.state.recommendations, now=NOW + 299)
    assert (later.replicas, later.until) == (1, NOW + 300)
    assert decision(1, past=later.state.recommendations, now=NOW + 301).replicas == 0


def test_a_long_window_of_the_way_down_is_not_cut_short() -> None:
    slow = spec(behavior=Behavior(scale_down=Rules(stabilization_window_seconds=600)))
    assert decision(2, past=busy(400), wanted=slow).replicas == 2
    assert decision(2, past=busy(601), wanted=slow).replicas == 0


def looked_at(first: Decision, seconds: int, **fields: Any) -> Decision:
    """What is decided when so many seconds have passed, in which it was looked at and there was nothing."""
    for at in range(5, seconds + 1, 5):
        first = decision(first.replicas, past=first.state.recommendations, now=NOW + at, **fields)
    return first


NOTHING_KNOWN: dict[str, dict[str, Any]] = {
    "it has just been given idle, and nothing is known of the time before": {"past": (Recommendation(NOW - 5, 0),)},
    "it is looked at for the first time": {"past": ()},
    "for two minutes nobody could tell": {"failing": {"requests": NOW - 120}},
}


@pytest.mark.parametrize("case", NOTHING_KNOWN)
def test_it_has_to_be_seen_idle_for_as_long_as_spec_says(case: str) -> None:
    first = decision(1, **NOTHING_KNOWN[case])
    assert (first.replicas, first.until) == (1, NOW + 300), first.message
    assert looked_at(first, 295).replicas == 1
    assert looked_at(first, 300).replicas == 0


def test_a_look_now_and_then_that_finds_nobody_is_no_reason_to_begin_anew() -> None:
    assert decision(1, failing={"requests": NOW - 30}).replicas == 0


def test_how_long_it_has_been_idle_is_known_when_it_is_to_be_longer() -> None:
    idle_for_400 = looked_at(
        decision(1, past=busy(1), standby=Standby(trouble="none")), 400, standby=Standby(trouble="none")
    )
    past, longer = idle_for_400.state.recommendations, spec(idle=Idle(600))
    assert len(past) == 2, "one more than what windows ask for"
    assert decision(1, past=past, now=NOW + 405, wanted=longer).until == NOW - 1 + 600
    assert decision(1, past=past, now=NOW + 600, wanted=longer).replicas == 0


def test_an_operator_that_begins_knows_how_long_it_has_been_idle() -> None:
    nobody = Standby(trouble="none")
    before = looked_at(decision(1, past=busy(1), standby=nobody), 400, standby=nobody)
    stored = state_of({"autoscale": as_json(before.state)})
    after = decision(1, past=resumed(stored, NOW + 500).recommendations, now=NOW + 500)
    assert after.replicas == 0, after.message


def test_without_idle_nothing_more_is_remembered_than_windows_ask_for() -> None:
    told = looked_at(decision(1, past=busy(1), wanted=spec(idle=None, min=1)), 400, wanted=spec(idle=None, min=1))
    assert [one.replicas for one in told.state.recommendations] == [0]


def test_it_says_what_it_waits_for() -> None:
    assert decision(2, past=busy(100)).message == (
        "requests 0 of 10 over 2 ready pods → 0, comes to 1 until 02:50:00Z: idle only since 02:45:00Z, and "
        "spec.autoscale.idle.afterSeconds is 300"
    )
    assert decision(1, standby=Standby(trouble="none is ready")).message.endswith(
        "stays at 1: nobody would hold its requests at zero: none is ready"
    )
    assert decision(0).message.startswith("at zero")
    assert "woken by a request at 1970-01-01T02:46:40Z" in decision(0, standby=Standby(waiting=NOW)).message


def test_without_idle_nobody_is_asked() -> None:
    plain = msgspec.structs.replace(spec(JOBS), idle=None)
    seen = Seen(1, 1, 1, (Load("p"),), (Reading(values=(0.0,)),), standby=Standby(trouble="none"))
    assert decide(plain, State(1, asked=1, recommendations=(Recommendation(0, 0),)), seen, NOW).replicas == 0
