"""A standby takes over from a leader whose last writes its watches have not told of yet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import msgspec
import pytest

from fairlead.app import app_controller
from fairlead.engine.engine import Engine
from fairlead.engine.settings import LeaseSettings
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import APPS, PODS

pytestmark = [pytest.mark.looptime]

LEASE = LeaseSettings(namespace="default", name="fairlead")


def engine(cluster: FakeCluster, name: str, lag: float = 0.002) -> tuple[FakeClient, Engine]:
    client = FakeClient(cluster, name, lag=lag)
    made = Engine(client, [app_controller()], clock=cluster.clock, identity=name, lease=LEASE, rng=random.Random(name))
    return client, made


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not holds():
            await asyncio.sleep(0.05)


async def test_the_new_leader_does_not_do_again_what_it_has_not_seen() -> None:
    loop = asyncio.get_running_loop()
    cluster = FakeCluster(lambda: 1_800_000_000 + loop.time())
    _, first = engine(cluster, "first")
    leading = asyncio.create_task(first.run())
    await until(lambda: first.leads)
    client, second = engine(cluster, "second", lag=2.0)
    standing_by = asyncio.create_task(second.run())
    await until(lambda: second.ready)
    user = FakeClient(cluster, "user")
    body = {"template": {"spec": {"containers": [{"name": "web", "image": "shop:1"}]}}, "replicas": 3}
    meta = {"name": "shop", "namespace": "default"}
    shop = {"apiVersion": APPS.api_version, "kind": "App", "metadata": meta, "spec": body}

    await user.create(APPS, "default", msgspec.json.encode(shop))
    await until(lambda: len(cluster.table(PODS)) == 3)
    # The standby's API server lags: it tells of the decision (three pods), which is stored first, and of no pod.
    decided = next(
        commit.rv
        for commit in cluster.since(0)
        if commit.resource is APPS and "rollout" in (commit.new.object.get("status") or {})
    )
    client.freeze(decided)
    first.stop()
    await leading
    await until(lambda: second.leads)
    await until(lambda: second.store.get("App", "default", "shop").rv == decided)
    await asyncio.sleep(5)
    client.thaw()
    await asyncio.sleep(60)

    assert len(cluster.table(PODS)) == 3, "no pod is made a second time"
    assert [write for write in client.writes if write.verb == "create" and write.resource is PODS] == []
    second.stop()
    await standing_by
