"""Apps whose size follows their load: clean, and with a fault at a write. In memory are the last seconds' looks alone, so a new
operator goes on from the size that the status says.

How many faults: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim.autoscale import STORIES
from sim.extent import some
from sim.playing import ends_the_same_with_any_fault, holds
from sim.runner import Scenario


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_the_story_holds(story: Scenario) -> None:
    holds(story)


@pytest.mark.parametrize("story", some(list(STORIES.values()), of=1), ids=str)
def test_the_end_is_the_same_with_a_fault_at_a_write(story: Scenario) -> None:
    ends_the_same_with_any_fault(story)
