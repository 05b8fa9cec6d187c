"""Apps that go out and back together: clean, and with the operator killed after a write, or made to see late what others have done.

How much trouble: sim/extent.py.
"""

from __future__ import annotations

import pytest

from sim.extent import pairs
from sim.groups import STORIES
from sim.playing import holds
from sim.runner import TROUBLES, Scenario
from sim.test_faults import ends_the_same

SAMPLE = ["a crash after it", "a stale view after it"]
PAIRS = pairs([story for story in STORIES.values() if story.faulted], list(TROUBLES), SAMPLE)


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_the_story_holds(story: Scenario) -> None:
    holds(story)


@pytest.mark.parametrize(("story", "trouble"), PAIRS, ids=str)
def test_the_end_is_the_same_with(story: Scenario, trouble: str) -> None:
    ends_the_same(story, trouble, TROUBLES[trouble])
