"""Releases that are judged by gates: clean, and with the operator killed after a write. What gates have counted is part of the
end that must be the same: a new operator measures neither more nor less.

How often it is killed: sim/extent.py.
"""

from __future__ import annotations

import random

import pytest

from sim.extent import EXHAUSTIVE, some
from sim.gates import STORIES
from sim.playing import holds
from sim.runner import Scenario, clean, compare, crash_after, crash_before, run


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_the_story_holds(story: Scenario) -> None:
    holds(story)


@pytest.mark.parametrize("story", some(list(STORIES.values()), of=1), ids=str)
def test_the_end_is_the_same_when_the_operator_is_killed(story: Scenario) -> None:
    calm = clean(story)
    count = len(calm.writes)
    places = range(1, count + 1) if EXHAUSTIVE else [random.Random(story.name).randint(1, count)]
    for number in places:
        for trouble in (crash_after, crash_before) if EXHAUSTIVE else (crash_after,):
            outcome = run(story, trouble(number))
            wrong = compare(calm, outcome, story)
            assert not wrong, "\n".join([f"write {number}: {outcome.hit}", *wrong, outcome.story])
