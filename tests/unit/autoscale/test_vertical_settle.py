"""What pods are to request, and when that is settled anew."""

from __future__ import annotations

import pytest

from fairlead.autoscale.vertical.model import MEBIBYTE, Amounts, Applied, Estimate
from fairlead.autoscale.vertical.settle import LASTS, settled

WIDE = Estimate(
    {"cpu": 300}, {"cpu": 100}, {"cpu": 900}
)  # what is known well enough to say 300, and between which bounds
SETTLED = Applied({"web": {"cpu": 500}}, 1000.0)


def settle(before: Applied, told: Estimate, asked: Amounts, now: float, starved: tuple[str, ...] = ()) -> Amounts:
    return settled(before, {"web": asked}, {"web": told}, 0.0, starved, now).amounts.get("web", {})


@pytest.mark.parametrize(
    ("before", "asked", "now", "expected"),
    {
        "the template requests too little: at once": (Applied(), {"cpu": 50}, 60, 300),
        "the template requests too much: at once": (Applied(), {"cpu": 1000}, 60, 300),
        "the template requests nothing: at once": (Applied(), {}, 60, 300),
        "within the bounds and young: the template's word": (Applied(), {"cpu": 500}, LASTS - 1, None),
        "within the bounds for twelve hours": (Applied(), {"cpu": 500}, LASTS, 300),
        "within the bounds, and a tenth less than worth it": (Applied(), {"cpu": 329}, LASTS, None),
        "as it is recommended": (Applied(), {"cpu": 300}, LASTS, None),
        "settled a moment ago, within the bounds": (SETTLED, {"cpu": 50}, 1000 + LASTS - 1, 500),
        "settled twelve hours ago, and far enough": (SETTLED, {"cpu": 50}, 1000 + LASTS, 300),
    }.values(),
    ids=[
        "too little",
        "too much",
        "nothing",
        "young",
        "twelve hours",
        "not worth it",
        "as recommended",
        "settled lately",
        "settled long ago",
    ],
)
def test_a_request_is_settled_anew(before: Applied, asked: Amounts, now: float, expected: int | None) -> None:
    assert settle(before, WIDE, asked, now).get("cpu") == expected


def test_what_is_settled_and_leaves_its_bounds_is_settled_at_once() -> None:
    far = Estimate({"cpu": 2000}, {"cpu": 600}, {"cpu": 4000})
    assert settled(SETTLED, {"web": {"cpu": 50}}, {"web": far}, 0.0, (), 1060) == Applied({"web": {"cpu": 2000}}, 1060)


def test_one_container_out_of_its_bounds_gives_the_others_more_and_none_less() -> None:
    """By the little that is known after a minute, nothing is taken from what may be right: with a request its limit goes."""
    more = Estimate({"cpu": 310}, {"cpu": 100}, {"cpu": 900})
    less = Estimate({"cpu": 10}, {}, {})
    asked = {"web": {"cpu": 50}, "log": {"cpu": 300}, "sum": {"cpu": 500}}
    told = settled(Applied(), asked, {"web": WIDE, "log": more, "sum": less}, 0.0, (), 60)
    assert told.amounts == {"web": {"cpu": 300}, "log": {"cpu": 310}}
    later = settled(told, asked, {"web": WIDE, "log": more, "sum": less}, 0.0, (), 60 + LASTS)
    assert later.amounts == {"web": {"cpu": 300}, "log": {"cpu": 310}, "sum": {"cpu": 10}}


def test_a_bound_that_is_not_known_yet_is_none() -> None:
    assert settle(Applied(), Estimate({"cpu": 300}, {}, {}), {"cpu": 5000}, 60) == {}


def test_what_ran_out_of_memory_does_not_wait() -> None:
    told = Estimate({"memory": 200 * MEBIBYTE}, {}, {})
    assert settle(Applied(), told, {"memory": 128 * MEBIBYTE}, 60) == {}
    assert settle(Applied(), told, {"memory": 128 * MEBIBYTE}, 60, ("web",)) == {"memory": 200 * MEBIBYTE}
    assert settle(Applied(), told, {"memory": 256 * MEBIBYTE}, 60, ("web",)) == {}, "it does not get less for it"


def test_what_is_not_recommended_any_more_is_the_templates_again() -> None:
    before = Applied({"web": {"cpu": 300, "memory": 7}, "gone": {"cpu": 1}}, 1000.0)
    assert settled(before, {"web": {"cpu": 500}}, {"web": WIDE}, 0.0, (), 1060) == Applied(
        {"web": {"cpu": 300}}, 1000.0
    )
    assert settled(before, {"web": {"cpu": 500}}, {}, 0.0, (), 1060) == Applied()


def test_the_same_look_twice_settles_nothing_anew() -> None:
    once = settled(Applied(), {"web": {"cpu": 50}}, {"web": WIDE}, 0.0, (), 60)
    assert settled(once, {"web": {"cpu": 50}}, {"web": WIDE}, 0.0, (), 120) == once


def test_what_may_be_nothing_is_left_out() -> None:
    """maxAllowed: {cpu: 0}."""
    assert settle(Applied(), Estimate({"cpu": 0}, {}, {}), {}, 60) == {}
