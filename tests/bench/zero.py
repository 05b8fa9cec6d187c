"""From a request at zero to its answer, without what a pod's own start takes: how long until the pod is there, and how long from its
Ready until it has the request.

KWOK makes a pod Ready at once. Pods on their node's network have its address, which is this machine's: there the benchmark itself
answers in their place. It sends requests where the App's EndpointSlice says, as kube-proxy would. The floor is a client that makes
the same pod by itself, and asks it as soon as a watch says that it is Ready.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from bench import machine, workload
from bench.latency import quantile
from bench.process import HOME, Operator
from bench.slices import Slices, followed
from bench.watching import Census, Referee
from bench.workload import JSON, NAMESPACE
from fairlead.activation.model import SERVICE_NAME
from fairlead.autoscale.report import PERIOD
from fairlead.kube.client import Client
from fairlead.kube.resources import APPS, ENDPOINT_SLICES, NODES, PODS
from substrate import ports

VALUES = ("activator.enabled=true",)  # of the chart
_NAME, _NODE, _ACTIVATOR = "zero", "node-0", "fairlead-activator"
_LIMIT = 120.0  # seconds
_REQUEST = b"GET /first HTTP/1.1\r\nHost: zero\r\n\r\n"

Start = dict[str, float]  # one cold start: seconds


class Backend:
    """Answers in the pods' place, and what the metric is: nothing to do. reached: when it last had a request, on the loop's clock."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.port = 0
        self.reached = 0.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /first "):
            self.reached = _now()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"waiting":0}')
        await writer.drain()
        writer.close()

    async def ask(self, port: int) -> float:
        """One request to that port of this machine; when its answer began."""
        reader, writer = await asyncio.open_connection(self.address, port)
        writer.write(_REQUEST)
        line = await reader.readline()
        answered = _now()
        writer.close()
        if b" 200 " not in line:
            raise RuntimeError(f"a request was answered with {line!r}")
        return answered


async def ours(
    referee: Referee, client: Client, operator: Operator, activator: Operator, count: int
) -> dict[str, float]:
    """One App, an activator and the operator. Each request comes at a moment of its own between two looks at the metric."""
    chance = random.Random(count)  # the same moments in each run
    async with _backend(client) as backend, followed(client) as slices:
        await _begin(client, operator, activator, backend)
        await client.create(APPS, NAMESPACE, _app(backend))
        starts = []
        for _ in range(count + 1):
            async with asyncio.timeout(_LIMIT):
                await slices.when(lambda: slices.to_activators() and not slices.to_pods())
                await _gone(referee)
                await asyncio.sleep(PERIOD * chance.random())
                starts.append(await _cold(referee, backend, slices))
    return told(starts[1:])  # the first one opens connections


async def bare(referee: Referee, client: Client, count: int) -> dict[str, float]:
    """The floor: a pod that is made when there is a request, and asked when it is Ready."""
    async with _backend(client) as backend:
        starts = []
        for number in range(count + 1):
            name = f"bare-{number}"
            pod = json.loads(workload.bare_pod(name, 1, _NODE))
            pod["spec"]["hostNetwork"] = True
            async with asyncio.timeout(_LIMIT):
                created, ready = _pod(referee)
                began = _now()
                making = asyncio.create_task(client.create(PODS, NAMESPACE, json.dumps(pod).encode()))
                await ready
                answered = await backend.ask(backend.port)
                await making
                starts.append(_start(began, await created, await ready, backend.reached, answered))
                await client.delete(PODS, NAMESPACE, name)
                await _gone(referee)
    return told(starts[1:])


def told(starts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """
    >>> told([{"whole": 0.25}, {"whole": 0.5}])
    {'zero_whole_p50': 250.0, 'zero_whole_p99': 500.0}
    """
    return {
        f"zero_{name}_p{share}": quantile([start[name] for start in starts], share / 100) * 1e3
        for name in starts[0]
        for share in (50, 99)
    }


async def _cold(referee: Referee, backend: Backend, slices: Slices) -> Start:
    created, ready = _pod(referee)
    named, aside = slices.when(slices.to_pods), slices.when(lambda: not slices.to_activators())
    began = _now()
    answered = await backend.ask(slices.port)
    start = _start(began, await created, await ready, backend.reached, answered)
    return start | {"named": await named - await ready, "aside": await aside - await ready}


def _start(began: float, created: float, ready: float, reached: float, answered: float) -> Start:
    """
    >>> _start(10.0, 10.5, 11.0, 11.25, 12.0)
    {'wake': 0.5, 'pass': 0.25, 'whole': 2.0}
    """
    return {"wake": created - began, "pass": reached - ready, "whole": answered - began}


def _pod(referee: Referee) -> tuple[asyncio.Task[float], asyncio.Task[float]]:
    """When there is a pod, and when it is Ready."""

    def seen(reached: Callable[[Census], bool], what: str) -> asyncio.Task[float]:
        return asyncio.create_task(referee.until(reached, _LIMIT, what))

    return seen(lambda census: bool(census.pods), "a pod"), seen(lambda census: census.ready.total() > 0, "a ready pod")


async def _gone(referee: Referee) -> None:
    await referee.until(lambda census: not census.pods, _LIMIT, "the end of the last pod")


@asynccontextmanager
async def _backend(client: Client) -> AsyncIterator[Backend]:
    """Where the pods of a node are that have its address."""
    backend = Backend(machine.address())
    status = {"addresses": [{"type": "InternalIP", "address": backend.address}]}
    body = json.dumps({"status": status}).encode()
    await client.patch(NODES, None, _NODE, body, type="merge", subresource="status")
    async with await asyncio.start_server(backend.answer, backend.address, 0) as server:
        backend.port = server.sockets[0].getsockname()[1]
        yield backend


async def _begin(client: Client, operator: Operator, activator: Operator, backend: Backend) -> None:
    """The two processes, and in place of upstream's controller, which knows of pods only, the word of where the activator is."""
    (control,) = ports.free(1, ())
    activator.start({"FAIRLEAD_CONTROL_ADDRESS": f":{control}", "FAIRLEAD_DRAIN_SECONDS": "0"})
    allowed = {"FAIRLEAD_GATE_ALLOW": f"{backend.address}:{backend.port}"}
    operator.start({"FAIRLEAD_ACTIVATOR_SERVICE": f"{HOME}/{_ACTIVATOR}", **allowed})
    for process in (activator, operator):
        process.wait_ready()
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": _ACTIVATOR, "namespace": HOME, "labels": {SERVICE_NAME: _ACTIVATOR}},
        "addressType": "IPv4",
        "ports": [{"name": "control", "port": control, "protocol": "TCP"}],
        "endpoints": [{"addresses": [backend.address], "conditions": {"ready": True}}],
    }
    await client.create(ENDPOINT_SLICES, HOME, json.dumps(body).encode())


def _app(backend: Backend) -> bytes:
    """It goes to zero as soon as it may."""
    app: JSON = json.loads(workload.app(_NAME, 1, 1, _NODE))
    app["spec"]["template"]["spec"]["hostNetwork"] = True
    app["spec"]["expose"] = {"ports": [{"name": "http", "port": 80, "targetPort": backend.port}]}
    source = {"http": {"url": f"http://{backend.address}:{backend.port}/jobs", "pointer": "/waiting"}}
    app["spec"]["autoscale"] = {
        "min": 0,
        "max": 1,
        "metrics": [{"external": {"metric": {"name": "jobs"}, "averageValue": 1, "from": source}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        "idle": {"afterSeconds": 1},
    }
    return json.dumps(app).encode()


def _now() -> float:
    return asyncio.get_running_loop().time()
