"""What an App would have done under a load: the controller's own decisions, in virtual time. Pure.

Every decision is `plan.decide`'s. What is feigned is the world around it: a load that the ready pods share evenly, pods that take
a time to become ready, and sources that answer at once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from fairlead.autoscale.calculator import requested
from fairlead.autoscale.history import State
from fairlead.autoscale.model import (
    TOLERANCE,
    Autoscale,
    ContainerResourceMetric,
    Load,
    Metric,
    Reading,
    Requests,
    Sample,
    Seen,
    Standby,
)
from fairlead.autoscale.plan import Decision, Reason, decide
from fairlead.core.quantity import exact, milli

LONG_AGO = 86_400.0  # seconds: pods that are there at the beginning have been ready for so long


class Point(NamedTuple):
    """From `at` (seconds since the beginning) on the load is this, in thousandths; None: the source has no value."""

    at: float
    load: float | None


class Trace(msgspec.Struct, frozen=True):
    """What an App is asked for over time. series: points by the title of their metric, in order of time. length: seconds.

    A load is that of the whole App: cores, bytes or requests a second of all pods together; of an object or external metric it
    is the value itself.
    """

    series: dict[str, tuple[Point, ...]]
    length: float

    def at(self, metric: str, seconds: float) -> float | None:
        """The load at a time: each point holds until the next.

        >>> trace = Trace({"cpu": (Point(0, 200), Point(600, 800))}, 1200)
        >>> trace.at("cpu", 599), trace.at("cpu", 600)
        (200, 800)
        """
        points = self.series[metric]
        found = bisect_right(points, seconds, key=lambda point: point.at)
        return points[found - 1].load if found else None


class World(msgspec.Struct, frozen=True):
    """What is taken for granted. replicas: pods at the beginning, all ready; asked: spec.replicas; requests: of each pod;
    startup: seconds until a new pod is ready; period: seconds between two decisions; capacity: how much of a metric's load one pod can
    carry at most, by title, in thousandths; available: spec.disruption.minAvailable; began: the first moment in epoch seconds."""

    replicas: int
    asked: int
    requests: Requests = Requests()
    startup: float = 30.0
    period: int = 5
    capacity: dict[str, int] = {}
    available: int = 0
    began: float = 0.0


class Moment(msgspec.Struct, frozen=True):
    """What holds from a decision until the next. replicas: the size; ready: pods that carry the load; recommended: what the metrics
    came to; overload: how many times its target a ready pod has to carry, of the metric where that is most (None: there is load and
    no ready pod); beyond: it is more than the ready pods can carry."""

    at: float
    replicas: int
    ready: int
    recommended: int | None
    loads: dict[str, float | None]
    overload: float | None
    beyond: bool


class Change(msgspec.Struct, frozen=True):
    """A decision that is worth telling: at `at` seconds the size went from `before` to `after`, and why."""

    at: float
    before: int
    after: int
    reason: Reason
    message: str


class Course(msgspec.Struct, frozen=True):
    """A whole run. told: decisions that changed the size, or from which on metrics could not be told; last: the last of all."""

    moments: tuple[Moment, ...]
    told: tuple[Change, ...]
    last: Change


def simulate(spec: Autoscale, trace: Trace, world: World) -> Course:
    """The App's sizes under a load, decision by decision. Raises Unmeasured where a target is per cent of requests that the pods do
    not have.

    One pod is to get 100; after ten minutes there is load for three:
    >>> from fairlead.autoscale.testing import autoscale, queue
    >>> trace = Trace({"queue_length": (Point(0, 100_000), Point(600, 300_000))}, 1200)
    >>> course = simulate(autoscale(metrics=(queue(100),)), trace, World(1, 1))
    >>> [(one.at, one.before, one.after) for one in course.told]
    [(600, 1, 3)]
    """
    run = _Run(spec, trace, world)
    moments = tuple(run.step(at) for at in range(0, math.ceil(trace.length), world.period))
    return Course(moments, tuple(run.told), run.last)


class _Run:
    """The world as it is now: when its pods were made, and what was decided last."""

    def __init__(self, spec: Autoscale, trace: Trace, world: World) -> None:
        self.spec, self.trace, self.world = spec, trace, world
        self.state = State(world.replicas, to_zero=world.replicas == 0)
        self.born = [world.began - LONG_AGO] * world.replicas
        self.told: list[Change] = []
        self.last = Change(0, world.replicas, world.replicas, "Followed", "")

    def step(self, at: float) -> Moment:
        """One decision, and the pods that follow from it: new ones begin to start, the youngest go first."""
        now = self.world.began + at
        pods = tuple(self._pod(number, born, now) for number, born in enumerate(self.born))
        readings = tuple(self._reading(metric, pods, at, now) for metric in self.spec.metrics)
        size = len(pods)
        available, standby = self.world.available, Standby(ready=1)
        seen = Seen(size, size, self.world.asked, pods, readings, available=available, standby=standby)
        decision = decide(self.spec, self.state, seen, now)
        self.state = decision.state
        self._tell(Change(at, size, decision.replicas, decision.reason, decision.message))
        self.born = [*self.born[: decision.replicas], *[now] * (decision.replicas - size)]
        return self._moment(at, now, decision)

    def _pod(self, number: int, born: float, now: float) -> Load:
        since = born + self.world.startup
        if since <= now:
            return Load(f"p{number}", "Running", "True", since, born, requests=self.world.requests)
        return Load(f"p{number}", "Pending", "False", born, born, requests=self.world.requests)

    def _reading(self, metric: Metric, pods: tuple[Load, ...], at: float, now: float) -> Reading:
        """What the metric's source would say: each ready pod has its share, as far as it can carry it."""
        load = self.trace.at(metric.title, at)
        if load is None:
            return Reading(error="there is no value at this time")
        if metric.beyond_pods:
            return Reading(values=(load,))
        ready = [pod.name for pod in pods if pod.ready == "True"]
        share = min(load / len(ready), self.world.capacity.get(metric.title, math.inf)) if ready else 0.0
        return Reading({name: Sample(round(share), now, float(self.world.period)) for name in ready})

    def _tell(self, change: Change) -> None:
        """Changes of the size, and the first of several decisions without metrics."""
        lost = change.reason == "MetricsUnavailable" and self.last.reason != "MetricsUnavailable"
        if change.before != change.after or lost:
            self.told.append(change)
        self.last = change

    def _moment(self, at: float, now: float, decision: Decision) -> Moment:
        ready = sum(born + self.world.startup <= now for born in self.born)
        loads = {metric.title: self.trace.at(metric.title, at) for metric in self.spec.metrics}
        asked = [(metric, load) for metric in self.spec.metrics if (load := loads[metric.title])]
        each = [(load, carried(metric, self.world.requests, ready)) for metric, load in asked]
        return Moment(
            at,
            decision.replicas,
            ready,
            decision.recommended,
            loads,
            None if any(not most for _, most in each) else max((load / most for load, most in each), default=0.0),
            any(load > ready * self.world.capacity.get(metric.title, math.inf) for metric, load in asked if ready),
        )


