"""Is this the time for it? Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.gates.model import Answer, Ask, Result, Subject, Wait

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class WindowSpec(msgspec.Struct, frozen=True, rename="camel"):
    """On these days from `start` until `end`, by the wall clocks of `time_zone`; an end before the start is on the next day."""

    days: tuple[str, ...] = DAYS
    start: str = "00:00"
    end: str = "24:00"
    time_zone: str = "Etc/UTC"


class WindowCheck:
    """checks[].window"""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        wanted = msgspec.convert(spec, WindowSpec)
        try:
            opens = next_open(wanted, now)
        except (ZoneInfoNotFoundError, ValueError):
            return Wait(f"its window, whose time zone {wanted.time_zone!r} is not known here: correct window.timeZone")
        return None if opens <= now else Wait(f"its window, which opens at {timestamp(opens)}", opens)

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        return None

    def judge(self, spec: JSON, answer: Answer) -> Result:
        return Result("Passed", "WindowOpen", "its window is open", "open")


def next_open(window: WindowSpec, now: float) -> float:
    """When the window is open next: `now` while it is. A day that skips an hour, or has one twice, is told by the zone.

    A Saturday, for a window on working days:
    >>> office = WindowSpec(days=("Mon", "Tue", "Wed", "Thu", "Fri"), start="09:00", end="17:00", time_zone="Europe/Berlin")
    >>> timestamp(next_open(office, datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()))
    '2026-11-23T08:00:00Z'
    """
    zone = UTC if window.time_zone in ("UTC", "Etc/UTC") else ZoneInfo(window.time_zone)
    local = datetime.fromtimestamp(now, zone)
    for offset in range(-1, 8):
        day = (local + timedelta(days=offset)).date()
        if DAYS[day.weekday()] not in window.days:
            continue
        midnight = datetime.combine(day, time(0), zone)
        opens = _at(midnight, window.start)
        closes = _at(midnight + timedelta(days=int(_minutes(window.end) <= _minutes(window.start))), window.end)
        if now < closes.timestamp():
            return max(now, opens.timestamp())
    return now + 7 * 86400.0


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


def _at(midnight: datetime, clock: str) -> datetime:
    """That time on the clock of that day: wall time, not hours since midnight."""
    days, minutes = divmod(_minutes(clock), 24 * 60)
    return (midnight + timedelta(days=days)).replace(hour=minutes // 60, minute=minutes % 60)
