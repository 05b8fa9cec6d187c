"""A release by the weights of a route, by the whole engine: the order of its writes, and Gateway API that comes and goes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from fairlead.app import app_controller
from fairlead.core.conditions import find
from fairlead.core.meta import JSON, LABEL_REVISION
from fairlead.engine.engine import Engine
from fairlead.kube.fake import Commit, FakeClient, FakeCluster, Origin
from fairlead.kube.resources import APPS, HTTP_ROUTES, PODS, SERVICES
from support.endpoints import Endpoints
from support.rig import until

pytestmark = pytest.mark.looptime

ROUTE = {"parentRefs": [{"name": "web"}], "canaryHeaders": [{"name": "x-canary", "value": "always"}]}
ROLLOUT: JSON = {
    "strategy": "Canary",
    "maxSurge": 1,
    "maxUnavailable": 0,
    "steps": [{"weight": 10}, {"pause": {}}, {"weight": 50}],
}
KUBELET = Origin("update", "kubelet", "kubelet", "status")


@dataclass
class Shop:
    """An App with a route, and what is to be seen of it."""

    cluster: FakeCluster
    client: FakeClient
    endpoints: Endpoints

    def patch(self, body: JSON) -> None:
        self.cluster.patch(APPS, "default", "shop", body, "merge", Origin("patch", "user", "kubectl"))

    def image(self, image: str) -> None:
        self.patch({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})

    @property
    def status(self) -> JSON:
        return self.cluster.get(APPS, "default", "shop").object.get("status") or {}

    def routed(self) -> str:
        return str((find(self.status.get("conditions") or (), "Routed") or {}).get("reason"))

    @property
    def awaited(self) -> str:
        return str((find(self.status.get("conditions") or (), "Progressing") or {}).get("message"))

    def complete(self, image: str) -> bool:
        return self.images() == [image] * 4 and self.status.get("summary", "").startswith("Ready")

    def images(self) -> list[str]:
        return sorted(pod.object["spec"]["containers"][0]["image"] for pod in self.cluster.all(PODS, "default"))

    def rules(self) -> list[dict[str, int]]:
        """The weights of each rule, by image; nothing where there is no route."""
        if HTTP_ROUTES not in self.cluster.kinds or not (route := self.cluster.find(HTTP_ROUTES, "default", "shop")):
            return []
        return [self._shares(rule) for rule in route.object["spec"]["rules"]]

    def _shares(self, rule: JSON) -> dict[str, int]:
        pods = self.cluster.all(PODS, "default")
        names = {
            f"shop-{pod.meta['labels'][LABEL_REVISION]}": pod.object["spec"]["containers"][0]["image"] for pod in pods
        }
        refs = rule["backendRefs"]
        return {names.get(ref["name"], ref["name"]): ref["weight"] for ref in refs if ref["weight"]}


def kubelet(cluster: FakeCluster) -> Callable[[Commit], None]:
    """Pods are ready a second after they are made. They have no node, so they are gone as soon as they are deleted."""
    loop = asyncio.get_running_loop()

    def ready(pod: JSON) -> None:
        pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

    def report(name: str) -> None:
        if cluster.find(PODS, "default", name):
            cluster.edit(PODS, "default", name, ready, KUBELET)

    def heard(commit: Commit) -> None:
        if commit.resource == PODS and commit.type == "ADDED" and "broken" not in str(commit.new.object["spec"]):
            loop.call_later(1, report, commit.name)

    return heard


@asynccontextmanager
async def running(*, gateway_api: bool = True) -> AsyncIterator[Shop]:
    loop = asyncio.get_running_loop()
    cluster = FakeCluster(lambda: 1_800_000_000 + loop.time())
    cluster.subscribers.append(kubelet(cluster))
    endpoints = Endpoints(cluster, lambda seconds: seconds)
    if not gateway_api:
        cluster.kinds.discard(HTTP_ROUTES)
    client = FakeClient(cluster, "operator")
    engine = Engine(client, [app_controller()], clock=cluster.clock, rng=random.Random(1))
    work = asyncio.create_task(engine.run())
    spec: dict[str, Any] = {
        "replicas": 4,
        "rollout": ROLLOUT,
        "template": {"spec": {"containers": [{"name": "web", "image": "shop:1"}]}},
        "expose": {"ports": [{"port": 80}], "route": ROUTE},
    }
    body = {"apiVersion": APPS.api_version, "kind": "App", "metadata": {"name": "shop"}, "spec": spec}
    await FakeClient(cluster, "user").create(APPS, "default", msgspec.json.encode(body))
    try:
        shop = Shop(cluster, client, endpoints)
        await until(lambda: shop.complete("shop:1"), 60)
        yield shop
    finally:
        engine.stop()
        await work


async def paused(shop: Shop) -> None:
    """At the first weight, with all that belongs to it."""
    shop.image("shop:2")
    await until(lambda: shop.rules() == [{"shop:2": 1}, {"shop:1": 90, "shop:2": 10}], 60)
    await until(lambda: "heldAt" in shop.status["rollout"], 60)
    assert shop.images() == ["shop:1"] * 4 + ["shop:2"]


async def test_each_weight_is_written_before_the_pods_go_that_it_takes_it_from() -> None:
    async with running() as shop:
        assert shop.rules() == [{"shop:1": 100}] and shop.routed() == "GatewayPending"
        await paused(shop)
        seen: list[str] = []
        shop.cluster.subscribers.append(lambda commit: _note(commit, seen))
        shop.patch({"metadata": {"annotations": {"fairlead.dev/promote": "2/2"}}})
        await until(lambda: shop.complete("shop:2"), 60)
        await until(lambda: shop.rules() == [{"shop:2": 100}], 60)
        assert seen[0] == "weights" and seen.count("pod") == 4
        await until(lambda: len(shop.cluster.all(SERVICES, "default")) == 2, 60)


def _note(commit: Commit, seen: list[str]) -> None:
    if commit.resource == HTTP_ROUTES:
        seen.append("weights")
    if commit.resource == PODS and commit.type == "DELETED" and commit.origin.identity == "operator":
        seen.append("pod")


async def test_what_is_aborted_loses_its_weight_and_then_its_pods() -> None:
    async with running() as shop:
        await paused(shop)
        seen: list[str] = []
        shop.cluster.subscribers.append(lambda commit: _note(commit, seen))
        shop.patch({"metadata": {"annotations": {"fairlead.dev/abort": "2"}}})
        await until(lambda: shop.images() == ["shop:1"] * 4 and shop.rules() == [{"shop:1": 100}], 60)
        assert seen[:2] == ["weights", "pod"]
        await until(lambda: len(shop.cluster.all(SERVICES, "default")) == 2, 60)


async def test_pods_that_are_ready_get_no_request_before_they_are_among_the_endpoints() -> None:
    async with running() as shop:
        shop.endpoints.pace = lambda _seconds: 60
        shop.image("shop:2")
        await until(lambda: "shop:2" in shop.images(), 60)
        await asyncio.sleep(30)
        assert shop.rules() == [{"shop:1": 100}], "no weight, and no rule for the header"
        assert "1 of 1 updated pods, which are ready, to be among the endpoints of Service shop-" in shop.awaited
        await until(lambda: shop.rules() == [{"shop:2": 1}, {"shop:1": 90, "shop:2": 10}], 60)


async def test_what_never_gets_ready_gets_no_request() -> None:
    async with running() as shop:
        shop.image("broken")
        await until(lambda: "broken" in shop.images(), 60)
        await asyncio.sleep(60)
        assert shop.rules() == [{"shop:1": 100}]


async def test_at_rest_nothing_is_written() -> None:
    async with running() as shop:
        await until(lambda: shop.rules() == [{"shop:1": 100}], 60)
        await asyncio.sleep(5)
        before = len(shop.client.writes)
        await asyncio.sleep(600)
        assert len(shop.client.writes) == before


async def test_a_route_that_somebody_deletes_or_edits_is_put_right() -> None:
    async with running() as shop:
        await until(lambda: shop.rules() == [{"shop:1": 100}], 60)
        shop.cluster.delete(HTTP_ROUTES, "default", "shop")
        await until(lambda: shop.rules() == [{"shop:1": 100}], 60)
        edit = {"spec": {"hostnames": ["other.example.com"], "rules": []}}
        shop.cluster.patch(HTTP_ROUTES, "default", "shop", edit, "merge", Origin("patch", "user", "kubectl"))
        await until(lambda: shop.rules() == [{"shop:1": 100}], 60)


async def test_gateway_api_that_comes_later_is_noticed() -> None:
    async with running(gateway_api=False) as shop:
        assert shop.routed() == "GatewayApiMissing"
        await asyncio.sleep(300)
        shop.cluster.kinds.add(HTTP_ROUTES)
        await until(lambda: shop.rules() == [{"shop:1": 100}], 100)


async def test_gateway_api_that_is_removed_midway_holds_up_nothing() -> None:
    async with running() as shop:
        await paused(shop)
        shop.cluster.delete(HTTP_ROUTES, "default", "shop")
        shop.cluster.kinds.discard(HTTP_ROUTES)
        shop.client.close_watches("HTTPRoute")
        shop.patch({"metadata": {"annotations": {"fairlead.dev/promote": "2/2"}}})
        await until(lambda: shop.complete("shop:2"), 300)
        await until(lambda: shop.routed() == "GatewayApiMissing", 100)


async def test_without_the_field_all_of_it_goes() -> None:
    async with running() as shop:
        await paused(shop)
        shop.patch({"spec": {"expose": {"route": None}}})
        await until(lambda: not shop.rules() and len(shop.cluster.all(SERVICES, "default")) == 1, 60)
