"""The conformance suite on the fake, and what only a fake can be made to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.api import Api, config_map, lease, pod
from conformance.suite import *  # noqa: F403
from fairlead.kube.errors import Conflict, Forbidden, Gone, Unreachable
from fairlead.kube.fake import Admission, At, Crash, FakeClient, FakeCluster, faults, gc, schema
from fairlead.kube.resources import APPS, CONFIG_MAPS, LEASES, NAMESPACES, PODS, REVISIONS

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster(time.time)
    made.schemas = {APPS.kind: schema.load(CRDS / "app.yaml"), REVISIONS.kind: schema.load(CRDS / "revision.yaml")}
    made.create(NAMESPACES, None, {"metadata": {"name": "test"}})
    return made


@pytest.fixture
async def api(cluster: FakeCluster) -> AsyncIterator[Api]:
    """The fake with a garbage collector behind it."""

    async def collector() -> None:
        while True:
            gc.collect(cluster)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(collector())
    yield Api(FakeClient(cluster, latency=0, lag=0), "test")
    task.cancel()


# ---------------------------------------------------------------- trouble, as planned


async def test_a_watch_from_a_forgotten_version_is_told_so(cluster: FakeCluster, api: Api) -> None:
    start = await api.version()
    await api.create(CONFIG_MAPS, config_map("a"))
    cluster.compact()
    events = await api.events(CONFIG_MAPS, start, bool)
    assert events[0]["type"] == "ERROR" and events[0]["object"]["code"] == 410


async def test_a_continue_token_beyond_history_is_gone(cluster: FakeCluster, api: Api) -> None:
    for name in "abc":
        await api.create(LEASES, lease(name))
    first = await api.list(LEASES, limit=1)
    await api.create(LEASES, lease("d"))
    cluster.compact()
    with pytest.raises(Gone):
        await api.list(LEASES, limit=1, continue_token=first["metadata"]["continue"])


async def test_a_lost_answer_hides_a_write_that_was_made(cluster: FakeCluster) -> None:
    client = FakeClient(cluster, faults=At(1, after=faults.lost_answer), latency=0)
    with pytest.raises(Unreachable):
        await Api(client, "test").create(CONFIG_MAPS, config_map("a"))
    assert cluster.find(CONFIG_MAPS, "test", "a")


async def test_a_refused_write_is_not_made(cluster: FakeCluster) -> None:
    client = FakeClient(cluster, faults=At(1, before=faults.conflict), latency=0)
    with pytest.raises(Conflict):
        await Api(client, "test").create(CONFIG_MAPS, config_map("a"))
    assert cluster.find(CONFIG_MAPS, "test", "a") is None


async def test_after_a_crash_the_client_is_dead(cluster: FakeCluster) -> None:
    client = FakeClient(cluster, faults=At(1, after=faults.crash), latency=0)
    api = Api(client, "test")
    with pytest.raises(Crash):
        await api.create(CONFIG_MAPS, config_map("a"))
    assert client.crashed.is_set()
    with pytest.raises(Crash):
        await api.get(CONFIG_MAPS, "a")
    assert cluster.find(CONFIG_MAPS, "test", "a")


async def test_a_frozen_client_sees_the_past_until_it_is_thawed(cluster: FakeCluster) -> None:
    client = FakeClient(cluster, latency=0, lag=0)
    api = Api(client, "test")
    start = await api.version()
    client.freeze()
    await api.create(LEASES, lease("a"))
    assert await api.names(LEASES, resource_version="0") == []
    assert await api.names(LEASES) == ["a"], "a consistent read is never old"
    watching = asyncio.create_task(api.events(LEASES, start, bool))
    await asyncio.sleep(0.05)
    assert not watching.done()
    client.thaw()
    assert (await watching)[0]["object"]["metadata"]["name"] == "a"


async def test_lost_watches_end_and_history_is_gone(cluster: FakeCluster) -> None:
    client = FakeClient(cluster, latency=0, lag=0)
    api = Api(client, "test")
    start = await api.version()
    watching = asyncio.create_task(api.events(LEASES, start, bool))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await api.create(CONFIG_MAPS, config_map("a"))
    client.lose_watches()
    assert await watching == []
    assert (await api.events(LEASES, start, bool))[0]["type"] == "ERROR"


async def test_admission_may_say_no(cluster: FakeCluster, api: Api) -> None:
    def quota(request: Admission) -> None:
        if request.resource is PODS and request.origin.verb == "create" and len(cluster.all(PODS, "test")) >= 1:
            raise Forbidden(403, "Forbidden", "exceeded quota: pods")

    cluster.admission.append(quota)
    await api.create(PODS, pod("a"))
    with pytest.raises(Forbidden, match="quota"):
        await api.create(PODS, pod("b"))
