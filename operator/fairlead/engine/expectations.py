"""What our own writes must show before a key is decided on again (engine rule 4).

A watch tells of a write some time after the write returned. Who plans in between sees a pod that is not there yet, and
makes it twice. So: each create is awaited by its name, each delete by its uid, and everything else by the
resourceVersion it got (`OwnWrites`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairlead.core.meta import Key
from fairlead.engine.store import Table

Monotonic = Callable[[], float]
Token = tuple[str, ...]  # (kind, namespace, name) of a create, (uid,) of a delete


@dataclass(slots=True)
class _Pending:
    key: Key
    kind: str
    deadline: float
    answered: float | None = None  # when the API server said yes: a list begun later must show it


class Expectations:
    """Creates by name and deletes by uid, per key, for at most `ttl` seconds on the monotonic clock."""

    def __init__(self, ttl: float, monotonic: Monotonic) -> None:
        self._ttl = ttl
        self._monotonic = monotonic
        self._pending: dict[Token, _Pending] = {}
        self._by_key: dict[Key, dict[Token, None]] = {}
        self.expired = 0

    def expect_create(self, key: Key, kind: str, namespace: str, name: str) -> None:
        self._expect(key, kind, (kind, namespace, name))

    def expect_delete(self, key: Key, kind: str, uid: str) -> None:
        self._expect(key, kind, (uid,))

    def answered_create(self, kind: str, namespace: str, name: str) -> None:
        self._answered((kind, namespace, name))

    def answered_delete(self, uid: str) -> None:
        self._answered((uid,))

    def settle_create(self, kind: str, namespace: str, name: str) -> None:
        """The create has failed for good, or its object is known to be there."""
        self._settle((kind, namespace, name))

    def settle_delete(self, uid: str) -> None:
        self._settle((uid,))

    def saw(self, kind: str, old: Any | None, new: Any | None) -> None:
        """A record appeared, changed or went (the table's listener). Deletion is settled by its start: a pod with a
        deletionTimestamp is no longer counted on, whatever its grace period."""
        if not self._pending:
            return
        if new is None:
            if old is not None:
                self._settle((old.uid,))
        elif old is None:
            self._settle((kind, new.namespace, new.name))
        if new is not None and getattr(new, "deleting", None) is not None:
            self._settle((new.uid,))

    def listed(self, kind: str, table: Table, began: float) -> list[Key]:
        """A complete list that began at `began` is in the table: whatever was answered before is in it, or gone again.
        The keys that need not wait for those writes any more."""
        answered = [
            (token, pending.key)
            for token, pending in self._pending.items()
            if pending.kind == kind and pending.answered is not None and pending.answered < began
        ]
        if not answered:
            return []
        living = {record.uid for record in table}
        settled = [(token, key) for token, key in answered if len(token) == 3 or token[0] not in living]
        for token, _ in settled:
            self._settle(token)
        return list(dict.fromkeys(key for _, key in settled))

    def wait(self, key: Key) -> float | None:
        """Seconds until the key's next expectation expires, None when there is none (any more)."""
        now = self._monotonic()
        while tokens := self._by_key.get(key):
            first = next(iter(tokens))  # the oldest: all live equally long
            left = self._pending[first].deadline - now
            if left > 0:
                return left
            self.expired += 1
            self._settle(first)
        return None

    def forget(self, key: Key) -> None:
        for token in self._by_key.pop(key, ()):
            self._pending.pop(token, None)

    def _expect(self, key: Key, kind: str, token: Token) -> None:
        self._pending[token] = _Pending(key, kind, self._monotonic() + self._ttl)
        tokens = self._by_key.setdefault(key, {})
        tokens.pop(token, None)  # to the end: the oldest deadline stays first
        tokens[token] = None

    def _answered(self, token: Token) -> None:
        pending = self._pending.get(token)
        if pending is not None:
            pending.answered = self._monotonic()

    def _settle(self, token: Token) -> None:
        pending = self._pending.pop(token, None)
        if pending is None:
            return
        tokens = self._by_key[pending.key]
        tokens.pop(token, None)
        if not tokens:
            del self._by_key[pending.key]


class OwnWrites:
    """The highest resourceVersion we wrote per key and kind: the key waits until that kind's watch has come so far.

    Resource versions of one kind are ordered (KEP-5504), so a watch that has passed ours has told of our write. Bounded
    by `timeout` seconds: a watch that hangs is the informer's business, and must not stop a parent for ever.
    """

    def __init__(self, timeout: float, monotonic: Monotonic) -> None:
        self._timeout = timeout
        self._monotonic = monotonic
        self._wrote: dict[Key, dict[str, tuple[int, float]]] = {}
        self.timeouts = 0

    def note(self, key: Key, kind: str, rv: int) -> None:
        kinds = self._wrote.setdefault(key, {})
        if rv >= kinds.get(kind, (0, 0.0))[0]:
            kinds[kind] = (rv, self._monotonic())

    def wait(self, key: Key, tables: dict[str, Table]) -> float | None:
        """Seconds left to wait for the store, None when it has caught up (or the time is over)."""
        kinds = self._wrote.get(key)
        if not kinds:
            return None
        now = self._monotonic()
        longest: float | None = None
        for kind, (rv, at) in list(kinds.items()):
            table = tables.get(kind)
            if table is None or table.has_seen(key.namespace, rv):
                del kinds[kind]
            elif now - at >= self._timeout:
                del kinds[kind]
                self.timeouts += 1
            else:
                longest = max(longest or 0.0, at + self._timeout - now)
        if not kinds:
            del self._wrote[key]
        return longest

    def forget(self, key: Key) -> None:
        self._wrote.pop(key, None)

    def forget_kind(self, kind: str) -> None:
        """Resource versions of this kind have begun anew (etcd was restored)."""
        for kinds in self._wrote.values():
            kinds.pop(kind, None)
