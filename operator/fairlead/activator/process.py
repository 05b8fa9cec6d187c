"""The activator put together: one watch of EndpointSlices fills the board, sockets follow it, and connections are held and passed on.

It faces whoever the Services face, so it has no right but to read EndpointSlices, and it writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection

import msgspec
from aiohttp import web

from fairlead.activation.model import LABEL_ACTIVATED, Line, Slice, project_slice
from fairlead.activator.board import Board
from fairlead.activator.control import Streams
from fairlead.activator.hall import Hall
from fairlead.activator.listeners import Listeners
from fairlead.activator.proxy import Limits, Proxy
from fairlead.core.meta import Key
from fairlead.engine.controller import Source
from fairlead.engine.informer import Hooks, Informer
from fairlead.engine.settings import EngineSettings
from fairlead.engine.store import Store
from fairlead.kube.client import Client
from fairlead.kube.resources import ENDPOINT_SLICES
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)

_LAST_WORDS = 3.0  # seconds for those who waited in vain to be told


class Terms(msgspec.Struct, frozen=True):
    """What an activator is told. most, most_of_one: connections held, of all Apps and of each; most_bytes: bytes of theirs; control: host:port of the streams; drain:
    seconds that it goes on taking connections after it was told to stop; grace: seconds for what it has then."""

    most: int = 4000
    most_of_one: int = 1000
    most_bytes: int = 64 * 1024 * 1024
    control: str = ":8082"
    drain: float = 10.0
    grace: float = 40.0
    host: str | None = None
    limits: Limits = Limits()


class Activator:
    """One process's work. Make it and `run` it in the same loop; it runs once."""

    def __init__(
        self,
        client: Client,
        terms: Terms,
        *,
        clock: Callable[[], float],
        namespaces: Collection[str] = (),
        metrics: Metrics | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        self._terms = terms
        self.metrics = metrics or Metrics()
        self.board = Board()
        self.hall = Hall(terms.most, terms.most_of_one, terms.most_bytes, clock)
        self.proxy = Proxy(self.board, self.hall, self.metrics, lambda: asyncio.get_running_loop().time(), terms.limits)
        self.listeners = Listeners(self.board, self.proxy, terms.host)
        self.streams = Streams(self._said, lambda: sorted(self.board.doors()))
        self.listeners.told.append(self.streams.told)
        self.hall.told.append(self.streams.told)
        self._store = Store()
        source: Source = Source(ENDPOINT_SLICES, project=project_slice, keys=_nobody, label_selector=LABEL_ACTIVATED)
        self._table = self._store.open(source)
        self._table.listener = self.board.changed
        self._informers = [
            Informer(
                client,
                source,
                namespace,
                self._table,
                Hooks(),
                settings=settings or EngineSettings(),
                rng=random.Random(),
                metrics=self.metrics,
            )
            for namespace in tuple(dict.fromkeys(namespaces)) or ("",)
        ]
        self._stopping = asyncio.Event()
        self.control_port = 0

    # ------------------------------------------------------------ what probes ask

    @property
    def ready(self) -> bool:
        """The slices are known and it is not going."""
        return self._table.synced and not self._stopping.is_set()

    @property
    def doing(self) -> str:
        return f"going, {self.hall.held} connections held" if self._stopping.is_set() else "holding requests"

    def problems(self) -> dict[str, str]:
        return {
            informer.namespace or "all namespaces": informer.problem for informer in self._informers if informer.problem
        }

    def unsynced(self) -> list[str]:
        return [] if self._table.synced else [ENDPOINT_SLICES.plural]

    # ------------------------------------------------------------ running

    def stop(self) -> None:
        """Go, and lose nobody: not ready at once, but at work until all nodes have heard of it."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`, and then until what is held has come to its end. Raises what ended it otherwise."""
        runner = await self._control()
        tasks = [asyncio.create_task(informer.run(), name="inform") for informer in self._informers]
        tasks.append(asyncio.create_task(self.listeners.run(), name="listen"))
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    raise RuntimeError(f"the task {task.get_name()!r} ended") from task.exception()
            await asyncio.sleep(self._terms.drain)
            self.listeners.close()
            await self.proxy.finish(self._terms.grace, _LAST_WORDS)
        finally:
            self.listeners.close()
            self.streams.close()
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await runner.cleanup()

    async def _control(self) -> web.AppRunner:
        app = web.Application()
        app.add_routes(self.streams.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        host, _, port = self._terms.control.rpartition(":")
        await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
        self.control_port = runner.addresses[0][1]
        return runner

    def _said(self, key: Key) -> Line:
        return Line(key.namespace, key.name, self.listeners.listens(key), self.hall.since(key))


def _nobody(each: Slice) -> tuple[Key, ...]:
    """No parents are reconciled here."""
    return ()
