"""One leads. The next one leads soon after, and never while the first may still write."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from fairlead.core.meta import JSON
from fairlead.engine.leader import Leader, LeadershipLost
from fairlead.engine.settings import LeaseSettings
from fairlead.kube.errors import Unreachable
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import LEASES, PODS, Resource
from fairlead.metrics.collect import Metrics
from support.rig import NAMESPACE, as_many_as_wanted, clock, new_cluster, rig, until

pytestmark = pytest.mark.looptime

LEASE = LeaseSettings(namespace=NAMESPACE, name="lease")


class Door(FakeClient):
    """A FakeClient whose way to the server can be cut, or made slow."""

    delay = 0.0
    broken = False

    async def get(self, resource: Resource, namespace: str | None, name: str, *, subresource: str = "") -> bytes:
        await asyncio.sleep(self.delay)
        if self.broken:
            raise Unreachable(0, "Unreachable", "connection refused")
        return await super().get(resource, namespace, name, subresource=subresource)


@dataclass
class Candidate:
    leader: Leader
    door: Door
    running: asyncio.Task[None]

    async def ends(self, within: float) -> BaseException | None:
        await asyncio.wait([self.running], timeout=within)
        assert self.running.done(), "it still runs"
        return self.running.exception()


@asynccontextmanager
async def candidate(cluster: FakeCluster, name: str) -> AsyncIterator[Candidate]:
    door = Door(cluster, name)
    leader = Leader(door, LEASE, name, clock=clock, rng=random.Random(1), metrics=Metrics())
    running = asyncio.create_task(leader.run())
    yield Candidate(leader, door, running)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def lease(cluster: FakeCluster) -> JSON:
    spec: JSON = cluster.get(LEASES, NAMESPACE, "lease").object["spec"]
    return spec


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_leads_and_the_second_waits() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one:
        await until(lambda: one.leader.leads)
        async with candidate(cluster, "two") as two:
            await asyncio.sleep(120)
            assert one.leader.leads
            assert not two.leader.leads
            assert two.leader.holder == "one"
            assert lease(cluster)["holderIdentity"] == "one"
            assert lease(cluster)["leaseTransitions"] == 0


async def test_two_that_start_at_once_agree() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one, candidate(cluster, "two") as two:
        await asyncio.sleep(30)
        assert one.leader.leads != two.leader.leads


async def test_a_clean_end_hands_over_at_once() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one, candidate(cluster, "two") as two:
        await until(lambda: one.leader.leads or two.leader.leads)
        first, second = (one, two) if one.leader.leads else (two, one)
        first.running.cancel()
        await asyncio.wait([first.running])
        began = now()
        await first.leader.release()
        assert not first.leader.leads
        await until(lambda: second.leader.leads)
        assert now() - began < 3
        assert lease(cluster)["leaseTransitions"] == 1


async def test_a_dead_leader_is_followed_after_its_lease_not_before() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one:
        await until(lambda: one.leader.leads)
        async with candidate(cluster, "two") as two:
            await asyncio.sleep(10)
            one.running.cancel()
            began = now()
            await until(lambda: two.leader.leads)
            assert 12 < now() - began < 18


async def test_a_leader_that_is_cut_off_gives_up_before_the_next_one_starts() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one, candidate(cluster, "two") as two:
        await until(lambda: one.leader.leads or two.leader.leads)
        first, second = (one, two) if one.leader.leads else (two, one)
        first.door.broken = True
        both = 0
        while not second.leader.leads:
            await asyncio.sleep(0.05)
            both += first.leader.leads and second.leader.leads
        assert both == 0
        assert isinstance(await first.ends(1), LeadershipLost)


async def test_a_server_that_does_not_answer_ends_the_lead_in_time() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one:
        await until(lambda: one.leader.leads)
        one.door.delay = 3600
        began = now()
        assert isinstance(await one.ends(20), LeadershipLost)
        assert now() - began < 15


async def test_an_outage_shorter_than_the_deadline_is_survived() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one:
        await until(lambda: one.leader.leads)
        one.door.broken = True
        await asyncio.sleep(6)
        one.door.broken = False
        await asyncio.sleep(60)
        assert one.leader.leads


async def test_who_finds_another_in_the_lease_ends_at_once() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one:
        await until(lambda: one.leader.leads)
        cluster.edit(LEASES, NAMESPACE, "lease", lambda body: body["spec"].update(holderIdentity="two"))
        assert isinstance(await one.ends(3), LeadershipLost)
        assert not one.leader.leads


async def test_a_container_that_restarts_in_its_pod_leads_on_at_once() -> None:
    cluster = new_cluster()
    async with candidate(cluster, "one") as one:
        await until(lambda: one.leader.leads)
        one.running.cancel()
    async with candidate(cluster, "one") as again:
        began = now()
        await until(lambda: again.leader.leads)
        assert now() - began < 1


async def test_a_process_that_was_stopped_for_a_minute_knows_before_it_writes() -> None:
    """SIGSTOP, a suspended laptop, a frozen VM: its timers did not run, its clock did."""
    async with rig(as_many_as_wanted, lease=LEASE) as r:
        r.app(replicas=1)
        await r.until(lambda: r.pods() == ["web-0"])
        assert r.engine.leads
        leader = r.engine.leader
        assert leader is not None
        leader._renewed = now() - 60  # as a clock that ran on shows it
        r.app(replicas=2)
        await asyncio.sleep(0.5)
        assert r.pods() == ["web-0"]
        await asyncio.sleep(5)
        assert leader.leads, "it may renew what nobody has taken meanwhile"
        await r.until(lambda: len(r.pods()) == 2)


async def test_a_standby_is_warm_and_writes_nothing_until_it_leads() -> None:
    cluster = new_cluster()
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lease"}}
    cluster.create(LEASES, NAMESPACE, body | {"spec": {"holderIdentity": "other", "leaseDurationSeconds": 15}})
    async with rig(as_many_as_wanted, cluster=cluster, lease=LEASE) as r:
        r.app(replicas=2)
        await asyncio.sleep(10)
        assert r.engine.ready
        assert not r.engine.leads
        assert len(r.engine.store.tables["App"]) == 1
        assert r.client.writes == []
        await r.until(lambda: len(r.pods()) == 2, within=20)


async def test_an_engine_that_loses_the_lease_stops_writing_and_ends() -> None:
    with pytest.raises(LeadershipLost):
        async with rig(as_many_as_wanted, lease=LEASE, client=lambda cluster: FakeClient(cluster, latency=0.05)) as r:
            r.app(replicas=1000)
            await r.until(lambda: len(r.pods()) > 30)
            r.cluster.edit(LEASES, NAMESPACE, "lease", lambda body: body["spec"].update(holderIdentity="two"))
            await asyncio.wait([r.running], timeout=10)
            made = len(r.cluster.all(PODS, NAMESPACE))
            await asyncio.sleep(10)
            assert len(r.cluster.all(PODS, NAMESPACE)) == made
            assert lease(r.cluster)["holderIdentity"] == "two"


async def test_the_lease_is_released_only_when_nothing_writes_any_more() -> None:
    cluster = new_cluster()
    async with rig(
        as_many_as_wanted,
        cluster=cluster,
        lease=LEASE,
        client=lambda cluster: FakeClient(cluster, latency=0.05),
    ) as r:
        r.app(replicas=300)
        await r.until(lambda: len(r.pods()) > 30)
        r.engine.stop()
        await asyncio.wait([r.running])
    assert lease(cluster)["holderIdentity"] == ""
    history = [(commit.resource, msgspec.json.decode(commit.new.data)) for commit in cluster.history]
    assert history[-1][0] is LEASES
