"""Live reads: before a step that cannot be taken back (engine rule 6), and of what is watched by its metadata alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from fairlead.core.actions import Read, merge_requeue
from fairlead.core.meta import Key
from fairlead.engine.controller import Controller
from fairlead.engine.store import Slot, Store, Table
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import Conflict, NotFound
from fairlead.kube.resources import BY_KIND, PODS

_envelope = msgspec.json.Decoder(Envelope)
_DOUBTS_AT_ONCE = 8  # single reads of pods a list did not show


class _ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "token": "continue"}):
    resource_version: str = ""
    token: str = ""


class _Page(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


_page = msgspec.json.Decoder(_Page)


class LiveReads:
    """Asks the API server itself, and lets the store know what it said."""

    def __init__(self, client: Client, controller: Controller, store: Store, page_size: int) -> None:
        self._client = client
        self._controller = controller
        self._store = store
        self._tables = store.tables
        self._contents = store.contents
        self._page_size = page_size

    async def read(self, reads: Sequence[Read]) -> float | None:
        """Read in full what plans asked for and what has been left alone long enough; seconds until the next of the rest
        will have been."""
        now = asyncio.get_running_loop().time()
        waits = [(read, self._contents.wait(read, now)) for read in reads]
        await asyncio.gather(*(self._read(read) for read, wait in waits if not wait))
        return merge_requeue(*(wait for _, wait in waits if wait))

    async def _read(self, read: Read) -> None:
        project = self._tables[read.kind].source.content
        if project is None:
            raise ValueError(f"nothing says what is kept of a {read.kind} that is read in full")
        try:
            body = await self._client.get(BY_KIND[read.kind], read.namespace, read.name)
        except NotFound:
            self._contents.keep(read, read.rv, None, 0)
            return
        rv = int(_envelope.decode(body).metadata.resource_version)
        self._contents.keep(read, rv, project(body), len(body))

    async def confirm_parent(self, key: Key, record: Any, generation: int) -> None:
        """Conflict unless the parent is still the one that was decided on: same uid, same generation, not going."""
        try:
            body = await self._client.get(self._controller.parent, key.namespace, key.name)
        except NotFound as error:
            raise Conflict(409, "Gone", f"{key} is gone") from error
        meta = _envelope.decode(body).metadata
        if meta.uid != record.uid or meta.generation != generation or meta.deletion_timestamp is not None:
            raise Conflict(409, "Stale", f"{key} has changed since it was last seen")

    async def refresh_parent(self, key: Key) -> None:
        """Bring the store's view of the parent itself up to date: what was decided for it stands in its status. Conflict
        where the store is ahead of the API server: etcd was restored, and the parents have yet to be listed anew."""
        table = self._tables[self._controller.parent.kind]
        known = table.get(key.namespace, key.name)
        try:
            body = await self._client.get(self._controller.parent, key.namespace, key.name)
        except NotFound:
            if known is not None:
                table.remove(key.namespace, key.name, known.uid)
            return
        if known is not None and int(_envelope.decode(body).metadata.resource_version) < known.rv:
            raise Conflict(409, "Restored", f"{key} is older than it was seen before")
        table.learn(body)

    async def refresh_children(self, key: Key, record: Any) -> None:
        """Bring the store's view of the parent's pods up to date by a consistent list. What the list does not show is
        asked for one by one: it may be gone, or only have lost the label. Conflict where the watch is ahead of the list:
        etcd was restored, and pods have yet to be listed anew."""
        pods = self._controller.pods
        if pods is None:
            return
        table = self._tables[PODS.kind]
        seen: set[Slot] = set()
        token = ""
        while True:
            body = await self._client.list(
                PODS, key.namespace, label_selector=pods.selector(record), limit=self._page_size, continue_token=token
            )
            page = _page.decode(body)
            if not token and not table.precedes(key.namespace, int(page.metadata.resource_version or 0)):
                raise Conflict(
                    409, "Restored", f"the pods of {key} are listed as of a time before what was seen of them"
                )
            for raw in page.items or ():
                item = bytes(raw)
                meta = _envelope.decode(item).metadata
                seen.add((meta.namespace, meta.name))
                table.learn(item)
            token = page.metadata.token
            if not token:
                break
        doubtful = [pod for pod in pods.known(self._store, record) if (pod.namespace, pod.name) not in seen]
        gate = asyncio.Semaphore(_DOUBTS_AT_ONCE)
        await asyncio.gather(*(self._ask(pod, table, gate) for pod in doubtful))

    async def _ask(self, pod: Any, table: Table, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                table.learn(await self._client.get(PODS, pod.namespace, pod.name))
            except NotFound:
                table.remove(pod.namespace, pod.name, pod.uid)
