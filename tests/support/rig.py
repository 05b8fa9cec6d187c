"""An engine with a toy room on the in-memory API server: what the engine's own tests drive.

The room's parent is an App; its children are pods named `<app>-<number>`. A test gives the decision as a function.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fairlead.core.actions import Create, Delete, Failure, Plan
from fairlead.core.meta import API_VERSION, JSON, LABEL_APP, Key, owner_reference
from fairlead.core.podstate import Pod, project_pod
from fairlead.engine.controller import Controller, Pods, Source, View
from fairlead.engine.engine import Engine
from fairlead.engine.settings import EngineSettings, LeaseSettings
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import APPS, NAMESPACES, PODS, REVISIONS, SERVICES, Resource

NAMESPACE = "shop"
KEY = Key(NAMESPACE, "web")
EPOCH = 1_800_000_000.0  # where the wall clock starts; it follows the loop


class Thing(msgspec.Struct, frozen=True):
    """A projected object, whatever its kind."""

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int = 0
    labels: dict[str, str] = {}
    owner_uid: str = ""
    spec: JSON = {}
    status: JSON = {}
    deleting: str | None = None


def project(body: bytes) -> Thing:
    """Any object as a Thing."""
    obj = msgspec.json.decode(body)
    meta = obj["metadata"]
    owner = next((ref["uid"] for ref in meta.get("ownerReferences") or () if ref.get("controller")), "")
    return Thing(
        meta.get("namespace", ""),
        meta["name"],
        meta["uid"],
        int(meta["resourceVersion"]),
        meta.get("generation", 0),
        meta.get("labels") or {},
        owner,
        obj.get("spec") or {},
        obj.get("status") or {},
        meta.get("deletionTimestamp"),
    )


def parents(thing: Any) -> list[Key]:
    """By our label, whatever the kind."""
    name = thing.app if isinstance(thing, Pod) else thing.labels.get(LABEL_APP, "")
    return [Key(thing.namespace, name)] if name else []


class Seen(msgspec.Struct, frozen=True):
    """What the toy room observes."""

    app: Thing
    pods: tuple[Pod, ...]
    failures: tuple[Failure, ...]

    @property
    def replicas(self) -> int:
        return int(self.app.spec.get("replicas", 0))


Decide = Callable[[Seen, float], Plan]


@dataclass
class Room:
    """A part whose plan is the test's."""

    decide: Decide
    name: str = "toy"
    seen: list[Seen] = field(default_factory=list)

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> Seen | None:
        app = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        seen = Seen(app, tuple(view.by("Pod", "app", tuple(key))), failures)
        self.seen.append(seen)
        return seen

    def plan(self, observed: Seen, now: float) -> Plan:
        return self.decide(observed, now)


def pod_body(app: Thing, name: str) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": app.namespace,
            "labels": {LABEL_APP: app.name},
            "ownerReferences": [owner_reference("App", app.name, app.uid)],
        },
        "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
    }


def create_pod(app: Thing, name: str) -> Create:
    return Create("Pod", app.namespace, name, msgspec.json.encode(pod_body(app, name)), app.uid)


def delete_pod(pod: Pod) -> Delete:
    return Delete("Pod", pod.namespace, pod.name, pod.uid)


def as_many_as_wanted(seen: Seen, now: float) -> Plan:
    """Pods 0 … replicas-1, no others; the status counts them."""
    wanted = {f"{seen.app.name}-{number}" for number in range(seen.replicas)}
    have = {pod.name for pod in seen.pods if pod.active}
    makes = tuple(create_pod(seen.app, name) for name in sorted(wanted - have))
    takes = tuple(delete_pod(pod) for pod in seen.pods if pod.active and pod.name not in wanted)
    return Plan(actions=makes + takes, status={"replicas": len(have)})


