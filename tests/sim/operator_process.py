"""The operator as a process: the real engine and rooms, started, killed and started again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from fairlead.engine.clock import SteadyClock
from fairlead.engine.controller import Controller
from fairlead.engine.engine import Engine
from fairlead.engine.leader import LeadershipLost
from fairlead.engine.settings import EngineSettings, LeaseSettings
from fairlead.kube.discreet import Discreet
from fairlead.kube.fake import FakeClient, FakeCluster, Faults
from fairlead.kube.fake.faults import Write
from support.clock import pace

RESTART_SECONDS = 1.0


class Process:
    """One replica of the operator. The first incarnation meets `faults`, later ones none.

    `prepare` is told of each new client; `seed` says how long its requests take and what it rolls. `writes` are all writes it asked for, but for leases and events; `failed` is told of an end that is a bug.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        clock: Callable[[], float],
        failed: Callable[[BaseException], None],
        controllers: Callable[[], list[Controller]],
        *,
        identity: str = "operator",
        lease: LeaseSettings | None = None,
        settings: EngineSettings | None = None,
        namespaces: tuple[str, ...] = (),
        seed: int = 0,
        prepare: Callable[[FakeClient], None] = lambda _client: None,
    ):
        self._settings, self._namespaces = settings, namespaces
        self._prepare, self._seed, self._controllers = prepare, seed, controllers
        self.cluster, self.clock, self.identity, self.lease = cluster, clock, identity, lease
        self.faults = Faults()
        self.restarts = 0
        self.reborn: Callable[[], None] | None = None  # called once, with the next incarnation made but not running
        self.client: FakeClient
        self.engine: Engine
        self._failed = failed
        self._earlier: list[Write] = []
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def writes(self) -> list[Write]:
        return [*self._earlier, *self.client.writes]

    def start(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._make()
        self._supervisor = asyncio.create_task(self._supervise())

    def _make(self) -> None:
        self.client = FakeClient(self.cluster, self.identity, faults=self.faults, pace=pace(self._seed))
        self._prepare(self.client)
        self.engine = Engine(
            Discreet(self.client),
            self._controllers(),
            clock=SteadyClock(self.clock, asyncio.get_running_loop().time),
            identity=self.identity,
            lease=self.lease,
            settings=self._settings,
            namespaces=self._namespaces,
            rng=random.Random(self._seed),
        )

    async def _supervise(self) -> None:
        while True:
            running = asyncio.create_task(self.engine.run())
            crashed = asyncio.create_task(self.client.crashed.wait())
            try:
                await asyncio.wait({running, crashed}, return_when=asyncio.FIRST_COMPLETED)
                if not self.client.crashed.is_set() and not isinstance(running.exception(), LeadershipLost):
                    self._failed(running.exception() or RuntimeError("the engine ended"))
                    return
            finally:
                self.client.kill()  # nothing of this incarnation writes any more
                crashed.cancel()
                running.cancel()
                await asyncio.gather(running, crashed, return_exceptions=True)
            self._earlier += self.client.writes
            self.restarts += 1
            await asyncio.sleep(RESTART_SECONDS)
            self.faults = Faults()
            self._make()
            if self.reborn is not None:
                self.reborn()
                self.reborn = None

    def crash(self) -> None:
        """Kill it now; it comes back by itself."""
        self.client.kill()

    async def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
