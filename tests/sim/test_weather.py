"""Every story in bad weather: trouble that lasts instead of one fault. How much of it: sim/extent.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.extent import BRIEF, EXHAUSTIVE
from sim.runner import Scenario, clean, compare, run
from sim.scenarios import SCENARIOS
from sim.weather import WEATHER, named

FAULTED = [scenario for scenario in SCENARIOS.values() if scenario.faulted]


def pairs() -> list[tuple[Scenario, str]]:
    names = [*WEATHER, *(f"seed {number}" for number in range(25 if EXHAUSTIVE else 5))]
    if EXHAUSTIVE:
        return [(scenario, name) for scenario in FAULTED for name in names]
    if BRIEF:
        return list(zip(FAULTED, names, strict=False))
    return [(scenario, names[turn % len(names)]) for turn, scenario in enumerate(FAULTED)]


@pytest.mark.parametrize(("scenario", "name"), pairs(), ids=str)
def test_the_end_is_the_same_in(scenario: Scenario, name: str) -> None:
    outcome = run(scenario, named(name))
    # How many pods it takes depends on the weather; what is left at the end does not.
    wrong = compare(clean(scenario), outcome, replace(scenario, counted=False))
    assert not wrong, "\n".join([*wrong, outcome.story])
