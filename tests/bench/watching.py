"""The referee: one watch on the pods, the same for every contender, that says when a goal is reached."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from bench.workload import NAMESPACE, SELECTOR
from fairlead.kube.client import Client, Lines
from fairlead.kube.errors import Gone
from fairlead.kube.resources import PODS


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Container(msgspec.Struct):
    image: str = ""


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_Container] | None = None  # a bookmark's are null
    node_name: str = ""


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None


class _Pod(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: _Pod


class _List(msgspec.Struct):
    metadata: _Meta
    items: list[_Pod] = []


_KEPT = 4000  # of the last lines, to play them once more
_event = msgspec.json.Decoder(_Event)
_list = msgspec.json.Decoder(_List)


class Counted(NamedTuple):
    """A pod of the census."""

    image: str
    ready: bool
    node: str


_NOBODY = Counted("", False, "")


@dataclass(slots=True)
class Census:
    """The pods there are, by image."""

    pods: dict[str, Counted] = field(default_factory=dict)  # by name
    present: Counter[str] = field(default_factory=Counter)
    ready: Counter[str] = field(default_factory=Counter)
    events: int = 0

    def put(self, pod: _Pod) -> None:
        self.drop(pod.metadata.name)
        image = pod.spec.containers[0].image if pod.spec.containers else ""
        ready = any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())
        self.pods[pod.metadata.name] = Counted(image, ready, pod.spec.node_name)
        self.present[image] += 1
        self.ready[image] += ready

    def drop(self, name: str) -> None:
        gone = self.pods.pop(name, _NOBODY)
        if gone.image:
            self.present[gone.image] -= 1
            self.ready[gone.image] -= gone.ready

    def only(self, image: str, count: int) -> bool:
        """So many pods of this image are Ready, and no others are left."""
        return self.ready[image] == count == len(self.pods)


class Referee:
    """Watches as long as it is entered: `async with Referee(client) as referee`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.census = Census()
        self.lines: deque[bytes] = deque(maxlen=_KEPT)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listed = asyncio.Event()

    async def __aenter__(self) -> "Referee":
        self._task = asyncio.create_task(self._watch())
        await asyncio.wait_for(self._listed.wait(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, reached: Callable[[Census], bool], seconds: float, what: str) -> float:
        """Wait until the census says so; when it did, on the loop's clock. TimeoutError names what was awaited."""
        assert self._task
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not reached(self.census):
            self._changed.clear()
            waiter = asyncio.ensure_future(self._changed.wait())
            done, _ = await asyncio.wait(
                {waiter, self._task}, timeout=deadline - loop.time(), return_when="FIRST_COMPLETED"
            )
            waiter.cancel()
            if self._task in done:
                self._task.result()  # a referee that fell over says why
                raise RuntimeError("the referee's watch has ended")
            if not done:
                raise TimeoutError(f"{what}: not reached within {seconds:.0f} s; {self._standing()}")
        return loop.time()

    def _standing(self) -> str:
        present = +self.census.present
        return (
            ", ".join(f"{name}: {self.census.ready[name]} of {count} Ready" for name, count in present.items())
            or "no pods"
        )

    async def _watch(self) -> None:
        while True:
            listed = _list.decode(await self._client.list(PODS, NAMESPACE, label_selector=SELECTOR, limit=0))
            self.census = self._counted(listed.items)
            self._listed.set()
            self._changed.set()
            try:
                stream = self._client.watch(
                    PODS,
                    NAMESPACE,
                    resource_version=listed.metadata.resource_version,
                    label_selector=SELECTOR,
                    timeout_seconds=3600,
                )
                async for lines in stream:
                    if not self._take(lines):
                        break
            except Gone:
                continue  # the server closed a watch that was slow; a fresh list follows

    def _counted(self, pods: list[_Pod]) -> Census:
        census = Census(events=self.census.events)
        for pod in pods:
            census.put(pod)
        return census

    def _take(self, lines: Lines) -> bool:
        """False where the stream must be begun anew."""
        for line in lines:
            event = _event.decode(line)
            if event.type == "ERROR":
                return False
            if event.type == "BOOKMARK":
                continue
            self.census.events += 1
            self.lines.append(line)
            if event.type == "DELETED":
                self.census.drop(event.object.metadata.name)
            else:
                self.census.put(event.object)
        self._changed.set()
        return True
