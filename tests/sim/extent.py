"""How much of the simulation is played, by $FAIRLEAD_SIM.

`all`: every fault at every write, in hours. `brief`: every story clean, and each fault and each weather in one story, as
`make check` has it. Else, as in `make test`: every story with two faults and in one weather, by a sample that stays the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_CHOSEN = os.environ.get("FAIRLEAD_SIM", "")
EXHAUSTIVE = _CHOSEN == "all"
BRIEF = _CHOSEN == "brief"


def some(stories: Sequence[T], *, of: int) -> list[T]:
    """Those that are played with a fault: all when exhaustive, else one of so many, and in brief one in eight of these.

    >>> some(range(12), of=3) if not (EXHAUSTIVE or BRIEF) else [0, 3, 6, 9]
    [0, 3, 6, 9]
    """
    if EXHAUSTIVE:
        return list(stories)
    return list(stories[:: 8 * of if BRIEF else of])


def pairs(stories: Sequence[T], troubles: Sequence[str], sample: Sequence[str]) -> list[tuple[T, str]]:
    """Each story that is played with a fault, with all troubles when exhaustive, else with one of the sample, in turn."""
    if EXHAUSTIVE:
        return [(story, trouble) for story in stories for trouble in troubles]
    return [(story, sample[turn % len(sample)]) for turn, story in enumerate(some(stories, of=1))]
