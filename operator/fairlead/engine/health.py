"""What probes and Prometheus see of a running engine."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from aiohttp import web

from fairlead.metrics.collect import Metrics

_TICK = 0.25  # seconds between two looks at the loop's punctuality
_MEMORY = 30.0  # seconds the worst lag is remembered
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Engine(Protocol):
    """As much of the engine, or of another process' work, as health is about. doing: in a word or two."""

    @property
    def ready(self) -> bool: ...
    @property
    def doing(self) -> str: ...
    def problems(self) -> dict[str, str]: ...
    def unsynced(self) -> list[str]: ...


class LoopLag:
    """How late timers run: what every reconcile, probe and lease renewal suffers from."""

    def __init__(self, metrics: Metrics) -> None:
        self._worst: deque[tuple[float, float]] = deque()  # (when, lag)
        metrics.loop_lag.set_function(self.worst)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            expected = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            now = loop.time()
            while self._worst and self._worst[-1][1] <= now - expected:
                self._worst.pop()
            self._worst.append((now, now - expected))
            while self._worst[0][0] < now - _MEMORY:
                self._worst.popleft()

    def worst(self) -> float:
        return max(0.0, self._worst[0][1]) if self._worst else 0.0


class Health:
    """/healthz and /readyz on one address, /metrics on another (or the same).

    /healthz says that the loop turns and the engine runs: an engine that lost a part of itself ends the process, so
    this need not look into it, and an API server that is down for an hour does not restart anybody.
    /readyz says that the caches are warm; a standby's are too. What cannot be listed or watched is in the text of both.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._runners: list[web.AppRunner] = []
        self._lag = LoopLag(metrics)
        self._ticking: asyncio.Task[None] | None = None

    async def start(self, probes: str, metrics: str) -> None:
        """Serve on `host:port` each; an empty address serves nothing. OSError where the port is taken."""
        self._ticking = asyncio.create_task(self._lag.run(), name="loop lag")
        routes: dict[str, list[web.RouteDef]] = {}
        if probes:
            routes.setdefault(probes, []).extend([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        if metrics:
            routes.setdefault(metrics, []).append(web.get("/metrics", self._metrics_page))
        for address, handlers in routes.items():
            app = web.Application()
            app.add_routes(handlers)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            self._runners.append(runner)
            host, _, port = address.rpartition(":")
            await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()

    async def stop(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()

    @property
    def ports(self) -> list[int]:
        """The ports in use, probes first: for tests, which ask for port 0."""
        return [address[1] for runner in self._runners for address in runner.addresses]

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text=self._text("ok"))

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._engine.ready:
            return web.Response(text=self._text("ok"))
        waiting = ", ".join(self._engine.unsynced())
        why = f": {waiting} not listed yet" if waiting else ""  # else it goes, and the next line says so
        return web.Response(status=503, text=self._text(f"not ready{why}"))

    async def _metrics_page(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": _CONTENT_TYPE})

    def _text(self, first: str) -> str:
        lines = [first, self._engine.doing]
        lines += [f"cannot list or watch {kind}: {problem}" for kind, problem in self._engine.problems().items()]
        return "\n".join(lines) + "\n"
