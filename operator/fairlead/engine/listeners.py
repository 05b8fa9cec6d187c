"""Which parents are to hear of which objects, by what the parents themselves name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from fairlead.core.meta import Key

N = TypeVar("N", bound=Hashable)


class Listeners(Generic[N]):
    """An object that does not say whom it concerns is named by parents, and each says whom it names every time it is looked at:
    nothing is lost with the process, and who names another no longer hears of the first.

    >>> listeners = Listeners[str]()
    >>> listeners.says(Key("shop", "web"), ["settings", "flags"])
    >>> listeners.says(Key("shop", "web"), ["flags"])
    >>> listeners.of("settings"), listeners.of("flags")
    ((), (Key(namespace='shop', name='web'),))
    """

    def __init__(self) -> None:
        self._parents: defaultdict[N, set[Key]] = defaultdict(set)
        self._named: dict[Key, frozenset[N]] = {}

    def says(self, key: Key, names: Iterable[N]) -> None:
        """All that this parent names now; nothing, where it is gone."""
        named, before = frozenset(names), self._named.get(key, frozenset())
        for one in before - named:
            self._parents[one].discard(key)
            if not self._parents[one]:
                del self._parents[one]
        for one in named - before:
            self._parents[one].add(key)
        if named:
            self._named[key] = named
        else:
            self._named.pop(key, None)

    def of(self, name: N) -> tuple[Key, ...]:
        """The parents that name it, in order."""
        return tuple(sorted(self._parents.get(name, ())))
