"""One parent kind's loop: gates, observe, plan, confirm, execute, status, events, come back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.core.actions import Action, ChildStatus, Confirm, Errand, Event, Plan, Read, merge_requeue
from fairlead.core.meta import JSON, Key
from fairlead.engine.controller import Controller, Part
from fairlead.engine.errands import Errands
from fairlead.engine.execute import Executor
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.failures import Failures
from fairlead.engine.job import Job
from fairlead.engine.live import LiveReads
from fairlead.engine.queue import Queue, QueueStopped
from fairlead.engine.recorder import Recorder, Subject
from fairlead.engine.requests import Fenced
from fairlead.engine.settings import EngineSettings
from fairlead.engine.status import StatusWriter, withheld
from fairlead.engine.store import Store
from fairlead.kube.errors import ApiError, Conflict
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)


_STALE_PAUSE = 5.0  # seconds until it is looked again whether the watches are alive


class PlanError(Exception):
    """A room's observe or plan raised."""


@dataclass(slots=True)
class Decision:
    """The plans of all parts, as one."""

    actions: list[Action]
    status: JSON | None
    statuses: list[ChildStatus]
    events: list[Event]
    errands: list[Errand]
    errands_seen: int  # how many errands had come to their end when this was decided
    requeue_after: float | None
    confirm: Confirm
    status_first: bool
    reads: list[Read]


def join(plans: list[Plan], errands_seen: int = 0) -> Decision:
    """Parts speak of different things, so their plans add up: lists one after the other, the soonest requeue, the
    strongest confirmation, statuses merged by field; `conditions` are a list each part adds to.

    >>> joined = join([Plan(status={"a": 1, "conditions": ["x"]}), Plan(status={"b": 2, "conditions": ["y"]}, requeue_after=5)])
    >>> joined.status, joined.requeue_after
    ({'a': 1, 'conditions': ['x', 'y'], 'b': 2}, 5)
    """
    status: JSON | None = None
    for part in (plan.status for plan in plans if plan.status is not None):
        status = {} if status is None else status
        conditions = [*status.get("conditions", ()), *part.get("conditions", ())]
        status.update(part)
        if conditions:
            status["conditions"] = conditions
    wanted = {plan.confirm for plan in plans}
    confirm: Confirm = "children" if "children" in wanted else "owner" if "owner" in wanted else ""
    return Decision(
        actions=[action for plan in plans for action in plan.actions],
        status=status,
        statuses=[entry for plan in plans for entry in plan.statuses],
        events=[event for plan in plans for event in plan.events],
        errands=[errand for plan in plans for errand in plan.errands],
        errands_seen=errands_seen,
        requeue_after=merge_requeue(*(plan.requeue_after for plan in plans)),
        confirm=confirm,
        status_first=any(plan.status_first for plan in plans),
        reads=list(dict.fromkeys(read for plan in plans for read in plan.reads)),
    )


def untold(before: Sequence[Event], now: Sequence[Event]) -> tuple[Event, ...]:
    """The events to tell with a status that had to wait: a plan that looks at the status of before finds most of them again,
    and then the newest words count.

    >>> begun, one, two = Event("Normal", "Began", ""), Event("Warning", "Bad", "1 pod"), Event("Warning", "Bad", "2 pods")
    >>> [event.reason + event.message for event in untold((begun, one), (two,))]
    ['Began', 'Bad2 pods']
    """
    again = {event.reason for event in now}
    return (*(event for event in before if event.reason not in again), *now)


@dataclass(slots=True)
class _Told:
    """What became of a status: seconds until it may be written, where it waits; and whether it says all there is to say."""

    wait: float | None = None
    whole: bool = True


@dataclass(slots=True)
class _Broken:
    """A key whose plan raised: left alone until its pause is over, or its spec changes."""

    generation: int
    until: float


