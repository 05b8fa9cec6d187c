"""An activator as a whole, by what the slices of a simulated API server say: it listens, tells the operator, and goes without a loss."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from itertools import pairwise

import aiohttp
import pytest

from fairlead.activation.model import ACTIVATOR, LABEL_ACTIVATED, LISTENING, MANAGED_BY, SERVICE_NAME
from fairlead.activator.process import Activator, Terms
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.kube.fake import FakeClient, FakeCluster, Origin
from fairlead.kube.resources import ENDPOINT_SLICES
from support.waiting import PATIENCE
from unit.activator.hold import QUICK, SHOP, Stream, all_of, pod, says_hello, until

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
WRITER = Origin("create", "test")


def unused() -> int:
    """A port that an activator may listen on, and nobody does."""
    while True:
        number = random.choice(LISTENING)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number


class Scene:
    def __init__(self, cluster: FakeCluster, activator: Activator) -> None:
        self.cluster, self.activator = cluster, activator
        self.number = unused()
        self.clients: list[Stream] = []

    def slice(self, name: str, ours: bool, port: int, *addresses: str, app: str = "shop") -> None:
        labels = {SERVICE_NAME: app, LABEL_APP: app, LABEL_ACTIVATED: "true"} | (
            {MANAGED_BY: ACTIVATOR} if ours else {}
        )
        body: JSON = {
            "metadata": {"name": name, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        }
        self.cluster.create(ENDPOINT_SLICES, "default", body, WRITER)

    async def listens(self) -> None:
        await until(lambda: self.activator.listeners.listens(SHOP))

    async def connect(self) -> Stream:
        self.clients.append(Stream(*await asyncio.open_connection("127.0.0.1", self.number)))
        return self.clients[-1]


@asynccontextmanager
async def running(drain: float = 0.05, grace: float = PATIENCE) -> AsyncIterator[Scene]:
    loop = asyncio.get_running_loop()
    cluster = FakeCluster(loop.time)
    terms = Terms(control="127.0.0.1:0", drain=drain, grace=grace, host="127.0.0.1", limits=QUICK)
    activator = Activator(FakeClient(cluster), terms, clock=lambda: 1000.0)
    scene = Scene(cluster, activator)
    work = asyncio.create_task(activator.run())
    try:
        await until(lambda: activator.ready and activator.control_port > 0)
        yield scene
    finally:
        for client in scene.clients:
            client.writer.transport.abort()
        activator.stop()
        await work
        await asyncio.sleep(0.01)


@asynccontextmanager
async def lines(port: int) -> AsyncIterator[AsyncIterator[JSON]]:
    """What an operator hears, without the beats."""

    async def heard(response: aiohttp.ClientResponse) -> AsyncIterator[JSON]:
        async for line in response.content:
            if not (said := json.loads(line)).get("whole"):
                yield said

    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/waiting") as response:
        assert response.status == 200
        yield heard(response)


async def test_it_listens_where_the_slice_says_holds_and_passes_on_to_the_pod_of_upstreams() -> None:
    async with running() as scene, pod(says_hello) as port:
        scene.slice("shop-activator", True, scene.number, "10.0.0.1")
        await scene.listens()
        client = await scene.connect()
        client.writer.write(GET)
        await until(lambda: scene.activator.hall.since(SHOP) == 1000.0)
        scene.slice("shop-x", False, port, "127.0.0.1")
        assert (await all_of(client)).startswith(b"HTTP/1.1 200")


async def test_the_operator_hears_who_waits_at_once_and_first_of_all_what_is() -> None:
    async with running() as scene:
        scene.slice("shop-activator", True, scene.number, "10.0.0.1")
        await scene.listens()
        async with lines(scene.activator.control_port) as heard, asyncio.timeout(PATIENCE):
            assert await anext(heard) == {"namespace": "default", "app": "shop", "listens": True}
            client = await scene.connect()
            client.writer.write(GET)
            assert await anext(heard) == {"namespace": "default", "app": "shop", "listens": True, "since": 1000.0}
            async with lines(scene.activator.control_port) as again:
                assert (await anext(again))["since"] == 1000.0, "who comes late hears it too"
            client.writer.close()
            assert await anext(heard) == {"namespace": "default", "app": "shop", "listens": True}


async def test_the_operator_hears_that_an_app_whose_slice_is_gone_is_not_listened_for() -> None:
    async with running() as scene:
        scene.slice("shop-activator", True, scene.number)
        await scene.listens()
        async with lines(scene.activator.control_port) as heard, asyncio.timeout(PATIENCE):
            assert (await anext(heard))["listens"]
            scene.cluster.delete(ENDPOINT_SLICES, "default", "shop-activator", origin=WRITER)
            assert await anext(heard) == {"namespace": "default", "app": "shop"}


def attempts(caplog: pytest.LogCaptureFixture) -> list[float]:
    """When it was found that the port cannot be had."""
    return [one.created for one in caplog.records if "cannot be listened on" in one.getMessage()]


async def test_a_port_that_is_taken_is_tried_one_attempt_at_a_time_however_often_pods_come_and_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fairlead.activator.listeners._AGAIN", 0.1)
    async with running() as scene:
        with closing(await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", scene.number)):
            scene.slice("shop-activator", True, scene.number)
            for pod_of_it in range(20):
                scene.slice(f"shop-{pod_of_it}", False, 8080, f"10.0.0.{pod_of_it}")
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.15)
            caplog.clear()
            await until(lambda: len(attempts(caplog)) >= 5)
            tried = attempts(caplog)
            assert min(later - earlier for earlier, later in pairwise(tried)) > 0.09, "each a pause after the last"
        await scene.listens()


async def test_a_port_that_another_has_taken_is_said_to_be_not_listened_on() -> None:
    async with running() as scene:
        taken = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", scene.number)
        scene.slice("shop-activator", True, scene.number)
        await asyncio.sleep(0.05)
        assert not scene.activator.listeners.listens(SHOP)
        taken.close()


async def test_a_port_outside_of_its_range_is_nobodys() -> None:
    """Whoever may write EndpointSlices may not have the activator's own ports."""
    async with running() as scene:
        scene.slice("shop-activator", True, 8082)
        scene.slice("other-activator", True, scene.number, app="other")
        await until(lambda: scene.activator.listeners.listens(SHOP._replace(name="other")))
        assert scene.activator.board.door(SHOP).ports == {} and not scene.activator.listeners.listens(SHOP)


