"""Windows of time that move min and max, through changes of clocks as well."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.autoscale.model import Autoscale, Schedule
from fairlead.autoscale.windows import bounds, next_start, open_at
from fairlead.core.conditions import timestamp

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    """Epoch seconds of a wall clock; fold 1: the second time of an hour that comes twice."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def schedule(name: str = "some", start: str = "0 8 * * *", **fields: Any) -> Schedule:
    said: dict[str, Any] = {"time_zone": BERLIN, "min": 10}
    if "duration_seconds" not in fields:
        said["end"] = "0 18 * * *"
    return Schedule(name, start, **(said | fields))


def seen(now: float, *schedules: Schedule, available: int = 0) -> tuple[int, int]:
    found = bounds(Autoscale(min=3, max=30, schedules=schedules), available, now)
    return found.min, found.max


# ---------------------------------------------------------------- opening and closing


@pytest.mark.parametrize(
    ("now", "open"),
    [
        pytest.param("2026-11-20T07:59:59", False, id="not a second before"),
        pytest.param("2026-11-20T08:00:00", True, id="from its first second"),
        pytest.param("2026-11-20T17:59:59", True, id="to its last"),
        pytest.param("2026-11-20T18:00:00", False, id="and not at its end"),
        pytest.param("2026-11-21T12:00:00", False, id="not on a Saturday"),
        pytest.param("2026-11-23T12:00:00", True, id="again on Monday"),
    ],
)
def test_a_window_is_open_from_its_start_until_its_end(now: str, open: bool) -> None:
    office = schedule(start="0 8 * * 1-5", end="0 18 * * 1-5")
    assert (open_at(office, at(now)) is not None) == open


def test_a_window_may_lie_across_midnight_and_weekends() -> None:
    weekend = schedule(start="0 20 * * FRI", end="0 6 * * MON")
    assert open_at(weekend, at("2026-11-22T12:00:00")) is not None
    assert open_at(weekend, at("2026-11-23T06:00:00")) is None


def test_a_window_with_a_duration_closes_after_it() -> None:
    night = schedule(start="0 22 * * *", duration_seconds=4 * 3600)
    assert open_at(night, at("2026-11-21T01:59:59")) is not None
    assert open_at(night, at("2026-11-21T02:00:00")) is None


def test_a_window_that_opens_again_while_it_is_open_stays_open() -> None:
    busy = schedule(start="0 * * * *", duration_seconds=5400)
    found = open_at(busy, at("2026-11-21T10:10:00"))
    assert found is not None and found.until == at("2026-11-21T11:30:00")


def test_the_wall_clock_is_the_zones() -> None:
    tokyo, york = (schedule(time_zone=zone) for zone in ("Asia/Tokyo", "America/New_York"))
    now = at("2026-11-20T09:00:00", "Asia/Tokyo")
    assert (open_at(tokyo, now) is not None, open_at(york, now) is not None) == (True, False)


def test_a_window_without_a_zone_is_of_utc() -> None:
    assert seen(at("2026-11-20T08:00:00", "Etc/UTC"), Schedule("day", "0 8 * * *", end="0 9 * * *", min=7)) == (7, 30)


# ---------------------------------------------------------------- changes of clocks (trust.md 12)


def test_trust_12_a_start_in_the_hour_that_is_left_out_is_when_it_is_over() -> None:
    """On 29 March 2026 at 2:00 it is 3:00 in Berlin."""
    night = schedule(start="30 2 * * *", duration_seconds=1800)
    after = at("2026-03-29T03:00:00")
    assert open_at(night, after - 1) is None
    found = open_at(night, after)
    assert found is not None and found.until == after + 1800


def test_trust_12_an_end_in_the_hour_that_is_left_out_is_when_it_is_over() -> None:
    night = schedule(start="0 1 * * *", end="30 2 * * *")
    after = at("2026-03-29T03:00:00")
    assert open_at(night, after - 1) is not None
    assert open_at(night, after) is None


def test_trust_12_a_start_in_the_hour_that_comes_twice_is_once() -> None:
    """On 25 October 2026 it is 2:30 twice in Berlin."""
    night = schedule(start="30 2 * * *", duration_seconds=1800)
    first, second = at("2026-10-25T02:30:00"), at("2026-10-25T02:30:00", fold=1)
    assert second - first == 3600
    found = open_at(night, first)
    assert found is not None and found.until == first + 1800
    assert open_at(night, second) is None
    assert next_start(night, first) == at("2026-10-26T02:30:00")


@pytest.mark.parametrize("minutes", range(0, 180, 10))
def test_trust_12_a_window_through_the_hour_that_comes_twice_stays_open_in_both(minutes: int) -> None:
    """Seen from any time between, before and after the clocks go back: from 2:30, the first, until 4:00."""
    night = schedule(start="30 2 * * *", end="0 4 * * *")
    opens, closes = at("2026-10-25T02:30:00"), at("2026-10-25T04:00:00")
    now = at("2026-10-25T02:00:00") + 60 * minutes
    assert (open_at(night, now) is not None) == (opens <= now < closes)


@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"])
def test_trust_12_office_hours_are_office_hours_on_each_side_of_a_change(day: str) -> None:
    office = schedule()
    assert open_at(office, at(f"{day}T08:00:00") - 1) is None
    assert open_at(office, at(f"{day}T08:00:00")) is not None
    assert open_at(office, at(f"{day}T18:00:00") - 1) is not None
    assert open_at(office, at(f"{day}T18:00:00")) is None


