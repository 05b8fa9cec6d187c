"""What counters rise by in a second: of two looks at them, by the counters' own clocks. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import msgspec

from fairlead.autoscale.model import Sample

LONGEST = 120.0  # seconds between two looks: over a longer time an average says nothing of now


class Point(msgspec.Struct, frozen=True):
    """A counter's total at a time, by its own clock (epoch seconds)."""

    at: float
    total: float


class Pair(msgspec.Struct, frozen=True):
    """The last two different looks at a counter; with one alone nothing is known of its pace."""

    latest: Point
    before: Point | None = None


K = TypeVar("K", bound=Hashable)


def followed(track: Mapping[K, Pair], points: Mapping[K, Point]) -> dict[K, Pair]:
    """The track with one more look. Who is not there any more is forgotten. A counter that has gone back has begun anew; one
    whose clock stands still was not measured again since.

    >>> once = followed({}, {"web": Point(100, 50)})
    >>> twice = followed(once, {"web": Point(110, 53)})
    >>> rate(twice["web"])
    Sample(value=0.3, at=110, window=10)
    >>> rate(followed(twice, {"web": Point(110, 53)})["web"]) == rate(twice["web"])
    True
    >>> rate(followed(twice, {"web": Point(120, 1)})["web"]) is None
    True
    """
    return {key: _next(track.get(key), point) for key, point in points.items()}


def _next(pair: Pair | None, point: Point) -> Pair:
    if pair is None:
        return Pair(point)
    if point.at <= pair.latest.at:
        return pair
    began_anew = point.total < pair.latest.total or point.at - pair.latest.at > LONGEST
    return Pair(point, None if began_anew else pair.latest)


def rate(pair: Pair) -> Sample | None:
    """By how much it rose in a second, at the time of the last look; None while there is but one."""
    if pair.before is None:
        return None
    window = pair.latest.at - pair.before.at
    return Sample((pair.latest.total - pair.before.total) / window, pair.latest.at, window)
