"""Work apart from the reconciles: one at a time for each slot, and its answer written where nobody else has written it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.core.actions import Errand
from fairlead.core.meta import API_VERSION, JSON
from fairlead.engine.errands import AT_ONCE, LONGEST, Errands
from fairlead.engine.expectations import OwnWrites
from fairlead.engine.limiter import Lanes
from fairlead.engine.queue import Queue
from fairlead.engine.requests import Requests
from fairlead.engine.settings import EngineSettings
from fairlead.kube.client import Client
from fairlead.kube.errors import Unavailable
from fairlead.kube.fake import FakeClient, FakeCluster, Origin
from fairlead.kube.resources import REVISIONS
from fairlead.metrics.collect import Metrics
from support.rig import KEY, NAMESPACE, clock, new_cluster

pytestmark = pytest.mark.looptime


class Counter:
    """A messenger that takes ten seconds, and counts in the status."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0
        self.seconds = 10.0
        self.error: Exception | None = None
        self.silent = False
        self.meanwhile: Callable[[], None] = lambda: None

    async def run(self, task: Any, client: Client) -> Any:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        if self.error:
            raise self.error
        return None if self.silent else task

    def said(self, task: Any, status: JSON, answer: Any, now: float) -> JSON | None:
        self.meanwhile()
        taken = status.get("observedGeneration", 0)
        return {"observedGeneration": taken + 1} if taken == task else None


class Bench:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.cluster: FakeCluster = new_cluster()
        self.client = FakeClient(self.cluster)
        spec = {"app": "web", "number": 1, "templateHash": "v1", "template": {}}
        body = {"apiVersion": API_VERSION, "kind": "Revision", "metadata": {"name": "web-v1"}, "spec": spec}
        self.uid = self.cluster.create(REVISIONS, NAMESPACE, body).meta["uid"]
        settings, metrics, rng = EngineSettings(), Metrics(), random.Random(1)
        self.may_write = True
        requests = Requests(
            Lanes((8, 64), (8, 64), (8, 32), 0.2, metrics), settings, rng, metrics, lambda: self.may_write
        )
        self.own_writes = OwnWrites(30, loop.time)
        self.queue = Queue("test", settings, rng, metrics)
        self.messenger = Counter()
        self.metrics = Metrics()
        self.errands = Errands(self.client, self.messenger, requests, self.own_writes, self.queue, clock, self.metrics)

    def errand(self, gate: str = "errors", task: int = 0, uid: str = "") -> Errand:
        return Errand("Revision", NAMESPACE, "web-v1", uid or self.uid, (self.uid, gate), task)

    def start(self, *errands: Errand) -> None:
        """By a pass that has seen all that came before."""
        self.errands.start(KEY, errands, self.errands.ended)

    def counted(self) -> int:
        status = self.cluster.get(REVISIONS, NAMESPACE, "web-v1").object.get("status") or {}
        return int(status.get("observedGeneration", 0))

    def edit(self) -> None:
        """Somebody else writes the same object."""
        self.cluster.patch(
            REVISIONS,
            NAMESPACE,
            "web-v1",
            {"metadata": {"labels": {"x": str(self.cluster.rv)}}},
            "merge",
            Origin("patch", "other", "other"),
        )


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_nobody_waits_for_it_and_the_parent_is_looked_at_again_when_it_is_done(bench: Bench) -> None:
    bench.start(bench.errand())
    assert bench.counted() == 0

    assert await bench.queue.get() == KEY
    assert bench.counted() == 1


async def test_one_at_a_time_for_each_slot(bench: Bench) -> None:
    for _ in range(3):
        bench.start(bench.errand(), bench.errand("load"))
    await bench.queue.get()

    assert bench.messenger.most == 2
    assert bench.counted() == 1, "the second came too late: its answer was for the same count"


async def test_a_pass_that_did_not_know_of_the_answer_does_not_begin_it_again(bench: Bench) -> None:
    """It was decided on while the errand was under way, and its writes took until after the end."""
    seen = bench.errands.ended
    bench.start(bench.errand())
    await bench.queue.get()

    bench.errands.start(KEY, [bench.errand(task=1)], seen)
    await asyncio.sleep(1)
    assert bench.messenger.under_way == 0

    bench.start(bench.errand(task=1))
    await asyncio.sleep(1)
    assert bench.messenger.under_way == 1


async def test_who_writes_the_same_object_meanwhile_is_not_overwritten(bench: Bench) -> None:
    edits = iter([bench.edit, bench.edit])
    bench.messenger.meanwhile = lambda: next(edits, lambda: None)()
    bench.start(bench.errand())
    await bench.queue.get()

    assert bench.counted() == 1
    assert bench.cluster.get(REVISIONS, NAMESPACE, "web-v1").meta["labels"]["x"]


async def test_an_answer_for_another_object_of_that_name_is_dropped(bench: Bench) -> None:
    bench.start(bench.errand(uid="another"))
    await bench.queue.get()

    assert bench.counted() == 0


async def test_without_leadership_nothing_is_written(bench: Bench) -> None:
    bench.may_write = False
    bench.start(bench.errand())
    await bench.queue.get()

    assert bench.counted() == 0


@pytest.mark.parametrize("seconds", [10.0, 2 * LONGEST])
async def test_one_that_fails_or_never_ends_is_asked_for_again_after_a_pause(bench: Bench, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    bench.messenger.seconds = seconds
    bench.messenger.error = Unavailable(503, "ServiceUnavailable", "try later")
    bench.start(bench.errand())
    began = loop.time()
    await bench.queue.get()

    assert min(seconds, LONGEST) + 4 < loop.time() - began < min(seconds, LONGEST) + 6
    assert bench.counted() == 0
    bench.messenger.error, bench.messenger.seconds = None, 1.0
    bench.queue.done(KEY, 0.0)
    bench.start(bench.errand())
    await bench.queue.get()
    assert bench.counted() == 1


async def test_a_stop_lets_go_of_all(bench: Bench) -> None:
    bench.start(bench.errand())
    await asyncio.sleep(1)
    await bench.errands.stop()

    assert bench.messenger.under_way == 0
    assert bench.counted() == 0


async def test_an_answer_without_an_object_is_written_nowhere_and_wakes_the_parent(bench: Bench) -> None:
    bench.start(Errand("Pod", NAMESPACE, "", "p1", ("p1", "warm"), 0))

    assert await bench.queue.get() == KEY
    assert bench.counted() == 0


async def test_an_errand_from_which_nothing_follows_wakes_nobody(bench: Bench) -> None:
    bench.messenger.silent = True
    bench.start(bench.errand())
    await asyncio.sleep(60)

    assert bench.queue.idle
    assert bench.counted() == 0


async def test_a_crowd_of_one_kind_holds_up_no_other(bench: Bench) -> None:
    crowd = [Errand("Pod", NAMESPACE, "", f"p{number}", (f"p{number}", "warm"), 0) for number in range(3 * AT_ONCE)]
    bench.start(*crowd)
    await asyncio.sleep(1)
    bench.start(bench.errand())
    await asyncio.sleep(10.5)

    assert bench.counted() == 1, "it was not behind the others"
    assert bench.messenger.most == AT_ONCE + 1
    await bench.errands.stop()
