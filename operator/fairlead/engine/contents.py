"""What was read in full of objects that are watched by their metadata alone: a cache that may forget, never the truth."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from fairlead.core.actions import Read

QUIET = 2.0  # seconds without another change after which a changed object is read again: several edits are one change
PATIENCE = 10.0  # and the longest that an object is waited for which changes all the time
MOST_BYTES = 64 * 1024 * 1024  # of objects as they were read; the least recently used go first

Slot = tuple[str, str, str]  # (kind, namespace, name)


@dataclass(slots=True)
class _Kept:
    rv: int
    content: Any | None
    size: int


@dataclass(slots=True)
class _Unrest:
    """A change that has not been read yet: since when there has been one, and when there was the last."""

    rv: int
    first: float
    last: float


class Contents:
    """By kind, namespace and name. An object that is read for the first time is read at once; one that changed when it
    has been left alone for QUIET seconds."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Slot, _Kept] = OrderedDict()
        self._unrest: dict[Slot, _Unrest] = {}
        self._size = 0

    def get(self, kind: str, namespace: str, name: str) -> tuple[int, Any | None] | None:
        slot = (kind, namespace, name)
        kept = self._kept.get(slot)
        if kept is None:
            return None
        self._kept.move_to_end(slot)
        return kept.rv, kept.content

    def wait(self, read: Read, now: float) -> float:
        """Seconds until it is time to read, 0 for now. `now` is monotonic; to ask is to note that it has changed."""
        slot = (read.kind, read.namespace, read.name)
        if slot not in self._kept:
            return 0.0
        before = self._unrest.get(slot)
        if before is None or before.rv != read.rv:
            before = self._unrest[slot] = _Unrest(read.rv, before.first if before else now, now)
        return max(0.0, min(before.last + QUIET, before.first + PATIENCE) - now)

    def keep(self, read: Read, rv: int, content: Any | None, size: int) -> None:
        """It was read: as of `rv`, `size` bytes long; `content` None where it was not there."""
        slot = (read.kind, read.namespace, read.name)
        self._unrest.pop(slot, None)
        before = self._kept.pop(slot, None)
        self._size += size - (before.size if before else 0)
        self._kept[slot] = _Kept(rv, content, size)
        while self._size > MOST_BYTES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    def clear(self) -> None:
        """Resource versions have begun anew (etcd was restored): what was read says nothing any more."""
        self._kept.clear()
        self._unrest.clear()
        self._size = 0
