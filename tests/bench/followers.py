"""Who follows the load, in a lab that has kubelets: Fairlead, which reads kubelets or metrics-server, and upstream, which reads
metrics-server alone."""

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench import labs, metrics_server
from bench.autoscaling import PAIR, Apps, Autoscalers, Bench, Contender
from bench.kubelets import Kubelets
from bench.measuring import Course
from bench.process import Operator
from bench.workload import NAMESPACE, Load
from fairlead.autoscale.exposition import lines_of
from fairlead.autoscale.model import KUBELETS, METRICS_API
from fairlead.kube.client import Client
from substrate.lab import State

VALUES = (f"autoscale.resourceMetrics={{{METRICS_API},{KUBELETS}}}",)  # of the chart: both may be read
_ERRANDS = "fairlead_errands_total"
_RECONCILES = "horizontal_pod_autoscaler_controller_reconciliations_total"
_KNOWN_WITHIN = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it there is."""

    steps: int
    """Loads that rise."""
    spread: float
    """Seconds within which they do."""
    apps: int
    """Sizes that are decided over and over."""
    seconds: float
    """How long they are."""
    look: float
    """Seconds between two looks of a kubelet at a container, up to twice as many."""
    api: bool
    """Whether metrics-server is read as well."""


async def ours(
    course: Course, client: Client, state: State, operator: Operator, size: Size, folder: Path
) -> dict[str, float]:
    """Fairlead by kubelets, as it runs when this begins, and by metrics-server."""
    load = _pairs(size)

    def made() -> float:
        return _sum(operator.metrics(), _ERRANDS, lambda labels: labels["kind"].startswith("autoscale"))

    async with _bench(course, client, state, size.look, Apps(client)) as bench:
        figures = _told("react_kubelets", await bench.steps(size.steps, size.spread))
        figures["memory_pairs"] = await bench.fill(load)
        figures |= _told("decide_kubelets", await bench.decisions(load, size.seconds, made))
        if not size.api:
            return figures
        async with _metrics_server(state, folder):
            await _known(client, load.pods)
            pid = await _again(operator, METRICS_API)
            bench = replace(bench, course=replace(course, pids={**course.pids, course.controller: pid}))
            figures |= _told("decide_api", await bench.decisions(load, size.seconds, made))
            await bench.empty(load)
            figures |= _told("react_api", await bench.steps(size.steps, size.spread))
    return figures


async def upstream(course: Course, client: Client, state: State, size: Size, folder: Path) -> dict[str, float]:
    """HorizontalPodAutoscalers of Deployments. They read metrics-server, whichever way of ours they are beside."""
    load = _pairs(size)

    def made() -> float:
        return _sum(_exposed(state.ports["kube-controller-manager"]), _RECONCILES, lambda _: True)

    async with _bench(course, client, state, size.look, Autoscalers(client)) as bench, _metrics_server(state, folder):
        steps = await bench.steps(size.steps, size.spread)
        memory = await bench.fill(load)
        decisions = await bench.decisions(load, size.seconds, made)
    ways = [_told(f"react_{way}", steps) | _told(f"decide_{way}", decisions) for way in ("kubelets", "api")]
    return {"memory_pairs": memory, **ways[0], **ways[1]}


def start(operator: Operator, way: str) -> int:
    """The operator's pid. It reads cpu this way alone."""
    pid = operator.start({"FAIRLEAD_AUTOSCALE_RESOURCE_METRICS": way})
    operator.wait_ready()
    return pid


async def _again(operator: Operator, way: str) -> int:
    await asyncio.to_thread(operator.stop)
    return await asyncio.to_thread(start, operator, way)


def _pairs(size: Size) -> Load:
    return Load("pair", parents=size.apps, each=PAIR, nodes=labs.NODES)


def _told(row: str, figures: Mapping[str, float]) -> dict[str, float]:
    """
    >>> _told("react_api", {"first": 20.0})
    {'react_api_first': 20.0}
    """
    return {f"{row}_{name}": value for name, value in figures.items()}


@asynccontextmanager
async def _bench(
    course: Course, client: Client, state: State, look: float, contender: Contender
) -> AsyncIterator[Bench]:
    keys = Path(state.directory)
    made = Kubelets(client, lambda: course.referee.census, keys / "ca.crt", keys / "server.key", labs.NODES, look)
    async with made as kubelets:
        bench = Bench(course, kubelets.counters, contender)
        await bench.warm_up()
        yield bench


@asynccontextmanager
async def _metrics_server(state: State, folder: Path) -> AsyncIterator[None]:
    """Beside the loop: that is the kubelets' too, which it asks."""
    running = metrics_server.running(state, folder / "bench-metrics-server.log")
    await asyncio.to_thread(running.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _known(client: Client, pods: int) -> None:
    """Until metrics-server has looked at all pods twice."""
    path = f"/apis/{METRICS_API}/v1beta1/namespaces/{NAMESPACE}/pods"
    async with asyncio.timeout(_KNOWN_WITHIN):
        while len(msgspec.json.decode(await client.fetch(path))["items"]) < pods:
            await asyncio.sleep(1.0)


def _sum(page: bytes, name: str, counts: Callable[[Mapping[str, str]], bool]) -> float:
    """
    >>> _sum(b'hits_total{kind="a"} 2\\nhits_total{kind="b"} 3\\n', "hits_total", lambda labels: labels["kind"] == "b")
    3.0
    """
    return sum(line.value for line in lines_of(page, {name}) if counts(line.labels))


def _exposed(port: int) -> bytes:
    """What a component of the lab exposes; its certificate is of its own making."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/metrics", timeout=10, context=context) as answer:
        page: bytes = answer.read()
        return page
