"""Pods with health gates: clean, and with a fault at a write. In memory is only how often a pod was asked, so a new operator goes on
from what the pods' conditions say.

How many faults: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim.extent import some
from sim.health import STORIES
from sim.playing import ends_the_same_with_any_fault, holds
from sim.runner import Scenario


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_the_story_holds(story: Scenario) -> None:
    holds(story)


@pytest.mark.parametrize("story", some(list(STORIES.values()), of=1), ids=str)
def test_the_end_is_the_same_with_a_fault_at_a_write(story: Scenario) -> None:
    ends_the_same_with_any_fault(story)
