"""Where requests to Apps go: one watch of their Services' EndpointSlices, upstream's and ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from bench.workload import NAMESPACE
from fairlead.activation.model import Slice, project_slice
from fairlead.kube.client import Client
from fairlead.kube.resources import ENDPOINT_SLICES


class _Event(msgspec.Struct):
    object: msgspec.Raw


_event = msgspec.json.Decoder(_Event)


class Slices:
    """The slices of the only App there is, as the watch tells."""

    def __init__(self) -> None:
        self._known: dict[str, Slice] = {}
        self._awaited: list[tuple[Callable[[], bool], asyncio.Future[float]]] = []

    def to_pods(self) -> bool:
        return any(each.ready for each in self._known.values() if not each.ours)

    def to_activators(self) -> bool:
        return any(each.ready for each in self._known.values() if each.ours)

    @property
    def port(self) -> int:
        """Where activators listen for it."""
        return next(each.ports[0].port for each in self._known.values() if each.ours)

    def when(self, reached: Callable[[], bool]) -> asyncio.Future[float]:
        """Done when it is so, with the loop's time of that."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited.append((reached, future))
        self._settle()
        return future

    def put(self, each: Slice) -> None:
        self._known[each.name] = each
        self._settle()

    def _settle(self) -> None:
        now = asyncio.get_running_loop().time()
        for reached, future in self._awaited:
            if not future.done() and reached():
                future.set_result(now)
        self._awaited = [one for one in self._awaited if not one[1].done()]


@asynccontextmanager
async def followed(client: Client) -> AsyncIterator[Slices]:
    """Begun before there is an App."""
    slices = Slices()
    there = msgspec.json.decode(await client.list(ENDPOINT_SLICES, NAMESPACE))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(_follow(client, slices, there["metadata"]["resourceVersion"]))
        yield slices
        following.cancel()


async def _follow(client: Client, slices: Slices, version: str) -> None:
    async for lines in client.watch(ENDPOINT_SLICES, NAMESPACE, resource_version=version, timeout_seconds=3600):
        for line in lines:
            if (seen := project_slice(bytes(_event.decode(line).object))) is not None:
                slices.put(seen)
    raise RuntimeError("the watch of EndpointSlices has ended")
