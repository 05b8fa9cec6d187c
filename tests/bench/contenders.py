"""Who is measured: each can create the load, give it a new image and take it down to nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from bench import workload
from bench.workload import NAMESPACE
from fairlead.kube.client import Client
from fairlead.kube.resources import APPS, PODS, Resource

Call = Callable[[], Awaitable[object]]

IN_FLIGHT = 50
"""Requests at once for bare pods: more adds latency and no throughput (measured on two cores)."""


class Contender(Protocol):
    """A load has a name, so many pods, and an image by version. Each act returns when it is asked for, not when it is done."""

    async def create(self, name: str, pods: int, version: int) -> None: ...
    async def roll(self, name: str, pods: int, version: int) -> None: ...
    async def empty(self, name: str) -> None: ...


class Managed:
    """One object that a controller turns into pods: an App or a Deployment."""

    def __init__(self, client: Client, resource: Resource, body: Callable[[str, int, int], bytes]) -> None:
        """`body` makes the object from its name, replicas and version."""
        self._client = client
        self._resource = resource
        self._body = body

    async def create(self, name: str, pods: int, version: int) -> None:
        await self._client.create(self._resource, NAMESPACE, self._body(name, pods, version))

    async def roll(self, name: str, pods: int, version: int) -> None:
        await self._patch(name, workload.new_image(version))

    async def empty(self, name: str) -> None:
        await self._patch(name, workload.new_replicas(0))

    async def _patch(self, name: str, body: bytes) -> None:
        await self._client.patch(self._resource, NAMESPACE, name, body, type="json")


class Bare:
    """Nobody decides anything: so many creates and deletes as fast as the API server takes them. A roll makes all new
    pods and deletes all old ones at the same time, with no surge and nothing kept available."""

    def __init__(self, client: Client, nodes: int, in_flight: int = IN_FLIGHT) -> None:
        """`nodes`: pods are bound to that many at birth, in turn; 0 leaves that to the scheduler."""
        self._client = client
        self._nodes = nodes
        self._in_flight = in_flight
        self._pods: list[str] = []

    async def create(self, name: str, pods: int, version: int) -> None:
        await self._send(self._creates(name, pods, version))

    async def roll(self, name: str, pods: int, version: int) -> None:
        deletes = self._deletes()
        creates = self._creates(name, pods, version)
        await self._send(call for pair in zip(creates, deletes, strict=True) for call in pair)

    async def empty(self, name: str) -> None:
        await self._send(self._deletes())

    def _creates(self, name: str, pods: int, version: int) -> list[Call]:
        self._pods = [f"{name}-{version}-{number}" for number in range(pods)]
        return [self._create(pod, version, number) for number, pod in enumerate(self._pods)]

    def _deletes(self) -> list[Call]:
        return [self._delete(pod) for pod in self._pods]

    def _create(self, name: str, version: int, number: int) -> Call:
        node = f"node-{number % self._nodes}" if self._nodes else ""
        body = workload.bare_pod(name, version, node)
        return lambda: self._client.create(PODS, NAMESPACE, body)

    def _delete(self, name: str) -> Call:
        return lambda: self._client.delete(PODS, NAMESPACE, name)

    async def _send(self, calls: Iterable[Call]) -> None:
        left = iter(calls)

        async def work() -> None:
            for call in left:
                await call()

        async with asyncio.TaskGroup() as group:
            for _ in range(self._in_flight):
                group.create_task(work())


def apps(client: Client, spread: str = "Default") -> Managed:
    return Managed(client, APPS, lambda name, replicas, version: workload.app(name, replicas, version, spread))


def deployments(client: Client) -> Managed:
    return Managed(client, workload.DEPLOYMENTS, workload.deployment)
