"""How long things take on the in-memory API server, and in the loop that the simulation runs it in."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from fairlead.core.meta import API_VERSION
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import APPS, NAMESPACES
from support.clock import CreepingLoop, pace


def now() -> float:
    return asyncio.get_running_loop().time()


def cluster() -> FakeCluster:
    made = FakeCluster(now)
    made.create(NAMESPACES, None, {"metadata": {"name": "shop"}})
    return made


def new_app(cluster: FakeCluster, name: str) -> None:
    cluster.create(APPS, "shop", {"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": name}, "spec": {}})


@pytest.mark.looptime
async def test_each_leg_of_a_request_takes_a_time_of_its_own() -> None:
    times = iter([1.0, 5.0])
    client = FakeClient(cluster(), latency=2, pace=lambda seconds: seconds * next(times))
    began = now()
    await client.get(NAMESPACES, None, "shop")
    assert now() - began == pytest.approx(12)


@pytest.mark.looptime
async def test_each_delivery_of_a_watch_takes_a_time_of_its_own_and_keeps_the_order() -> None:
    there, times = cluster(), iter([0.0, 9.0, 1.0, 1.0])  # the request that opens it comes first
    client = FakeClient(there, latency=0, lag=1, pace=lambda seconds: seconds * next(times))
    heard = client.watch(APPS, "shop", resource_version=str(there.rv))
    first = asyncio.ensure_future(anext(heard))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    new_app(there, "a")
    new_app(there, "b")
    assert [b'"name":"a"' in line for line in await first] == [True, False] and now() == pytest.approx(9, abs=0.01)
    new_app(there, "c")
    assert b'"name":"c"' in (await anext(heard))[0] and now() == pytest.approx(10, abs=0.01)
    await heard.aclose()  # type: ignore[attr-defined]


def looks(seed: int) -> list[float]:
    async def look() -> list[float]:
        return [now() for _ in range(2000)]

    with asyncio.Runner(loop_factory=lambda: CreepingLoop(seed)) as runner:
        return runner.run(look())


def test_time_creeps_on_with_every_look_and_as_the_seed_says() -> None:
    times = looks(1)
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert times == looks(1) != looks(2)


def test_what_takes_a_time_by_chance_never_takes_none_nor_more_than_twice_as_long() -> None:
    taken = [pace(3)(1.0), *map(pace(4), [1.0] * 1000)]
    assert min(taken) >= 0.1 and max(taken) <= 1.9