def carried(metric: Metric, requests: Requests, ready: int) -> float:
    """How much load so many pods have when they are at the metric's target, in thousandths. Raises Unmeasured where the target is
    per cent of requests that they do not have.

    >>> from fairlead.autoscale.testing import cpu, queue
    >>> carried(cpu(60), Requests({"web": {"cpu": 500}}), 4), carried(queue(10), Requests(), 4)
    (1200.0, 40000)
    """
    if resource := metric.resource or metric.container_resource:
        if resource.average_value is not None:
            return ready * milli(resource.average_value)
        container = resource.container if isinstance(resource, ContainerResourceMetric) else ""
        asked = requested(Load("p0", requests=requests), resource.name, container)
        return ready * asked * (resource.average_utilization or 0) / 100
    source = metric.object or metric.external
    if source is not None and source.value is not None:
        return milli(source.value)
    average = source.average_value if source is not None else metric.pods.average_value if metric.pods else None
    return ready * milli(average or 0)


# ---------------------------------------------------------------- the whole of it


class Worst(NamedTuple):
    """The moment at which pods had most to carry: so many times their target, and when."""

    overload: float
    at: float


class Summary(msgspec.Struct, frozen=True):
    """A course in figures. Times are seconds. pod_seconds: of all pods there were, ready or not. over_target: pods had more than
    their target and its tolerance, or there was load and no ready pod (`unserved`, which is a part of it). over_capacity: more than
    ready pods can carry."""

    seconds: float
    pod_seconds: float
    lowest: int
    highest: int
    ups: int
    downs: int
    over_target: float
    over_capacity: float
    unserved: float
    worst: Worst | None


def summary(course: Course, spec: Autoscale, trace: Trace) -> Summary:
    """The figures by which two specs can be compared. They are sums over the decisions, each of which holds until the next.

    >>> from fairlead.autoscale.testing import autoscale, queue
    >>> spec, trace = autoscale(metrics=(queue(100),)), Trace({"queue_length": (Point(0, 300_000),)}, 60)
    >>> told = summary(simulate(spec, trace, World(1, 1, startup=20)), spec, trace)
    >>> told.pod_seconds, told.ups, told.over_target, told.worst
    (180.0, 1, 20.0, Worst(overload=3.0, at=0))
    """
    ends = [*(moment.at for moment in course.moments[1:]), trace.length]
    spans = [(moment, end - moment.at) for moment, end in zip(course.moments, ends, strict=True)]
    most = 1.0 + _tolerance(spec)
    told = [Worst(moment.overload, moment.at) for moment in course.moments if moment.overload]
    sizes = [moment.replicas for moment in course.moments]
    return Summary(
        trace.length,
        _total((moment.replicas * span) for moment, span in spans),
        min(sizes),
        max(sizes),
        sum(one.after > one.before for one in course.told),
        sum(one.after < one.before for one in course.told),
        _total(span for moment, span in spans if moment.overload is None or moment.overload > most),
        _total(span for moment, span in spans if moment.beyond),
        _total(span for moment, span in spans if moment.overload is None),
        max(told, key=lambda one: one.overload, default=None),
    )


def _total(spans: Iterable[float]) -> float:
    return float(sum(spans))


def _tolerance(spec: Autoscale) -> float:
    """How far above its target a metric may be before anything happens."""
    said = spec.behavior.up.tolerance if spec.behavior else TOLERANCE
    return float(exact(TOLERANCE if said is None else said))
