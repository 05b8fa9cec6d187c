"""The limiter finds out how much the API server bears, first come first served."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.engine.limiter import Limiter
from fairlead.metrics.collect import Metrics
from support.clock import CreepingLoop

pytestmark = pytest.mark.looptime


@pytest.fixture
async def limiter() -> Limiter:
    return Limiter("creates", (8, 64), 0.2, Metrics())


def now() -> float:
    return asyncio.get_running_loop().time()


async def load(limiter: Limiter, requests: int, latency: float, at_once: int = 200) -> float:
    """So many requests of that latency; the seconds they took."""
    began, left = now(), iter(range(requests))

    async def work() -> None:
        for _ in left:
            async with limiter:
                await asyncio.sleep(latency)
                limiter.answered(latency)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return now() - began


async def test_it_starts_with_eight_and_doubles_per_round_trip(limiter: Limiter) -> None:
    await load(limiter, 24, 0.01)
    assert 16 <= limiter.limit <= 18
    await load(limiter, 500, 0.01)
    assert limiter.limit == 64


async def test_a_limit_nobody_uses_does_not_grow(limiter: Limiter) -> None:
    await load(limiter, 100, 0.01, at_once=2)
    assert limiter.limit == 8


async def test_latency_above_the_best_by_more_than_the_delay_lowers_it_once_per_round_trip(limiter: Limiter) -> None:
    await load(limiter, 1000, 0.01)
    await load(limiter, 64, 0.5)
    assert 40 <= limiter.limit <= 45, "one step per round trip, however many answers were slow"
    await load(limiter, 1000, 0.5)
    assert limiter.limit == 32, "slow is no refusal: everybody may be slow for a while"


async def test_a_far_away_server_is_not_a_slow_one(limiter: Limiter) -> None:
    await load(limiter, 1000, 0.3)
    assert limiter.limit == 64


async def test_after_a_429_nothing_is_sent_for_as_long_as_was_asked(limiter: Limiter) -> None:
    await load(limiter, 1000, 0.01)
    limiter.push_back(3.0)
    began = now()
    async with limiter:
        assert now() - began == pytest.approx(3)
    assert limiter.limit == 32


async def test_who_waits_through_a_pause_is_woken_at_its_end_though_nothing_is_under_way(limiter: Limiter) -> None:
    limiter.push_back(2.0)
    assert await load(limiter, 20, 0.01) == pytest.approx(2.05, abs=0.05)


async def test_first_come_first_served(limiter: Limiter) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        async with limiter:
            order.append(number)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one(number) for number in range(30)))
    assert order == list(range(30))


async def test_bursts_share_the_limit(limiter: Limiter) -> None:
    await load(limiter, 1000, 0.01)
    with limiter.burst() as first:
        assert first() == 64
        with limiter.burst() as second, limiter.burst() as third:
            assert (first(), second(), third()) == (22, 22, 22)
        assert first() == 64


async def test_who_is_cancelled_while_waiting_leaves_no_hole(limiter: Limiter) -> None:
    async def hold() -> None:
        async with limiter:
            await asyncio.sleep(1)

    tasks = [asyncio.create_task(hold()) for _ in range(30)]
    await asyncio.sleep(0.5)
    for task in tasks[4:20]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert limiter.in_flight == 0
    assert await load(limiter, 8, 0.01) == pytest.approx(0.01)


@pytest.mark.parametrize("seed", range(3))
def test_who_waits_for_a_pause_is_woken_even_if_it_ends_between_two_looks_at_the_clock(seed: int) -> None:
    async def wait_for_it() -> None:
        limiter = Limiter("deletes", (8, 64), 0.2, Metrics())
        for _ in range(50):
            limiter.push_back(0.001)
            async with asyncio.timeout(10), limiter:
                pass

    with asyncio.Runner(loop_factory=lambda: CreepingLoop(seed)) as runner:
        runner.run(wait_for_it())
