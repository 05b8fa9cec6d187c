"""Virtual time that passes while the operator works, too.

Were a pass to take no time at all, two looks at the clock in it would always agree, and a deadline could never fall
between them. On a real machine it does, sooner or later.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import cycle
from typing import Any

import looptime

_WORK = 0.001  # seconds that may pass from one look at the clock to the next
_HICCUP = 0.03  # and rarely: another process had the core
_EARLY = 0.000_5  # uvloop rounds timers to milliseconds

_VirtualLoop: Any = looptime.make_event_loop_class(asyncio.SelectorEventLoop)


class CreepingLoop(_VirtualLoop):  # type: ignore[misc]
    """Jumps to its next timer, and creeps on a little with every look at its time; timers may come a little early. What
    it does follows from the seed."""

    def __init__(self, seed: int):
        chance = random.Random(seed)
        self._crept = 0.0
        self._steps = cycle([_step(chance) for _ in range(1009)])
        self._early = cycle([chance.uniform(0, _EARLY) for _ in range(101)])
        # No idle cycles before time moves: nothing here waits for the outside world.
        super().__init__(start=0.0, noop_cycles=0, idle_timeout=1.0)

    def time(self) -> float:
        self._crept += next(self._steps)
        return float(super().time()) + self._crept

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
        handle: asyncio.TimerHandle = super().call_at(when - next(self._early), callback, *args, **options)
        return handle


def _step(chance: random.Random) -> float:
    return chance.uniform(0, _WORK) if chance.random() < 0.998 else chance.uniform(0, _HICCUP)


def pace(seed: int) -> Callable[[float], float]:
    """How long something takes that takes so many seconds on average: at most twice as long, and never nothing."""
    chance = random.Random(seed)
    return lambda seconds: seconds * chance.uniform(0.1, 1.9)
