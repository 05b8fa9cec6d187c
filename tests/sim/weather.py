"""Trouble that lasts: slow or torn watches, slow requests, writes that go wrong now and then, an operator that keeps dying.

It ends after a while (virtual seconds), and then the stories must end as ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from fairlead.kube.fake import FakeClient, Faults, Write, faults
from sim.runner import Trouble
from sim.world import World

LASTS = 45.0


def _connection(change: Callable[[FakeClient], None], lag: float) -> Trouble:
    def arm(world: World) -> Faults:
        world.prepare = change
        world.monitor.lag += lag
        return Faults()

    return arm


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

        def again() -> None:
            act(world)
            if world.loop.time() < LASTS:
                world.loop.call_later(seconds, again)

        world.loop.call_later(seconds, again)
        return Faults()

    return arm


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
        trouble = Now(world, seed)
        world.prepare = lambda client: setattr(client, "faults", trouble)
        return trouble

    return arm


WEATHER: dict[str, Trouble] = {
    "slow watches": _connection(_slow_watches, 1.5),
    "pods heard of late": _connection(_late_pods, 3.0),
    "apps heard of late": _connection(_late_apps, 3.0),
    "slow requests": _connection(_slow_requests, 2.0),
    "streams that keep closing": _every(0.3, lambda world: world.operators[0].client.close_watches(), lag=2.0),
    "history that is always forgotten": _every(0.7, lambda world: world.operators[0].client.lose_watches(), lag=2.0),
    "an operator that keeps dying": _every(1.7, lambda world: world.operators[0].crash(), lag=3.0),
}
