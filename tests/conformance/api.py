"""What the conformance tests hold: a client, a namespace of their own, and how to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec

from fairlead.core.meta import JSON
from fairlead.kube.client import Client
from fairlead.kube.errors import NotFound
from fairlead.kube.resources import Resource

decode = msgspec.json.decode
encode = msgspec.json.encode


@dataclass
class Api:
    """An API server under test. `controllers`: garbage collection and namespace deletion happen behind it."""

    client: Client
    namespace: str
    _numbers: Any = field(default_factory=lambda: count(1))

    def name(self, prefix: str = "thing") -> str:
        return f"{prefix}-{next(self._numbers)}"

    async def create(self, resource: Resource, body: JSON, **options: Any) -> JSON:
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return decode(await self.client.create(resource, self.namespace, encode(whole), **options))  # type: ignore[no-any-return]

    async def get(self, resource: Resource, name: str, **options: Any) -> JSON:
        return decode(await self.client.get(resource, self.namespace, name, **options))  # type: ignore[no-any-return]

    async def replace(self, resource: Resource, body: JSON, **options: Any) -> JSON:
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return decode(
            await self.client.replace(resource, self.namespace, body["metadata"]["name"], encode(whole), **options)
        )  # type: ignore[no-any-return]

    async def merge(self, resource: Resource, name: str, body: JSON, **options: Any) -> JSON:
        return decode(await self.client.patch(resource, self.namespace, name, encode(body), type="merge", **options))  # type: ignore[no-any-return]

    async def strategic(self, resource: Resource, name: str, body: JSON, **options: Any) -> JSON:
        return decode(
            await self.client.patch(resource, self.namespace, name, encode(body), type="strategic", **options)
        )  # type: ignore[no-any-return]

    async def json_patch(self, resource: Resource, name: str, *operations: JSON) -> JSON:
        return decode(await self.client.patch(resource, self.namespace, name, encode(list(operations)), type="json"))  # type: ignore[no-any-return]

    async def apply(self, resource: Resource, body: JSON, manager: str = "one", **options: Any) -> JSON:
        config = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        name = body["metadata"]["name"]
        return decode(
            await self.client.patch(
                resource, self.namespace, name, encode(config), type="apply", manager=manager, **options
            )
        )  # type: ignore[no-any-return]

    async def delete(self, resource: Resource, name: str, **options: Any) -> None:
        await self.client.delete(resource, self.namespace, name, **options)

    async def list(self, resource: Resource, **options: Any) -> JSON:
        return decode(await self.client.list(resource, self.namespace, **options))  # type: ignore[no-any-return]

    async def names(self, resource: Resource, **options: Any) -> list[str]:
        return [item["metadata"]["name"] for item in (await self.list(resource, **options))["items"]]

    async def exists(self, resource: Resource, name: str) -> bool:
        try:
            await self.get(resource, name)
        except NotFound:
            return False
        return True

    async def eventually(self, holds: Callable[[], Awaitable[bool]], seconds: float = 90) -> None:
        """Wait for something other programs do behind the API server."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not await holds():
            assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
            await asyncio.sleep(0.05)

    async def gone(self, resource: Resource, name: str) -> None:
        async def is_gone() -> bool:
            return not await self.exists(resource, name)

        await self.eventually(is_gone)

    async def events(
        self, resource: Resource, rv: str, until: Callable[[list[JSON]], bool], **options: Any
    ) -> list[JSON]:
        """Watch from `rv` until the events seen are enough; bookmarks are left out."""
        seen: list[JSON] = []
        async with asyncio.timeout(90), aclosing(self._stream(resource, rv, **options)) as stream:
            async for event in stream:
                if event["type"] != "BOOKMARK":
                    seen.append(event)
                if until(seen):
                    break
        return seen

    async def _stream(self, resource: Resource, rv: str, **options: Any) -> AsyncIterator[JSON]:
        async with aclosing(self.client.watch(resource, self.namespace, resource_version=rv, **options)) as batches:  # type: ignore[type-var]
            async for lines in batches:
                for line in lines:
                    yield decode(line)

    async def version(self) -> str:
        """The resourceVersion of now, as a list gives it."""
        return str((await self.list(_ANY))["metadata"]["resourceVersion"])


_ANY = Resource("", "v1", "configmaps", "ConfigMap")


def config_map(name: str, **meta: Any) -> JSON:
    return {"metadata": {"name": name, **meta}, "data": {"a": "1"}}


def pod(name: str, node: str = "", **meta: Any) -> JSON:
    spec: JSON = {"containers": [{"name": "web", "image": "shop:1"}], "terminationGracePeriodSeconds": 20}
    return {"metadata": {"name": name, **meta}, "spec": {**spec, **({"nodeName": node} if node else {})}}


def service(name: str, **meta: Any) -> JSON:
    return {
        "metadata": {"name": name, **meta},
        "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80}]},
    }


def lease(name: str, **meta: Any) -> JSON:
    return {"metadata": {"name": name, **meta}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}


def budget(name: str, **meta: Any) -> JSON:
    return {"metadata": {"name": name, **meta}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}}


def app(name: str, **meta: Any) -> JSON:
    template = {"spec": {"containers": [{"name": "web", "image": "shop:1"}]}}
    return {"metadata": {"name": name, **meta}, "spec": {"replicas": 3, "template": template}}


def revision(name: str, **meta: Any) -> JSON:
    spec = {"app": "shop", "number": 1, "templateHash": "abc", "template": {"spec": {"containers": []}}}
    return {"metadata": {"name": name, **meta}, "spec": spec}
