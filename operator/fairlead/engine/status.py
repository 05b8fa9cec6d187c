"""Writes statuses: last, only when they differ, and not for every pod that a counter moves by."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Any

import msgspec

from fairlead.core.actions import ChildStatus
from fairlead.core.meta import JSON, MANAGER_STATUS, Key
from fairlead.engine.expectations import OwnWrites
from fairlead.engine.queue import RESOLUTION, backoff
from fairlead.engine.requests import Requests
from fairlead.engine.settings import EngineSettings
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import Forbidden, Invalid, NotFound
from fairlead.kube.resources import BY_KIND, Resource

log = logging.getLogger(__name__)

_envelope = msgspec.json.Decoder(Envelope)

Slot = tuple[str, str]  # (kind, name)
_VERDICT = ("observedGeneration", "conditions", "summary")  # fields that say how the spec of a generation fares
_REMEMBERED = 64  # objects per parent: itself and its latest children


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
    """Whether somebody may be waiting for this change: the last word on the newest spec (Ready or Stalled), or that a word
    once given does not hold any more. Work that begins and its stages may wait for a moment: until the generation is
    observed every tool takes an object to be in progress, except where there is no status at all.

    >>> ready, working = ({"type": "Ready", "status": status} for status in ("True", "False"))
    >>> done = {"observedGeneration": 1, "conditions": [ready]}
    >>> matters(done, done | {"replicas": 2}), matters(done, done | {"conditions": [working]}), matters({}, done)
    (False, True, True)
    >>> scaled = {"observedGeneration": 2, "conditions": [working]}
    >>> matters(done, scaled), matters(scaled, scaled | {"conditions": [ready]}), matters(done, done | {"observedGeneration": 2})
    (False, True, True)
    """
    if not before:
        return True
    word = _word(after)
    if before.get("observedGeneration") != after.get("observedGeneration"):
        return "True" in word
    return _word(before) != word


def _word(status: JSON) -> tuple[str, str]:
    said = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    return said.get("Ready", ""), said.get("Stalled", "")


def withheld(before: JSON, after: JSON) -> JSON:
    """The status where something that the spec asks for was not taken yet: all of it but the new word that the spec runs as asked. Until
    that is so the last word stands, and with it the generation that it spoke of; a word that was given already is not taken back for it.

    >>> ready, working = ({"type": "Ready", "status": status} for status in ("True", "False"))
    >>> one, two = {"observedGeneration": 1, "conditions": [ready]}, {"observedGeneration": 2, "conditions": [ready], "replicas": 3}
    >>> withheld(one, two)
    {'replicas': 3, 'observedGeneration': 1, 'conditions': [{'type': 'Ready', 'status': 'True'}]}
    >>> withheld(two, two) == two, withheld(one, two | {"conditions": [working]})["observedGeneration"]
    (True, 2)

    Without any status an App is done to many tools: the first one is told as it is.
    >>> withheld({}, two) == two
    True
    """
    generation = after.get("observedGeneration")
    given = _word(before)[0] == "True" and before.get("observedGeneration") == generation
    if not before or given or _word(after)[0] != "True":
        return after
    rest = {field: value for field, value in after.items() if field not in _VERDICT}
    return rest | {field: before[field] for field in _VERDICT if field in before}


@dataclass(slots=True)
class _Book:
    """What is remembered of one object's status."""

    written: float = float("-inf")  # loop time
    turn: float = float("-inf")  # loop time from which what can wait may be written, in turn with other objects
    sent: JSON | None = None  # children only: their records need not hold the status
    refusals: int = 0
    held: float = float("-inf")  # loop time until which a refused write is not sent again


class Turns:
    """When what can wait may be written, process-wide: so many writes a second, and none later than in `longest` seconds.

    200 Apps that roll at the same time have 1000 pods become ready in a few seconds. Each App's counters written five
    times a second, as a single App's are, would cost the API server more than the pods do.

    >>> turns = Turns(rate=2, longest=1, rng=random.Random(1))
    >>> [turns.next(10.0), turns.next(10.0), turns.next(10.0)], turns.next(20.0)
    ([10.0, 10.5, 11.0], 20.0)

    Where more wait than there are turns, each gets a moment of its own, not much sooner than the last: thousands of Apps that were
    applied together would else be written together, `longest` seconds later.
    >>> [turns.next(20.0), turns.next(20.0)], [round(turns.next(20.0), 2) for _ in range(3)]
    ([20.5, 21.0], [20.57, 20.92, 20.88])
    """

    def __init__(self, rate: float, longest: float, rng: random.Random) -> None:
        self._step = 1 / rate
        self._longest = longest
        self._rng = rng
        self._free = float("-inf")

    def next(self, now: float) -> float:
        turn = max(now, self._free)
        if turn > now + self._longest:
            return now + self._longest * self._rng.uniform(0.5, 1.0)
        self._free = turn + self._step
        return turn


