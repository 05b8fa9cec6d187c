"""Every strategy with everything that may come in the way of a release, and the operator killed at its writes.

How often it is killed: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim.extent import some
from sim.playing import holds
from sim.releases import RELEASES
from sim.runner import Scenario, crash_after
from sim.test_faults import ends_the_same

KILLED = some(list(RELEASES.values()), of=3)


@pytest.mark.parametrize("scenario", RELEASES.values(), ids=str)
def test_it_ends_well(scenario: Scenario) -> None:
    holds(scenario)


@pytest.mark.parametrize("scenario", KILLED, ids=str)
def test_it_ends_the_same_when_the_operator_is_killed_after_a_write(scenario: Scenario) -> None:
    ends_the_same(scenario, "killed", crash_after)
