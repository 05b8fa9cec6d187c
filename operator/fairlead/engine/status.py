"""Writes statuses: last, only when they differ, and not for every pod that a counter moves by."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from fairlead.core.meta import JSON, MANAGER_STATUS, Key
from fairlead.engine.execute import Requests
from fairlead.engine.expectations import OwnWrites
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import NotFound
from fairlead.kube.resources import BY_KIND, Resource

_envelope = msgspec.json.Decoder(Envelope)

# What a condition says besides its verdict: it may wait, as a counter may.
_DETAILS = frozenset({"message", "lastTransitionTime", "lastUpdateTime"})


def merge_patch(before: Any, after: JSON) -> JSON:
    """The RFC 7386 patch from one object to another: null for what disappeared, lists whole.

    >>> merge_patch({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}, {"a": 1, "b": {"c": 2}, "e": [1, 2]})
    {'b': {'c': 2, 'd': None}, 'e': [1, 2]}
    """
    before = before if isinstance(before, dict) else {}
    patch: JSON = {}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = merge_patch(old, value)
            if inner:
                patch[name] = inner
        elif name not in before or old != value:
            patch[name] = value
    for name in before:
        if name not in after:
            patch[name] = None
    return patch


def matters(before: JSON, after: JSON) -> bool:
    """Whether somebody may be waiting for this change: a verdict, a phase or the generation moved, not just a number.

    >>> ready = {"type": "Ready", "status": "True", "message": "3 of 3"}
    >>> matters({"replicas": 1, "conditions": [ready]}, {"replicas": 2, "conditions": [ready | {"message": "2 of 3"}]})
    False
    >>> matters({"conditions": [ready]}, {"conditions": [ready | {"status": "False"}]})
    True
    """
    return _verdicts(before) != _verdicts(after)


def _verdicts(status: JSON) -> tuple[Any, ...]:
    conditions = [
        {name: value for name, value in condition.items() if name not in _DETAILS}
        for condition in status.get("conditions") or ()
    ]
    return conditions, status.get("observedGeneration"), status.get("phase"), status.get("activeRevision")


class StatusWriter:
    """Statuses of parents and of their children, at most one write per object and interval while only numbers move."""

    def __init__(self, client: Client, requests: Requests, own_writes: OwnWrites, interval: float) -> None:
        self._client = client
        self._requests = requests
        self._own_writes = own_writes
        self._interval = interval
        self._written: dict[tuple[Key, str, str], float] = {}  # loop time
        self._sent: dict[tuple[Key, str, str], JSON] = {}  # children only: their records need not hold the status

    async def parent(
        self, key: Key, resource: Resource, record: Any, before: JSON, after: JSON, urgent: bool
    ) -> float | None:
        """Bring the parent's status from what the record holds to `after`. Seconds to come back in when the write must
        wait for the interval, None when all is said. Conflict when the record is not the newest."""
        patch = merge_patch(before, after)
        if not patch:
            return None
        slot = (key, resource.kind, record.name)
        wait = 0.0 if urgent or matters(before, after) else self._wait(slot)
        if wait > 0:
            return wait
        # The patch was made against this very record, so it is only good for it.
        meta = {"uid": record.uid, "resourceVersion": str(record.rv)}
        await self._write(slot, resource, {"metadata": meta, "status": patch})
        return None

    async def child(self, key: Key, kind: str, name: str, after: JSON) -> float | None:
        """The plan found that the child's status differs. As `parent`, with what was last sent in place of a record."""
        slot = (key, kind, name)
        before = self._sent.get(slot)
        wait = self._wait(slot) if before is not None and not matters(before, after) else 0.0
        if wait > 0:
            return wait
        gone = {field: None for field in before or () if field not in after}
        await self._write(slot, BY_KIND[kind], {"status": {**after, **gone}})
        self._sent[slot] = after
        return None

    def forget(self, key: Key) -> None:
        for slot in [slot for slot in self._written if slot[0] == key]:
            del self._written[slot]
            self._sent.pop(slot, None)

    def _wait(self, slot: tuple[Key, str, str]) -> float:
        last = self._written.get(slot)
        return 0.0 if last is None else last + self._interval - asyncio.get_running_loop().time()

    async def _write(self, slot: tuple[Key, str, str], resource: Resource, body: JSON) -> None:
        key, kind, name = slot
        data = msgspec.json.encode(body)
        try:
            answer = await self._requests.send(
                self._requests.lanes.others,
                "patch",
                f"{kind}/status",
                lambda: self._client.patch(
                    resource, key.namespace, name, data, type="merge", subresource="status", manager=MANAGER_STATUS
                ),
            )
        except NotFound:
            return  # gone meanwhile: its watch will say so
        self._written[slot] = asyncio.get_running_loop().time()
        self._own_writes.note(key, kind, int(_envelope.decode(answer).metadata.resource_version or 0))
