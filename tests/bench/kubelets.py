"""What nodes' kubelets say of the cpu that containers use, since KWOK's nodes have no kubelets.

KWOK has metrics of its own, but its nodes share one address, by which the API server's node proxy cannot tell whose are asked
for, and it takes the usage of the moment for all the time since somebody asked last, whoever that was. Here each node has a port
of its own, and counters grow as those of a kubelet do: cAdvisor looks at a container each 10 to 20 seconds, whoever asks
meanwhile, and what it saw is told with the time of it. No autoscaler can know of a load before that.
"""

import asyncio
import json
import random
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web

from bench import machine
from bench.watching import Census
from bench.workload import CONTAINER, NAMESPACE
from fairlead.kube.client import Client
from fairlead.kube.resources import NODES

LOOK = 10.0  # seconds between two looks at a container, up to twice as many (cAdvisor's housekeeping in a kubelet)
_GLANCE = 0.25  # seconds between two looks at which pods are ready
_MEMORY = 8 << 20  # bytes that each container uses


@dataclass(slots=True)
class _Container:
    """What was seen of it last: core seconds, and when (epoch seconds)."""

    node: str
    began: float
    before: float
    """What each ready pod of its image had used by then."""
    used: float
    at: float
    due: float


class Counters:
    """The ready pods of an image share the cores that `demand` has for it, and are looked at now and then.

    Two pods share three cores, and one of them was looked at after twelve seconds:
    >>> from bench.watching import Census, Counted
    >>> census, counters = Census(), Counters(10, random.Random(1))
    >>> census.pods = {name: Counted("shop:1", True, "node-0") for name in ("a", "b")}
    >>> census.ready["shop:1"], counters.demand["shop:1"] = 2, 3.0
    >>> for second in range(1000, 1030):
    ...     counters.tick(census, second)
    >>> counters.told("node-0").splitlines()[0]
    'container_cpu_usage_seconds_total{container="load",namespace="bench",pod="a"} 18.0 1012000'
    """

    def __init__(self, look: float, chance: random.Random) -> None:
        self.demand: dict[str, float] = {}
        self._look = look
        self._chance = chance
        self._used: defaultdict[str, float] = defaultdict(float)  # by a pod of the image that was ready all the time
        self._containers: dict[str, _Container] = {}
        self._at = 0.0

    def tick(self, census: Census, now: float) -> None:
        """Time has passed: `now` in epoch seconds."""
        passed, self._at = now - (self._at or now), now
        for image, cores in self.demand.items():
            if ready := census.ready[image]:
                self._used[image] += passed * cores / ready
        for name in self._containers.keys() - census.pods.keys():
            del self._containers[name]
        for name, pod in census.pods.items():
            one = self._containers.get(name)
            if one is None and pod.ready:
                self._containers[name] = _Container(pod.node, now, self._used[pod.image], 0.0, now, self._next(now))
            elif one is not None and one.due <= now:
                one.used, one.at, one.due = self._used[pod.image] - one.before, now, self._next(now)

    def _next(self, now: float) -> float:
        return now + self._look * (1 + self._chance.random())

    def told(self, node: str) -> str:
        """A page of /metrics/resource."""
        pods = [(name, one) for name, one in self._containers.items() if one.node == node]
        lines = []
        for name, one in pods:
            labels = f'{{container="{CONTAINER}",namespace="{NAMESPACE}",pod="{name}"}}'
            at = int(one.at * 1000)
            lines.append(f"container_cpu_usage_seconds_total{labels} {one.used} {at}\n")
            lines.append(f"container_memory_working_set_bytes{labels} {_MEMORY} {at}\n")
            lines.append(f"container_start_time_seconds{labels} {one.began}\n")
        return "".join(lines)


class Kubelets:
    """The nodes' kubelets, as long as it is entered. Of the pods there are it knows by the census."""

    def __init__(
        self, client: Client, census: Callable[[], Census], certificate: Path, key: Path, nodes: int, look: float
    ) -> None:
        self.counters = Counters(look, random.Random(1))
        self._client = client
        self._census = census
        self._certificate = certificate, key
        self._nodes = nodes
        self._names: dict[int, str] = {}  # by port
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._serve(stack)
            ticking = asyncio.create_task(self._tick())
            stack.callback(ticking.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _serve(self, stack: AsyncExitStack) -> None:
        application = web.Application()
        application.router.add_get("/metrics/resource", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._certificate)
        address = machine.address()
        for number in range(self._nodes):
            listening = socket.create_server((address, 0))
            await web.SockSite(runner, listening, ssl_context=context).start()
            port = listening.getsockname()[1]
            self._names[port] = f"node-{number}"
            status = {
                "addresses": [{"type": "InternalIP", "address": address}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            }
            body = json.dumps({"status": status}).encode()
            await self._client.patch(NODES, None, f"node-{number}", body, type="merge", subresource="status")

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        port = request.transport.get_extra_info("sockname")[1]
        return web.Response(text=self.counters.told(self._names[port]))

    async def _tick(self) -> None:
        while True:
            self.counters.tick(self._census(), time.time())
            await asyncio.sleep(_GLANCE)
