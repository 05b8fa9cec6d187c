"""Who is measured: each can create the load, give it a new image and take it down to nothing."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from bench import workload
from bench.workload import NAMESPACE, Load
from fairlead.kube.client import Client
from fairlead.kube.resources import APPS, PODS, Resource

Call = Callable[[], Awaitable[object]]

IN_FLIGHT = 50
"""Requests at once: more adds latency and no throughput (measured on two cores)."""


class Contender(Protocol):
    """Makes a load with an image by version. Each act returns when it is asked for, not when it is done."""

    async def create(self, load: Load, version: int) -> None: ...
    async def roll(self, load: Load, version: int) -> None: ...
    async def empty(self, load: Load) -> None: ...


class Managed:
    """Objects that a controller turns into pods: Apps or Deployments."""

    def __init__(self, client: Client, resource: Resource, body: Callable[[str, int, int, str], bytes]) -> None:
        """`body` makes the object from its name, replicas, version and node ("" for any)."""
        self._client = client
        self._resource = resource
        self._body = body

    async def create(self, load: Load, version: int) -> None:
        await side_by_side(
            self._create(name, load.each, version, load.node(number)) for number, name in enumerate(load.names())
        )

    async def roll(self, load: Load, version: int) -> None:
        await self._patch(load, workload.new_image(version))

    async def empty(self, load: Load) -> None:
        await self._patch(load, workload.new_replicas(0))

    def _create(self, name: str, replicas: int, version: int, node: str) -> Call:
        body = self._body(name, replicas, version, node)
        return lambda: self._client.create(self._resource, NAMESPACE, body)

    async def _patch(self, load: Load, body: bytes) -> None:
        def patch(name: str) -> Call:
            return lambda: self._client.patch(self._resource, NAMESPACE, name, body, type="json")

        await side_by_side(map(patch, load.names()))


class Bare:
    """Nobody decides anything: so many creates and deletes as fast as the API server takes them. A roll makes all new
    pods and deletes all old ones at the same time, with no surge and nothing kept available."""

    def __init__(self, client: Client, nodes: int) -> None:
        """`nodes`: pods are bound to that many at birth, in turn; 0 leaves that to the scheduler."""
        self._client = client
        self._nodes = nodes
        self._pods: list[str] = []

    async def create(self, load: Load, version: int) -> None:
        await side_by_side(self._creates(load, version))

    async def roll(self, load: Load, version: int) -> None:
        deletes = self._deletes()
        creates = self._creates(load, version)
        await side_by_side(call for pair in zip(creates, deletes, strict=True) for call in pair)

    async def empty(self, load: Load) -> None:
        await side_by_side(self._deletes())

    def _creates(self, load: Load, version: int) -> list[Call]:
        self._pods = [f"{name}-{version}-{number}" for name in load.names() for number in range(load.each)]
        return [self._create(pod, version, number) for number, pod in enumerate(self._pods)]

    def _deletes(self) -> list[Call]:
        return [self._delete(pod) for pod in self._pods]

    def _create(self, name: str, version: int, number: int) -> Call:
        node = f"node-{number % self._nodes}" if self._nodes else ""
        body = workload.bare_pod(name, version, node)
        return lambda: self._client.create(PODS, NAMESPACE, body)

    def _delete(self, name: str) -> Call:
        return lambda: self._client.delete(PODS, NAMESPACE, name)


async def side_by_side(calls: Iterable[Call]) -> None:
    """All calls, IN_FLIGHT of them at once."""
    left = iter(calls)

    async def work() -> None:
        for call in left:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


def apps(client: Client, spread: str = "Default") -> Managed:
    return Managed(client, APPS, functools.partial(workload.app, spread=spread))


def deployments(client: Client) -> Managed:
    return Managed(client, workload.DEPLOYMENTS, workload.deployment)
