"""The composition root: settings, login, client, controllers, engine, health, and the process that kopf owns.

kopf starts and stops us and brings the login; it watches nothing. Our kinds and everything else come through our own
informers (docs/adr/0002).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Generic

import kopf

from fairlead import __version__, dumps
from fairlead.engine.clock import SteadyClock
from fairlead.engine.controller import Controller
from fairlead.engine.engine import Engine
from fairlead.engine.health import Health
from fairlead.gates import credentials
from fairlead.gates.guard import parse
from fairlead.gates.probe import NetworkProber, api_servers
from fairlead.kube.config import Access, ConfigError, Login, login
from fairlead.kube.discreet import Discreet
from fairlead.kube.http import HttpClient
from fairlead.logs import configure
from fairlead.metrics.collect import Metrics
from fairlead.settings import (
    ActivatorSettings,
    P,
    S,
    SecretSettings,
    SettingsError,
    WorkloadSettings,
    load,
)

log = logging.getLogger(__name__)

# kopf strips its finalizer from every object it watches. It watches none, and should it ever: not somebody else's.
FINALIZER = "fairlead.dev/unused"


@dataclass(frozen=True)
class Identity(Generic[S]):
    """One process of the operator, with rights of its own: what it can be told, and what it does.

    controllers: every parent kind it runs. Called once, in a thread, for it may resolve names.
    """

    settings: type[S]
    controllers: Callable[[S, Access], list[Controller]]


def _workloads(settings: WorkloadSettings, access: Access) -> list[Controller]:
    from fairlead.app import app_controller

    guard = parse(settings.gate_allow, api_servers(access.server, os.environ))
    known = credentials.parse(settings.gate_credentials)
    prober = NetworkProber(guard, settings.gate_prometheus, known)
    return [app_controller(prober, settings.autoscale_resource_metrics, settings.activator())]


def _secrets(settings: SecretSettings, access: Access) -> list[Controller]:
    from fairlead.secrets.controller import Terms, controllers
    from fairlead.secrets.suites import lack

    if why := lack():
        log.warning("%s", why)
    return controllers(
        Terms(
            namespace=settings.key_namespace or access.namespace,
            renew=settings.key_renew_period,
            recovery=settings.recovery(),
            cluster_scope=settings.cluster_scope,
            protected=settings.protected_namespaces,
            sealed_secrets=settings.sealed_secrets_namespace,
            signers=settings.who_signs(),
        )
    )


WORKLOADS = Identity(WorkloadSettings, _workloads)
SECRETS = Identity(SecretSettings, _secrets)


def run_workloads(settings: WorkloadSettings | None = None) -> int:
    """`fairlead run workloads`: until SIGTERM. The process's exit status; not 0 when the engine ended by itself.
    Without `settings` they come from the environment."""
    return _run(WorkloadSettings, settings, lambda known, way: Process(WORKLOADS, known, way).run())


def run_secrets(settings: SecretSettings | None = None) -> int:
    """`fairlead run secrets`, likewise."""
    return _run(SecretSettings, settings, lambda known, way: Process(SECRETS, known, way).run())


def run_activator(settings: ActivatorSettings | None = None) -> int:
    """`fairlead run activator`, likewise."""
    return _run(ActivatorSettings, settings, _activate)


def _run(kind: type[P], settings: P | None, work: Callable[[P, Login], Coroutine[Any, Any, int]]) -> int:
    dumps.forbid()
    try:
        settings = settings or load(kind, {})
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    configure(settings.log_level, settings.log_format)
    try:
        way = login(settings.kubeconfig, settings.context)
        way.access()  # before anything starts: a typing error in --context is said at once
    except ConfigError as error:
        log.error("%s", error)
        return 2
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work(settings, way))


async def _activate(settings: ActivatorSettings, way: Login) -> int:
    """The activator, until SIGTERM (0) or until a part of it fails (1)."""
    from fairlead.activator.process import Activator, Terms

    _open_files()
    access = await asyncio.to_thread(way.access)
    client, metrics = HttpClient(way, access), Metrics()
    metrics.build_info.labels(__version__).set(1)
    terms = Terms(
        most=settings.max_waiting,
        most_of_one=settings.max_waiting_per_app,
        most_bytes=settings.max_waiting_bytes,
        control=settings.control_address,
        drain=settings.drain_seconds,
        grace=settings.grace_seconds,
    )
    activator = Activator(client, terms, clock=time.time, namespaces=settings.namespaces, metrics=metrics)
    health = Health(activator, metrics)
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, activator.stop)
    log.info("fairlead %s activates by the word of %s", __version__, access.server)
    try:
        await health.start(settings.health_address, settings.metrics_address)
        await activator.run()
    except Exception as error:
        log.error("the process failed: %s", error, exc_info=log.isEnabledFor(logging.DEBUG))
        return 1
    finally:
        await health.stop()
        await client.close()
    return 0


def _open_files() -> None:
    """Each connection that is passed on takes two: as many as this process may have."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Process(Generic[S]):
    """One operator process. kopf's activities are its methods."""

    def __init__(self, identity: Identity[S], settings: S, way: Login) -> None:
        self._identity = identity
        self._settings = settings
        self._login = way
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._engine: Engine | None = None
        self._running: asyncio.Task[None] | None = None
        self._freezing: asyncio.Task[None] | None = None
        self._client: HttpClient | None = None
        self.health: Health | None = None

    async def run(self) -> int:
        """Until a signal (0), or until a part of it fails (1): then Kubernetes starts it anew, with nothing half alive."""
        registry = kopf.OperatorRegistry()
        # A start that fails ends the process; kopf would try it again after a minute.
        kopf.on.startup(registry=registry, id="start", errors=kopf.ErrorsMode.PERMANENT)(self._start)
        kopf.on.cleanup(registry=registry, id="stop")(self._end)
        kopf.on.login(registry=registry, id="login")(self._credentials)
        kopf.on.probe(registry=registry, id="engine")(self._probe)
        try:
            await kopf.operator(
                registry=registry,
                settings=_kopf_settings(),
                # Unless told, kopf asks the system for the user's name, and in a container our number has none.
                identity=self._settings.identity,  # type: ignore[arg-type]  # a NewType that kopf keeps to itself
                clusterwide=True,
                standalone=True,
                stop_flag=self._stop,
            )
        except Exception as error:
            await self._end()
            log.error("the process failed: %s", error, exc_info=log.isEnabledFor(logging.DEBUG))
            return 1
        if self._failure is not None:
            log.error("the engine ended: %s", self._failure)
            return 1
        return 0

    # ------------------------------------------------------------ kopf's activities

    async def _start(self, **_: Any) -> None:
        settings, metrics = self._settings, Metrics()
        metrics.build_info.labels(__version__).set(1)
        access = await asyncio.to_thread(self._login.access)
        controllers = await asyncio.to_thread(self._identity.controllers, settings, access)
        client = self._client = HttpClient(self._login, access)
        engine = self._engine = Engine(
            Discreet(client),
            controllers,
            clock=SteadyClock(time.time, time.monotonic),
            identity=settings.identity,
            namespaces=settings.watched(access.namespace),
            lease=settings.lease(access.namespace),
            settings=settings.engine(),
            metrics=metrics,
        )
        self.health = Health(engine, metrics)
        await self.health.start(settings.health_address, settings.metrics_address)
        self._running = asyncio.create_task(engine.run(), name="engine")
        self._running.add_done_callback(self._ended)
        self._freezing = asyncio.create_task(_freeze(engine), name="freeze")
        log.info("fairlead %s works as %s on %s", __version__, settings.identity, access.server)

    async def _end(self, **_: Any) -> None:
        if self._freezing is not None:
            self._freezing.cancel()
        if self._engine is not None and self._running is not None:
            self._engine.stop()
            await asyncio.gather(self._running, return_exceptions=True)
        if self.health is not None:
            await self.health.stop()
        if self._client is not None:
            await self._client.close()
        self._freezing = self._running = self.health = self._client = None

    async def _credentials(self, **_: Any) -> kopf.ConnectionInfo:
        return _connection(await asyncio.to_thread(self._login.renew))

    async def _probe(self, **_: Any) -> dict[str, Any]:
        engine = self._engine
        return {} if engine is None else {"ready": engine.ready, "leads": engine.leads, "problems": engine.problems()}

    def _ended(self, running: asyncio.Task[None]) -> None:
        """The engine task is over: by itself, or because it was asked to."""
        if not running.cancelled():
            self._failure = running.exception()
        self._stop.set()


async def _freeze(engine: Engine) -> None:
    """Once the caches are filled, they are no garbage to look through: 270 ms a full collection at 10,000 pods."""
    await engine.synced.wait()
    gc.collect()
    gc.freeze()


class _Patience:
    """kopf's waits between attempts to reach the API server: without end. An outage of an hour ends nobody."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 2, 5, 10)
        while True:
            yield 20


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = FINALIZER
    settings.posting.enabled = False  # events are the recorder's
    settings.scanning.disabled = True
    settings.peering.standalone = True  # one leader is the Lease's business
    settings.networking.error_backoffs = _Patience()
    settings.process.ultimate_exiting_timeout = 25  # seconds, within the pod's grace period of 30
    return settings


def _connection(access: Access) -> kopf.ConnectionInfo:
    scheme, _, secret = access.authorization.partition(" ")
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.ca_file or None,
        insecure=not access.verify,
        scheme=scheme or None,
        token=secret or None,
        certificate_path=access.cert_file or None,
        private_key_path=access.key_file or None,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: a sixth less CPU per request."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
