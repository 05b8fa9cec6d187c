"""How many pods one metric asks for: upstream's replica calculator. Pure.

Source: kubernetes pkg/controller/podautoscaler/replica_calculator.go and metrics/utilization.go. tests/parity holds this to
the compiled original.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from fairlead.autoscale.model import (
    INT32_MAX,
    ContainerResourceMetric,
    Load,
    Metric,
    Proposal,
    Reading,
    ResourceMetric,
    Sample,
    Timing,
)
from fairlead.core.quantity import exact, milli


class Tolerance(NamedTuple):
    """How far a ratio of usage to target may be below and above 1 before it counts."""

    down: float = 0.1
    up: float = 0.1

    def within(self, ratio: float) -> bool:
        """The ends count as inside.

        >>> Tolerance(0.1, 0.5).within(1.5), Tolerance(0.1, 0.5).within(0.85)
        (True, False)
        """
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Groups(NamedTuple):
    """Pods by what their sample is worth. Those in none of the sets count as they are."""

    counted: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


class Usage(NamedTuple):
    """An average over pods: its ratio to the target, itself in per cent or thousandths, as text."""

    ratio: float
    text: str


class Situation(NamedTuple):
    """What all metrics of a decision share. current: the size; active: the App's active pods; most: of how many pods a load
    is at most taken to be, while a release has more than the size."""

    current: int
    active: int
    pods: tuple[Load, ...]
    tolerance: Tolerance
    timing: Timing
    now: float
    most: int = INT32_MAX

    def carried(self, ratio: float, pods: int) -> tuple[float, int]:
        """A ratio that is an average over so many pods, as if no more than `most` carried the load.

        In the middle of a release eight pods have what four will have when it is over: at the target they have twice of it.
        >>> Situation(4, 8, (), Tolerance(), Timing(), 0, most=4).carried(1.0, 8)
        (2.0, 4)
        """
        return (ratio, pods) if pods <= self.most else (ratio * pods / self.most, self.most)


def propose(metric: Metric, reading: Reading, situation: Situation) -> Proposal:
    """What one metric comes to.

    Six pods that request half a core each and use five sixths of it, where 60 % are wanted: as many as bring it to 60 %.
    >>> from fairlead.autoscale.testing import cpu, fleet, reading_of
    >>> pods = fleet(6, cpu=500)
    >>> told = propose(cpu(60), reading_of(pods, 415), Situation(6, 6, pods, Tolerance(), Timing(), 1000.0))
    >>> told.replicas, told.usage, told.target, told.over
    (9, '83 %', '60 %', '6 ready pods')
    """
    if reading.error:
        return Proposal(metric.title, error=reading.error)
    try:
        if resource := metric.resource or metric.container_resource:
            return _of_resource(metric.title, resource, reading, situation)
        if metric.pods:
            return _averaged(metric.title, "", metric.pods.average_value, reading, situation)
        return _of_total(metric, reading, situation)
    except Unmeasured as why:
        return Proposal(metric.title, error=str(why))


class Unmeasured(Exception):
    """Why a metric says nothing. `propose` makes a reading's error of it."""


# ---------------------------------------------------------------- per pod


def group(pods: Iterable[Load], samples: Mapping[str, Sample], cpu: bool, timing: Timing, now: float) -> Groups:
    """What each pod's sample is worth (upstream: groupPods).

    - Pods that go or have failed: nothing, they are ignored.
    - Pending pods: nothing, they are unready. Pods without a sample are missing.
    - cpu alone, which starting costs: unready as well is a pod without a start or a Ready condition; one that started less
      than `cpu_initialization` ago and is not ready, or whose sample began before it became so; and one that is not ready and
      never was: its condition changed within `initial_readiness_delay` of its start.

    >>> young = Load("a", ready="True", ready_changed=95, started=80)
    >>> group((young,), {"a": Sample(900, at=100, window=15)}, True, Timing(), 105).unready
    frozenset({'a'})
    >>> group((young,), {"a": Sample(900, at=110, window=15)}, True, Timing(), 115).counted
    1
    """
    unready, missing, ignored = set[str](), set[str](), set[str]()
    counted = 0
    for pod in pods:
        sample = samples.get(pod.name)
        if pod.deleting or pod.phase == "Failed":
            ignored.add(pod.name)
        elif pod.phase == "Pending":
            unready.add(pod.name)
        elif sample is None:
            missing.add(pod.name)
        elif cpu and _not_yet(pod, sample, timing, now):
            unready.add(pod.name)
        else:
            counted += 1
    return Groups(counted, frozenset(unready), frozenset(missing), frozenset(ignored))


