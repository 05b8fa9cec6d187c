"""An informer's table is true again after whatever the API server or the network did to its stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from fairlead.core.meta import JSON, LABEL_APP, Key
from fairlead.core.podstate import project_pod
from fairlead.engine.controller import Source
from fairlead.engine.informer import Hooks, Informer
from fairlead.engine.settings import EngineSettings
from fairlead.engine.store import Table
from fairlead.kube.client import Lines
from fairlead.kube.errors import ApiError, Forbidden, Gone, NotFound, TooManyRequests, Unavailable
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import NAMESPACES, PODS, SERVICES, Resource
from fairlead.metrics.collect import Metrics
from support.rig import NAMESPACE, Thing, new_cluster, project, until

pytestmark = pytest.mark.looptime


class Door(FakeClient):
    """A FakeClient whose lists and watches can be made to fail, and are counted."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__(cluster)
        self.lists: list[JSON] = []
        self.watches: list[JSON] = []
        self.refuse_lists: list[ApiError] = []
        self.refuse_watches: list[ApiError] = []
        self.lines: list[Lines] = []  # said by the next watch before it is a real one

    async def list(self, resource: Resource, namespace: str | None = None, **options: Any) -> bytes:
        self.lists.append(options)
        await asyncio.sleep(0)
        if self.refuse_lists:
            raise self.refuse_lists.pop(0)
        return await super().list(resource, namespace, **options)

    async def watch(self, resource: Resource, namespace: str | None = None, **options: Any) -> AsyncIterator[Lines]:
        self.watches.append(options)
        await asyncio.sleep(0)
        if self.refuse_watches:
            raise self.refuse_watches.pop(0)
        if self.lines:
            yield self.lines.pop(0)
            return
        async for lines in super().watch(resource, namespace, **options):
            yield lines


@dataclass
class Rig:
    cluster: FakeCluster
    door: Door
    informer: Informer
    table: Table
    metrics: Metrics
    told: list[tuple[Any, Any]] = field(default_factory=list)
    heard: list[tuple[str | None, str]] = field(default_factory=list)
    restored: int = 0

    def pod(self, name: str, **more: Any) -> None:
        self.cluster.create(PODS, NAMESPACE, body(name) | more)

    def names(self) -> list[str]:
        return sorted(record.name for record in self.table)

    def uid(self, name: str) -> str:
        record = self.table.get(NAMESPACE, name)
        return record.uid if record is not None else ""

    def restarts(self, cause: str) -> float:
        return (
            self.metrics.registry.get_sample_value("fairlead_watch_restarts_total", {"kind": "Pod", "cause": cause})
            or 0.0
        )

    async def shows(self, *names: str, within: float = 60.0) -> None:
        """The table holds these, and a watch is open that will tell of more."""
        await until(lambda: self.names() == sorted(names) and bool(self.door.streams), within)


def relabel(number: int) -> Callable[[JSON], None]:
    return lambda pod: pod["metadata"]["labels"].update(n=str(number))


def body(name: str, label: str = "web") -> JSON:
    return {
        "metadata": {"name": name, "labels": {LABEL_APP: label} if label else {}},
        "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
    }


@asynccontextmanager
async def informing(
    *pods: str,
    namespace: str = "",
    project: Callable[[bytes], Any] = project_pod,
    prepare: Callable[[Door], None] = lambda door: None,
    **source: Any,
) -> AsyncIterator[Rig]:
    cluster = new_cluster()
    for name in pods:
        cluster.create(PODS, NAMESPACE, body(name))
    door, metrics = Door(cluster), Metrics()
    prepare(door)
    watched = Source(PODS, project, keys=lambda pod: [Key(pod.namespace, pod.name)], **source)
    table = Table(watched)

    def observe(type: str | None, body: bytes) -> None:
        rig.heard.append((type, msgspec.json.decode(body)["metadata"]["name"]))

    def restored() -> None:
        rig.restored += 1

    informer = Informer(
        door,
        watched,
        namespace,
        table,
        Hooks(observe=observe, restored=restored),
        settings=EngineSettings(page_size=3),
        rng=random.Random(1),
        metrics=metrics,
    )
    rig = Rig(cluster, door, informer, table, metrics)
    table.listener = lambda old, new: rig.told.append((old, new))
    running = asyncio.create_task(informer.run())
    try:
        yield rig
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_it_lists_in_pages_and_is_synced_only_then() -> None:
    async with informing(*"abcdefgh") as rig:
        assert not rig.informer.synced
        await until(lambda: rig.informer.synced)
        assert rig.names() == list("abcdefgh")
        assert len(rig.door.lists) == 3


