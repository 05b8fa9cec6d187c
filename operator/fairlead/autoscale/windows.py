"""spec.autoscale.schedules: windows of time that move min and max. Pure.

Crons and their changes of clocks are cronsim's, which follows Debian's cron: what falls into an hour that is left out
happens as soon as it is over, what falls into one that comes twice happens the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from fairlead.autoscale.model import Autoscale, Bounds, Schedule

MINUTE = 60
FIELDS = 5  # minute, hour, day of the month, month, day of the week
_SLACK = timedelta(hours=3)  # more than any change of clocks: wall times are looked for from beyond it


class Invalid(Exception):
    """Why a schedule cannot be followed; never leaves this module."""


class Open(NamedTuple):
    """A schedule that is open, and until when (epoch seconds)."""

    schedule: Schedule
    until: float


def bounds(spec: Autoscale, available: int, now: float) -> Bounds:
    """min and max as they are now.

    Where several schedules are open at once, the highest min and the highest max hold, each of those that say one: their
    order means nothing (it is a list by name), and too many pods are the smaller harm. A max below the min becomes it.
    `available`, what spec.disruption.minAvailable keeps, is a min as well, as far as max allows.

    >>> from fairlead.core.conditions import timestamp
    >>> day = Schedule("day", "0 8 * * *", end="0 18 * * *", time_zone="Europe/Berlin", min=10)
    >>> noon = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    >>> told = bounds(Autoscale(max=30, schedules=(day,)), 0, noon)
    >>> told.min, told.min_by, told.max, timestamp(told.until)
    (10, 'min of schedule day', 30, '2026-11-22T17:00:00Z')
    >>> bounds(Autoscale(max=30, schedules=(day,)), 0, noon + 6 * 3600).min
    1
    """
    opened, changes, problems = [], [], []
    for schedule in spec.schedules:
        try:
            found = open_at(schedule, now)
            changes.append(found.until if found else next_start(schedule, now))
            opened += [found] if found else []
        except Invalid as why:
            problems.append(f"schedule {schedule.name} is not followed: {why}")
    least, least_by = _highest([(one.schedule.min, one.schedule.name) for one in opened], spec.min, "min")
    most, most_by = _highest([(one.schedule.max, one.schedule.name) for one in opened], spec.max, "max")
    if most < least:
        most, most_by = least, least_by
    if available > least:
        least, least_by = min(available, most), "spec.disruption.minAvailable"
    return Bounds(least, most, least_by, most_by, min(filter(None, changes), default=None), tuple(problems))


def _highest(said: list[tuple[int | None, str]], otherwise: int, field: str) -> tuple[int, str]:
    numbers = [(number, name) for number, name in said if number is not None]
    if not numbers:
        return otherwise, field
    number, name = max(numbers, key=lambda one: one[0])
    return number, f"{field} of schedule {name}"


def open_at(schedule: Schedule, now: float) -> Open | None:
    """The schedule's window that `now` is in, None where it is in none. Its first second belongs to it, its last does not.

    On 29 March 2026 at 2:00 the clocks of Berlin go on to 3:00, so a window from 2:30 begins at 3:00 of that day:
    >>> from fairlead.core.conditions import timestamp
    >>> night = Schedule("night", "30 2 * * *", duration_seconds=3600, time_zone="Europe/Berlin", max=3)
    >>> change = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()
    >>> open_at(night, change - 1) is None, timestamp(open_at(night, change).until)
    (True, '2026-03-29T02:00:00Z')
    """
    started = _latest(schedule, now)
    if started is None:
        return None
    until = _closes(schedule, started)
    return Open(schedule, until) if until is not None and now < until else None


def next_start(schedule: Schedule, now: float) -> float | None:
    """When the schedule opens next; None where it never does again."""
    return _starts(schedule, now // MINUTE * MINUTE)[1]


def _latest(schedule: Schedule, now: float) -> float | None:
    return _starts(schedule, now // MINUTE * MINUTE)[0]


@lru_cache(maxsize=4096)
def _starts(schedule: Schedule, minute: float) -> tuple[float | None, float | None]:
    """When it opened last, and opens next. Crons tell whole minutes, so a minute has one answer: it costs as much as all else of a
    decision, and there are twelve in each."""
    back = _runs(schedule, schedule.start, "start", minute, reverse=True)
    on = _runs(schedule, schedule.start, "start", minute, reverse=False)
    return next((at for at in back if at <= minute), None), next((at for at in on if at > minute), None)


@lru_cache(maxsize=4096)
def _closes(schedule: Schedule, started: float) -> float | None:
    if schedule.duration_seconds is not None:
        return started + schedule.duration_seconds
    found = _runs(schedule, schedule.end, "end", started, reverse=False)
    return next((at for at in found if at > started), None)


def _runs(schedule: Schedule, cron: str, field: str, near: float, reverse: bool) -> Iterator[float]:
    """The times of a cron, from beyond `near` on or back. Around a change of clocks a wall time is at two moments or at
    none, so the caller compares the moments."""
    zone = _zone(schedule.time_zone)
    begin = datetime.fromtimestamp(near, UTC) + (_SLACK if reverse else -_SLACK)
    if len(cron.split()) != FIELDS:
        raise Invalid(
            f"{field} {cron!r} must have {FIELDS} fields, such as '0 8 * * 1-5' (minute, hour, day, month, weekday)"
        )
    try:
        runs = CronSim(cron, begin.astimezone(zone), reverse=reverse)
    except CronSimError as error:
        raise Invalid(f"{field} {cron!r} is no time there is ({error}); write it as '0 8 * * 1-5'") from None
    return (run.timestamp() for run in runs)


def _zone(name: str) -> tzinfo:
    if name in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"timeZone {name!r} is not known here; write it as Europe/Berlin") from None