def controller(*rooms: Room, sources: tuple[Source, ...] = ()) -> Controller:
    return Controller(
        name="toy",
        parent=APPS,
        sources=(
            Source(APPS, project, keys=lambda app: (Key(app.namespace, app.name),)),
            Source(
                PODS,
                project_pod,
                keys=parents,
                indexes={"app": lambda pod: (pod.namespace, pod.app) if pod.app else None},
            ),
            *sources,
        ),
        parts=rooms,
        status_of=lambda app: app.status,
        summarise=lambda app, status, now: status,
        generation_of=lambda app: app.generation,
        pods=Pods(
            selector=lambda app: f"{LABEL_APP}={app.name}",
            known=lambda view, app: view.by("Pod", "app", (app.namespace, app.name)),
        ),
    )


REVISION_SOURCE = Source(REVISIONS, project, keys=parents)
SERVICE_SOURCE = Source(SERVICES, project, keys=parents)


def clock() -> float:
    """Wall time that follows the loop's: virtual under looptime."""
    return EPOCH + asyncio.get_running_loop().time()


@dataclass
class Rig:
    """One engine on one API server."""

    cluster: FakeCluster
    client: FakeClient
    engine: Engine
    room: Room
    running: asyncio.Task[None]

    def app(self, name: str = "web", **spec: Any) -> JSON:
        """Create or change an App, as a person does."""
        if self.cluster.find(APPS, NAMESPACE, name) is None:
            body = {"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": name}, "spec": spec}
            return self.cluster.create(APPS, NAMESPACE, body).object
        return self.cluster.edit(APPS, NAMESPACE, name, lambda app: app["spec"].update(spec)).object

    def status(self, name: str = "web") -> JSON:
        status: JSON = self.cluster.get(APPS, NAMESPACE, name).object.get("status") or {}
        return status

    def pods(self) -> list[str]:
        return [stored.meta["name"] for stored in self.cluster.all(PODS, NAMESPACE)]

    def writes(self, verb: str, resource: Resource, subresource: str = "") -> list[str]:
        return [
            write.name
            for write in self.client.writes
            if (write.verb, write.resource, write.subresource) == (verb, resource, subresource)
        ]

    async def until(self, condition: Callable[[], bool], within: float = 60.0) -> None:
        await until(condition, within)

    async def settled(self, within: float = 60.0) -> None:
        """Nothing to do, and nothing on its way."""
        quiet = 0
        deadline = asyncio.get_running_loop().time() + within
        while quiet < 5:
            assert asyncio.get_running_loop().time() < deadline, "the engine does not come to rest"
            await asyncio.sleep(0.02)
            quiet = quiet + 1 if self.engine.idle else 0


async def until(condition: Callable[[], bool], within: float = 60.0) -> None:
    """Wait for a condition, in the loop's time."""
    deadline, pause = asyncio.get_running_loop().time() + within, 0.002
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen"
        await asyncio.sleep(pause)
        pause = min(0.5, pause * 1.3)


@asynccontextmanager
async def rig(
    decide: Decide = as_many_as_wanted,
    *,
    room: Room | None = None,
    client: Callable[[FakeCluster], FakeClient] = FakeClient,
    cluster: FakeCluster | None = None,
    settings: EngineSettings | None = None,
    lease: LeaseSettings | None = None,
    sources: tuple[Source, ...] = (),
    namespaces: tuple[str, ...] = (),
) -> AsyncIterator[Rig]:
    """A running engine, synced; stopped at the end."""
    cluster = cluster or new_cluster()
    made, door = room or Room(decide), client(cluster)
    engine = Engine(
        door,
        [controller(made, sources=sources)],
        clock=clock,
        settings=settings,
        lease=lease,
        namespaces=namespaces,
        rng=random.Random(7),
    )
    running = asyncio.create_task(engine.run())
    one = Rig(cluster, door, engine, made, running)
    synced: Awaitable[bool] = asyncio.wait_for(engine.synced.wait(), 30)
    await synced
    try:
        yield one
    finally:
        engine.stop()
        await asyncio.wait([running])
    if not running.cancelled() and (error := running.exception()) is not None:
        raise error


def new_cluster() -> FakeCluster:
    cluster = FakeCluster(clock)
    cluster.create(NAMESPACES, None, {"metadata": {"name": NAMESPACE}})
    return cluster
