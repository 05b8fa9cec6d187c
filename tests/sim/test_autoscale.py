"""Apps whose size follows their load: clean, and with a fault at a write. In memory are the last seconds' looks alone, so a new
operator goes on from the size that the status says.

How many faults: sim/extent.py.
"""

from __future__ import annotations

import random

import pytest

from sim.autoscale import STORIES
from sim.extent import EXHAUSTIVE, some
from sim.runner import TROUBLES, Scenario, clean, compare, run


@pytest.mark.parametrize("story", STORIES.values(), ids=str)
def test_the_story_holds(story: Scenario) -> None:
    outcome = clean(story)

    assert not outcome.violations, "\n".join([*outcome.violations, outcome.story])


@pytest.mark.parametrize("story", some(list(STORIES.values()), of=1), ids=str)
def test_the_end_is_the_same_with_a_fault_at_a_write(story: Scenario) -> None:
    calm = clean(story)
    choice = random.Random(story.name)
    places = range(1, len(calm.writes) + 1) if EXHAUSTIVE else [choice.randint(1, len(calm.writes))]
    for number in places:
        for name in TROUBLES if EXHAUSTIVE else [choice.choice(sorted(TROUBLES))]:
            outcome = run(story, TROUBLES[name](number))
            wrong = compare(calm, outcome, story)
            assert not wrong, "\n".join([f"{name}, write {number}: {outcome.hit}", *wrong, outcome.story])
