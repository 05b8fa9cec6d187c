"""Apps that go to zero and come back with a request: clean, and with a fault at a write. At no step may the Service be without an
endpoint, and no request may be lost.

How many faults: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim.extent import some
from sim.playing import ends_the_same_with_any_fault, holds
from sim.runner import Scenario
from sim.zero import STORIES


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_the_story_holds(story: Scenario) -> None:
    holds(story)


@pytest.mark.parametrize("story", some(list(STORIES.values()), of=1), ids=str)
def test_the_end_is_the_same_with_a_fault_at_a_write(story: Scenario) -> None:
    ends_the_same_with_any_fault(story)
