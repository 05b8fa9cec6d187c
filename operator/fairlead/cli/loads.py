"""Loads over time, as people record them (CSV) or write them down ("0 200, 10m 800, 20m 200")."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from fairlead.autoscale.model import Metric
from fairlead.autoscale.simulation import Point, Trace
from fairlead.cli.failures import Failed
from fairlead.core.quantity import exact
from fairlead.view.ages import parse_duration

TIME = "time"  # the heading of the column with the times
_EPOCH = 1e9  # a bare number from here on is no number of seconds since the beginning, but since 1970
_MILLISECONDS = 1e12  # and from here on of milliseconds
_NONE = ("", "nan", "null", "none")  # what monitoring systems write where there is no value


class Recorded(NamedTuple):
    """A trace, and its first moment in epoch seconds where its times are those of a clock."""

    trace: Trace
    began: float | None


def from_csv(name: str, text: str, metrics: Sequence[Metric], length: float | None) -> Recorded:
    """A file with a column `time` and one for each metric. name: as errors call it; length: seconds, None as long as it says."""
    rows = [(line, row) for line, row in enumerate(csv.reader(text.splitlines()), 1) if any(map(str.strip, row))]
    if len(rows) < 2:
        raise Failed(f"{name}: there must be a line of headings, such as {TIME},cpu, and one for each time")
    headings = [heading.strip() for heading in rows[0][1]]
    column = {title: _column(name, title, headings, metrics) for title in titles(metrics)}
    clock = _column_of_time(name, headings)
    times, loads = list[float](), {title: list[float | None]() for title in column}
    for line, row in rows[1:]:
        where = f"{name}:{line}"
        if len(row) != len(headings):
            raise Failed(f"{where}: there are {len(row)} fields, and {len(headings)} headings")
        times.append(_time(where, row[clock].strip()))
        for title, index in column.items():
            loads[title].append(_load(where, row[index].strip()))
    began = times[0] if times[0] >= _EPOCH else None
    since = [at - times[0] if began is not None else at for at in times]
    series = {title: [Point(at, load) for at, load in zip(since, found, strict=True)] for title, found in loads.items()}
    return Recorded(_trace(name, series, length), began)


def from_words(texts: Iterable[str], metrics: Sequence[Metric], length: float | None) -> Recorded:
    """Loads that are written down: times with amounts, each of which holds until the next, and before them METRIC= where there
    are several metrics."""
    series: dict[str, list[Point]] = {}
    for text in texts:
        name, equals, points = text.rpartition("=")
        title = resolve(name, metrics, "--load") if equals else _only(metrics, text)
        if title in series:
            raise Failed(f"--load: {title} is there twice; write all its times into one")
        series[title] = [_point(part) for part in points.split(",")]
    for title in titles(metrics):
        if title not in series:
            raise Failed(f'--load: there is none for the metric {title}; add --load "{title}=0 100, 10m 200"')
    return Recorded(_trace("--load", series, length), None)


def titles(metrics: Iterable[Metric]) -> list[str]:
    """What the metrics are called, each once."""
    return list(dict.fromkeys(metric.title for metric in metrics))


def resolve(name: str, metrics: Sequence[Metric], where: str) -> str:
    """The title of the metric that is meant: all of it, or its first word where that is one metric's alone.

    >>> from fairlead.autoscale.testing import cpu, queue
    >>> resolve("queue_length", [cpu(), queue()], "--load")
    'queue_length'
    """
    found = _named(name.strip(), metrics)
    if found is None:
        raise Failed(f"{where}: there is no metric {name.strip()!r} in spec.autoscale: {_list(titles(metrics))}")
    return found


def _named(name: str, metrics: Sequence[Metric]) -> str | None:
    """
    >>> from fairlead.autoscale.model import ContainerResourceMetric
    >>> web = Metric(container_resource=ContainerResourceMetric("cpu", container="web", average_utilization=60))
    >>> _named("cpu", [web]), _named("cpu of container web", [web]), _named("memory", [web])
    ('cpu of container web', 'cpu of container web', None)
    """
    whole = titles(metrics)
    if name in whole:
        return name
    short = [title for title in whole if title.partition(" of ")[0].partition("{")[0] == name]
    return short[0] if len(short) == 1 else None


def amounts(texts: Iterable[str], metrics: Sequence[Metric], flag: str) -> Mapping[str, float]:
    """METRIC=AMOUNT, in thousandths by title."""
    found = {}
    for text in texts:
        name, equals, amount = text.rpartition("=")
        title = resolve(name, metrics, flag) if equals else _only(metrics, text)
        load = _load(flag, amount.strip())
        if not load:
            raise Failed(f"{flag}: {amount.strip()!r} must be an amount above 0, such as 500m or 20")
        found[title] = load
    return found


def _only(metrics: Sequence[Metric], text: str) -> str:
    found = titles(metrics)
    if len(found) > 1:
        raise Failed(f"{text!r} does not say of which metric it is; write METRIC= before it: {_list(found)}")
    return found[0]


def _column(name: str, title: str, headings: Sequence[str], metrics: Sequence[Metric]) -> int:
    found = [index for index, heading in enumerate(headings) if _named(heading, metrics) == title]
    if len(found) == 1:
        return found[0]
    problem = "there is no column for" if not found else "there are several columns for"
    raise Failed(f"{name}: {problem} the metric {title}; give one the heading {title!r}. There is {_list(headings)}")


def _column_of_time(name: str, headings: Sequence[str]) -> int:
    found = [index for index, heading in enumerate(headings) if heading.lower() == TIME]
    if len(found) != 1:
        raise Failed(f"{name}: one column must have the heading {TIME!r}. There is {_list(headings)}")
    return found[0]


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


# ---------------------------------------------------------------- one value


def _point(text: str) -> Point:
    """
    >>> _point("10m 800")
    Point(at=600.0, load=800000.0)
    """
    words = text.split()
    if len(words) != 2:
        raise Failed(f"--load: {text.strip()!r} must be a time and an amount, such as 10m 800")
    return Point(_time("--load", words[0]), _load("--load", words[1]))


def _time(where: str, text: str) -> float:
    """Seconds: since the beginning for 90, 90s and 1h30m; since 1970 for a date and for numbers as large as that.

    >>> _time("f", "1h30m"), _time("f", "1970-01-01T00:02:00Z"), _time("f", "1700000000500")
    (5400.0, 120.0, 1700000000.5)
    """
    try:
        seconds = parse_duration(text)
    except ValueError:
        return _date(where, text)
    return seconds / 1000 if seconds >= _MILLISECONDS else seconds


def _date(where: str, text: str) -> float:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"{where}: {text!r} is no time; write 90s, 1h30m or 2026-11-22T10:00:00Z") from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _load(where: str, text: str) -> float | None:
    """In thousandths; None where there is no value.

    >>> _load("f", "4500m"), _load("f", "8Gi"), _load("f", "2.5"), _load("f", "NaN")
    (4500.0, 8589934592000.0, 2500.0, None)
    """
    if text.lower() in _NONE:
        return None
    try:
        load = float(exact(text) * 1000)
    except (ValueError, ArithmeticError):
        load = math.nan
    if not 0 <= load < math.inf:
        raise Failed(f"{where}: {text!r} is no amount; write one of 0 or more, as 20, 4500m or 8Gi")
    return load


def _trace(name: str, series: Mapping[str, Sequence[Point]], length: float | None) -> Trace:
    """The whole, as long as it says: the last value holds for as long as the one before it did."""
    for title, points in series.items():
        for one, other in pairwise(points):
            if other.at <= one.at:
                raise Failed(f"{name}: the times of {title} must rise, and {other.at:g}s comes after {one.at:g}s")
        if points[0].at > 0:
            raise Failed(f"{name}: {title} must begin at 0, and begins at {points[0].at:g}s")
    if length is None:
        length = max(_said(name, points) for points in series.values())
    return Trace({title: tuple(points) for title, points in series.items()}, length)


def _said(name: str, points: Sequence[Point]) -> float:
    if len(points) < 2:
        raise Failed(f"{name}: a single value does not say how long it holds; add --for, such as --for 30m")
    return 2 * points[-1].at - points[-2].at
