"""Stories of rooms whose shell remembers something between two steps: clean, and with a fault at a write. A new operator goes on from
what stands in the API, whatever was in memory:

- health: how often a pod was asked;
- autoscale: the last seconds' looks;
- zero: who waits at an activator. At no step may the Service be without an endpoint, and no request may be lost.

How many faults: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim import autoscale, health, zero
from sim.extent import some
from sim.playing import ends_the_same_with_any_fault, holds
from sim.runner import Scenario

ROOMS = [list(room.STORIES.values()) for room in (health, autoscale, zero)]


@pytest.mark.parametrize("story", [story for stories in ROOMS for story in stories], ids=str)
def test_the_story_holds(story: Scenario) -> None:
    holds(story)


@pytest.mark.parametrize("story", [story for stories in ROOMS for story in some(stories, of=1)], ids=str)
def test_the_end_is_the_same_with_a_fault_at_a_write(story: Scenario) -> None:
    ends_the_same_with_any_fault(story)