async def test_it_follows_what_happens() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.pod("b")
        rig.cluster.delete(PODS, NAMESPACE, "a", grace_period_seconds=0)
        await rig.shows("b")
        assert rig.table.reached("") == rig.cluster.rv


async def test_it_drops_what_stops_to_be_ours_and_takes_it_up_again() -> None:
    async with informing("a", "b") as rig:
        await rig.shows("a", "b")
        rig.cluster.edit(PODS, NAMESPACE, "a", lambda pod: pod["metadata"].update(labels={}))
        await rig.shows("b")
        rig.cluster.edit(PODS, NAMESPACE, "a", lambda pod: pod["metadata"].update(labels={LABEL_APP: "web"}))
        await rig.shows("a", "b")


MISSING = {
    "it is not installed": NotFound(404, "NotFound", "the server could not find the requested resource"),
    "no role allows it": Forbidden(403, "Forbidden", "pods is forbidden"),
}


@pytest.mark.parametrize("error", MISSING.values(), ids=MISSING)
async def test_an_optional_kind_that_cannot_be_had_is_empty_and_looked_for_now_and_then(error: ApiError) -> None:
    refusals: list[ApiError] = [error] * 3
    async with informing("a", optional=True, prepare=lambda door: door.refuse_lists.extend(refusals)) as rig:
        await until(lambda: rig.informer.synced)
        assert rig.names() == [] and error.message in rig.table.missing
        assert not rig.informer.problem and rig.informer.age() == 0.0
        await asyncio.sleep(20)
        assert len(rig.door.lists) == 1, "it is not asked for again and again"
        await rig.shows("a", within=200)
        assert not rig.table.missing and len(rig.door.lists) == 4


async def test_an_optional_kind_that_is_taken_away_midway_takes_its_objects_along() -> None:
    async with informing("a", optional=True) as rig:
        await rig.shows("a")
        rig.cluster.kinds.discard(PODS)
        rig.door.close_watches()
        await until(lambda: bool(rig.table.missing), within=200)
        assert rig.names() == [] and rig.told[-1][1] is None
        rig.cluster.kinds.add(PODS)
        await rig.shows("a", within=200)


async def test_a_kind_that_must_be_there_is_not_given_up() -> None:
    async with informing("a", prepare=lambda door: door.refuse_lists.append(MISSING["it is not installed"])) as rig:
        await rig.shows("a")
        assert not rig.table.missing and len(rig.door.lists) == 2


async def test_with_a_selector_an_object_may_leave_and_come_back() -> None:
    async with informing("a", label_selector=f"{LABEL_APP}=web") as rig:
        await rig.shows("a")
        rig.cluster.edit(PODS, NAMESPACE, "a", lambda pod: pod["metadata"].update(labels={LABEL_APP: "other"}))
        await rig.shows()
        rig.cluster.edit(PODS, NAMESPACE, "a", lambda pod: pod["metadata"].update(labels={LABEL_APP: "web"}))
        await rig.shows("a")


async def test_a_stream_that_ends_is_taken_up_where_it_was() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.pod("b")
        await rig.shows("a", "b")
        rig.door.close_watches()
        rig.pod("c")
        await rig.shows("a", "b", "c")
        assert len(rig.door.lists) == 1
        assert [old for old, new in rig.told if new is None] == []


async def test_what_vanished_while_history_was_lost_is_told_as_deleted() -> None:
    """kopf and most clients never tell (perf.md 7)."""
    async with informing("a", "b") as rig:
        await rig.shows("a", "b")
        rig.cluster.delete(PODS, NAMESPACE, "a", grace_period_seconds=0)
        rig.pod("c")
        rig.door.lose_watches()
        await rig.shows("b", "c")
        assert [old.name for old, new in rig.told if new is None] == ["a"]
        assert ("DELETED", "a") in rig.heard
        assert rig.restarts("gone") == 1


async def test_a_410_at_the_start_of_a_watch_relists() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.door.refuse_watches.append(Gone(410, "Expired", "too old"))
        rig.door.close_watches()
        await until(lambda: len(rig.door.lists) == 2)
        await rig.shows("a")