def _not_yet(pod: Load, sample: Sample, timing: Timing, now: float) -> bool:
    """Its cpu is that of starting. An Unknown readiness (a node out of reach) is no "not ready", as upstream has it."""
    if not pod.ready or pod.started is None:
        return True
    if pod.started + timing.cpu_initialization > now:
        return pod.ready == "False" or sample.at < pod.ready_changed + sample.window
    return pod.ready == "False" and pod.started + timing.initial_readiness_delay > pod.ready_changed


def _of_resource(title: str, metric: ResourceMetric, reading: Reading, situation: Situation) -> Proposal:
    if metric.average_value is not None:
        return _averaged(title, metric.name, metric.average_value, reading, situation)
    target = metric.average_utilization or 0
    container = metric.container if isinstance(metric, ContainerResourceMetric) else ""
    _measurable(situation, reading)
    requests = {pod.name: requested(pod, metric.name, container) for pod in situation.pods}

    def measure(values: Mapping[str, int]) -> Usage:
        asked = sum(requests[name] for name in values)
        if not asked:
            raise Unmeasured(
                f"the pods request no {metric.name} to take per cent of: set resources.requests.{metric.name}"
            )
        percent = _quotient(sum(values.values()) * 100, asked)
        return Usage(float(percent) / float(target), f"{percent} %")

    # A missing pod that takes all it may, or all of a target above that, keeps a scale down from going too far.
    assumed = {name: asked * max(100, target) // 100 for name, asked in requests.items()}
    replicas, usage, over = _from_samples(metric.name == "cpu", assumed, reading, situation, measure)
    return Proposal(title, replicas, usage.text, f"{target} %", over)


def _averaged(title: str, resource: str, amount: int | float | str, reading: Reading, situation: Situation) -> Proposal:
    """An amount for each pod (upstream: calcPlainMetricReplicas)."""
    target = milli(amount)
    _measurable(situation, reading)

    def measure(values: Mapping[str, int]) -> Usage:
        average = _quotient(sum(values.values()), len(values))
        return Usage(float(average) / float(target), spelled(average, resource))

    assumed = {pod.name: target for pod in situation.pods}
    replicas, usage, over = _from_samples(resource == "cpu", assumed, reading, situation, measure)
    return Proposal(title, replicas, usage.text, spelled(target, resource), over)


def _measurable(situation: Situation, reading: Reading) -> None:
    if not situation.pods:
        raise Unmeasured("there is no pod to measure")
    if not reading.samples:
        raise Unmeasured("the source has no sample of these pods")


def _from_samples(
    cpu: bool,
    assumed: Mapping[str, int],
    reading: Reading,
    situation: Situation,
    measure: Callable[[Mapping[str, int]], Usage],
) -> tuple[int, Usage, str]:
    """The rules that averages over pods share, whatever they are an average of.

    Pods whose samples say nothing are left out; where that gives a direction, they are put back in as what holds it back: on
    the way up unready and missing pods use nothing, on the way down missing ones use `assumed`. If the direction is another
    then, or is lost in the tolerance, or comes to a number on the other side of the size, nothing happens.
    """
    current, tolerance = situation.current, situation.tolerance
    known = {pod.name for pod in situation.pods}
    finite = {name: one for name, one in reading.samples.items() if name in known and math.isfinite(one.value)}
    groups = group(situation.pods, finite, cpu, situation.timing, situation.now)
    values = {name: int(one.value) for name, one in finite.items() if name not in groups.ignored | groups.unready}
    if not values:
        raise Unmeasured("no ready pod has a sample")
    usage = measure(values)
    over = _told(groups)
    first, pods = situation.carried(usage.ratio, groups.counted)
    filled = bool(groups.unready) and first > 1.0
    if not filled and not groups.missing:
        return (current if tolerance.within(first) else _ceil(first * pods)), usage, over
    if first < 1.0:
        values |= {name: assumed[name] for name in groups.missing}
    elif first > 1.0:
        values |= dict.fromkeys(groups.missing | (groups.unready if filled else frozenset()), 0)
    ratio, pods = situation.carried(measure(values).ratio, len(values))
    if tolerance.within(ratio) or (ratio - 1.0) * (first - 1.0) < 0:
        return current, usage, over
    replicas = _ceil(ratio * pods)
    against = (ratio < 1.0 and replicas > current) or (ratio > 1.0 and replicas < current)
    return (current if against else replicas), usage, over


def requested(pod: Load, resource: str, container: str) -> int:
    """What a pod, or its one container, requests of a resource (upstream: calculateRequests). What the pod as a whole
    requests wins over its containers'; any container without a request makes the whole unknown.

    >>> from fairlead.autoscale.model import Requests
    >>> pod = Load("a", requests=Requests({"web": {"cpu": 500}, "proxy": {"cpu": 100}}))
    >>> requested(pod, "cpu", ""), requested(pod, "cpu", "proxy")
    (600, 100)
    """
    requests = pod.requests
    if requests.pod is not None and not container:
        if resource not in requests.pod:
            raise Unmeasured(f"pod {pod.name} requests no {resource}: set resources.requests.{resource}")
        return requests.pod[resource]
    if container and container not in requests.containers:
        raise Unmeasured(f"pod {pod.name} has no container {container}")
    wanted = {container: requests.containers[container]} if container else requests.containers
    for name, amounts in wanted.items():
        if resource not in amounts:
            raise Unmeasured(
                f"container {name} of pod {pod.name} requests no {resource}: set resources.requests.{resource}"
            )
    return sum(amounts[resource] for amounts in wanted.values())


# ---------------------------------------------------------------- beyond the pods


def _of_total(metric: Metric, reading: Reading, situation: Situation) -> Proposal:
    source = metric.object or metric.external
    if source is None or not reading.values:
        raise Unmeasured("the source has no value")
    if not all(map(math.isfinite, reading.values)):
        raise Unmeasured("the source's value is not a number")
    total = int(sum(int(value) for value in reading.values))
    if source.average_value is not None:
        target = milli(source.average_value)
        replicas = by_average(total, target, situation)
        return Proposal(metric.title, replicas, spelled(total), f"{spelled(target)} for each pod")
    target = milli(source.value or 0)
    return Proposal(metric.title, by_value(total, target, situation), spelled(total), spelled(target))


def by_value(total: int, target: int, situation: Situation) -> int:
    """A ratio to the whole: so many times the pods that are ready. From zero, as many as the ratio: there is no pod to
    multiply, and no tolerance (upstream: getUsageRatioReplicaCount).

    >>> from fairlead.autoscale.testing import fleet
    >>> at = Situation(4, 4, fleet(4), Tolerance(), Timing(), 0)
    >>> by_value(150_000, 100_000, at), by_value(105_000, 100_000, at), by_value(250_000, 100_000, at._replace(current=0))
    (6, 4, 3)
    """
    ratio = float(total) / float(target)
    if not situation.current:
        return _ceil(ratio)
    if situation.tolerance.within(ratio):
        return situation.current
    if not situation.pods:
        raise Unmeasured("there is no pod whose load could be told")
    ready = sum(pod.phase == "Running" and pod.ready == "True" for pod in situation.pods)
    return _ceil(ratio * min(ready, situation.most))


def by_average(total: int, target: int, situation: Situation) -> int:
    """So much for each pod: the total divided by it, unless that is near what the App's pods have each now (upstream:
    GetExternalPerPodMetricReplicas).

    >>> at = Situation(4, 4, (), Tolerance(), Timing(), 0)
    >>> by_average(45_000, 10_000, at), by_average(43_000, 10_000, at), by_average(0, 10_000, at._replace(active=0))
    (5, 4, 0)
    """
    if situation.active and situation.tolerance.within(float(total) / (float(target) * float(situation.active))):
        return situation.active
    return _ceil(float(total) / float(target))


# ---------------------------------------------------------------- numbers and words


def tolerance(down: int | float | str, up: int | float | str) -> Tolerance:
    """
    >>> tolerance("50m", 0)
    Tolerance(down=0.05, up=0.0)
    """
    return Tolerance(float(exact(down)), float(exact(up)))


def _ceil(number: float) -> int:
    return min(math.ceil(number), INT32_MAX)


def _quotient(number: int, by: int) -> int:
    """As integers are divided in Go: towards zero."""
    return number // by if number >= 0 else -(-number // by)


def spelled(value: int, resource: str = "") -> str:
    """Thousandths, as people write the amount.

    >>> spelled(12_000), spelled(1_500), spelled(250, "cpu"), spelled(512 * 1024**2 * 1000, "memory")
    ('12', '1.5', '250m', '512Mi')
    """
    if resource == "memory":
        return f"{float(Fraction(value, 1000 * 1024**2)):.4g}Mi"
    if value % 1000 == 0:
        return str(value // 1000)
    return f"{value}m" if resource else f"{value / 1000:.4g}"


def _told(groups: Groups) -> str:
    parts = [f"{groups.counted} ready pod{'' if groups.counted == 1 else 's'}"]
    if groups.unready:
        parts.append(f"{len(groups.unready)} not yet ready")
    if groups.missing:
        parts.append(f"{len(groups.missing)} without a sample")
    return ", ".join(parts)
