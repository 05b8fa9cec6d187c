"""One answer for all who ask at about the same time: thousands of Apps look at the same few places."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

PERIOD = 4.0  # seconds an answer is good for, from when it was asked for: a little less than between two decisions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Told(Generic[T]):
    """When it was asked for, and when it was told (loop time)."""

    answer: T
    began: float
    told: float


class Shared(Generic[T]):
    """Whoever comes first reads, the others wait for it. The first may be cancelled while they wait, as its App is deleted or its own
    time is up: that ends its request and nobody else's look, since the next one in the line reads then.

    lasts: whether who comes later is given such an answer too, as long as it is fresh."""

    __slots__ = ("_lasts", "_lock", "_told")

    def __init__(self, lasts: Callable[[T], bool] = lambda _: True) -> None:
        self._lasts = lasts
        self._lock = asyncio.Lock()
        self._told: _Told[T] | None = None

    async def of(self, read: Callable[[T | None], Awaitable[T]]) -> T:
        """The answer that is there or under way, else that of `read`, which gets the one before."""
        time = asyncio.get_running_loop().time
        asked = time()
        async with self._lock:
            last, now = self._told, time()
            if last is not None and serves(asked, now, last.began, last.told, self._lasts(last.answer)):
                return last.answer
            answer = await read(last.answer if last else None)
            self._told = _Told(answer, now, time())
            return answer

    def idle(self, now: float, seconds: float) -> bool:
        """Nobody has read for so long, and nobody does now."""
        return not self._lock.locked() and (self._told is None or self._told.told <= now - seconds)

    def let_go(self) -> None:
        """The answer is not kept any longer."""
        self._told = None


def serves(asked: float, now: float, began: float, told: float, lasts: bool) -> bool:
    """Whether what was read from `began` to `told` is an answer to who asked at `asked`: to each, where it was under way then, although
    a slow one is not fresh any more (would each who has waited read anew in its turn, the second would be out of time); later only
    where it lasts and is fresh.

    >>> serves(asked=105, now=106, began=100, told=106, lasts=True), serves(asked=107, now=107, began=100, told=106, lasts=True)
    (True, False)
    >>> serves(asked=100.5, now=101, began=100, told=101, lasts=False), serves(asked=102, now=102, began=100, told=101, lasts=False)
    (True, False)
    """
    return asked <= told or (lasts and now < began + PERIOD)
