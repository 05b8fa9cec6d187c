"""Trouble that lasts: slow or torn watches, slow requests, writes that go wrong now and then, an operator that keeps dying.

It ends after a while (virtual seconds), and then the stories must end as ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from fairlead.engine.settings import EngineSettings, LeaseSettings
from fairlead.kube.errors import Gone, TooManyRequests, Unavailable, Unreachable
from fairlead.kube.fake import FakeClient, Faults, Write, faults
from fairlead.kube.resources import Resource
from sim.runner import Trouble
from sim.world import NAMESPACE, World

LASTS = 45.0
LEASE = LeaseSettings(namespace="default")


def _connection(change: Callable[[FakeClient], None], lag: float) -> Trouble:
    def arm(world: World) -> Faults:
        world.prepare = change
        world.monitor.lag += lag
        return Faults()

    return arm


# What is slow takes up to twice as long, now and then: the lags below allow for it.
def _slow_watches(client: FakeClient) -> None:
    client.lag = 1.5


def _late_pods(client: FakeClient) -> None:
    client.lags = {"Pod": 3.0}


def _late_apps(client: FakeClient) -> None:
    client.lags = {"App": 3.0, "Revision": 3.0}


def _slow_requests(client: FakeClient) -> None:
    client.latency = 0.4


def _every(seconds: float, act: Callable[[World], None], lag: float = 0.0) -> Trouble:
    def arm(world: World) -> Faults:
        world.monitor.lag += lag
        world.calm_at = LASTS

        def again() -> None:
            act(world)
            if world.loop.time() < LASTS:
                world.loop.call_later(seconds, again)

        world.loop.call_later(seconds, again)
        return Faults()

    return arm


class DeafNow(Faults):
    """Reads go wrong now and then, by a seed."""

    def __init__(self, world: World):
        self._world, self._random = world, random.Random(7)

    def read(self, verb: str, resource: Resource) -> None:
        if self._world.loop.time() < LASTS and self._random.random() < 0.3:
            raise self._random.choice(_READ_ERRORS)


_READ_ERRORS = (
    Unavailable(503, "ServiceUnavailable", "apiserver is shutting down", retry_after=1.0),
    TooManyRequests(429, "TooManyRequests", "the server is currently overloaded", retry_after=1.0),
    Unreachable(0, "Timeout", "no answer within 30 s"),
    Gone(410, "Expired", "the provided continue parameter is too old"),
)


def _failing_reads(world: World) -> Faults:
    world.monitor.lag += 6
    world.calm_at = LASTS
    trouble = DeafNow(world)
    world.prepare = lambda client: setattr(client, "faults", trouble)
    return trouble


class Blackout(Faults):
    """Two seconds in four nothing can be asked and nothing is heard, and what happened meanwhile is forgotten."""

    def __init__(self, world: World):
        self._world = world
        self.dark = False
        self._turn()

    def _turn(self) -> None:
        self.dark = not self.dark and self._world.loop.time() < LASTS
        if self._world.operators:
            self._world.operators[0].client.lose_watches()
        if self._world.loop.time() < LASTS:
            self._world.loop.call_later(2.0, self._turn)

    def read(self, verb: str, resource: Resource) -> None:
        self._refuse()

    def before(self, write: Write) -> None:
        self._refuse()

    def counts(self, write: Write) -> bool:
        return super().counts(write) and not self.dark

    def _refuse(self) -> None:
        if self.dark:
            raise Unreachable(0, "Unreachable", "connection refused")


def _blackouts(world: World) -> Faults:
    world.monitor.lag += 6
    world.calm_at = LASTS
    trouble = Blackout(world)
    world.prepare = lambda client: setattr(client, "faults", trouble)
    return trouble


def _short_pages(world: World) -> Faults:
    """Lists come two at a time, and every now and then their token is too old for the second page."""
    world.settings = EngineSettings(page_size=2)
    return _every(0.5, lambda world: world.operators[0].client.lose_watches(), lag=2.0)(world)


def _one_namespace(world: World) -> Faults:
    world.namespaces = (NAMESPACE,)
    return Faults()


def _skewed(*offsets: tuple[float, float]) -> Trouble:
    """The operator's clock is set to another offset at each of these times."""

    def arm(world: World) -> Faults:
        world.monitor.lag += 2.0
        for when, offset in offsets:
            world.loop.call_at(when, setattr, world, "skew", offset)
        return Faults()

    return arm


