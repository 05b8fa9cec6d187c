"""What an API server holds of some kinds, kept up to date by watches: a test waits for a condition, and is told of
every change in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec

from fairlead.kube.client import Client
from fairlead.kube.errors import Gone
from fairlead.kube.resources import Resource

JSON = dict[str, Any]
T = TypeVar("T")
Listener = Callable[[str, JSON], None]  # ADDED, MODIFIED or DELETED, and the object


class Mirror:
    """`async with Mirror(client, PODS, APPS) as mirror`: filled when entered. Without a namespace, of all."""

    def __init__(self, client: Client, *resources: Resource, namespace: str | None = None) -> None:
        self.resources = resources
        self._client = client
        self._namespace = namespace
        self._objects: dict[Resource, dict[tuple[str, str], JSON]] = {resource: {} for resource in resources}
        self._listeners: dict[tuple[Resource, str], list[Listener]] = defaultdict(list)
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Mirror:
        filled: list[Awaitable[bool]] = []
        for resource in self.resources:
            full = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._follow(resource, full)))
            filled.append(full.wait())
        await asyncio.wait_for(asyncio.gather(*filled), 90)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def all(self, resource: Resource, namespace: str) -> list[JSON]:
        """Objects of a namespace, by name."""
        found = self._objects[resource]
        return [found[key] for key in sorted(found) if key[0] == namespace]

    def find(self, resource: Resource, namespace: str, name: str) -> JSON | None:
        return self._objects[resource].get((namespace, name))

    def told_of(self, resource: Resource, written: JSON) -> bool:
        """Whether it has been heard of a state that was written, or of a later one."""
        found = self._objects[resource].get(_key(written))
        return found is not None and _version(found) >= _version(written)

    def listen(self, resource: Resource, namespace: str, listener: Listener) -> None:
        """Call it with every change there from now on, in order."""
        self._listeners[resource, namespace].append(listener)

    async def until(self, namespace: str, holds: Callable[[], T], seconds: float, told: Callable[[], str]) -> T:
        """What `holds` gives, as soon as that is true. AssertionError with what `told` says where it takes longer."""
        changed = asyncio.Event()
        self._waiters[namespace].add(changed)
        try:
            async with asyncio.timeout(seconds):
                while not (found := holds()):
                    self._check()
                    await changed.wait()
                    changed.clear()
                return found
        except TimeoutError:
            raise AssertionError(f"not within {seconds:.0f} s: {told()}") from None
        finally:
            self._waiters[namespace].discard(changed)

    async def change(self, namespace: str, seconds: float) -> bool:
        """Whether anything changed there within so many seconds."""
        changed = asyncio.Event()
        self._waiters[namespace].add(changed)
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
                return True
        except TimeoutError:
            return False
        finally:
            self._waiters[namespace].discard(changed)

    def _check(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _follow(self, resource: Resource, full: asyncio.Event) -> None:
        while True:
            listed = msgspec.json.decode(await self._client.list(resource, self._namespace, limit=0))
            self._replace(resource, listed.get("items") or ())
            full.set()
            try:
                await self._watch(resource, listed["metadata"]["resourceVersion"])
            except Gone:
                continue

    async def _watch(self, resource: Resource, version: str) -> None:
        stream = self._client.watch(resource, self._namespace, resource_version=version, timeout_seconds=3600)
        async for lines in stream:
            for line in lines:
                event = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] != "BOOKMARK":
                    self._put(resource, event["type"], event["object"])

    def _replace(self, resource: Resource, objects: Iterable[JSON]) -> None:
        """A fresh list: what vanished in between is told as deleted."""
        listed = {_key(one): one for one in objects}
        for key, gone in list(self._objects[resource].items()):
            if key not in listed:
                self._put(resource, "DELETED", gone)
        for key, one in listed.items():
            known = key in self._objects[resource]
            self._put(resource, "MODIFIED" if known else "ADDED", one)

    def _put(self, resource: Resource, type: str, found: JSON) -> None:
        key = _key(found)
        if type == "DELETED":
            self._objects[resource].pop(key, None)
        else:
            self._objects[resource][key] = found
        for listener in self._listeners[resource, key[0]]:
            listener(type, found)
        for changed in self._waiters[key[0]]:
            changed.set()


def _key(found: JSON) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _version(found: JSON) -> int:
    return int(found["metadata"]["resourceVersion"])
