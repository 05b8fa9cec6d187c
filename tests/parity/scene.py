"""One namespace with an App in it: what a person does there, and what can be seen of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from fairlead.core.conditions import find
from fairlead.core.meta import LABEL_APP, LABEL_REVISION, controller_of
from fairlead.kube.client import Client, PatchType
from fairlead.kube.errors import ApiError, NotFound
from fairlead.kube.resources import APPS, BUDGETS, NAMESPACES, PODS, REVISIONS, Resource
from parity.mirror import Mirror
from support.crds import app
from support.lab import Lab

JSON = dict[str, Any]
T = TypeVar("T")

PATIENCE = 90.0
MISSING = "404"  # an image with this tag cannot be pulled (stages.yaml)
UNREADY = "unready"  # an image with this tag runs and never becomes ready
STARTS_IN = "parity.fairlead.dev/starts-in"
ENDS_IN = "parity.fairlead.dev/ends-in"
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
QUOTA = "condition-test"


class Scene:
    """A namespace, entered. The App is called `shop` unless said otherwise."""

    def __init__(self, lab: Lab, client: Client, namespace: str) -> None:
        self.lab = lab
        self.client = client
        self.namespace = namespace
        self.mirror = Mirror(client, PODS, APPS, REVISIONS, BUDGETS, namespace=namespace)

    async def __aenter__(self) -> Scene:
        await self.create(NAMESPACES, {"metadata": {"name": self.namespace}}, namespace=None)
        await self.mirror.__aenter__()
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.mirror.__aexit__(*problem)
        await self.client.delete(NAMESPACES, None, self.namespace)

    # ------------------------------------------------------------ what a person does

    async def create(self, resource: Resource, body: JSON, namespace: str | None = "") -> JSON:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        where = self.namespace if namespace == "" else namespace
        return await self._told_of(resource, await self.client.create(resource, where, msgspec.json.encode(body)))

    async def replace(self, resource: Resource, body: JSON, *, subresource: str = "") -> JSON:
        name, data = body["metadata"]["name"], msgspec.json.encode(body)
        answer = await self.client.replace(resource, self.namespace, name, data, subresource=subresource)
        return await self._told_of(resource, answer)

    async def run(self, name: str = "shop", **spec: Any) -> JSON:
        """An App, and wait until it is ready."""
        await self.create(APPS, app(name, **spec))
        return await self.ready(name)

    async def patch(
        self,
        body: JSON | list[JSON],
        resource: Resource = APPS,
        name: str = "shop",
        *,
        subresource: str = "",
        type: PatchType = "merge",
    ) -> JSON:
        data = msgspec.json.encode(body)
        answer = await self.client.patch(resource, self.namespace, name, data, type=type, subresource=subresource)
        return await self._told_of(resource, answer)

    async def spec(self, name: str = "shop", **changes: Any) -> JSON:
        """Change fields of an App's spec."""
        return await self.patch({"spec": changes}, name=name)

    async def evict(self, pod: str) -> bool:
        """Whether the eviction was allowed. Any other answer than yes, or no for a budget's sake, is an error."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.namespace}}
        try:
            await self.client.create(PODS, self.namespace, msgspec.json.encode(body), name=pod, subresource="eviction")
        except ApiError as error:
            assert "disruption budget" in str(error), error
            return False
        return True

    # ------------------------------------------------------------ what can be seen

    async def live(self, resource: Resource, name: str, subresource: str = "") -> JSON:
        """As the API server has it now, not as the watch has told."""
        found: JSON = msgspec.json.decode(
            await self.client.get(resource, self.namespace, name, subresource=subresource)
        )
        return found

    async def exists(self, resource: Resource, name: str) -> bool:
        try:
            await self.client.get(resource, self.namespace, name)
        except NotFound:
            return False
        return True

    def app(self, name: str = "shop") -> JSON:
        found = self.mirror.find(APPS, self.namespace, name)
        assert found is not None, f"no App {name}"
        return found

    def status(self, name: str = "shop") -> JSON:
        """Empty where it is of an older spec."""
        found = self.app(name)
        status: JSON = found.get("status") or {}
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}

    def condition(self, type: str, name: str = "shop") -> JSON:
        return find(self.status(name).get("conditions") or (), type) or {}

    def pods(self, name: str = "shop") -> list[JSON]:
        """The App's pods that are not on their way out."""
        return [
            pod
            for pod in self.mirror.all(PODS, self.namespace)
            if owner_name(pod) == name and "deletionTimestamp" not in pod["metadata"]
        ]

    def uids(self, name: str = "shop") -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods(name)}

    def images(self, name: str = "shop") -> Counter[str]:
        """How many pods run which image."""
        return Counter(image_of(pod) for pod in self.pods(name))

    def revisions(self, name: str = "shop") -> dict[int, JSON]:
        """By number."""
        return {
            one["spec"]["number"]: one
            for one in self.mirror.all(REVISIONS, self.namespace)
            if one["spec"]["app"] == name
        }

    def sizes(self, name: str = "shop") -> dict[int, int]:
        """How many pods each revision is to have: what upstream calls its ReplicaSet's spec.replicas."""
        numbers = {one["metadata"]["labels"][LABEL_REVISION]: number for number, one in self.revisions(name).items()}
        sizes = (self.status(name).get("rollout") or {}).get("sizes") or {}
        return {numbers[hash]: size for hash, size in sizes.items() if hash in numbers}

    def counted(self, number: int, name: str = "shop") -> tuple[int, int]:
        """(pods, available pods) of a revision, by its own status."""
        status = self.revisions(name)[number].get("status") or {}
        return status.get("replicas", 0), status.get("availableReplicas", 0)

    # ------------------------------------------------------------ waiting

    async def until(self, holds: Callable[[], T], seconds: float = PATIENCE) -> T:
        return await self.mirror.until(self.namespace, holds, seconds, self._told)

    async def ready(self, name: str = "shop") -> JSON:
        """Wait until what the spec asks for runs, and is seen here; its status."""
        await self.until(lambda: self._shows(name))
        return self.status(name)

    def _shows(self, name: str) -> bool:
        """It is ready, with the Revision and the pods that it is ready by: each kind has a watch of its own, and one that the machine
        keeps waiting tells of them after the App."""
        if not self.mirror.find(APPS, self.namespace, name) or self.condition("Ready", name).get("status") != "True":
            return False
        status = self.status(name)
        revision = self.mirror.find(REVISIONS, self.namespace, status["activeRevision"])
        running = [pod["metadata"]["labels"][LABEL_REVISION] for pod in self.pods(name)]
        return revision is not None and running == [revision["metadata"]["labels"][LABEL_REVISION]] * status["replicas"]

    async def quota(self, pods: int) -> None:
        """A quota of pods, counted by the controller manager: before that it refuses everything."""
        await self.create(QUOTAS, {"metadata": {"name": QUOTA}, "spec": {"hard": {"pods": str(pods)}}})
        async with asyncio.timeout(PATIENCE):
            while (await self.live(QUOTAS, QUOTA)).get("status", {}).get("hard", {}).get("pods") != str(pods):
                await asyncio.sleep(0.05)

    async def gone(self, resource: Resource) -> None:
        """Wait until the namespace has none of that kind."""
        await self.until(lambda: not self.mirror.all(resource, self.namespace))

    async def _told_of(self, resource: Resource, answer: bytes) -> JSON:
        """Wait until the watch has told of a write of ours, or what is seen next may be older than it."""
        stored: JSON = msgspec.json.decode(answer)
        if resource in self.mirror.resources and stored["kind"] == resource.kind:
            await self.until(lambda: self.mirror.told_of(resource, stored))
        return stored

    def _told(self) -> str:
        apps = {one["metadata"]["name"]: one.get("status") for one in self.mirror.all(APPS, self.namespace)}
        pods = {one["metadata"]["name"]: image_of(one) for one in self.mirror.all(PODS, self.namespace)}
        return f"{msgspec.json.encode(apps).decode()}; pods: {pods}"


def owner_name(found: JSON) -> str:
    """Of the App that controls it, "" without one."""
    owner = controller_of(found["metadata"])
    return owner.name if owner and owner.kind == "App" else ""


def image_of(pod: JSON) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image


def template(tag: str, *, starts_in: str = "", ends_in: str = "", **pod: Any) -> JSON:
    """The template of support.crds.app with another image, and other fields of the pod's spec."""
    made: JSON = app()["spec"]["template"]
    made["spec"]["containers"][0]["image"] = f"shop:{tag}"
    made["spec"].update(pod)
    pace = {STARTS_IN: starts_in, ENDS_IN: ends_in}
    made["metadata"] = {"annotations": {name: value for name, value in pace.items() if value}}
    return made


def labelled(name: str) -> str:
    """The selector of an App's pods."""
    return f"{LABEL_APP}={name}"
