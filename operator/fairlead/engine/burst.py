"""Many writes side by side, no faster than they are seen to succeed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from fairlead.core.actions import Action
from fairlead.core.meta import Key
from fairlead.engine.job import alike_of

# refused: nothing was done; unknown: it may have been, and is found out by another pass.
Answer = Literal["done", "refused", "unknown"]

HEAD = 16  # writes that begin before the first answer, where a refusal is not to be expected
_REMEMBERED = 10_000  # keys


class Burst:
    """Writes of one sort for one parent. `launch` begins as many as are allowed now and may be called whenever more
    become so; what is allowed is looked at anew after each answer. A refusal ends it for all that are alike, who would meet the
    same; the others go on in their place. A write of which nobody knows whether it was done ends it whole."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        actions: Sequence[Action],
        write: Callable[[Action], Awaitable[Answer]],
        *,
        share: Callable[[], int],
        allowed: Callable[[int], int],
        interrupted: Callable[[], bool],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        """`share`: how many may be under way; `allowed`: how many may have begun when so many have succeeded;
        `interrupted` is asked before each, and said yes to for good; `succeeded` is called after each that did."""
        self._group = group
        self._waiting = iter(actions)
        self._write = write
        self._share = share
        self._allowed = allowed
        self._interrupted = interrupted
        self._tell = succeeded
        self._refused: set[str] = set()  # those that are alike and are not taken
        self._begun = self._succeeded = self._running = 0
        self._ended = not actions

    def launch(self) -> None:
        while self._running < self._share() and (action := self._take()) is not None:
            self._running += 1
            self._group.create_task(self._work(action))

    def _take(self) -> Action | None:
        if self._ended or self._begun >= self._allowed(self._succeeded):
            return None
        if self._interrupted():
            self._ended = True
            return None
        action = next((one for one in self._waiting if alike_of(one) not in self._refused), None)
        self._ended = action is None
        self._begun += action is not None
        return action

    async def _work(self, first: Action) -> None:
        action: Action | None = first
        while action is not None:
            answer = await self._write(action)
            if answer == "done":
                self._succeeded += 1
                self._tell()
            elif answer == "refused":
                self._refused.add(alike_of(action))
                self._begun -= 1
            else:
                self._ended = True
            action = self._take() if self._running <= self._share() else None
            self.launch()
        self._running -= 1


class Trust:
    """Whose pods were made without a refusal only a moment ago: these need not start slowly again.

    A roll makes pods in many passes. To begin each with one request, then two, then four cost it a tenth of its time.

    >>> ticks = iter([0.0, 1.0, 9.0])
    >>> trust = Trust(5.0, lambda: next(ticks))
    >>> key = Key("default", "shop")
    >>> trust.head(key), trust.earned(key), trust.head(key), trust.head(key)
    (1, None, 16, 1)
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._earned: dict[Key, float] = {}

    def head(self, key: Key) -> int:
        """How many creates may begin before the first answer."""
        earned = self._earned.get(key)
        return HEAD if earned is not None and self._monotonic() - earned < self._seconds else 1

    def earned(self, key: Key) -> None:
        """A burst of creates went through."""
        self._earned.pop(key, None)
        self._earned[key] = self._monotonic()
        if len(self._earned) > _REMEMBERED:
            del self._earned[next(iter(self._earned))]

    def lost(self, key: Key) -> None:
        self._earned.pop(key, None)
