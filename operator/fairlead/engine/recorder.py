"""Kubernetes Events for people: aggregated, within a budget, and never in the way of the work."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from fairlead.core.actions import Event
from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON, stable_hash, truncate
from fairlead.engine.settings import EngineSettings
from fairlead.kube.client import Client
from fairlead.kube.errors import ApiError, NotFound
from fairlead.kube.resources import EVENTS, Resource
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)

COMPONENT = "fairlead"
MESSAGE_LIMIT = 1024  # the API server's own limit for a core/v1 Event's message
_REMEMBERED = 4096  # (object, reason, message) kept for aggregation
_SAME_EVENT = 600.0  # seconds in which a repetition raises the count instead of making a new Event
_OBJECT_REFILL = 0.1  # Events per second an object gets back
_FLUSH = 1.0  # seconds a repetition may wait, so that many become one write


@dataclass(slots=True)
class _Bucket:
    """A token bucket on the loop's clock."""

    size: float
    rate: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.size, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Series:
    """One Event object and what is not written of it yet."""

    name: str
    namespace: str
    body: JSON
    since: float  # loop time
    count: int = 1
    written: int = 0  # the count that stands in the API


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an Event is about."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    rv: int = 0


@dataclass
class Recorder:
    """`record` only files; `run` writes."""

    client: Client
    settings: EngineSettings
    clock: Callable[[], float]
    identity: str
    metrics: Metrics
    may_write: Callable[[], bool]
    _series: OrderedDict[tuple[str, str, str], _Series] = field(default_factory=OrderedDict)
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    _pending: dict[tuple[str, str, str], None] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _serial: int = 0

    def record(self, subject: Subject, event: Event) -> None:
        now = asyncio.get_running_loop().time()
        message = event.message if len(event.message) <= MESSAGE_LIMIT else event.message[: MESSAGE_LIMIT - 1] + "…"
        slot = (subject.uid, event.reason, message)
        known = self._series.get(slot)
        if known is not None and now - known.since < _SAME_EVENT:
            known.count += 1
            known.body["lastTimestamp"] = timestamp(self.clock())
            self._series.move_to_end(slot)
            self._count("aggregated")
        elif self._bucket(subject.uid, now).take(now):
            self._series[slot] = self._begin(subject, event, message, now)
            self._series.move_to_end(slot)
        else:
            self._count("dropped")
            return
        while len(self._series) > _REMEMBERED:
            oldest, _ = self._series.popitem(last=False)
            self._pending.pop(oldest, None)
        self._pending[slot] = None
        self._wake.set()

    async def run(self) -> None:
        """Write what is pending, until cancelled."""
        loop = asyncio.get_running_loop()
        rate = self.settings.event_rate
        budget = _Bucket(rate * 10, rate, rate * 10, loop.time())
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                slot = next(iter(self._pending))
                del self._pending[slot]
                series = self._series.get(slot)
                if series is None or not self.may_write():
                    continue
                if budget.take(loop.time()):
                    await self._write(series)
                else:
                    self._count("dropped")
            await asyncio.sleep(_FLUSH)

    async def flush(self) -> None:
        """Write what is pending now, for a clean end."""
        pending, self._pending = list(self._pending), {}
        for slot in pending:
            if self.may_write() and (series := self._series.get(slot)) is not None:
                await self._write(series)

    def _bucket(self, uid: str, now: float) -> _Bucket:
        bucket = self._buckets.get(uid)
        if bucket is None:
            size = float(self.settings.event_burst_per_object)
            bucket = self._buckets[uid] = _Bucket(size, _OBJECT_REFILL, size, now)
        self._buckets.move_to_end(uid)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket

    def _begin(self, subject: Subject, event: Event, message: str, now: float) -> _Series:
        at = timestamp(self.clock())
        self._serial += 1
        mark = stable_hash(f"{self.identity}/{self._serial}/{subject.uid}/{at}/{event.reason}/{message}".encode(), 16)
        name = f"{truncate(subject.name, 200)}.{mark}"
        namespace = subject.namespace or "default"
        body: JSON = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": subject.resource.api_version,
                "kind": subject.resource.kind,
                "namespace": subject.namespace,
                "name": subject.name,
                "uid": subject.uid,
                "resourceVersion": str(subject.rv) if subject.rv else "",
            },
            "type": event.type,
            "reason": event.reason,
            "message": message,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self.identity,
            "firstTimestamp": at,
            "lastTimestamp": at,
        }
        return _Series(name, namespace, body, now)

    async def _write(self, series: _Series) -> None:
        count = series.count
        try:
            if series.written == 0:
                await self.client.create(EVENTS, series.namespace, msgspec.json.encode({**series.body, "count": count}))
            elif count > series.written:
                await self._repeat(series, count)
            series.written = count
            self._count("written")
        except ApiError as error:
            self._count("failed")
            log.debug("event not written: %s", error)

    async def _repeat(self, series: _Series, count: int) -> None:
        patch = {"count": count, "lastTimestamp": series.body["lastTimestamp"]}
        try:
            await self.client.patch(EVENTS, series.namespace, series.name, msgspec.json.encode(patch), type="merge")
        except NotFound:  # Events live an hour
            await self.client.create(EVENTS, series.namespace, msgspec.json.encode({**series.body, "count": count}))

    def _count(self, result: str) -> None:
        self.metrics.events.labels(result).inc()
