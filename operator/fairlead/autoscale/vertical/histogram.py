"""What was used, as a histogram that forgets: small enough for a status, and exact to five per cent. Pure.

Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/recommender/util (decaying, exponential histograms) and
model/aggregations_config.go (their sizes). A sample counts half as much for each day it is older than another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

HALF_LIFE = 86_400.0  # seconds
GROWTH = 1.05  # each bucket is so many times as wide as the one before
KEPT = 64  # buckets in a status
FINEST = 10_000  # the heaviest bucket's weight in a status
_FAR = 10  # half-lives after which the reference moves on: nothing overflows, and what is gone is dropped
_GONE = 1e-6  # of all the weight: buckets with less say nothing


class Scale(NamedTuple):
    """The buckets of a resource: the first is so wide, the last begins beyond `most`."""

    first: float
    most: float

    def bucket(self, value: float) -> int:
        """In which a value falls; the first or the last where it is beyond them.

        >>> CPU.bucket(0), CPU.bucket(0.25), MEMORY.bucket(300e6)
        (0, 16, 18)
        """
        if value < self.first:
            return 0
        return min(int(math.log(value * (GROWTH - 1) / self.first + 1) / math.log(GROWTH)), self.last)

    def start(self, bucket: int) -> float:
        """
        >>> CPU.start(0), round(CPU.start(17), 4), round(MEMORY.start(19) / 1e6)
        (0.0, 0.2584, 305)
        """
        return float(self.first * (GROWTH**bucket - 1) / (GROWTH - 1))

    @property
    def last(self) -> int:
        return math.ceil(math.log(self.most * (GROWTH - 1) / self.first + 1) / math.log(GROWTH))


CPU = Scale(0.01, 1000.0)  # cores
MEMORY = Scale(1e7, 1e12)  # bytes


class Weighted(NamedTuple):
    """Something that was used at a time (epoch seconds), and how much it counts."""

    value: float
    at: float
    weight: float = 1.0


class Histogram(msgspec.Struct, frozen=True):
    """weights: by bucket, as they are worth at `reference` (epoch seconds, a multiple of the half-life)."""

    weights: dict[int, float] = {}
    reference: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.weights)


def added(histogram: Histogram, scale: Scale, samples: Iterable[Weighted]) -> Histogram:
    """With these samples more.

    A day later a sample weighs twice what it would have:
    >>> told = added(Histogram(), CPU, [Weighted(0.25, 0), Weighted(0.5, HALF_LIFE)])
    >>> told
    Histogram(weights={16: 0.5, 25: 1.0}, reference=86400.0)
    """
    samples = list(samples)
    if not samples:
        return histogram
    histogram = _referred(histogram, max(sample.at for sample in samples))
    weights = dict(histogram.weights)
    for sample in samples:
        bucket = scale.bucket(sample.value)
        weights[bucket] = weights.get(bucket, 0.0) + sample.weight * _worth(histogram, sample.at)
    return Histogram(weights, histogram.reference)


def removed(histogram: Histogram, scale: Scale, sample: Weighted) -> Histogram:
    """Without a sample that was added: a peak that turned out to be none.

    >>> removed(added(Histogram(), CPU, [Weighted(0.25, 0)]), CPU, Weighted(0.25, 0))
    Histogram(weights={}, reference=0.0)
    """
    bucket = scale.bucket(sample.value)
    left = histogram.weights.get(bucket, 0.0) - sample.weight * _worth(histogram, sample.at)
    weights = {index: weight for index, weight in histogram.weights.items() if index != bucket}
    return Histogram(weights | ({bucket: left} if left > _GONE else {}), histogram.reference)


def percentile(histogram: Histogram, scale: Scale, share: float) -> float:
    """What so much of the weight is not above: the end of the bucket in which it is reached. ValueError where nothing is known: a
    recommendation of 0 would be worse than none (kubernetes/autoscaler#7726).

    >>> told = added(Histogram(), CPU, [Weighted(0.1, 0)] * 9 + [Weighted(2.0, 0)])
    >>> round(percentile(told, CPU, 0.9), 3), round(percentile(told, CPU, 0.91), 1)
    (0.11, 2.1)
    """
    if not histogram.weights:
        raise ValueError("nothing was measured yet")
    needed, reached = share * math.fsum(histogram.weights.values()), 0.0
    for bucket in sorted(histogram.weights):
        reached += histogram.weights[bucket]
        if reached >= needed:
            break
    return scale.start(min(bucket + 1, scale.last))


def _worth(histogram: Histogram, at: float) -> float:
    return float(2.0 ** ((at - histogram.reference) / HALF_LIFE))


def _referred(histogram: Histogram, at: float) -> Histogram:
    """With a reference near enough to a time. What a clock that was ahead has left is taken as of that time: it would outweigh all
    that comes."""
    near = math.floor(at / HALF_LIFE) * HALF_LIFE
    if not histogram.weights or histogram.reference > at + 2 * HALF_LIFE:
        return Histogram(histogram.weights, near)
    if at - histogram.reference <= _FAR * HALF_LIFE:
        return histogram
    faded = 2.0 ** ((histogram.reference - near) / HALF_LIFE)
    weights = {bucket: weight * faded for bucket, weight in histogram.weights.items()}
    return Histogram({bucket: weight for bucket, weight in weights.items() if weight > _GONE}, near)


# ---------------------------------------------------------------- as it stands in the status


class Packed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A histogram in few characters: its reference in days since 1970, the whole weight, and whole weights by bucket, the heaviest of
    which is FINEST."""

    day: int = 0
    weight: str = ""
    buckets: str = ""


def packed(histogram: Histogram) -> Packed:
    """What `unpacked` reads back: percentiles move by no more than what a ten-thousandth weighs. Beyond KEPT buckets the lightest go
    into the next one above, so that nothing is taken to be less than it was.

    >>> packed(added(Histogram(), CPU, [Weighted(0.25, 0), Weighted(0.5, HALF_LIFE)]))
    Packed(day=1, weight='1.5', buckets='16:5000 25:10000')
    """
    if not histogram.weights:
        return Packed()
    weights = dict(sorted(histogram.weights.items()))
    while len(weights) > KEPT:
        indexes = list(weights)
        lightest = min(range(len(indexes) - 1), key=lambda i: (weights[indexes[i]], i))
        weights[indexes[lightest + 1]] += weights.pop(indexes[lightest])
    heaviest = max(weights.values())
    whole = {bucket: round(weight / heaviest * FINEST) for bucket, weight in weights.items()}
    text = " ".join(f"{bucket}:{weight}" for bucket, weight in whole.items() if weight)
    return Packed(round(histogram.reference / HALF_LIFE), f"{math.fsum(weights.values()):.6g}", text)


def unpacked(stored: Packed, scale: Scale) -> Histogram:
    """An empty one where what is stored is damaged.

    >>> unpacked(Packed(0, "3", "16:5000 25:10000"), CPU)
    Histogram(weights={16: 1.0, 25: 2.0}, reference=0.0)
    >>> unpacked(Packed(0, "3", "16:many"), CPU), unpacked(Packed(0, "-1", "16:1"), CPU)
    (Histogram(weights={}, reference=0.0), Histogram(weights={}, reference=0.0))
    """
    try:
        pairs = [part.split(":") for part in stored.buckets.split()]
        whole = {int(bucket): int(weight) for bucket, weight in pairs}
        total = float(stored.weight or 0)
    except ValueError:
        return Histogram()
    fits = all(0 <= bucket <= scale.last and weight > 0 for bucket, weight in whole.items())
    if not whole or not fits or not 0 < total < math.inf:
        return Histogram()
    unit = total / sum(whole.values())
    return Histogram({bucket: weight * unit for bucket, weight in whole.items()}, stored.day * HALF_LIFE)
