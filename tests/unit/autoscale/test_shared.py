"""One answer for all who ask at about the same time, and when it is let go of."""

import asyncio

import pytest

from fairlead.autoscale.kubelets import Kubelets
from fairlead.autoscale.shared import PERIOD, Shared
from fairlead.kube.fake import FakeClient, FakeCluster


@pytest.mark.looptime
async def test_who_reads_gets_the_answer_before_and_others_the_one_that_is_fresh() -> None:
    count = Shared[int]()

    async def more(last: int | None) -> int:
        await asyncio.sleep(0.1)
        return (last or 0) + 1

    assert await asyncio.gather(*(count.of(more) for _ in range(5))) == [1] * 5
    await asyncio.sleep(PERIOD - 0.2)
    assert await count.of(more) == 1
    await asyncio.sleep(0.1)
    assert await count.of(more) == 2


@pytest.mark.looptime
async def test_it_is_idle_when_nobody_has_read_for_long_and_nobody_does_now() -> None:
    loop, shared = asyncio.get_running_loop(), Shared[str]()

    async def slow(_: str | None) -> str:
        await asyncio.sleep(2.0)
        return "done"

    reading = asyncio.create_task(shared.of(slow))
    await asyncio.sleep(1.0)
    assert not shared.idle(loop.time() + 100, 10.0)
    await reading
    assert not shared.idle(loop.time() + 9, 10.0) and shared.idle(loop.time() + 10, 10.0)


@pytest.mark.looptime
async def test_a_node_that_no_app_has_pods_on_any_more_is_forgotten() -> None:
    cluster = FakeCluster(lambda: 0.0)
    cluster.behind["/api/v1/nodes/"] = lambda path, query: b""
    kubelets, client = Kubelets(), FakeClient(cluster, "operator")
    await kubelets.used("shop", {"web-1": "node-1", "web-2": "node-2"}, client, 0.0)
    for _ in range(200):
        await asyncio.sleep(5.0)
        await kubelets.used("shop", {"web-2": "node-2"}, client, 0.0)
    assert list(kubelets._nodes) == ["node-2"]