class StatusWriter:
    """Statuses of parents and of their children. What somebody waits for is written at once; all else at most once per
    object and interval, and in turn with other objects."""

    def __init__(
        self, client: Client, requests: Requests, own_writes: OwnWrites, settings: EngineSettings, rng: random.Random
    ) -> None:
        self._client = client
        self._requests = requests
        self._own_writes = own_writes
        self._interval = settings.status_interval
        self._child_interval = settings.child_status_interval
        self._turns = Turns(*settings.status_turns, rng)
        self._child_turns = Turns(*settings.child_status_turns, rng)
        self._pause = settings.refusal_backoff
        self._rng = rng
        self._books: dict[Key, dict[Slot, _Book]] = {}

    async def parent(
        self, key: Key, resource: Resource, record: Any, before: JSON, after: JSON, urgent: bool
    ) -> float | None:
        """Bring the parent's status from what the record holds to `after`. Seconds to come back in when the write must
        wait (for the interval, or after a refusal), None when all is said. Conflict when the record is not the newest."""
        patch = merge_patch(before, after)
        if not patch:
            return None
        slot = (resource.kind, record.name)
        book = self._book(key, slot)
        if (
            wait := self._held(book)
            if urgent or matters(before, after)
            else self._in_turn(book, self._interval, self._turns)
        ):
            return wait
        # The patch was made against this very record, so it is only good for it.
        meta = {"uid": record.uid, "resourceVersion": str(record.rv)}
        return await self._write(key, slot, resource, {"metadata": meta, "status": patch})

    async def child(self, key: Key, child: ChildStatus) -> float | None:
        """The plan found that the child's status differs. As `parent`, with what was last sent in place of a record, and
        seldom in a hurry: what anybody waits for is told by the parent, and a child's first second holds many changes."""
        slot = (child.kind, child.name)
        book = self._book(key, slot)
        before = book.sent
        if book.written == float("-inf"):
            book.written = asyncio.get_running_loop().time()
        if wait := self._held(book) if child.urgent else self._in_turn(book, self._child_interval, self._child_turns):
            return wait
        gone = {field: None for field in before or () if field not in child.status}
        wait = await self._write(key, slot, BY_KIND[child.kind], {"status": {**child.status, **gone}})
        if wait is None:
            book.sent = child.status
        return wait

    def forget(self, key: Key) -> None:
        self._books.pop(key, None)

    def _book(self, key: Key, slot: Slot) -> _Book:
        books = self._books.setdefault(key, {})
        book = books.pop(slot, None) or _Book()
        books[slot] = book  # the latest last
        if len(books) > _REMEMBERED:
            del books[next(iter(books))]
        return book

    def _held(self, book: _Book) -> float | None:
        return self._pause_until(book.held)

    def _in_turn(self, book: _Book, interval: float, turns: Turns) -> float | None:
        """Nobody waits for it: not before the interval is over, and then in turn with other objects."""
        now = asyncio.get_running_loop().time()
        if wait := self._pause_until(max(book.held, book.written + interval)):
            return wait
        if book.turn <= book.written:
            book.turn = turns.next(now)
        return self._pause_until(book.turn)

    @staticmethod
    def _pause_until(when: float) -> float | None:
        wait = when - asyncio.get_running_loop().time()
        return wait if wait > RESOLUTION else None

    async def _write(self, key: Key, slot: Slot, resource: Resource, body: JSON) -> float | None:
        """None when it stands, else the seconds until a refused status is worth another try."""
        (kind, name), data, book = slot, msgspec.json.encode(body), self._book(key, slot)
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
            return None  # gone meanwhile: its watch will say so
        except (Forbidden, Invalid) as error:
            book.refusals += 1
            pause = backoff(book.refusals, *self._pause, self._rng)
            book.held = asyncio.get_running_loop().time() + pause
            log.warning("the status of %s %s was refused: %s", kind, key, error)
            return pause
        book.refusals, book.written = 0, asyncio.get_running_loop().time()
        self._own_writes.note(key, kind, int(_envelope.decode(answer).metadata.resource_version or 0))
        return None
