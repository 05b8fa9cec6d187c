"""The simulation of an App's sizes, held to figures worked out by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.autoscale.calculator import Unmeasured
from fairlead.autoscale.history import State
from fairlead.autoscale.model import (
    Autoscale,
    Behavior,
    ExternalMetric,
    Fallback,
    Identifier,
    Metric,
    PodsMetric,
    Policy,
    Requests,
    ResourceMetric,
    Rules,
    Schedule,
    Seen,
)
from fairlead.autoscale.plan import decide
from fairlead.autoscale.simulation import Course, Point, Trace, World, Worst, simulate, summary
from fairlead.autoscale.testing import autoscale, cpu, queue, reading_of
from fairlead.autoscale.testing import fleet as pods_of

HITS = Metric(pods=PodsMetric(Identifier("hits"), 10))
CORE = Requests({"web": {"cpu": 1000}})


def load(title: str, *points: tuple[float, float | None], length: float) -> Trace:
    """A trace of one metric, in whole units."""
    thousandths = tuple(Point(at, None if amount is None else amount * 1000) for at, amount in points)
    return Trace({title: thousandths}, length)


def world(replicas: int, **fields: Any) -> World:
    return World(replicas, replicas, **fields)


def sizes(course: Course) -> list[tuple[float, int, int]]:
    return [(one.at, one.before, one.after) for one in course.told]


# A queue of 20, ten minutes of 60, and 20 again, where each of 2 pods is to have 10. Without a behavior 4 pods may be made at
# once, and twice as many 15 s later; and nothing goes until 60 were wanted 300 s ago, which they were last at 1195.
PEAK = load("queue_length", (0, 20), (600, 60), (1200, 20), length=1800)


def test_a_peak_is_followed_up_in_steps_and_down_after_the_window() -> None:
    course = simulate(autoscale(metrics=(queue(10),)), PEAK, world(2))

    assert sizes(course) == [(600, 2, 4), (615, 4, 6), (1500, 6, 2)]
    assert course.told[0].message == (
        "queue_length 60 of 10 for each pod → 6, limited to 4 by its growth, twice as many or 4 per 15 s until 00:10:15Z"
    )


def test_the_figures_of_a_peak_are_those_worked_out_by_hand() -> None:
    """600 s of 2 pods, 15 s of 4, 885 s of 6, 300 s of 2. The third and fourth are ready at 630, the others at 645: until then 60
    are shared by 2, and by 4."""
    spec = autoscale(metrics=(queue(10),))
    told = summary(simulate(spec, PEAK, world(2, startup=30)), spec, PEAK)

    assert told.pod_seconds == 600 * 2 + 15 * 4 + 885 * 6 + 300 * 2
    assert (told.lowest, told.highest, told.ups, told.downs) == (2, 6, 2, 1)
    assert (told.over_target, told.worst) == (45, Worst(3.0, 600))
    assert (told.over_capacity, told.unserved) == (0, 0)


@pytest.mark.parametrize(("startup", "over"), [(0, 15), (30, 45), (120, 135)])
def test_the_longer_pods_take_to_start_the_longer_there_is_too_much_for_them(startup: int, over: int) -> None:
    spec = autoscale(metrics=(queue(10),))
    assert summary(simulate(spec, PEAK, world(2, startup=startup)), spec, PEAK).over_target == over


def test_each_decision_is_the_controllers_own() -> None:
    """The first of a steady load, asked of the core by itself."""
    spec, pods = autoscale(), pods_of(6, cpu=1000)
    seen = Seen(6, 6, 6, pods, (reading_of(pods, 830, at=0.0),))
    alone = decide(spec, State(), seen, 0)
    course = simulate(spec, load("cpu", (0, 6 * 0.83), length=5), world(6, requests=CORE))

    assert (course.last.after, course.last.message) == (alone.replicas, alone.message)


def test_ready_pods_share_the_load_and_those_that_start_have_none() -> None:
    """8 cores over 2 pods of one, at 50 %: 16 are wanted. 4 of them when 2 more may be had; those do not count until they are ready."""
    course = simulate(autoscale(metrics=(cpu(50),)), load("cpu", (0, 8), length=60), world(2, requests=CORE))

    assert [(moment.at, moment.replicas, moment.ready) for moment in course.moments[:7:2]] == [
        (0, 4, 2),
        (10, 4, 2),
        (20, 8, 2),
        (30, 16, 4),
    ]


def test_more_than_it_can_carry_is_not_seen_in_a_pods_own_metrics() -> None:
    """100 hits over one pod that can do 30: as if there were 30, so that 3 pods are wanted, and not 10."""
    spec = autoscale(metrics=(HITS,))
    trace = load("hits", (0, 100), length=30)
    bound = simulate(spec, trace, world(1, capacity={"hits": 30_000}))

    assert [moment.recommended for moment in bound.moments[:1]] == [3]
    assert simulate(spec, trace, world(1)).moments[0].recommended == 10
    assert summary(bound, spec, trace).over_capacity == 30


def test_a_pod_that_is_taken_away_is_one_that_is_not_ready_if_there_is_one() -> None:
    fast = Behavior(scale_down=Rules(0))
    trace = load("queue_length", (0, 20), (5, 40), (10, 20), length=20)
    course = simulate(autoscale(metrics=(queue(10),), behavior=fast), trace, world(2, startup=60))

    assert [(moment.replicas, moment.ready) for moment in course.moments] == [(2, 2), (4, 2), (2, 2), (2, 2)]


def test_a_rate_that_a_policy_sets_is_kept() -> None:
    slow = Behavior(scale_up=Rules(policies=(Policy("Pods", 1, 60),)))
    course = simulate(autoscale(metrics=(queue(10),), behavior=slow), PEAK, world(2))

    assert sizes(course)[:4] == [(600, 2, 3), (660, 3, 4), (720, 4, 5), (780, 5, 6)]


# ---------------------------------------------------------------- where something is missing


def test_where_the_trace_has_no_value_the_size_stays_and_that_is_told_once() -> None:
    trace = load("queue_length", (0, 60), (60, None), length=900)
    course = simulate(autoscale(metrics=(queue(10),)), trace, world(6))

    assert {moment.replicas for moment in course.moments} == {6}
    assert [(one.at, one.before, one.after, one.reason) for one in course.told] == [(60, 6, 6, "MetricsUnavailable")]
    assert "there is no value at this time" in course.told[0].message


def test_a_fallback_comes_after_its_time() -> None:
    metric = queue(10, fallback=Fallback(4, after_seconds=120))
    course = simulate(autoscale(metrics=(metric,)), load("queue_length", (0, 20), (60, None), length=300), world(2))

    assert [(one.at, one.after) for one in course.told] == [(60, 2), (180, 4)]


def test_load_without_a_ready_pod_is_told_as_such() -> None:
    """From nothing, by a queue that began at 60: 30 s until the first is ready."""
    spec = autoscale(min=0, metrics=(queue(10),))
    trace = load("queue_length", (0, 0), (60, 10), length=120)
    course = simulate(spec, trace, World(0, 1))
    told = summary(course, spec, trace)

    assert sizes(course) == [(60, 0, 1)]
    assert (told.unserved, told.over_target) == (30, 30)


def test_a_target_of_requests_that_pods_do_not_have_cannot_be_simulated() -> None:
    with pytest.raises(Unmeasured, match=r"requests no cpu: set resources\.requests\.cpu"):
        simulate(autoscale(), load("cpu", (0, 1), length=10), world(1, requests=Requests({"web": {}})))


def test_schedules_go_by_the_clock_of_the_trace() -> None:
    morning = Schedule("morning", "0 8 * * *", end="0 9 * * *", min=5)
    seven = datetime(2026, 11, 23, 7, tzinfo=UTC).timestamp()
    spec = autoscale(metrics=(queue(10),), schedules=(morning,))
    course = simulate(spec, load("queue_length", (0, 10), length=7500), world(1, began=seven, period=60))

    assert sizes(course) == [(3600, 1, 5), (7200, 5, 1)]
    assert course.told[0].message == "min of schedule morning is 5, and the App had 1"


def test_a_total_that_multiplies_has_its_target_whatever_the_pods() -> None:
    spec = Autoscale(max=10, metrics=(Metric(external=ExternalMetric(Identifier("depth"), value=100)),))
    trace = load("depth", (0, 50), length=30)

    assert [moment.overload for moment in simulate(spec, trace, world(3)).moments] == [0.5] * 6


@pytest.mark.parametrize(
    ("metric", "title", "amount", "overload"),
    [
        (cpu(50), "cpu", 1.5, 1.5),
        (Metric(resource=ResourceMetric("cpu", average_value="250m")), "cpu", 1.5, 3.0),
        (HITS, "hits", 5, 0.25),
        (queue(10), "queue_length", 5, 0.25),
    ],
)
def test_overload_is_a_ready_pods_share_by_its_target(
    metric: Metric, title: str, amount: float, overload: float
) -> None:
    spec = autoscale(min=2, max=2, metrics=(metric,))
    course = simulate(spec, load(title, (0, amount), length=5), world(2, requests=CORE))

    assert course.moments[0].overload is not None and math.isclose(course.moments[0].overload, overload)
