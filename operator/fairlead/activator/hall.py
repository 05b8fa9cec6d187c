"""Who waits: how many connections are held, for which App, within which bounds, and since when somebody needs a pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from fairlead.core.meta import Key

Full = Literal["", "app", "all"]  # which bound was met


class Hall:
    """Counts; it holds nobody itself. clock: epoch seconds. `told` is called with an App when the first request of it begins
    to wait for a pod, and when none does any more.

    >>> hall = Hall(most=2, most_of_one=1, most_bytes=100, clock=lambda: 0.0)
    >>> shop, cart = Key("default", "shop"), Key("default", "cart")
    >>> hall.enter(shop), hall.enter(shop), hall.enter(cart), hall.enter(cart)
    ('', 'app', '', 'all')
    """

    def __init__(self, most: int, most_of_one: int, most_bytes: int, clock: Callable[[], float]) -> None:
        self.told: list[Callable[[Key], None]] = []
        self.held = 0
        self.bytes = 0
        self._most = most
        self._most_of_one = most_of_one
        self._most_bytes = most_bytes
        self._clock = clock
        self._inside: Counter[Key] = Counter()
        self._waiting: Counter[Key] = Counter()
        self._since: dict[Key, float] = {}

    def enter(self, key: Key) -> Full:
        """Take one connection of an App in; which bound forbids it, "" where none does."""
        if self.held >= self._most:
            return "all"
        if self._inside[key] >= self._most_of_one:
            return "app"
        self.held += 1
        self._inside[key] += 1
        return ""

    def leave(self, key: Key) -> None:
        self.held -= 1
        self._inside[key] -= 1
        if not self._inside[key]:
            del self._inside[key]

    def keep(self, count: int) -> None:
        """So many bytes more are kept, or fewer where it is negative."""
        self.bytes += count

    @property
    def full(self) -> bool:
        """More bytes are kept than may be."""
        return self.bytes > self._most_bytes

    def wait(self, key: Key) -> None:
        """A request of this App is complete and has nowhere to go."""
        self._waiting[key] += 1
        if self._waiting[key] == 1:
            self._since[key] = self._clock()
            self._tell(key)

    def served(self, key: Key) -> None:
        """It waits no more: it was passed on, refused or forgotten."""
        self._waiting[key] -= 1
        if not self._waiting[key]:
            del self._waiting[key], self._since[key]
            self._tell(key)

    def since(self, key: Key) -> float | None:
        """When the oldest spell of waiting began that goes on; None where nobody waits."""
        return self._since.get(key)

    def _tell(self, key: Key) -> None:
        for tell in self.told:
            tell(key)
