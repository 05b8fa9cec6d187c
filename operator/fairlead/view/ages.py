"""Durations as kubectl writes them, and as people type them."""

from __future__ import annotations

import re

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY}


def duration(seconds: float) -> str:
    """A duration in at most two units (apimachinery util/duration HumanDuration). Negative ones, which only a skewed clock
    makes, are 0s.

    >>> [duration(s) for s in (-3, 0, 119, 120, 130, 600, 11520, 172800, 700000)]
    ['0s', '0s', '119s', '2m', '2m10s', '10m', '3h12m', '2d', '8d']
    """
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def _two(whole: int, unit: int, name: str, part: int, part_name: str) -> str:
    rest = whole % unit // part
    return f"{whole // unit}{name}" + (f"{rest}{part_name}" if rest else "")


def age(since: float | None, now: float) -> str:
    """How long ago, "" where it is not known.

    >>> age(100, 160), age(None, 160)
    ('60s', '')
    """
    return "" if since is None else duration(now - since)


def parse_duration(text: str) -> float:
    """Seconds of a duration as Go and kubectl take it ("90s", "1h30m"), a bare number is seconds. ValueError otherwise.

    >>> parse_duration("1h30m"), parse_duration("90"), parse_duration("250ms")
    (5400.0, 90.0, 0.25)
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration: write it like 90s, 5m or 1h30m")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