async def test_a_410_in_the_middle_of_a_list_begins_it_anew() -> None:
    def expire(door: Door) -> None:
        door.refuse_lists.append(Gone(410, "Expired", "the continue token is too old"))

    async with informing(*"abcde", prepare=expire) as rig:
        await rig.shows(*"abcde")


@pytest.mark.parametrize("code", [500, 429, 410])
async def test_an_error_line_relists_and_ends_nothing(code: int) -> None:
    """kopf's operator ends on any but the 410."""
    line = {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "etcdserver: no leader"}}
    async with informing("a") as rig:
        await rig.shows("a")
        rig.door.lines.append([msgspec.json.encode(line)])
        rig.door.close_watches()
        await until(lambda: len(rig.door.lists) == 2)
        rig.pod("b")
        await rig.shows("a", "b")


async def test_a_stream_without_bookmarks_is_dead_after_seventy_seconds() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        began = asyncio.get_running_loop().time()
        rig.door.hold_watches()
        rig.pod("b")
        await rig.shows("a", "b", within=90)
        assert 60 < asyncio.get_running_loop().time() - began < 75
        assert rig.restarts("silent") == 1
        assert len(rig.door.lists) == 1, "it resumes, it does not list again"


async def test_bookmarks_keep_a_quiet_stream_alive_and_move_it_on() -> None:
    async with informing("a", namespace=NAMESPACE) as rig:
        await rig.shows("a")
        rig.cluster.create(SERVICES, NAMESPACE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
        await asyncio.sleep(200)
        assert rig.table.reached(NAMESPACE) == rig.cluster.rv
        assert rig.restarts("silent") == 0
        assert rig.informer.age() < 61


async def test_no_right_to_list_is_said_and_tried_again() -> None:
    def forbid(door: Door) -> None:
        door.refuse_lists.extend(Forbidden(403, "Forbidden", 'cannot list resource "pods"') for _ in range(5))

    async with informing("a", prepare=forbid) as rig:
        await until(lambda: rig.informer.problem != "")
        assert "cannot list" in rig.informer.problem
        assert not rig.informer.synced
        await until(lambda: rig.informer.synced, within=60)
        assert rig.informer.problem == ""


async def test_a_kind_without_objects_is_well_again_when_its_watch_is_taken_long_before_it_says_anything() -> None:
    async with informing() as rig:
        await rig.shows()
        rig.door.refuse_watches.append(Unavailable(503, "ServiceUnavailable", "starting"))
        rig.door.close_watches()
        await until(lambda: rig.informer.problem != "")
        await until(lambda: rig.informer.problem == "", within=30)


async def test_an_api_server_that_is_down_for_an_hour_is_asked_twice_a_minute() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.door.refuse_watches = [Unavailable(503, "ServiceUnavailable", "down")] * 10_000
        rig.door.refuse_lists = [Unavailable(503, "ServiceUnavailable", "down")] * 10_000
        rig.door.close_watches()
        await asyncio.sleep(3600)
        asked = len(rig.door.lists) + len(rig.door.watches)
        assert 100 < asked < 200
        rig.door.refuse_watches, rig.door.refuse_lists = [], []
        rig.pod("b")
        await rig.shows("a", "b", within=31)


async def test_it_waits_as_long_as_the_server_asks() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.door.refuse_watches.append(TooManyRequests(429, "TooManyRequests", "slow down", retry_after=17.0))
        rig.door.close_watches()
        watches = len(rig.door.watches)
        await asyncio.sleep(16)
        assert len(rig.door.watches) == watches + 1
        await asyncio.sleep(2)
        assert len(rig.door.watches) == watches + 2


async def test_etcd_restored_from_a_backup_is_believed() -> None:
    async with informing("a", "b") as rig:
        await rig.shows("a", "b")
        rig.pod("c")
        await rig.shows("a", "b", "c")
        rig.table.advance("", rig.cluster.rv + 1000)  # as if much more had been seen before the restore
        rig.table.put(Thing(NAMESPACE, "a", uid="another-life", rv=rig.cluster.rv + 900))
        rig.door.refuse_watches.append(Gone(410, "Expired", "too old"))
        rig.door.close_watches()
        await until(lambda: rig.restored == 1)
        await rig.shows("a", "b", "c")
        assert rig.table.reached("") == rig.cluster.rv
        assert rig.uid("a") == rig.cluster.get(PODS, NAMESPACE, "a").meta["uid"]
        rig.pod("d")
        await rig.shows("a", "b", "c", "d")


async def test_what_was_made_after_the_backup_is_gone_with_the_restore() -> None:
    async with informing("a") as rig:
        restore = rig.cluster.backup()
        rig.pod("b")
        await rig.shows("a", "b")
        restore()
        rig.door.refuse_watches.append(Gone(410, "Expired", "too old"))
        rig.door.close_watches()
        await until(lambda: rig.restored == 1)
        await rig.shows("a")


async def test_a_watch_from_a_future_that_never_was_ends_in_a_relist() -> None:
    """After a restore the API server answers 504 "too large resource version", again and again."""
    async with informing("a") as rig:
        await rig.shows("a")
        rig.door.refuse_watches = [Unavailable(504, "Timeout", "Too large resource version")] * 3
        rig.door.close_watches()
        await until(lambda: len(rig.door.lists) == 2, within=30)


async def test_deleted_and_made_again_within_one_batch_is_two_facts() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        old = rig.uid("a")
        rig.cluster.remove(PODS, NAMESPACE, "a")
        rig.pod("a")
        await until(lambda: rig.uid("a") not in ("", old))
        assert [(bool(before), bool(after)) for before, after in rig.told] == [
            (False, True),
            (True, False),
            (False, True),
        ]


async def test_deleted_and_made_again_while_nobody_watched_is_two_facts() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.cluster.delete(PODS, NAMESPACE, "a", grace_period_seconds=0)
        rig.pod("a")
        rig.door.lose_watches()
        await until(lambda: len(rig.told) == 3)
        assert [(bool(before), bool(after)) for before, after in rig.told] == [
            (False, True),
            (True, False),
            (False, True),
        ]


async def test_an_object_nobody_can_read_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    def fussy(data: bytes) -> Any:
        thing = project(data)
        if thing.name == "bad":
            raise ValueError("what is this?")
        return thing

    async with informing("a", "bad", project=fussy) as rig:
        await rig.shows("a")
        rig.cluster.edit(PODS, NAMESPACE, "bad", lambda pod: pod["metadata"]["labels"].update(x="y"))
        rig.pod("b")
        await rig.shows("a", "b")
    assert "cannot read Pod shop/bad" in caplog.text


async def test_in_one_namespace_it_sees_that_namespace() -> None:
    async with informing("a", namespace=NAMESPACE) as rig:
        rig.cluster.create(NAMESPACES, None, {"metadata": {"name": "other"}})
        rig.cluster.create(PODS, "other", body("z"))
        rig.pod("b")
        await rig.shows("a", "b")


async def test_the_full_object_is_told_to_who_asks_with_how_it_came() -> None:
    async with informing("a") as rig:
        await rig.shows("a")
        rig.cluster.edit(PODS, NAMESPACE, "a", lambda pod: pod["metadata"]["labels"].update(x="y"))
        rig.pod("b")
        rig.cluster.remove(PODS, NAMESPACE, "b")
        await until(lambda: len(rig.heard) == 4)
        assert rig.heard == [(None, "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "b")]


async def test_random_trouble_leaves_the_table_equal_to_the_cluster() -> None:
    rng = random.Random(5)
    async with informing(*"abcdef") as rig:
        for step in range(300):
            name = rng.choice("abcdefghij")
            exists = rig.cluster.find(PODS, NAMESPACE, name) is not None
            match rng.randrange(8):
                case 0 | 1 if exists:
                    rig.cluster.delete(PODS, NAMESPACE, name, grace_period_seconds=0)
                case 0 | 1 | 2 if not exists:
                    rig.pod(name)
                case 2 | 3 | 4 if exists:
                    rig.cluster.edit(PODS, NAMESPACE, name, relabel(step))
                case 5:
                    rig.door.close_watches()
                case 6:
                    rig.door.lose_watches()
                case 7:
                    rig.door.refuse_watches.append(Unavailable(500, "InternalError", "etcdserver: no leader"))
            await asyncio.sleep(rng.choice([0, 0.001, 0.01, 1]))
        await asyncio.sleep(120)
        living = {stored.meta["name"]: stored.meta["uid"] for stored in rig.cluster.all(PODS, NAMESPACE)}
        assert {record.name: record.uid for record in rig.table} == living
