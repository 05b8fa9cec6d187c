"""What every story is asked: that it holds, and that it ends the same with any fault at a write.

How many faults: sim/extent.py.
"""

from __future__ import annotations

import random

from sim.extent import EXHAUSTIVE
from sim.runner import TROUBLES, Scenario, clean, compare, run


def holds(story: Scenario) -> None:
    outcome = clean(story)

    assert not outcome.violations, "\n".join([*outcome.violations, outcome.story])


def ends_the_same_with_any_fault(story: Scenario) -> None:
    """With each trouble at each write, or one of them at one, drawn by the story's name."""
    calm = clean(story)
    choice = random.Random(story.name)
    places = range(1, len(calm.writes) + 1) if EXHAUSTIVE else [choice.randint(1, len(calm.writes))]
    for number in places:
        for name in TROUBLES if EXHAUSTIVE else [choice.choice(sorted(TROUBLES))]:
            outcome = run(story, TROUBLES[name](number))
            wrong = compare(calm, outcome, story)
            assert not wrong, "\n".join([f"{name}, write {number}: {outcome.hit}", *wrong, outcome.story])
