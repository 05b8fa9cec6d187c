"""What containers have used, and what they should request by that. Pure.

Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/recommender: logic/recommender.go and estimator.go (percentiles, margin,
confidence), model/container.go (a memory peak a day, what an OOM counts for). tests/parity holds this to the compiled original.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import msgspec

from fairlead.autoscale.model import Sample
from fairlead.autoscale.vertical.histogram import CPU, MEMORY, Histogram, Scale, Weighted, added, percentile, removed
from fairlead.autoscale.vertical.model import MEBIBYTE, Amounts, ContainerPolicy, Estimate, Resource

DAY = 86_400.0
CADENCE = 60.0  # seconds between two samples of a container's cpu: confidence counts them

TARGET, LOWER, UPPER = 0.9, 0.5, 0.95  # percentiles
MARGIN = 1.15
OOM_RATIO, OOM_LEAST = 1.2, 100 * 1024**2  # what ran out of memory needs so many times of it, or so many bytes more

Used = Mapping[str, Mapping[str, Sample]]  # by pod and container, in cores or bytes


class History(msgspec.Struct, frozen=True):
    """One container of an App, over all its pods. cpu in cores, memory in bytes; samples, first and last count those of cpu."""

    cpu: Histogram = Histogram()
    memory: Histogram = Histogram()
    samples: int = 0
    first: float = 0.0
    last: float = 0.0

    @property
    def days(self) -> float:
        """How much there is to go by: the days it was watched, or as many as samples of each minute would come to, whichever is
        less (upstream: getConfidence)."""
        return min((self.last - self.first) / DAY, self.samples * CADENCE / DAY)


class Slot(NamedTuple):
    """A container of a pod."""

    pod: str
    container: str


class Peak(NamedTuple):
    """The most memory a container of a pod has used in the day that ends then, in bytes; as measured, and by what it ran out of."""

    until: float
    used: float = 0.0
    oom: float = 0.0

    @property
    def most(self) -> float:
        return max(self.used, self.oom)


class Watched(msgspec.Struct, frozen=True):
    """An App's containers as they are known. histories: by container; the status keeps them. counted: when a pod's cpu was counted
    last; peaks; ooms: when it ran out of memory last. These three are in memory alone, and as many as there are containers."""

    histories: dict[str, History] = {}
    counted: dict[Slot, float] = {}
    peaks: dict[Slot, Peak] = {}
    ooms: dict[Slot, float] = {}


def watched(before: Watched, cpu: Used, memory: Used, pods: Collection[str], now: float) -> Watched:
    """With what pods use now. pods: the names of those that count; a pod that is not among them is forgotten, but not what it has
    used.

    >>> cpu, memory = {"web-1": {"web": Sample(0.25, 100)}}, {"web-1": {"web": Sample(3e8, 100)}}
    >>> told = watched(Watched(), cpu, memory, {"web-1"}, 100)
    >>> told.histories["web"].samples, told.peaks
    (1, {Slot(pod='web-1', container='web'): Peak(until=86500.0, used=300000000.0, oom=0.0)})
    """
    histories = dict(before.histories)
    counted = {slot: at for slot, at in before.counted.items() if slot.pod in pods}
    for slot, sample in _slots(cpu, pods):
        at = min(sample.at, now)
        if at >= counted.get(slot, -math.inf) + CADENCE and _is_amount(sample.value):
            counted[slot] = at
            history = histories.get(slot.container, History())
            histories[slot.container] = _counted(history, Weighted(sample.value, at))
    peaks = {slot: peak for slot, peak in before.peaks.items() if slot.pod in pods}
    for slot, sample in _slots(memory, pods):
        if _is_amount(sample.value):
            history = histories.get(slot.container, History())
            peaks[slot], known = _peaked(peaks.get(slot), history.memory, min(sample.at, now), used=sample.value)
            histories[slot.container] = msgspec.structs.replace(history, memory=known)
    ooms = {slot: at for slot, at in before.ooms.items() if slot.pod in pods}
    return Watched(histories, counted, peaks, ooms)


def out_of_memory(before: Watched, slot: Slot, requested: float, at: float) -> Watched:
    """With a container that ran out of memory: what it used cannot be known, so it counts as what it had and more (upstream:
    RecordOOM). requested: bytes. Told twice of the same it counts once; and not what was before its first sample, which an operator
    before this one has counted.

    >>> told = out_of_memory(Watched(), Slot("web-1", "web"), 1e9, 50)
    >>> told.peaks[Slot("web-1", "web")].oom == 1.2e9, out_of_memory(told, Slot("web-1", "web"), 1e9, 50) == told
    (True, True)
    """
    peak = before.peaks.get(slot)
    if at <= before.ooms.get(slot, -math.inf) or (peak and at < peak.until - DAY):
        return before
    had = max(requested, peak.used if peak and at < peak.until else 0.0)
    needed = max(had * OOM_RATIO, had + OOM_LEAST)
    history = before.histories.get(slot.container, History())
    peak, memory = _peaked(peak, history.memory, at, oom=needed)
    return msgspec.structs.replace(
        before,
        histories=before.histories | {slot.container: msgspec.structs.replace(history, memory=memory)},
        peaks=before.peaks | {slot: peak},
        ooms=before.ooms | {slot: at},
    )


def _slots(used: Used, pods: Collection[str]) -> Iterator[tuple[Slot, Sample]]:
    for pod, containers in used.items():
        if pod in pods:
            yield from ((Slot(pod, container), sample) for container, sample in containers.items())


def _is_amount(value: float) -> bool:
    return 0 <= value < math.inf


def _counted(history: History, sample: Weighted) -> History:
    return History(
        added(history.cpu, CPU, [sample]),
        history.memory,
        history.samples + 1,
        min(history.first, sample.at) if history.samples else sample.at,
        max(history.last, sample.at),
    )


def _peaked(
    peak: Peak | None, memory: Histogram, at: float, used: float = 0.0, oom: float = 0.0
) -> tuple[Peak, Histogram]:
    """The peak of the day, and the histogram in which it is the one sample of this container: a higher one takes its place."""
    if peak is None or at >= peak.until:
        days = 1 if peak is None else math.floor((at - peak.until) / DAY) + 1
        peak = Peak((at if peak is None else peak.until) + days * DAY, used, oom)
        return peak, added(memory, MEMORY, [Weighted(peak.most, peak.until)])
    if max(used, oom) <= peak.most:
        return peak, memory
    higher = Peak(peak.until, max(peak.used, used), max(peak.oom, oom))
    without = removed(memory, MEMORY, Weighted(peak.most, peak.until))
    return higher, added(without, MEMORY, [Weighted(higher.most, peak.until)])


# ---------------------------------------------------------------- what follows from it


def estimate(history: History, policy: ContainerPolicy) -> Estimate:
    """What a container should request: of cpu what is enough for nine tenths of the time, of memory for nine tenths of the days'
    peaks, and 15 % more. Resources that are not controlled, or not known, are not in it.

    `lower` and `upper` are the same of the half and of 95 %, and the wider the less is known: after a day the upper bound is twice as
    high, after a week a seventh.

    A quarter of a core for a week, in the policy's bounds:
    >>> week = History(added(Histogram(), CPU, [Weighted(0.25, 7 * DAY)]), samples=10_080, last=7 * DAY)
    >>> told = estimate(week, ContainerPolicy("web"))
    >>> told.target, told.lower, told.upper
    ({'cpu': 298}, {'cpu': 298}, {'cpu': 340})
    >>> estimate(week, ContainerPolicy("web", max_allowed={"cpu": "200m"})).target
    {'cpu': 200}
    """
    days = history.days
    lower = (1 + 0.001 / days) ** -2 if days > 0 else 0.0
    upper = 1 + 1 / days if days > 0 else math.inf
    return Estimate(
        _amounts(history, policy, TARGET, 1.0),
        _amounts(history, policy, LOWER, lower),
        _amounts(history, policy, UPPER, upper),
    )


def _amounts(history: History, policy: ContainerPolicy, share: float, times: float) -> Amounts:
    """What lies far beyond any machine says nothing, and is left out."""
    known: list[tuple[Resource, Histogram, Scale]] = [("cpu", history.cpu, CPU), ("memory", history.memory, MEMORY)]
    found: Amounts = {}
    for resource, histogram, scale in known:
        if histogram and resource in policy.controlled_resources:
            amount = percentile(histogram, scale, share) * MARGIN * times
            if amount <= 2 * scale.most:
                found[resource] = policy.bounded(resource, rounded(resource, amount))
    return found


def rounded(resource: Resource, amount: float) -> int:
    """Cores or bytes in thousandths: cpu in whole thousandths of a core, memory in whole mebibytes, and never less.

    >>> rounded("cpu", 0.2501), rounded("memory", 300e6) == 287 * MEBIBYTE
    (251, True)
    """
    if resource == "cpu":
        return math.ceil(amount * 1000 - 1e-9)
    return math.ceil(amount * 1000 / MEBIBYTE - 1e-9) * MEBIBYTE
