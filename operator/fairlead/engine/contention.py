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
    another controller without end. A changed content starts the count anew. What the API server refuses counts as nothing:
    it changed nothing that another could undo.

    >>> ticks = iter(range(100))
    >>> fight, slot = Contention(lambda: next(ticks)), ("Service", "default", "shop")
    >>> for _ in range(TIMES):
    ...     assert not fight.contested(slot, b"same")
    ...     fight.count(slot, b"same")
    >>> fight.contested(slot, b"same"), fight.contested(slot, b"other")
    (True, False)
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._applied: dict[Slot, tuple[bytes, deque[float]]] = {}

    def contested(self, slot: Slot, body: bytes) -> bool:
        """Whether this apply would be one too many."""
        known, times = self._applied.get(slot, (b"", ()))
        since = self._monotonic() - WINDOW
        return known == body and sum(at > since for at in times) >= TIMES

    def count(self, slot: Slot, body: bytes) -> None:
        """It was applied."""
        now = self._monotonic()
        if len(self._applied) > TIDY_AT:
            self._tidy(now)
        known, times = self._applied.get(slot, (b"", deque[float]()))
        if known != body:
            times = deque[float]()
        times.append(now)
        while times[0] <= now - WINDOW:
            times.popleft()
        self._applied[slot] = (body, times)

    def _tidy(self, now: float) -> None:
        """Objects that were left in peace for a while are forgotten, so that the books stay as small as the fights."""
        for slot in [slot for slot, (_, times) in self._applied.items() if times[-1] <= now - WINDOW]:
            del self._applied[slot]