CRONS = st.builds(
    "{} {} * * {}".format,
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from(["*", "1-5", "SUN", "6,0"]),
)
ZONES = st.sampled_from(
    [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Etc/UTC", "Africa/Casablanca"]
)
YEAR = st.integers(int(at("2026-01-01T00:00:00")), int(at("2027-01-01T00:00:00")))


@given(CRONS, CRONS, ZONES, YEAR)
def test_a_window_says_itself_when_it_opens_and_closes(start: str, end: str, zone: str, now: int) -> None:
    """Whether it is open does not change before the time it names, and does then, at any time of the year anywhere."""
    some = schedule(start=start, end=end, time_zone=zone)
    found = open_at(some, now)
    change = found.until if found else next_start(some, now)
    assert change is not None and change > now
    assert (open_at(some, change - 1) is None) == (found is None)
    if not found:
        assert open_at(some, change) is not None
    elif next_start(some, found.until - 1) != found.until:
        assert open_at(some, change) is None


# ---------------------------------------------------------------- what they make of min and max


def test_outside_of_windows_min_and_max_are_the_apps() -> None:
    assert seen(at("2026-11-20T20:00:00"), schedule(min=10, max=60)) == (3, 30)


def test_a_window_moves_what_it_names() -> None:
    now = at("2026-11-20T12:00:00")
    assert seen(now, schedule(min=10)) == (10, 30)
    assert seen(now, schedule(min=None, max=60)) == (3, 60)
    assert seen(now, schedule(min=None, max=5)) == (3, 5)


def test_of_several_open_windows_the_highest_min_and_the_highest_max_hold_in_any_order() -> None:
    now = at("2026-11-20T12:00:00")
    both = schedule("quiet", min=1, max=5), schedule("sale", min=20, max=60)
    assert seen(now, *both) == seen(now, *reversed(both)) == (20, 60)


def test_a_max_below_the_min_becomes_it() -> None:
    now = at("2026-11-20T12:00:00")
    assert seen(now, schedule("quiet", min=None, max=5), schedule("sale", min=20)) == (20, 20)
    assert seen(now, schedule(min=40)) == (40, 40)


def test_a_budget_in_pods_is_a_min_as_far_as_max_allows() -> None:
    assert seen(0, available=8) == (8, 30)
    assert seen(0, available=2) == (3, 30)
    assert seen(0, available=99) == (30, 30)


def test_what_decides_is_named() -> None:
    told = bounds(Autoscale(min=3, max=30, schedules=(schedule("day"),)), 12, at("2026-11-20T12:00:00"))
    assert (told.min_by, told.max_by) == ("spec.disruption.minAvailable", "max")
    assert (
        bounds(Autoscale(min=3, max=30, schedules=(schedule("day"),)), 0, at("2026-11-20T12:00:00")).min_by
        == "min of schedule day"
    )


def test_the_next_change_is_told() -> None:
    day, noon = schedule("day"), schedule("noon", start="0 12 * * *", duration_seconds=60)
    spec = Autoscale(max=30, schedules=(day, noon))
    assert bounds(spec, 0, at("2026-11-20T07:00:00")).until == at("2026-11-20T08:00:00")
    assert bounds(spec, 0, at("2026-11-20T09:00:00")).until == at("2026-11-20T12:00:00")
    assert bounds(spec, 0, at("2026-11-20T12:00:30")).until == at("2026-11-20T12:01:00")
    assert bounds(Autoscale(max=30), 0, 0).until is None


# ---------------------------------------------------------------- nonsense


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param(
            {"start": "at eight"}, "start 'at eight' must have 5 fields, such as '0 8 * * 1-5' (minute,", id="words"
        ),
        pytest.param({"start": "0 0 8 * * *"}, "must have 5 fields", id="seconds"),
        pytest.param(
            {"start": "0 25 * * *"}, "start '0 25 * * *' is no time there is (Bad hour)", id="an hour there is not"
        ),
        pytest.param(
            {"start": "0 0 30 2 *"}, "start '0 0 30 2 *' is no time there is (Bad day-of-month)", id="30 February"
        ),
        pytest.param({"end": "x x x x x"}, "end 'x x x x x' is no time there is", id="an end"),
        pytest.param({"time_zone": "Europe/Atlantis"}, "timeZone 'Europe/Atlantis' is not known here", id="no zone"),
        pytest.param({"time_zone": "../../etc/passwd"}, "timeZone '../../etc/passwd' is not known here", id="a path"),
    ],
)
def test_trust_12_a_schedule_that_cannot_be_followed_is_named_and_moves_nothing(
    fields: dict[str, Any], why: str
) -> None:
    """The others go on."""
    broken, day = schedule("broken", **({"start": "* * * * *"} | fields | {"min": 25})), schedule("day")
    told = bounds(Autoscale(min=3, max=30, schedules=(broken, day)), 0, at("2026-11-20T12:00:00"))
    assert (told.min, told.max) == (10, 30)
    assert len(told.problems) == 1
    assert told.problems[0].startswith("schedule broken is not followed: ")
    assert why in told.problems[0]


def test_times_are_told_in_utc() -> None:
    found = open_at(schedule(), at("2026-07-01T12:00:00"))
    assert found is not None and timestamp(found.until) == "2026-07-01T16:00:00Z"
