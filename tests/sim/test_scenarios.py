"""Every story, without faults: it ends well, comes to rest, and a fresh start finds nothing to do."""

from __future__ import annotations

import pytest

from sim.playing import holds
from sim.runner import Scenario
from sim.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=str)
def test_the_story_ends_well_and_nothing_more_is_written(scenario: Scenario) -> None:
    holds(scenario)
