"""The engine put together: informers fill the store, the store feeds the queues, workers empty them while this process leads.

    engine = Engine(client, [app_controller()], clock=time.time, identity=hostname)
    await engine.run()    # until engine.stop(), or raises: an engine that lost a part of itself does not go on

Used alike by the operator, the simulation and the benchmark.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import kopf
import msgspec

from fairlead.core.meta import Key
from fairlead.engine import intake
from fairlead.engine.controller import Attendant, Controller, Source
from fairlead.engine.errands import Errands
from fairlead.engine.execute import Executor
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.failures import Failures
from fairlead.engine.informer import Hooks, Informer
from fairlead.engine.leader import Leader
from fairlead.engine.limiter import Lanes
from fairlead.engine.live import LiveReads
from fairlead.engine.perform import Performer
from fairlead.engine.queue import Queue
from fairlead.engine.reconciler import Reconciler
from fairlead.engine.recorder import Recorder
from fairlead.engine.requests import Requests
from fairlead.engine.settings import EngineSettings, LeaseSettings
from fairlead.engine.status import StatusWriter
from fairlead.engine.store import Store, Table
from fairlead.kube.client import Client
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)

_ATTEND_AGAIN = 5.0  # seconds

Route = tuple[Callable[[Any], Iterable[Key]], Callable[[Key], None]]  # (keys of a record, add to a queue)


class Engine:
    """One process's work. Make it and `run` it in the same loop; it runs once."""

    def __init__(
        self,
        client: Client,
        controllers: Sequence[Controller],
        *,
        clock: Callable[[], float],
        identity: str = "fairlead",
        namespaces: Collection[str] = (),
        lease: LeaseSettings | None = None,
        settings: EngineSettings | None = None,
        metrics: Metrics | None = None,
        rng: random.Random | None = None,
        registry: kopf.OperatorRegistry | None = None,
    ) -> None:
        self.client = client
        self.clock = clock
        self.identity = identity
        self.settings = settings or EngineSettings()
        self.metrics = metrics or Metrics()
        self.rng = rng or random.Random()
        self.store = Store()
        self.synced = asyncio.Event()
        self._namespaces = tuple(dict.fromkeys(namespaces)) or ("",)
        self._registry = registry or kopf.OperatorRegistry()
        self._stop = asyncio.Event()
        self._running = False
        self.leader = (
            Leader(client, lease, identity, clock=clock, rng=self.rng, metrics=self.metrics)
            if lease is not None
            else None
        )
        if self.leader is None:
            self.metrics.leader.set_function(lambda: float(self._running))
        tuning = self.settings
        lanes = Lanes(
            tuning.create_concurrency,
            tuning.delete_concurrency,
            tuning.other_concurrency,
            tuning.queueing_delay,
            self.metrics,
        )
        self._requests = Requests(lanes, tuning, self.rng, self.metrics, self._may_write)
        self.recorder = Recorder(client, tuning, clock, identity, self.metrics, self._may_write)
        self.reconcilers = [self._reconciler(controller) for controller in controllers]
        self.informers = [informer for source in self._sources() for informer in self._informers(source)]

    # ------------------------------------------------------------ running

    async def run(self) -> None:
        """Work until `stop`. Raises what ended it otherwise: LeadershipLost, or a bug of ours."""
        self._running = True
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        watching = [
            asyncio.create_task(informer.run(), name=f"inform {informer.source.resource.plural}")
            for informer in self.informers
        ]
        leading = [asyncio.create_task(self.leader.run(), name="lead")] if self.leader else []
        working = asyncio.create_task(self._work(), name="work")
        recording = asyncio.create_task(self.recorder.run(), name="record")
        everything = [stopping, *watching, *leading, working, recording]
        try:
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                await self._wind_down(working)
            else:
                _raise_first(everything)
        finally:
            self._running = False
            for reconciler in self.reconcilers:
                reconciler.stop()
            await _cancel(everything)
            for reconciler in self.reconcilers:
                await reconciler.errands.stop()

    def stop(self) -> None:
        """End cleanly: no new writes, running ones finish, the lease is released."""
        self._stop.set()

    @property
    def ready(self) -> bool:
        """Caches are warm; a standby is ready too."""
        return self.synced.is_set()

    @property
    def leads(self) -> bool:
        return self._running and (self.leader is None or self.leader.leads)

    @property
    def doing(self) -> str:
        return "leading" if self.leads else "standing by"

    @property
    def idle(self) -> bool:
        """No key is ready or being worked on; keys that wait for a time do not count."""
        return all(reconciler.queue.idle for reconciler in self.reconcilers)

    def problems(self) -> dict[str, str]:
        """What cannot be listed or watched right now, by kind: for /readyz and for people."""
        return {
            informer.source.resource.plural
            + (f" in {informer.namespace}" if informer.namespace else ""): informer.problem
            for informer in self.informers
            if informer.problem
        }

    def unsynced(self) -> list[str]:
        """The kinds that have not been listed yet."""
        return [informer.source.resource.plural for informer in self.informers if not informer.synced]

    def _fresh(self) -> bool:
        """Every watch has been heard of lately: what the store says is not long past."""
        return all(informer.age() < self.settings.stale_after for informer in self.informers)

    def _may_write(self) -> bool:
        return self._running and (self.leader is None or self.leader.leads)

    async def _work(self) -> None:
        await self.synced.wait()
        if self.leader is not None:
            await self.leader.acquired.wait()
            if self.leader.succeeded_another:
                for reconciler in self.reconcilers:
                    reconciler.distrust()
        attending = [
            asyncio.create_task(self._attend(reconciler, attendant), name=f"attend {reconciler.controller.name}")
            for reconciler in self.reconcilers
            if (attendant := reconciler.controller.attendant) is not None
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for reconciler in self.reconcilers:
                    reconciler.begin()
                    for _ in range(self.settings.workers):
                        group.create_task(reconciler.work())
        finally:
            await _cancel(attending)

    async def _attend(self, reconciler: Reconciler, attendant: Attendant) -> None:
        """What is heard elsewhere only makes things sooner: an attendant that fails is called again, and the work goes on."""
        while True:
            try:
                await attendant.run(self.store, reconciler.queue.hurry, self.clock)
            except Exception:
                log.exception("%s: listening failed", reconciler.controller.name)
            await asyncio.sleep(_ATTEND_AGAIN)

    async def _wind_down(self, working: asyncio.Task[None]) -> None:
        for reconciler in self.reconcilers:
            reconciler.stop()
        if self.synced.is_set() and (self.leader is None or self.leader.acquired.is_set()):
            await asyncio.wait([working], timeout=self.settings.shutdown_grace)
        await _cancel([working])
        try:
            async with asyncio.timeout(self.settings.shutdown_grace):
                await self.recorder.flush()
        except TimeoutError:
            log.warning("some events were not written")
        if self.leader is not None:
            await self.leader.release()

    # ------------------------------------------------------------ wiring

    def _reconciler(self, controller: Controller) -> Reconciler:
        tuning, monotonic = self.settings, _loop_time
        queue = Queue(controller.name, tuning, self.rng, self.metrics)
        expectations = Expectations(tuning.expectation_ttl, monotonic)
        own_writes = OwnWrites(tuning.own_write_timeout, monotonic)
        failures = Failures(tuning.refusal_backoff, clock=self.clock, monotonic=monotonic, rng=self.rng)
        performer = Performer(self.client, self.store.tables, self._requests, expectations, own_writes)
        if controller.standing is None:
            intake.register(self._registry, controller.parent, queue)
        return Reconciler(
            controller=controller,
            store=self.store,
            queue=queue,
            expectations=expectations,
            own_writes=own_writes,
            failures=failures,
            errands=Errands(
                self.client, controller.messenger, self._requests, own_writes, queue, self.clock, self.metrics
            ),
            executor=Executor(performer, self._requests.lanes, failures),
            statuses=StatusWriter(self.client, self._requests, own_writes, tuning, self.rng),
            recorder=self.recorder,
            live=LiveReads(self.client, controller, self.store, tuning.page_size),
            clock=self.clock,
            settings=tuning,
            metrics=self.metrics,
            fresh=self._fresh,
        )

    def _sources(self) -> list[Source]:
        """One per kind: controllers that watch the same kind share its projection, and add their indexes."""
        merged: dict[str, Source] = {}
        for reconciler in self.reconcilers:
            for source in reconciler.controller.sources:
                known = merged.get(source.table)
                if known is None:
                    merged[source.table] = source
                    continue
                if (known.project, known.label_selector, known.metadata_only) != (
                    source.project,
                    source.label_selector,
                    source.metadata_only,
                ):
                    raise ValueError(f"two controllers look at {source.table} in different ways")
                merged[source.table] = msgspec.structs.replace(
                    source, keys=known.keys, indexes={**known.indexes, **source.indexes}
                )
        return list(merged.values())

    def _informers(self, source: Source) -> list[Informer]:
        table = self.store.open(source)
        kind = source.table
        observe = intake.Intake(self._registry).observer(source.resource)
        feed = _Feed(table, self.store, self.reconcilers, self._routes(kind, observed=observe is not None), self.synced)
        self.metrics.store_objects.labels(kind).set_function(lambda: len(table))
        hooks = Hooks(observe, feed.progressed, feed.listed, feed.restored)
        everywhere = self._namespaces if source.resource.namespaced else ("",)
        scopes = (source.within,) if source.within else everywhere
        return [
            Informer(
                self.client, source, scope, table, hooks, settings=self.settings, rng=self.rng, metrics=self.metrics
            )
            for scope in scopes
        ]

    def _routes(self, kind: str, observed: bool) -> list[Route]:
        """Who is to be asked for what when a record of `kind` changes. A parent's own events come through the intake; here
        they are for the other parents that look at it."""
        return [
            (
                _others(source.keys) if observed and reconciler.controller.hears_of(kind) else source.keys,
                reconciler.queue.add,
            )
            for reconciler in self.reconcilers
            for source in reconciler.controller.sources
            if source.table == kind
        ]


class _Feed:
    """What happens when something is heard of one kind."""

    def __init__(
        self,
        table: Table,
        store: Store,
        reconcilers: Sequence[Reconciler],
        routes: Sequence[Route],
        synced: asyncio.Event,
    ) -> None:
        self._table = table
        self._store = store
        self._reconcilers = reconcilers
        self._routes = routes
        self._synced = synced
        self._expectations = [reconciler.expectations for reconciler in reconcilers]
        table.listener = self.changed

    def changed(self, old: Any | None, new: Any | None) -> None:
        """A record appeared, changed or went: settle what was expected, and ask for the parents of old and new."""
        for expectations in self._expectations:
            expectations.saw(self._table.kind, old, new)
        for keys, add in self._routes:
            asked: tuple[Key, ...] = tuple(keys(new)) if new is not None else ()
            for key in asked:
                add(key)
            for key in keys(old) if old is not None else ():
                if key not in asked:
                    add(key)
        if old is not None and new is None:
            for reconciler in self._reconcilers:
                if reconciler.controller.hears_of(self._table.kind):
                    reconciler.ended(old)

    def progressed(self) -> None:
        for reconciler in self._reconcilers:
            reconciler.progressed()

    def listed(self, began: float) -> None:
        for reconciler in self._reconcilers:
            for key in reconciler.expectations.listed(self._table.kind, self._table, began):
                reconciler.queue.add(key)
        if self._store.synced:
            self._synced.set()

    def restored(self) -> None:
        self._store.contents.clear()
        for reconciler in self._reconcilers:
            reconciler.own_writes.forget_kind(self._table.kind)
            reconciler.distrust()


def _others(keys: Callable[[Any], Iterable[Key]]) -> Callable[[Any], Iterable[Key]]:
    """The keys of a parent's record without its own."""
    return lambda record: [key for key in keys(record) if key != (record.namespace, record.name)]


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_first(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """A part of the engine ended by itself: its reason, or that it had none."""
    for task in tasks:
        if task.done():
            if (error := task.exception()) is not None:
                raise error
            raise RuntimeError(f"the task {task.get_name()!r} ended")
