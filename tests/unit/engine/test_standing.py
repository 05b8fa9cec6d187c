"""A parent that is no object: looked at from the start, told of the children's changes, and written for without an owner."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Create, Failure, Plan
from fairlead.core.meta import API_VERSION, Key
from fairlead.engine.controller import Controller, Source, View
from fairlead.engine.engine import Engine
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import APPS, SERVICES
from support.rig import NAMESPACE, Thing, clock, new_cluster, project, until

pytestmark = [pytest.mark.looptime]
WHOLE = Key("", "whole")
BODY = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}]}}


class Keeper:
    """Wants a Service of one name, whoever makes it."""

    name = "keeper"

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> Any:
        assert key == WHOLE and not failures
        names = tuple(service.name for service in view.by("Service", "all", "all"))
        self.seen.append(names)
        return names

    def plan(self, observed: Any, now: float) -> Plan:
        if "one" in observed:
            return Plan()
        return Plan(actions=(Create("Service", NAMESPACE, "one", msgspec.json.encode(BODY)),))


def engine(cluster: FakeCluster, keeper: Keeper, door: Callable[[FakeCluster], FakeClient] = FakeClient) -> Engine:
    services = Source(SERVICES, project, keys=lambda _: (WHOLE,), indexes={"all": lambda _: "all"})
    whole = Controller(
        name="whole",
        parent=APPS,
        sources=(Source(APPS, project, keys=lambda _: (WHOLE,)), services),
        parts=(keeper,),
        status_of=lambda record: {},
        summarise=lambda record, status, now: status,
        generation_of=lambda record: 0,
        standing=Thing("", "whole", "", 0),
    )
    return Engine(door(cluster), [whole], clock=clock, rng=random.Random(1))


async def run(made: Engine, until_then: Callable[[], bool]) -> None:
    running = asyncio.create_task(made.run())
    try:
        await until(until_then)
    finally:
        made.stop()
        await asyncio.wait([running])
    assert running.exception() is None


async def test_it_is_looked_at_in_an_empty_cluster_and_made_whole_again() -> None:
    cluster, keeper = new_cluster(), Keeper()

    def once_deleted() -> bool:
        if keeper.seen == [(), ("one",)]:
            cluster.delete(SERVICES, NAMESPACE, "one")
        return keeper.seen[-2:] == [(), ("one",)] and len(keeper.seen) > 2

    await run(engine(cluster, keeper), once_deleted)


async def test_objects_of_its_kind_are_no_parents_but_reasons_to_look() -> None:
    cluster, keeper = new_cluster(), Keeper()
    cluster.create(SERVICES, NAMESPACE, BODY)

    def looked_at_again() -> bool:
        if len(keeper.seen) == 1 and not cluster.all(APPS):
            cluster.create(
                APPS, NAMESPACE, {"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": "web"}, "spec": {}}
            )
        return len(keeper.seen) > 1

    await run(engine(cluster, keeper), looked_at_again)


async def test_whoever_was_first_has_done_it_where_no_owner_is_asked_for() -> None:
    cluster, keeper = new_cluster(), Keeper()

    class Late(FakeClient):
        """Another process is faster by one write."""

        async def create(self, *args: Any, **more: Any) -> bytes:
            if cluster.find(SERVICES, NAMESPACE, "one") is None:
                cluster.create(SERVICES, NAMESPACE, BODY)
            return await super().create(*args, **more)

    await run(engine(cluster, keeper, Late), lambda: keeper.seen[-1:] == [("one",)])
    assert len(cluster.all(SERVICES, NAMESPACE)) == 1
