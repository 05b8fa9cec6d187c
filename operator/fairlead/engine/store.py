"""What is known of the cluster: one table of projected records per kind, with indexes, and how far each watch has come.

All changes come through `put`, `overwrite`, `remove` and `forget`, whoever saw them first (watch, relist, live read, the
answer to a delete), and every change is told to the table's listener exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import msgspec

from fairlead.engine.contents import Contents
from fairlead.engine.controller import Record, Source
from fairlead.kube.client import Envelope

Slot = tuple[str, str]  # (namespace, name)
Listener = Callable[[Any | None, Any | None], None]  # (old, new)

_envelope = msgspec.json.Decoder(Envelope)

FOREVER = 2**63
TOMBSTONES = 20_000  # uids remembered as gone, per kind


def _no_listener(old: Any | None, new: Any | None) -> None:
    return


class _Bucket:
    """The records that share one index value. Sorted at the first read after a record joined: 10,000 pods that change
    1000 times a second cost a dict assignment each, and a read costs a tuple copy."""

    __slots__ = ("_items", "_read", "_sorted")

    def __init__(self) -> None:
        self._items: dict[Slot, Any] = {}
        self._sorted = True
        self._read: tuple[Any, ...] | None = None

    def put(self, slot: Slot, record: Any) -> None:
        if slot not in self._items:
            self._sorted = False  # an update keeps its place in the dict, and so does everything after a removal
        self._items[slot] = record
        self._read = None

    def drop(self, slot: Slot) -> bool:
        """Whether the bucket is empty now."""
        self._items.pop(slot, None)
        self._read = None
        return not self._items

    def read(self) -> tuple[Any, ...]:
        if self._read is None:
            if not self._sorted:
                self._items = {slot: self._items[slot] for slot in sorted(self._items)}
                self._sorted = True
            self._read = tuple(self._items.values())
        return self._read


class Table:
    """All records of one kind.

    A record never gives way to an older one: the resourceVersion decides, also between two objects of one name. A uid
    that is known to be gone stays gone, so that a late line of a watch cannot bring a deleted pod back after a live
    read told of its end.
    """

    def __init__(self, source: Source) -> None:
        indexes = source.indexes
        self.source = source
        self.kind = source.table
        self.listener: Listener = _no_listener
        self.missing = ""  # why an optional kind cannot be listed at all, "" where it can
        self._records: dict[Slot, Any] = {}
        self._functions = tuple(indexes.items())
        self._buckets: dict[str, dict[Hashable, _Bucket]] = {name: {} for name in indexes}
        self._gone: dict[str, int] = {}  # uid -> resourceVersion up to which it is known to be gone, oldest first
        self._reached: dict[str, int] = {}  # scope (a namespace, "" for all) -> resourceVersion its watch has come to
        self._synced: dict[str, bool] = {}

    # ------------------------------------------------------------ reading

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._records.values())

    def get(self, namespace: str, name: str) -> Any | None:
        return self._records.get((namespace, name))

    def by(self, index: str, value: Hashable) -> tuple[Any, ...]:
        """The records of that index value by namespace and name. KeyError for an index that is not declared."""
        bucket = self._buckets[index].get(value)
        return bucket.read() if bucket is not None else ()

    # ------------------------------------------------------------ how far the watches have come

    def open_scope(self, scope: str) -> None:
        """A watch over `scope` is going to fill this table: not synced until it has listed."""
        self._synced.setdefault(scope, False)
        self._reached.setdefault(scope, 0)

    def advance(self, scope: str, rv: int) -> None:
        if rv > self._reached.get(scope, 0):
            self._reached[scope] = rv

    def rewind(self, scope: str, rv: int) -> None:
        """Go back to an older resourceVersion: etcd was restored, the list is the truth, and so may be a uid of old.
        Until the list is complete, the table is half of then and half of now: it is not synced."""
        self._reached[scope] = rv
        self._synced[scope] = False
        self._gone.clear()

    def reached(self, scope: str) -> int:
        return self._reached.get(scope, 0)

    def has_seen(self, namespace: str, rv: int) -> bool:
        """Whether the watch that covers `namespace` has come to `rv`."""
        scope = namespace if namespace in self._reached else ""
        return self._reached.get(scope, 0) >= rv

    def precedes(self, namespace: str, rv: int) -> bool:
        """Whether the watch that covers `namespace` has not come further than `rv`."""
        return rv >= self.reached(namespace if namespace in self._reached else "")

    def mark_synced(self, scope: str) -> None:
        self._synced[scope] = True

    @property
    def synced(self) -> bool:
        return bool(self._synced) and all(self._synced.values())

    # ------------------------------------------------------------ writing

    def put(self, record: Record) -> None:
        """Take a record in, unless what is known is newer."""
        old = self._records.get((record.namespace, record.name))
        # A deletion has a resourceVersion of its own, which no object of that uid has had. What has it is an object that only
        # stopped to match the watch's selector, and that was read live.
        if record.rv < self._gone.get(record.uid, -1):
            return
        if old is not None and (record.rv < old.rv or (record.rv == old.rv and record.uid == old.uid)):
            return
        self._replace(old, record)

    def learn(self, body: bytes) -> None:
        """Take in an object that was read live, ahead of the watch."""
        record = self.source.project(body)
        if record is not None:
            self.put(record)
            return
        meta = _envelope.decode(body).metadata
        self.forget(meta.namespace, meta.name, meta.uid)

    def overwrite(self, record: Record) -> None:
        """Take a record in although a newer one is known (after `rewind`)."""
        old = self._records.get((record.namespace, record.name))
        if old is None or old.rv != record.rv or old.uid != record.uid:
            self._replace(old, record)

    def remove(self, namespace: str, name: str, uid: str, rv: int = FOREVER) -> None:
        """The object of that uid is gone as of `rv`. Another object of the same name stays. (A watch with a selector
        also says so of an object that has stopped to match, and may match again: hence not for ever.)"""
        self._bury(uid, rv)
        old = self._records.get((namespace, name))
        if old is not None and old.uid == uid and old.rv <= rv:
            self._drop(old)
            self.listener(old, None)

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """The object lives on, but is none of our business any more; it may become so again."""
        old = self._records.get((namespace, name))
        if old is not None and old.uid == uid:
            self._drop(old)
            self.listener(old, None)

    def absent(self, scope: str, seen: set[Slot], rv: int) -> list[Any]:
        """The records of a scope that a complete list at `rv` did not show, and that are no newer than it."""
        return [
            record
            for slot, record in self._records.items()
            if slot not in seen and record.rv <= rv and (not scope or record.namespace == scope)
        ]

    def _replace(self, old: Any | None, record: Any) -> None:
        if old is not None and old.uid != record.uid:
            # Deleted and made again under the same name: two facts, though one line told them.
            self._bury(old.uid, FOREVER)
            self._drop(old)
            self.listener(old, None)
            old = None
        slot = (record.namespace, record.name)
        self._records[slot] = record
        for name, function in self._functions:
            value = function(record)
            if old is not None:
                before = function(old)
                if before is not None and before != value:
                    self._leave(name, before, slot)
            if type(value) is frozenset:
                for one in value:
                    self._join(name, one, slot, record)
            elif value is not None:
                self._join(name, value, slot, record)
        self.listener(old, record)

    def _drop(self, record: Any) -> None:
        slot = (record.namespace, record.name)
        del self._records[slot]
        for name, function in self._functions:
            value = function(record)
            if value is not None:
                self._leave(name, value, slot)

    def _join(self, index: str, value: Hashable, slot: Slot, record: Any) -> None:
        buckets = self._buckets[index]
        bucket = buckets.get(value)
        if bucket is None:
            bucket = buckets[value] = _Bucket()
        bucket.put(slot, record)

    def _leave(self, index: str, value: Hashable, slot: Slot) -> None:
        buckets = self._buckets[index]
        for one in value if type(value) is frozenset else (value,):
            bucket = buckets.get(one)
            if bucket is not None and bucket.drop(slot):
                del buckets[one]

    def _bury(self, uid: str, rv: int) -> None:
        self._gone[uid] = max(rv, self._gone.get(uid, 0))
        if len(self._gone) > TOMBSTONES:
            del self._gone[next(iter(self._gone))]


class Store:
    """The tables, and the view of them that rooms observe (`engine.controller.View`)."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.contents = Contents()

    def open(self, source: Source) -> Table:
        kind = source.table
        if kind in self.tables:
            raise ValueError(f"{kind} already has a table")
        self.tables[kind] = Table(source)
        return self.tables[kind]

    @property
    def synced(self) -> bool:
        return all(table.synced for table in self.tables.values())

    def get(self, kind: str, namespace: str, name: str) -> Any | None:
        return self.tables[kind].get(namespace, name)

    def by(self, kind: str, index: str, value: Hashable) -> Iterable[Any]:
        return self.tables[kind].by(index, value)

    def unavailable(self, kind: str) -> str:
        return self.tables[kind].missing

    def content(self, kind: str, namespace: str, name: str) -> tuple[int, Any | None] | None:
        return self.contents.get(kind, namespace, name)
