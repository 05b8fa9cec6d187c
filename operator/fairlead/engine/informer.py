"""Keeps one kind's table true: chunked list, then a watch for ever (engine rule 2).

What kopf's and other clients' streams get wrong is the point of this file: an object that vanished while the stream was
down is found missing by the relist and told as deleted; a stream that is dead without saying so is noticed by its
missing bookmarks; nothing the API server answers ends the loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from fairlead.engine.controller import Source
from fairlead.engine.queue import backoff
from fairlead.engine.settings import EngineSettings
from fairlead.engine.store import FOREVER, Slot, Table
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import ApiError, Forbidden, Gone, NotFound
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)

# Watches that end without a single line, in a row, before the resourceVersion they start from is doubted.
DOUBTFUL_STREAMS = 3


class _ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "token": "continue"}):
    resource_version: str = ""
    token: str = ""


class _Page(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw = msgspec.Raw(b"{}")


class _Status(msgspec.Struct):
    code: int = 0
    reason: str = ""
    message: str = ""


_HEADS = {b'{"type":"%b"' % type.encode(): type for type in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")}
_page = msgspec.json.Decoder(_Page)
_line = msgspec.json.Decoder(_Line)
_envelope = msgspec.json.Decoder(Envelope)
_status = msgspec.json.Decoder(_Status)


class StreamError(Exception):
    """The API server ended the watch with an ERROR line."""

    def __init__(self, status: _Status) -> None:
        super().__init__(f"{status.code} {status.reason}: {status.message}")
        self.expired = status.code == 410


class Observer(Protocol):
    """Hears of every object of a kind in full, where records are not enough (our own kinds: `engine.intake`).

    `type` is ADDED, MODIFIED or DELETED as the watch said it, None for an object that a list showed.
    """

    def __call__(self, type: str | None, body: bytes) -> None: ...


class Hooks(msgspec.Struct, frozen=True):
    """What the engine wants to hear of one informer."""

    observe: Observer | None = None
    batch: Callable[[], None] = lambda: None  # after each batch of lines: the high-water mark may have moved
    listed: Callable[[float], None] = lambda began: None  # after each complete list
    restored: Callable[[], None] = lambda: None  # after a list whose resourceVersion went back


class Informer:
    """One kind, in one namespace or in all of them ("")."""

    def __init__(
        self,
        client: Client,
        source: Source,
        namespace: str,
        table: Table,
        hooks: Hooks,
        *,
        settings: EngineSettings,
        rng: random.Random,
        metrics: Metrics,
    ) -> None:
        self.source = source
        self.namespace = namespace
        self.table = table
        self.problem = ""  # why it cannot list or watch right now, "" when it can
        self.last_line = 0.0  # loop time of the last line
        self._client = client
        self._hooks = hooks
        self._settings = settings
        self._rng = rng
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failures = 0
        self._doubts = 0
        self._asked_to_wait = 0.0  # seconds, by the last 429 or 503
        self._kind = source.table
        self._metrics = metrics
        self._events = metrics.watch_events.labels(self._kind)
        metrics.watch_age.labels(self._kind, namespace).set_function(self.age)
        table.open_scope(namespace)

    @property
    def synced(self) -> bool:
        return self.table.synced

    def age(self) -> float:
        """Seconds since anything was heard of this kind; grows past a minute when the watch is in trouble."""
        return self._loop.time() - self.last_line if self._loop is not None and self.last_line else 0.0

    async def run(self) -> None:
        """List and watch until cancelled."""
        self._loop = asyncio.get_running_loop()
        relist = True
        while True:
            try:
                if relist:
                    await self._relist()
                    relist = False
                relist = await self._watch()
            except ApiError as error:
                if self.source.optional and isinstance(error, NotFound | Forbidden):
                    relist = self._missing(error)
                    await asyncio.sleep(self._settings.missing_recheck * (0.8 + 0.4 * self._rng.random()))
                else:
                    relist = self._refused(error) or relist
            if self._failures:
                pause = backoff(self._failures, *self._settings.stream_backoff, self._rng)
                await asyncio.sleep(max(pause, self._asked_to_wait))
                self._asked_to_wait = 0.0

    # ------------------------------------------------------------ list

    async def _relist(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen: set[Slot] = set()
        token, rv, restored, page_of = "", 0, False, self._settings.page_size
        take: Callable[[Any], None] = self.table.put
        while True:
            body = await self._client.list(
                self.source.resource,
                self.namespace or None,
                label_selector=self.source.label_selector,
                limit=page_of,
                continue_token=token,
                metadata_only=self.source.metadata_only,
            )
            page = _page.decode(body)
            if not token:
                rv = int(page.metadata.resource_version or 0)
                restored = rv < self.table.reached(self.namespace)
                if restored:
                    self._restored(rv)
                    take = self.table.overwrite
            for raw in page.items or ():
                self._listed(bytes(raw), seen, take)
            token = page.metadata.token
            self.last_line = loop.time()
            if not token:
                break
        for record in self.table.absent(self.namespace, seen, FOREVER if restored else rv):
            self._vanished(record, rv)
        self.table.advance(self.namespace, rv)
        self.table.mark_synced(self.namespace)
        if restored:
            self._hooks.restored()
        self.problem, self._failures, self._doubts = "", 0, 0
        self.table.missing = ""
        self._metrics.relists.labels(self._kind).inc()
        self._hooks.listed(began)
        self._hooks.batch()

    def _missing(self, error: ApiError) -> bool:
        """The kind is not installed here, is not any more, or nobody lets us see it: there are no objects of it, and
        nothing waits for its watch. Always True: it takes a list to know better."""
        why = f"{error.reason or error.code}: {error.message}"
        if why != self.table.missing:
            log.info("%s: %s; looked for again from time to time", self.source.resource.plural, why)
        self.table.missing = why
        for record in self.table.absent(self.namespace, set(), FOREVER):
            self.table.forget(record.namespace, record.name, record.uid)
        self.table.mark_synced(self.namespace)
        # No line is due: a watch that nobody can open is not one that has fallen silent.
        self.problem, self._failures, self._doubts, self.last_line = "", 0, 0, 0.0
        self._hooks.listed(asyncio.get_running_loop().time())
        return True

    def _listed(self, body: bytes, seen: set[Slot], take: Callable[[Any], None]) -> None:
        try:
            record = self.source.project(body)
        except Exception:
            seen.add(self._unreadable(body))
            return
        if record is None:
            return  # not in `seen`: if it was ours before, it is dropped with those that vanished
        seen.add((record.namespace, record.name))
        known = self.table.get(record.namespace, record.name)
        take(record)
        if self._hooks.observe is not None and (known is None or known.rv != record.rv):
            self._hooks.observe(None, body)

    def _vanished(self, record: Any, rv: int) -> None:
        """Deleted while nobody watched: the tombstone that no stream will send. What is newer than the list was made in
        a future that a restore took back, or read live since: the watch tells of the latter again, so it is not buried."""
        if record.rv > rv:
            self.table.forget(record.namespace, record.name, record.uid)
        else:
            self.table.remove(record.namespace, record.name, record.uid, rv)
        if self._hooks.observe is not None:
            meta = {
                "namespace": record.namespace,
                "name": record.name,
                "uid": record.uid,
                "resourceVersion": str(record.rv),
            }
            self._hooks.observe("DELETED", msgspec.json.encode({"metadata": meta}))

    def _restored(self, rv: int) -> None:
        log.warning(
            "%s: the list's resourceVersion %d is older than %d, which was seen before: etcd was restored from a backup; "
            "what the list says counts",
            self.source.resource.plural,
            rv,
            self.table.reached(self.namespace),
        )
        self._metrics.regressions.labels(self._kind).inc()
        self.table.rewind(self.namespace, rv)

    # ------------------------------------------------------------ watch

    async def _watch(self) -> bool:
        """One stream, to its end. Whether a relist is needed."""
        loop = asyncio.get_running_loop()
        opened = loop.time()
        stream = self._client.watch(
            self.source.resource,
            self.namespace or None,
            resource_version=str(self.table.reached(self.namespace)),
            label_selector=self.source.label_selector,
            timeout_seconds=int(self._settings.watch_timeout * (0.8 + 0.4 * self._rng.random())),
            metadata_only=self.source.metadata_only,
            opened=self._opened,
        )
        heard, cause = False, "eof"
        try:
            async with asyncio.timeout(self._settings.silence_limit) as watchdog:
                async for lines in stream:
                    now = self.last_line = loop.time()
                    watchdog.reschedule(now + self._settings.silence_limit)
                    self.problem, self._failures, heard = "", 0, True
                    self._take(lines)
        except TimeoutError:
            cause = "silent"
        except StreamError as error:
            cause = "gone" if error.expired else "error"
            log.log(
                logging.INFO if error.expired else logging.WARNING,
                "%s: watch ended: %s",
                self.source.resource.plural,
                error,
            )
        finally:
            await _close(stream)
        self._metrics.watch_restarts.labels(self._kind, cause).inc()
        self._doubts = 0 if heard else self._doubts + 1
        if cause == "error" or (not heard and loop.time() - opened < 1.0):
            self._failures += 1  # not a stream that has served its time
        return cause in ("gone", "error") or self._doubts >= DOUBTFUL_STREAMS

    def _opened(self) -> None:
        """The server has taken the watch. Whether it lives, only its lines tell: failures and doubts stay counted."""
        self.problem = ""

    def _take(self, lines: list[bytes]) -> None:
        table, project, scope = self.table, self.source.project, self.namespace
        for data in lines:
            type, body = split(data)
            if type == "BOOKMARK":
                table.advance(scope, int(_envelope.decode(body).metadata.resource_version or 0))
                continue
            if type == "ERROR":
                raise StreamError(_status.decode(body))
            try:
                record = project(body)
            except Exception:
                self._unreadable(body)
                continue
            if record is None:
                self._dismiss(type, body)
                continue
            if type == "DELETED":
                table.remove(record.namespace, record.name, record.uid, record.rv)
            else:
                table.put(record)
            table.advance(scope, record.rv)
            if self._hooks.observe is not None:
                self._hooks.observe(type, body)
        self._events.inc(len(lines))
        self._hooks.batch()

    def _dismiss(self, type: str, body: bytes) -> None:
        """Not, or no longer, any of our business."""
        meta = _envelope.decode(body).metadata
        rv = int(meta.resource_version or 0)
        if type == "DELETED":
            self.table.remove(meta.namespace, meta.name, meta.uid, rv)
        else:
            self.table.forget(meta.namespace, meta.name, meta.uid)
        self.table.advance(self.namespace, rv)

    def _unreadable(self, body: bytes) -> Slot:
        """A projection failed: a bug of ours, or an object no schema has checked. One object must not stop its kind,
        so what was known of it stays as it was."""
        meta = _envelope.decode(body).metadata
        log.exception("cannot read %s %s/%s", self._kind, meta.namespace, meta.name)
        self._metrics.unreadable.labels(self._kind).inc()
        self.table.advance(self.namespace, int(meta.resource_version or 0))
        return meta.namespace, meta.name

    def _refused(self, error: ApiError) -> bool:
        """Note why; whether only a relist can help."""
        self._failures += 1
        self._asked_to_wait = error.retry_after or 0.0
        problem = f"{error.reason or error.code}: {error.message}"
        if problem != self.problem:
            level = logging.INFO if isinstance(error, Gone) else logging.WARNING
            log.log(level, "cannot list or watch %s: %s", self.source.resource.plural, problem)
        self.problem = problem
        self._metrics.watch_restarts.labels(self._kind, "gone" if isinstance(error, Gone) else "refused").inc()
        self._doubts += 1
        return isinstance(error, Gone) or self._doubts >= DOUBTFUL_STREAMS


def split(line: bytes) -> tuple[str, bytes]:
    """The type and the object of a watch event. The API server writes them in this order and with these bytes, and then
    nothing but the object's end is looked for: a decoder would read all of a pod to find it (4 of 25 µs an event).

    >>> split(b'{"type":"ADDED","object":{"kind":"Pod"}}')
    ('ADDED', b'{"kind":"Pod"}')
    >>> split(b'{ "object": {"kind":"Pod"}, "type": "ADDED" }')
    ('ADDED', b'{"kind":"Pod"}')
    """
    head, _, rest = line.partition(b',"object":')
    type = _HEADS.get(head)
    if type is not None and rest.endswith(b"}}"):
        return type, rest[:-1]
    event = _line.decode(line)
    return event.type, bytes(event.object)


async def _close(stream: AsyncIterator[list[bytes]]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        with suppress(ApiError, RuntimeError):
            await close()