@dataclass
class Reconciler:
    """Reconciles the keys of one controller's queue. One instance, many `work` loops."""

    controller: Controller
    store: Store
    queue: Queue
    expectations: Expectations
    own_writes: OwnWrites
    failures: Failures
    errands: Errands
    executor: Executor
    statuses: StatusWriter
    recorder: Recorder
    live: LiveReads
    clock: Callable[[], float]
    settings: EngineSettings
    metrics: Metrics
    fresh: Callable[[], bool]

    def __post_init__(self) -> None:
        self._broken: dict[Key, _Broken] = {}
        self._distrusted: set[Key] = set()  # what the store says of these may be long past
        self._waiting: dict[Key, None] = {}  # held back until the watches have told of our own writes
        self._untold: dict[Key, tuple[Event, ...]] = {}  # of statuses that wait
        self._costs: dict[Key, float] = {}
        self._stopping = False
        name = self.controller.name
        self._seconds = self.metrics.reconcile_seconds.labels(name)
        self._plan_seconds = self.metrics.plan_seconds.labels(name)

    def begin(self) -> None:
        """A parent that always stands is looked at without an event."""
        if (standing := self.controller.standing) is not None:
            self.queue.add(Key(standing.namespace, standing.name))

    def stop(self) -> None:
        """Start no more writes; passes under way end soon."""
        self._stopping = True
        self.queue.stop()

    def distrust(self) -> None:
        """Look at each parent live before acting on it for the first time from now on.

        Another process led until now, and our watches may not have told of its last writes: a plan made from the view
        of a moment ago would do its work twice. Or a list has gone back in time: either etcd was restored, and the other
        kinds have not been listed since, or one API server of several is behind, and what it does not show is there.

        A parent that is no object has nothing that could be read; its plan must be safe without."""
        if self.controller.standing is not None:
            return
        table = self.store.tables[self.controller.parent.kind]
        self._distrusted.update(Key(record.namespace, record.name) for record in table)

    def ended(self, record: Any) -> None:
        """A parent is gone: tell what follows from it."""
        if self.controller.farewell is None:
            return
        try:
            events = tuple(self.controller.farewell(record, self.store))
        except Exception:  # a bug there must not end the watch that told
            log.exception("%s %s/%s: farewell failed", self.controller.name, record.namespace, record.name)
            return
        for event in events:
            self.recorder.record(self._subject(record), event)

    def _subject(self, record: Any) -> Subject:
        return Subject(self.controller.parent, record.namespace, record.name, record.uid, record.rv)

    def progressed(self) -> None:
        """A watch has come further: take up the keys that waited for just that. Also bookmarks can settle a wait."""
        for key in [key for key in self._waiting if not self._waits(key)]:
            del self._waiting[key]
            self.queue.add(key)

    def _waits(self, key: Key) -> bool:
        return self.expectations.wait(key) is not None or self.own_writes.wait(key, self.store.tables) is not None

    async def work(self) -> None:
        """Take keys until the queue stops."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                key = await self.queue.get()
            except QueueStopped:
                return
            began = loop.time()
            result = "error"
            try:
                result = await self._guarded(key)
            finally:
                self.queue.done(key, self._costs.pop(key, 0.0))
                self._seconds.observe(loop.time() - began)
                self.metrics.reconciles.labels(self.controller.name, result).inc()

    async def _guarded(self, key: Key) -> str:
        """One pass; whatever it raises ends the pass, not the worker."""
        try:
            return await self._pass(key)
        except Fenced:
            self.queue.retry(key)  # should this process lead (again), the key is not forgotten
            return "fenced"
        except PlanError:
            return "error"
        except Conflict as error:
            log.debug("%s %s: %s", self.controller.name, key, error)
            self.queue.retry(key)
            return "conflict"
        except ApiError as error:
            log.warning("%s %s: %s", self.controller.name, key, error)
            self.queue.retry(key)
            return "error"
        except Exception:
            log.exception("%s %s: reconcile failed", self.controller.name, key)
            self.queue.retry(key)
            return "error"

    async def _pass(self, key: Key) -> str:
        wait = self._gates(key)
        if wait is not None:
            self._waiting[key] = None
            self.queue.add_after(key, wait)
            return "waiting"
        self._waiting.pop(key, None)
        record = self._record(key)
        if record is None:
            self._forget(key)
            return "gone"
        generation = self.controller.generation_of(record)
        if (pause := self._pause(key, generation)) is not None:
            self.queue.add_after(key, pause)
            return "waiting"
        decision = self._decide(key, record)
        if decision.reads:
            due = await self.live.read(decision.reads)
            record = self._record(key)
            if record is None:
                self._forget(key)
                return "gone"
            generation = self.controller.generation_of(record)
            decision = self._decide(key, record)
            decision.requeue_after = merge_requeue(decision.requeue_after, due)
        if decision.actions and key in self._distrusted:
            await self.live.refresh_parent(key)
            await self.live.refresh_children(key, record)
            self._distrusted.discard(key)
            record = self._record(key)
            if record is None:
                self._forget(key)
                return "gone"
            generation = self.controller.generation_of(record)
            decision = self._decide(key, record)
        if decision.confirm:
            await self.live.confirm_parent(key, record, generation)
            if decision.confirm == "children":
                await self.live.refresh_children(key, record)
                decision = self._decide(key, record)
        return await self._carry_out(key, record, generation, decision)

    def _gates(self, key: Key) -> float | None:
        """Seconds to wait before this key may be decided on. What is waited for wakes it sooner."""
        if not self.fresh() or not self.store.synced:  # not synced again: a list that went back in time is under way
            return _STALE_PAUSE
        expired, timeouts = self.expectations.expired, self.own_writes.timeouts
        waits = [self.expectations.wait(key), self.own_writes.wait(key, self.store.tables)]
        if self.expectations.expired > expired:
            self.metrics.expectations_expired.labels(self.controller.name).inc(self.expectations.expired - expired)
            log.warning("%s %s: a write was never seen in the watch; going on without", self.controller.name, key)
        if self.own_writes.timeouts > timeouts:
            self.metrics.stale_reads.labels(self.controller.name).inc()
            log.warning("%s %s: the watch has not caught up with our last write; going on", self.controller.name, key)
        return max((wait for wait in waits if wait is not None), default=None)

    def _pause(self, key: Key, generation: int) -> float | None:
        broken = self._broken.get(key)
        if broken is None or broken.generation != generation:
            return None
        left = broken.until - asyncio.get_running_loop().time()
        return left if left > 0 else None

    def _record(self, key: Key) -> Any | None:
        return self.controller.standing or self.store.get(self.controller.parent.kind, key.namespace, key.name)

    # ------------------------------------------------------------ decide

    def _decide(self, key: Key, record: Any) -> Decision:
        loop = asyncio.get_running_loop()
        began = loop.time()
        now, failures = self.clock(), self.failures.of(key)
        plans = []
        for part in self.controller.parts:
            try:
                observed = part.observe(self.store, key, failures)
                if observed is not None:
                    plans.append(part.plan(observed, now))
            except Exception as error:
                self._plan_failed(key, part, record)
                raise PlanError from error
        cost = loop.time() - began
        self._costs[key] = self._costs.get(key, 0.0) + cost
        self._plan_seconds.observe(cost)
        self._broken.pop(key, None)
        return join(plans, self.errands.ended)

    def _plan_failed(self, key: Key, part: Part, record: Any) -> None:
        log.exception("%s %s: the plan of %s failed", self.controller.name, key, part.name)
        self.metrics.plan_errors.labels(self.controller.name, part.name).inc()
        delay = self.queue.retry(key, self.settings.broken_backoff)
        until = asyncio.get_running_loop().time() + delay
        self._broken[key] = _Broken(self.controller.generation_of(record), until)

    # ------------------------------------------------------------ carry out

    async def _carry_out(self, key: Key, record: Any, generation: int, decision: Decision) -> str:
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + self.settings.slice
        refusals = self.failures.of(key)

        def interrupted() -> bool:
            if self._stopping or loop.time() >= deadline:
                return True
            current = self._record(key)
            return current is None or current.uid != record.uid or self.controller.generation_of(current) != generation

        first = None
        if decision.status_first:
            # The actions follow from what this status says: an operator that dies in between must find it stored. That all is as
            # asked, it cannot say yet.
            first = await self._tell_parent(key, record, decision, taken=False, urgent=True)
        job = Job(key, self.controller.parent.kind, record.uid, generation, decision.actions, interrupted)
        outcome = await self.executor.run(job)
        if outcome.refused:
            # The next pass sees the refusal and says it; what this plan would have said is out of date.
            self.queue.add_after(key, 0.0)
            return "refused"
        if self._stopping:
            return "stopped"
        told = await self._tell(key, record, decision, first, taken=not (outcome.untaken or outcome.unfinished))
        # A refusal that the status was just told of may be over by now, and no event will say so.
        over = 0.0 if self.failures.of(key) != refusals else None
        wishes = [decision.requeue_after, told, self.failures.wait(key, began), over]
        if outcome.conflict:
            self.queue.retry(key)
            return "conflict"
        if outcome.unfinished:
            self.queue.add_after(key, 0.0)
            return "continued"
        self.queue.forget(key)
        self.errands.start(key, decision.errands, decision.errands_seen)
        if (soonest := merge_requeue(*wishes)) is not None:
            self.queue.add_after(key, soonest)
        return "done"

    async def _tell(self, key: Key, record: Any, decision: Decision, first: _Told | None, taken: bool) -> float | None:
        """Statuses, then events. Seconds until a status that waits for its interval may be written."""
        waits = [await self.statuses.child(key, child) for child in decision.statuses]
        events = untold(self._untold.pop(key, ()), decision.events)
        told = first or await self._tell_parent(key, record, decision, taken, urgent=False)
        if told.whole:
            for event in events:
                self.recorder.record(self._subject(record), event)
        else:
            self._untold[key] = events
        return merge_requeue(told.wait, *waits)

    async def _tell_parent(self, key: Key, record: Any, decision: Decision, taken: bool, urgent: bool) -> _Told:
        """taken: all that the plan asked for was taken; else the status does not say for the first time that it was."""
        if decision.status is None:
            return _Told()
        before = self.controller.status_of(record)
        whole = self.controller.summarise(record, decision.status, self.clock())
        after = whole if taken else withheld(before, whole)
        wait = await self.statuses.parent(key, self.controller.parent, record, before, after, urgent)
        return _Told(wait, whole=wait is None and after == whole)

    def _forget(self, key: Key) -> None:
        self.queue.drop(key)
        self.expectations.forget(key)
        self.own_writes.forget(key)
        self.failures.forget(key)
        self.statuses.forget(key)
        self._broken.pop(key, None)
        self._untold.pop(key, None)
        self._distrusted.discard(key)