async def test_of_two_apps_that_name_one_port_the_first_has_it() -> None:
    async with running() as scene:
        scene.slice("shop-activator", True, scene.number)
        await scene.listens()
        scene.slice("other-activator", True, scene.number, app="other")
        await asyncio.sleep(0.05)
        assert scene.activator.listeners.listens(SHOP)
        assert not scene.activator.listeners.listens(SHOP._replace(name="other"))


async def test_told_to_stop_it_is_not_ready_but_takes_whoever_still_comes_and_finishes() -> None:
    async with running(drain=0.5) as scene, pod(says_hello) as port:
        scene.slice("shop-activator", True, scene.number, "10.0.0.1")
        await scene.listens()
        assert scene.activator.doing == "holding requests"
        scene.activator.stop()
        assert not scene.activator.ready and scene.activator.doing == "going, 0 connections held"
        client = await scene.connect()
        client.writer.write(GET)
        async with lines(scene.activator.control_port) as heard, asyncio.timeout(PATIENCE):
            assert (await anext(heard))["listens"], "until it is gone it can wake"
        await until(lambda: scene.activator.hall.since(SHOP) is not None)
        scene.slice("shop-x", False, port, "127.0.0.1")
        assert (await all_of(client)).startswith(b"HTTP/1.1 200")