def standby(world: World) -> Faults:
    """A lease, and a second operator that waits for it."""
    world.lease = LEASE
    world.monitor.lag += 25
    world.loop.call_soon(lambda: world.start(identity="second"))
    return Faults()


def _two_operators(world: World) -> Faults:
    """With a standby, and a leader that is killed twice, then cut off."""
    world.calm_at = 100.0

    def kill() -> None:
        for process in world.operators:
            if process.engine.leads:
                process.crash()

    def cut(on: bool) -> None:
        world.operators[0].client.cut = on

    faults = standby(world)
    for when in (2.2, 30.0):
        world.loop.call_later(when, kill)
    world.loop.call_later(50.0, cut, True)
    world.loop.call_later(90.0, cut, False)
    return faults


class Now(Faults):
    """Every few writes something goes wrong, by a seed."""

    def __init__(self, world: World, seed: int):
        self._world, self._random = world, random.Random(seed)

    def before(self, write: Write) -> None:
        self._perhaps(write, (faults.conflict, faults.too_many, faults.server_error, faults.unavailable))

    def after(self, write: Write) -> None:
        self._perhaps(write, (faults.lost_answer, self._close, self._stale, faults.crash))

    def _perhaps(self, write: Write, choices: tuple[Callable[[Write], None], ...]) -> None:
        if self._world.loop.time() < LASTS and self._random.random() < 0.08:
            self._random.choice(choices)(write)

    def _close(self, _write: Write) -> None:
        self._world.operators[0].client.close_watches()

    def _stale(self, _write: Write) -> None:
        client = self._world.operators[0].client
        client.freeze()
        self._world.loop.call_later(self._random.uniform(0.1, 5), client.thaw)


def mixed(seed: int) -> Trouble:
    """All kinds of trouble, at writes a seed chooses, over all incarnations of the operator."""

    def arm(world: World) -> Faults:
        world.monitor.lag += 6
        world.calm_at = LASTS
        trouble = Now(world, seed)
        world.prepare = lambda client: setattr(client, "faults", trouble)
        return trouble

    return arm


WEATHER: dict[str, Trouble] = {
    "slow watches": _connection(_slow_watches, 3.0),
    "pods heard of late": _connection(_late_pods, 6.0),
    "apps heard of late": _connection(_late_apps, 6.0),
    "slow requests": _connection(_slow_requests, 5.0),
    "streams that keep closing": _every(0.3, lambda world: world.operators[0].client.close_watches(), lag=2.0),
    "history that is always forgotten": _every(0.7, lambda world: world.operators[0].client.lose_watches(), lag=2.0),
    "reads that fail": _failing_reads,
    "long blackouts": _blackouts,
    "pages of two": _short_pages,
    "one namespace only": _one_namespace,
    "a clock two seconds behind": _skewed((0.0, -2.0)),
    "a clock two seconds ahead": _skewed((0.0, 2.0)),
    "a clock that jumps": _skewed((1.5, 3600.0), (3.0, -3600.0), (6.0, 0.0)),
    "a standby": standby,
    "two operators": _two_operators,
    "an operator that keeps dying": _every(1.7, lambda world: world.operators[0].crash(), lag=3.0),
}


def named(name: str) -> Trouble:
    """Weather by its name, or "seed 7" for `mixed(7)`."""
    return WEATHER.get(name) or mixed(int(name.removeprefix("seed ")))
