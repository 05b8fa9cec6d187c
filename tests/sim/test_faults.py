"""Every story again, with a fault at one of its writes: the end is the same, and no pod is made or deleted twice.

How much is tried: sim/extent.py. In the sample of `make test` each story meets a crash and another trouble, and each kind of
trouble meets many stories.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from sim.extent import BRIEF, EXHAUSTIVE
from sim.runner import CRASHES, TROUBLES, Scenario, Trouble, clean, compare, run
from sim.scenarios import SCENARIOS

FAULTED = [scenario for scenario in SCENARIOS.values() if scenario.faulted]


def pairs() -> list[tuple[Scenario, str]]:
    """What is tried: each story with one crash and one other trouble, in turn; all with all when exhaustive, and in brief
    each trouble with one story."""
    if EXHAUSTIVE:
        return [(scenario, trouble) for scenario in FAULTED for trouble in TROUBLES]
    if BRIEF:
        return list(zip(FAULTED[:: len(FAULTED) // len(TROUBLES)], sorted(TROUBLES), strict=False))
    crashes, others = sorted(CRASHES), sorted(TROUBLES.keys() - CRASHES)
    return [
        pair
        for turn, scenario in enumerate(FAULTED)
        for pair in ((scenario, crashes[turn % len(crashes)]), (scenario, others[turn % len(others)]))
    ]


def places(scenario: Scenario, trouble: str, count: int) -> list[int]:
    """At which writes: all, or one that is the same each time."""
    if EXHAUSTIVE:
        return list(range(1, count + 1))
    return [random.Random(f"{scenario.name} {trouble}").randint(1, count)]


def ends_the_same(scenario: Scenario, name: str, trouble: Callable[[int], Trouble]) -> None:
    """The story with that trouble at its places ends as the calm one does; `name` is what the sample is drawn by."""
    calm = clean(scenario)
    for number in places(scenario, name, len(calm.writes)):
        outcome = run(scenario, trouble(number))
        wrong = compare(calm, outcome, scenario)
        if outcome.hit is None:
            wrong.append(f"the run had no write {number}: two runs with the same input differ")
        assert not wrong, "\n".join([f"{name}: {outcome.hit}", *wrong, outcome.story])


@pytest.mark.parametrize(("scenario", "trouble"), pairs(), ids=lambda part: str(part))
def test_the_end_is_the_same_with(scenario: Scenario, trouble: str) -> None:
    ends_the_same(scenario, trouble, TROUBLES[trouble])
