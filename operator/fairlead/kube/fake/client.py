"""`FakeClient`: the Client protocol over a `FakeCluster`, with planned trouble on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from fairlead.core.meta import JSON
from fairlead.kube.client import Lines, PatchType
from fairlead.kube.errors import Invalid, NotFound, Unavailable, Unreachable
from fairlead.kube.fake import kinds, scale
from fairlead.kube.fake.cluster import FakeCluster
from fairlead.kube.fake.eviction import bind, evict
from fairlead.kube.fake.faults import Crash, Faults, Write
from fairlead.kube.fake.records import Origin, Stored, decode, encode
from fairlead.kube.fake.selectors import both
from fairlead.kube.fake.watch import Stream
from fairlead.kube.resources import Resource


class FakeClient:
    """One identity's connection.

    latency: seconds from a request to its effect, and again to its answer.
    lag:     seconds from a commit to its arrival on this client's watches.
    pace:    what becomes of these seconds each time; for the simulation, where no two requests take equally long.
    faults:  asked around every write.
    `crashed` is set when a fault ended the process: whoever runs the operator stops it then. From that moment on
    every call raises `Crash`, so that a dying operator writes nothing more.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        identity: str = "operator",
        *,
        faults: Faults | None = None,
        latency: float = 0.002,
        lag: float = 0.002,
        pace: Callable[[float], float] = lambda seconds: seconds,
    ):
        self.cluster = cluster
        self.identity = identity
        self.faults = faults or Faults()
        self.latency = latency
        self.lag = lag
        self.pace = pace
        self.lags: dict[str, float] = {}  # by kind, where another than `lag`
        self.writes: list[Write] = []  # the counted ones, committed or refused
        self.streams: list[Stream] = []
        self.crashed: asyncio.Event = asyncio.Event()
        self.cut = False  # the network is gone: no request arrives, streams are silent
        self._horizon: int | None = None

    # ------------------------------------------------------------ trouble, switched from outside

    def freeze(self, rv: int | None = None) -> None:
        """From now on this client is connected to an API server that lags: its watches, and lists from the cache
        (resource_version "0"), stay at `rv` (None: the present). Consistent reads and writes are not affected."""
        self._horizon = self.cluster.rv if rv is None else rv

    def thaw(self) -> None:
        self._horizon = None
        for stream in self.streams:
            stream.wake()

    def close_watches(self, kind: str = "") -> None:
        """End this client's streams, as an API server does that restarts."""
        for stream in [stream for stream in self.streams if not kind or stream.resource.kind == kind]:
            stream.close()

    def hold_watches(self, kind: str = "") -> None:
        """Streams stay open and deliver nothing, as behind a dead connection."""
        for stream in self.streams:
            if not kind or stream.resource.kind == kind:
                stream.hold()

    def release_watches(self) -> None:
        for stream in self.streams:
            stream.release()

    def drop_events(self, kind: str, count: int) -> None:
        """The next events of this client's watches of a kind are lost, and nobody says so."""
        for stream in self.streams:
            if stream.resource.kind == kind:
                stream.skip += count

    def lose_watches(self, kind: str = "") -> None:
        """Streams end and history is gone: what happened before the next list is never told."""
        self.close_watches(kind)
        self.cluster.compact()

    def kill(self) -> None:
        """The process behind this client ends now."""
        self.crashed.set()
        self.close_watches()

    # ------------------------------------------------------------ reading

    async def get(self, resource: Resource, namespace: str | None, name: str, *, subresource: str = "") -> bytes:
        await self._travel()
        self.faults.read("get", resource)
        stored = self.cluster.get(resource, namespace, name)
        if subresource == "scale":
            return encode(scale.of(resource, stored.object))
        await self._travel()
        return stored.data

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> bytes:
        await self._travel()
        self.faults.read("list", resource)
        cached = resource_version == "0" and not continue_token
        if resource_version and not cached and int(resource_version) > self.cluster.rv:
            raise Unavailable(504, "Timeout", "Too large resource version", retry_after=1.0)
        page = self.cluster.page(
            resource,
            namespace,
            both(resource.kind, label_selector, field_selector),
            limit=0 if cached else limit,
            token=continue_token,
            at=self._horizon if cached else None,
        )
        await self._travel()
        return _list_body(resource, page.items, page.rv, page.token, _partial if metadata_only else _item(resource))

    async def fetch(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        await self._travel()
        answer = self.cluster.fetched(path, query or {})
        await self._travel()
        return answer

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 290,
        metadata_only: bool = False,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Lines]:
        await self._travel()
        self.faults.read("watch", resource)
        self.cluster.table(resource)
        match = both(resource.kind, label_selector, field_selector)
        body: Callable[[Stored], bytes] = _partial if metadata_only else _whole
        since, first = self._start(resource, namespace, resource_version, label_selector, field_selector, body)
        stream = Stream(
            self.cluster,
            resource,
            namespace,
            match,
            since=since,
            timeout=timeout_seconds,
            lag=lambda: self.pace(self.lags.get(resource.kind, self.lag)),
            body=body,
            horizon=lambda: self._horizon,
        )
        self.streams.append(stream)
        try:
            opened()
            if first:
                yield first
            while (lines := await stream.next()) is not None:
                if self.cut:
                    await asyncio.get_running_loop().create_future()
                yield lines
        finally:
            stream.close()
            self.streams.remove(stream)

    def _start(
        self,
        resource: Resource,
        namespace: str | None,
        rv: str,
        labels: str,
        fields: str,
        body: Callable[[Stored], bytes],
    ) -> tuple[int, Lines]:
        """Where a watch starts; without a resourceVersion it first tells all there is."""
        if rv not in ("", "0"):
            return int(rv), []
        found = self.cluster.all(resource, namespace, labels=labels, field_selector=fields)
        return self.cluster.rv, [b'{"type":"ADDED","object":%s}' % body(stored) for stored in found]

    # ------------------------------------------------------------ writing

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: bytes,
        *,
        subresource: str = "",
        name: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> bytes:
        obj = _parse(body)
        origin = Origin("create", self.identity, manager, subresource, dry_run)
        name = name or str((obj.get("metadata") or {}).get("name") or "")

        def work() -> bytes:
            if subresource == "eviction":
                return encode(evict(self.cluster, resource, namespace or "", name, obj, origin))
            if subresource == "binding":
                return encode(bind(self.cluster, resource, namespace or "", name, obj, origin))
            if subresource:
                raise NotFound(404, "NotFound", f"the fake has no {resource.plural}/{subresource}")
            return self.cluster.create(resource, namespace, obj, origin).data

        return await self._write(origin, resource, namespace, name, work)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        type: PatchType,
        subresource: str = "",
        manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> bytes:
        parsed = _parse(body)
        origin = Origin("apply" if type == "apply" else "patch", self.identity, manager, subresource, dry_run)

        def work() -> bytes:
            if subresource not in kinds.PATCHED:
                raise NotFound(404, "", "404 page not found")
            if subresource == "scale":
                return encode(scale.patch(self.cluster, resource, namespace, name, parsed, type, origin))
            if type == "apply":
                return self.cluster.apply(resource, namespace, name, parsed, origin, force=force).data
            return self.cluster.patch(resource, namespace, name, parsed, type, origin).data

        return await self._write(origin, resource, namespace, name, work)

    async def replace(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> bytes:
        obj = _parse(body)
        origin = Origin("update", self.identity, manager, subresource, dry_run)

        def work() -> bytes:
            if subresource == "scale":
                return encode(scale.replace(self.cluster, resource, namespace, name, obj, origin))
            return self.cluster.replace(resource, namespace, name, obj, origin).data

        return await self._write(origin, resource, namespace, name, work)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> bytes:
        origin = Origin("delete", self.identity, "", "", dry_run)

        def work() -> bytes:
            gone = self.cluster.delete(
                resource,
                namespace,
                name,
                uid=uid,
                resource_version=resource_version,
                grace_period_seconds=grace_period_seconds,
                propagation=propagation,
                origin=origin,
            )
            return gone.data

        return await self._write(origin, resource, namespace, name, work, uid=uid)

    async def close(self) -> None:
        self.close_watches()

    # ------------------------------------------------------------ the way there and back

    async def _travel(self) -> None:
        """One leg of the way; it always lets others run."""
        self._alive()
        await asyncio.sleep(self.pace(self.latency))
        if self.cut:
            await asyncio.sleep(30)
            raise Unreachable(0, "Timeout", "no answer within 30 s")
        self._alive()

    def _alive(self) -> None:
        if self.crashed.is_set():
            raise Crash(f"{self.identity} is dead")

    async def _write(
        self,
        origin: Origin,
        resource: Resource,
        namespace: str | None,
        name: str,
        work: Callable[[], bytes],
        *,
        uid: str = "",
    ) -> bytes:
        await self._travel()
        write = Write(len(self.writes) + 1, origin.verb, resource, namespace or "", name, origin.subresource, uid)
        counted = not origin.dry_run and self.faults.counts(write)
        if counted:
            self.writes.append(write)
        try:
            if counted:
                self.faults.before(write)
            answer = work()
            if counted:
                self.faults.after(write)
        except Crash:
            self.kill()
            raise
        await self._travel()
        return answer


def _parse(body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.DecodeError as error:
        raise Invalid(400, "BadRequest", f"the body is no JSON: {error}") from None


def _whole(stored: Stored) -> bytes:
    return stored.data


def _item(resource: Resource) -> Callable[[Stored], bytes]:
    """Items of a list carry no kind and apiVersion, except for custom resources."""
    if resource.kind in kinds.CUSTOM:
        return _whole
    prefix = len(encode({"kind": resource.kind, "apiVersion": resource.api_version}))
    return lambda stored: b"{" + stored.data[prefix:]


def _partial(stored: Stored) -> bytes:
    return encode({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": stored.meta})


def _list_body(resource: Resource, items: list[Stored], rv: int, token: str, body: Callable[[Stored], bytes]) -> bytes:
    meta: JSON = {"resourceVersion": str(rv)}
    if token:
        meta["continue"] = token
    kind, version = (
        (f"{resource.kind}List", resource.api_version)
        if body is not _partial
        else ("PartialObjectMetadataList", "meta.k8s.io/v1")
    )
    head = encode({"kind": kind, "apiVersion": version, "metadata": meta})
    return head[:-1] + b',"items":[' + b",".join(map(body, items)) + b"]}"
