"""Work apart from the reconciles: a plan asks for it, nobody waits for it, and its answer is written to an object's status.

One errand at a time for each slot; its answer is written where the object stands as it did when it was read for that, and
the watch of that status wakes the parent. So what an operator that dies in between has begun is simply begun anew by the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fairlead.core.actions import Errand
from fairlead.core.meta import JSON, MANAGER_STATUS, Key
from fairlead.engine.controller import Messenger
from fairlead.engine.expectations import OwnWrites
from fairlead.engine.queue import Queue
from fairlead.engine.requests import Fenced, Requests
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import ApiError, Conflict, NotFound
from fairlead.kube.resources import BY_KIND
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)

AT_ONCE = 32  # errands of one kind, of all parents: a thousand pods to ask must not hold up what a release waits for
LONGEST = 90.0  # seconds an errand may take; a messenger has limits of its own below it
_PAUSE = 5.0  # seconds after which one that failed is asked for again
_ATTEMPTS = 8  # of writing an answer: others write the same status, about the pods

_REMEMBERED = 4096  # ends of errands: a pass that has not seen one of them began seconds ago

_envelope = msgspec.json.Decoder(Envelope)


class _Object(msgspec.Struct):
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    status: JSON = {}


_object = msgspec.json.Decoder(_Object)


class Errands:
    """The errands of one controller."""

    def __init__(
        self,
        client: Client,
        messenger: Messenger | None,
        requests: Requests,
        own_writes: OwnWrites,
        queue: Queue,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._metrics = metrics
        self._client = client
        self._messenger = messenger
        self._requests = requests
        self._own_writes = own_writes
        self._queue = queue
        self._clock = clock
        self._running: dict[tuple[str, ...], asyncio.Task[None]] = {}
        self.ended = 0  # how many have come to an end so far
        self._ends: dict[tuple[str, ...], int] = {}  # by slot: which one of those was its last
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    def start(self, key: Key, errands: Iterable[Errand], seen: int) -> None:
        """Begin those of which none is under way. `seen`: `ended` when they were decided on. One that came to its end since
        then is not begun again: the decision did not know of its answer, and the next pass does."""
        for errand in errands:
            if self._ends.get(errand.slot, 0) > seen:
                continue
            if self._messenger is not None and errand.slot not in self._running:
                task = asyncio.create_task(self._guarded(key, errand, self._messenger), name=f"errand {errand.slot}")
                self._running[errand.slot] = task

    async def stop(self) -> None:
        """Let go of all: nothing is lost but the time."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, key: Key, errand: Errand, messenger: Messenger) -> None:
        pause: float | None = _PAUSE
        began, result = asyncio.get_running_loop().time(), "failed"
        try:
            async with self._slots[errand.kind], asyncio.timeout(LONGEST):
                answer = await messenger.run(errand.task, self._client)
                if answer is not None and errand.name:
                    await self._deliver(key, errand, messenger, answer)
            pause, result = (None, "nothing") if answer is None else (0.0, "news")
        except Fenced:
            pass  # whoever leads now will ask for it
        except (ApiError, TimeoutError) as error:
            log.warning("%s: %s could not be done: %s", key, " ".join(errand.slot[1:]), error)
        except Exception:
            log.exception("%s: %s failed", key, " ".join(errand.slot[1:]))
        finally:
            # Only now: a pass in between would see neither the errand nor its answer, and begin another.
            self._running.pop(errand.slot, None)
            self._note_end(errand.slot)
            self._metrics.errands.labels(errand.kind, result).inc()
            self._metrics.errand_seconds.labels(errand.kind).observe(asyncio.get_running_loop().time() - began)
        if pause is not None:
            self._queue.add_after(key, pause)

    def _note_end(self, slot: tuple[str, ...]) -> None:
        self.ended += 1
        self._ends.pop(slot, None)
        self._ends[slot] = self.ended  # the latest last
        if len(self._ends) > _REMEMBERED:
            del self._ends[next(iter(self._ends))]

    async def _deliver(self, key: Key, errand: Errand, messenger: Messenger, answer: Any) -> None:
        resource = BY_KIND[errand.kind]
        for _ in range(_ATTEMPTS):
            try:
                raw = await self._client.get(resource, errand.namespace, errand.name)
            except NotFound:
                return
            meta = _envelope.decode(raw).metadata
            patch = messenger.said(errand.task, _object.decode(raw).status, answer, self._clock())
            if patch is None or meta.uid != errand.uid:
                return
            body = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version}, "status": patch}
            try:
                written = await self._write(errand, msgspec.json.encode(body))
            except Conflict:
                continue
            except NotFound:
                return
            self._own_writes.note(key, errand.kind, int(_envelope.decode(written).metadata.resource_version or 0))
            return
        raise TimeoutError("others write the same status all the time")

    async def _write(self, errand: Errand, body: bytes) -> bytes:
        return await self._requests.send(
            self._requests.lanes.others,
            "patch",
            f"{errand.kind}/status",
            lambda: self._client.patch(
                BY_KIND[errand.kind],
                errand.namespace,
                errand.name,
                body,
                type="merge",
                subresource="status",
                manager=MANAGER_STATUS,
            ),
        )
