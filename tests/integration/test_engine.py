"""The engine with the real HTTP client on a real API server, also when that goes away for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from fairlead.app import app_controller
from fairlead.core.meta import API_VERSION
from fairlead.core.podstate import Pod
from fairlead.engine.engine import Engine
from fairlead.kube.config import KubeconfigLogin
from fairlead.kube.http import HttpClient
from fairlead.kube.resources import APPS, PODS
from support.crds import install
from support.lab import Lab, LabFactory


@asynccontextmanager
async def engine_on(lab: Lab, namespace: str) -> AsyncIterator[tuple[Engine, HttpClient]]:
    client = await HttpClient.connect(KubeconfigLogin(str(lab.kubeconfig)))
    engine = Engine(client, [app_controller()], clock=time.time, namespaces=[namespace])
    running = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(60):
            await engine.synced.wait()
        yield engine, client
        assert not running.done()
    finally:
        engine.stop()
        await running
        await client.close()


async def until(condition: Callable[[], bool], within: float = 120) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.05)


def app(name: str, replicas: int) -> bytes:
    container = {"name": "main", "image": "shop:1"}
    spec = {
        "replicas": replicas,
        "template": {"spec": {"containers": [container]}},
        "expose": {"ports": [{"port": 80}]},
        "disruption": {"maxUnavailable": 1},
    }
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": name}, "spec": spec})


def pods(engine: Engine) -> list[Pod]:
    return [pod for pod in engine.store.tables["Pod"] if pod.deleting is None]


async def test_an_app_comes_scales_and_goes_to_nothing(api: Lab, namespace: str) -> None:
    async with engine_on(api, namespace) as (engine, client):
        await client.create(APPS, namespace, app("web", 20))
        await until(lambda: len(pods(engine)) == 20)
        await client.patch(APPS, namespace, "web", b'{"spec":{"replicas":3}}', type="merge")
        await until(lambda: len(pods(engine)) == 3)
        await client.patch(APPS, namespace, "web", b'{"spec":{"replicas":0}}', type="merge")
        await until(lambda: not pods(engine))
        await until(lambda: engine.store.get("App", namespace, "web").status.get("replicas") == 0)  # type: ignore[union-attr]
        await until(lambda: not engine.problems())  # another test's definitions may have been new when it looked first


async def test_an_api_server_that_is_killed_and_comes_back_is_taken_up_again(lab_factory: LabFactory) -> None:
    lab = lab_factory()
    install(lab)
    lab.kubectl("create", "namespace", "shop")
    async with engine_on(lab, "shop") as (engine, client):
        await client.create(APPS, "shop", app("web", 5))
        await until(lambda: len(pods(engine)) == 5)
        await asyncio.to_thread(lab.kill, "apiserver")
        await until(lambda: "pods in shop" in engine.problems())
        await asyncio.to_thread(lab.start, "apiserver")
        gone = pods(engine)[0]
        await client.delete(PODS, "shop", gone.name, uid=gone.uid)
        await until(lambda: len(pods(engine)) == 5 and all(pod.uid != gone.uid for pod in pods(engine)))
        await until(lambda: not engine.problems())


async def test_what_is_deleted_while_the_stream_hangs_is_replaced(lab_factory: LabFactory) -> None:
    """The API server is frozen: connections stay open and nothing comes. After it goes on, nothing was missed."""
    lab = lab_factory()
    install(lab)
    lab.kubectl("create", "namespace", "shop")
    async with engine_on(lab, "shop") as (engine, client):
        await client.create(APPS, "shop", app("web", 5))
        await until(lambda: len(pods(engine)) == 5)
        await asyncio.to_thread(lab.pause, "apiserver")
        scaling = asyncio.create_task(client.patch(APPS, "shop", "web", b'{"spec":{"replicas":8}}', type="merge"))
        await asyncio.sleep(3)
        await asyncio.to_thread(lab.resume, "apiserver")
        await scaling
        await until(lambda: len(pods(engine)) == 8)
