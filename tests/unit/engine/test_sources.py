"""One kind looked at in two ways: all of it, and what carries a label in one namespace, under a name of its own."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from fairlead.core.actions import Failure, Plan
from fairlead.core.meta import Key
from fairlead.engine.controller import Controller, Source, View
from fairlead.engine.engine import Engine
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import APPS, NAMESPACES, SERVICES
from support.rig import NAMESPACE, Thing, clock, new_cluster, project, until

pytestmark = [pytest.mark.looptime]
WHOLE = Key("", "whole")
HOME = "home"


class Looker:
    name = "looker"

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> Any:
        for name in ("Service", "Marked"):
            self.seen[name] = [f"{one.namespace}/{one.name}" for one in view.by(name, "all", "all")]
        return ()

    def plan(self, observed: Any, now: float) -> Plan:
        return Plan()


def engine(cluster: FakeCluster, looker: Looker, *, selector: str = "mark=yes", known_as: str = "Marked") -> Engine:
    def asks(_: Thing) -> tuple[Key, ...]:
        return (WHOLE,)

    index = {"all": lambda _: "all"}
    marked = Source(
        SERVICES, project, asks, index, label_selector=selector, optional=True, within=HOME, known_as=known_as
    )
    whole = Controller(
        name="whole",
        parent=APPS,
        sources=(Source(APPS, project, asks), Source(SERVICES, project, asks, index), marked),
        parts=(looker,),
        status_of=lambda record: {},
        summarise=lambda record, status, now: status,
        generation_of=lambda record: 0,
        standing=Thing("", "whole", "", 0),
    )
    return Engine(FakeClient(cluster), [whole], clock=clock, rng=random.Random(1), namespaces=(NAMESPACE,))


def service(cluster: FakeCluster, namespace: str, name: str, **labels: str) -> None:
    meta = {"name": name, "labels": labels}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}]}}
    cluster.create(SERVICES, namespace, body)


async def test_each_view_has_a_table_of_its_own_and_the_second_its_own_namespace() -> None:
    cluster, looker = new_cluster(), Looker()
    cluster.create(NAMESPACES, None, {"metadata": {"name": HOME}})
    service(cluster, NAMESPACE, "here", mark="yes")
    service(cluster, HOME, "there", mark="yes")
    service(cluster, HOME, "unmarked")
    made = engine(cluster, looker)
    running = asyncio.create_task(made.run())
    try:
        await until(lambda: looker.seen == {"Service": ["shop/here"], "Marked": ["home/there"]})
        service(cluster, HOME, "later", mark="yes")
        await until(lambda: looker.seen["Marked"] == ["home/later", "home/there"])
        assert looker.seen["Service"] == ["shop/here"]
    finally:
        made.stop()
        await asyncio.wait([running])
    assert running.exception() is None


async def test_two_ways_to_look_need_two_names() -> None:
    with pytest.raises(ValueError, match="look at Service in different ways"):
        engine(new_cluster(), Looker(), known_as="")
