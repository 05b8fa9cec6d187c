"""Releases by the weights of a route, and the operator killed at a write of each.

How often it is killed: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim.extent import some
from sim.playing import holds
from sim.routes import ROUTES
from sim.runner import Scenario, crash_after
from sim.test_faults import ends_the_same


@pytest.mark.parametrize("scenario", ROUTES.values(), ids=str)
def test_it_ends_well(scenario: Scenario) -> None:
    holds(scenario)


@pytest.mark.parametrize("scenario", some(list(ROUTES.values()), of=2), ids=str)
def test_it_ends_the_same_when_the_operator_is_killed_after_a_write(scenario: Scenario) -> None:
    ends_the_same(scenario, "killed", crash_after)
