"""The queue hands out each key once, to one worker at a time, urgent ones first."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from fairlead.core.meta import Key
from fairlead.engine.queue import Queue, QueueStopped, backoff
from fairlead.engine.settings import EngineSettings
from fairlead.metrics.collect import Metrics

pytestmark = pytest.mark.looptime

A, B, C = Key("shop", "a"), Key("shop", "b"), Key("shop", "c")


@pytest.fixture
async def queue() -> Queue:
    return Queue("test", EngineSettings(), random.Random(1), Metrics())


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_events_of_a_few_milliseconds_are_one_key(queue: Queue) -> None:
    began = now()
    for _ in range(1000):
        queue.add(A)
    assert await queue.get() == A
    assert now() - began == pytest.approx(0.005)
    queue.done(A)
    assert queue.idle


async def test_a_key_comes_again_only_when_its_worker_is_done(queue: Queue) -> None:
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(B)
    assert await queue.get() == B
    queue.done(A)
    assert await queue.get() == A


async def test_a_parent_that_is_costly_to_plan_is_planned_less_often(queue: Queue) -> None:
    queue.add(A)
    await queue.get()
    queue.add(A)
    began = now()
    queue.done(A, cost=0.01)
    await queue.get()
    assert now() - began == pytest.approx(0.16)
    queue.done(A, cost=10.0)
    queue.add(A)
    began = now()
    await queue.get()
    assert now() - began == pytest.approx(0.25)


async def test_whom_a_person_waits_for_goes_first_and_at_once(queue: Queue) -> None:
    queue.add(A)
    queue.add(B)
    await asyncio.sleep(0.01)
    queue.hurry(C)
    began = now()
    assert await queue.get() == C
    assert now() == began


async def test_hurry_ends_a_backoff(queue: Queue) -> None:
    for _ in range(8):
        queue.retry(A)
    began = now()
    queue.hurry(A)
    assert await queue.get() == A
    assert now() == began
    queue.done(A)
    assert queue.retry(A) <= 0.2, "and the next failure starts anew"


async def test_hurry_while_a_worker_has_the_key_brings_it_right_after(queue: Queue) -> None:
    queue.add(A)
    await queue.get()
    queue.hurry(A)
    queue.add(B)
    await asyncio.sleep(0.1)
    queue.done(A)
    assert await queue.get() == A


async def test_of_several_times_the_soonest_wins(queue: Queue) -> None:
    queue.add_after(A, 30)
    queue.add_after(A, 5)
    queue.add_after(A, 60)
    began = now()
    await queue.get()
    assert now() - began == pytest.approx(5)
    queue.done(A)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 120)


async def test_an_event_does_not_wait_for_a_time_to_come(queue: Queue) -> None:
    queue.add_after(A, 30)
    queue.add(A)
    began = now()
    await queue.get()
    assert now() - began == pytest.approx(0.005)


async def test_failures_wait_twice_as_long_each_time_up_to_half_a_minute(queue: Queue) -> None:
    delays = [queue.retry(A) for _ in range(14)]
    assert 0.15 <= delays[0] <= 0.2
    assert all(later > earlier for earlier, later in itertools.pairwise(delays[:8]))
    assert 22.5 <= delays[-1] <= 30
    queue.forget(A)
    assert queue.retry(A) <= 0.2


async def test_who_retries_may_be_more_patient_than_the_settings(queue: Queue) -> None:
    delays = [queue.retry(A, (0.2, 300.0)) for _ in range(14)]
    assert 225 <= delays[-1] <= 300


def test_backoff_is_jittered_but_never_above_its_limit() -> None:
    rng = random.Random(3)
    assert len({backoff(20, 0.2, 30, rng) for _ in range(50)}) > 40
    assert max(backoff(50, 0.2, 30, rng) for _ in range(50)) <= 30


async def test_a_stopped_queue_sends_its_workers_home(queue: Queue) -> None:
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.stop()
    for worker in waiting:
        with pytest.raises(QueueStopped):
            await worker


async def test_a_worker_that_is_cancelled_does_not_take_a_key_with_it(queue: Queue) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.hurry(A)  # wakes the first
    first.cancel()
    assert await asyncio.wait_for(second, 1) == A


async def test_a_key_that_waits_long_and_is_asked_for_often_leaves_nothing_behind(queue: Queue) -> None:
    for _ in range(2000):
        queue.add_after(A, 300)
        queue.add(A)
        await queue.get()
        queue.done(A)
    assert len(queue._heap) < 100
    queue.add_after(B, 1)
    queue.add_after(A, 2)
    assert [await queue.get(), await queue.get()] == [B, A]


async def test_many_workers_share_many_keys_without_two_having_the_same(queue: Queue) -> None:
    keys = [Key("shop", str(number)) for number in range(50)]
    holding: set[Key] = set()
    served: list[Key] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in holding
            holding.add(key)
            await asyncio.sleep(0.02)
            holding.discard(key)
            served.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for _ in range(5):
        for key in keys:
            queue.add(key)
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    assert set(served) == set(keys)
    assert queue.idle
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
