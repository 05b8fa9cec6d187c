"""Notices that someone else keeps undoing what we apply: two controllers that fight over a field would write for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Slot = tuple[str, str, str]  # (kind, namespace, name)

TIMES = 5
WINDOW = 60.0  # seconds
TIDY_AT = 1000  # objects


class Contention:
    """Counts how often the same content was applied to the same object.

    Content that has to be applied again and again was changed back in between: a person does that once or twice,
    another controller without end. A changed content starts the count anew.

    >>> ticks = iter(range(100))
    >>> fight = Contention(lambda: next(ticks))
    >>> [fight.contested(("Service", "default", "shop"), b"same") for _ in range(7)]
    [False, False, False, False, False, True, True]
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._applied: dict[Slot, tuple[bytes, deque[float]]] = {}

    def contested(self, slot: Slot, body: bytes) -> bool:
        """Whether this apply would be one too many; if not, it is counted."""
        now = self._monotonic()
        known, times = self._applied.get(slot, (b"", deque[float]()))
        if len(self._applied) > TIDY_AT:
            self._tidy(now)
        if known != body:
            known, times = body, deque[float]()
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= TIMES:
            return True
        times.append(now)
        self._applied[slot] = (known, times)
        return False

    def _tidy(self, now: float) -> None:
        """Objects that were left in peace for a while are forgotten, so that the books stay as small as the fights."""
        for slot in [slot for slot, (_, times) in self._applied.items() if times[-1] <= now - WINDOW]:
            del self._applied[slot]
