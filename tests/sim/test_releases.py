"""Every strategy with everything that may come in the way of a release, and the operator killed at its writes.

FAIRLEAD_SIM=all kills it after each of them; else once in every third story, at a write that is the same each time.
"""

from __future__ import annotations

import pytest

from sim.releases import RELEASES
from sim.runner import Scenario, clean, compare, crash_after, run
from sim.test_faults import EXHAUSTIVE, places

KILLED = list(RELEASES.values()) if EXHAUSTIVE else list(RELEASES.values())[::3]


@pytest.mark.parametrize("scenario", RELEASES.values(), ids=str)
def test_it_ends_well(scenario: Scenario) -> None:
    outcome = clean(scenario)
    assert not outcome.violations, "\n".join([*outcome.violations, outcome.story])


@pytest.mark.parametrize("scenario", KILLED, ids=str)
def test_it_ends_the_same_when_the_operator_is_killed_after_a_write(scenario: Scenario) -> None:
    calm = clean(scenario)
    for number in places(scenario, "killed", len(calm.writes)):
        outcome = run(scenario, crash_after(number))
        wrong = compare(calm, outcome, scenario)
        assert outcome.hit is not None and not wrong, "\n".join([f"killed after {outcome.hit}", *wrong, outcome.story])
