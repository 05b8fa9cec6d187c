"""What pods' containers use of cpu and memory: as kubelets expose it, and as metrics.k8s.io serves it. Pure.

Sources: kubelet /metrics/resource (pkg/kubelet/metrics/collectors/resource_metrics.go), k8s.io/metrics v1beta1 (PodMetrics),
and metrics-server's rule that a pod with a container that was not measured says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from fairlead.autoscale import rates
from fairlead.autoscale.exposition import lines_of
from fairlead.autoscale.model import Reading, Sample
from fairlead.autoscale.rates import Pair, Point
from fairlead.core.conditions import parse_time
from fairlead.core.meta import LABEL_APP
from fairlead.core.quantity import exact

CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"


class Slot(NamedTuple):
    """A container."""

    namespace: str
    pod: str
    container: str


Amounts = Mapping[str, Mapping[str, Sample]]  # by pod and container
Placed = Mapping[tuple[str, str], Mapping[str, Sample]]  # by namespace and pod, then by container


class Node(msgspec.Struct, frozen=True):
    """What one kubelet has said by now, in cores and bytes. track: the cpu of the last two looks that differ. failed: why the
    last look found nothing."""

    track: dict[Slot, Pair] = {}
    cpu: Placed = {}
    memory: Placed = {}
    failed: str = ""


class Used(msgspec.Struct, frozen=True):
    """What each of an App's pods uses, by container, in cores and bytes; or why that is not known."""

    cpu: Amounts = {}
    memory: Amounts = {}
    error: str = ""


def looked(node: Node, body: bytes, now: float) -> Node:
    """The node after one more look. ValueError where it is no answer of a kubelet.

    A pod of which a container has no pace yet is left out, as metrics-server does: its other containers' would count for it.
    >>> text = b'container_cpu_usage_seconds_total{container="web",namespace="shop",pod="web-1"} 50 1000000\\n'
    >>> once = looked(Node(), text, 1000.0)
    >>> once.cpu
    {}
    >>> looked(once, text.replace(b"50 1000000", b"53 1010000"), 1010.0).cpu
    {('shop', 'web-1'): {'web': Sample(value=0.3, at=1010.0, window=10.0)}}
    """
    totals, memory = dict[Slot, Point](), dict[tuple[str, str], dict[str, Sample]]()
    for line in lines_of(body, (CPU, MEMORY)):
        labels, at = line.labels, now if line.at is None else line.at
        slot = Slot(labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", ""))
        if line.name == CPU:
            totals[slot] = Point(at, line.value)
        else:
            memory.setdefault(slot[:2], {})[slot.container] = Sample(line.value, at)
    track = rates.followed(node.track, totals)
    return Node(track, _paces(track), memory)


def _paces(track: Mapping[Slot, Pair]) -> Placed:
    unknown = {slot[:2] for slot, pair in track.items() if pair.before is None}
    cpu = dict[tuple[str, str], dict[str, Sample]]()
    for slot, pair in track.items():
        if slot[:2] not in unknown and (pace := rates.rate(pair)):
            cpu.setdefault(slot[:2], {})[slot.container] = pace
    return cpu


def of_nodes(nodes: Mapping[str, Node], namespace: str, places: Mapping[str, str]) -> Used:
    """What pods use by what their nodes say. places: the node of each pod, by name. A node that does not answer leaves its pods
    without a sample, which upstream's rules know what to do with; that none does is an error.

    >>> text = b'container_memory_working_set_bytes{container="web",namespace="shop",pod="web-1"} 1e6 1000000\\n'
    >>> of_nodes({"n1": looked(Node(), text, 0)}, "shop", {"web-1": "n1"}).memory
    {'web-1': {'web': Sample(value=1000000.0, at=1000.0, window=0.0)}}
    >>> of_nodes({"n1": Node(failed="no answer")}, "shop", {"web-1": "n1"}).error
    'the kubelet of node n1: no answer'
    """
    failed = {name: node.failed for name, node in sorted(nodes.items()) if node.failed}
    if failed and len(failed) == len(nodes):
        name, why = next(iter(failed.items()))
        return Used(error=f"the kubelet of node {name}: {why}")
    where = [(pod, (namespace, pod), nodes[node]) for pod, node in places.items() if node in nodes]
    return Used(
        {pod: node.cpu[slot] for pod, slot, node in where if slot in node.cpu},
        {pod: node.memory[slot] for pod, slot, node in where if slot in node.memory},
    )


# ---------------------------------------------------------------- metrics.k8s.io


# gc=False: of a namespace with thousands of pods there are many at once, and none can hold itself.


class _Amounts(msgspec.Struct, frozen=True, gc=False):
    cpu: str = ""
    memory: str = ""


class _Container(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    usage: _Amounts = _Amounts()


class _Labels(msgspec.Struct, frozen=True, gc=False):
    app: str = msgspec.field(default="", name=LABEL_APP)


class _Meta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    labels: _Labels | None = None


class _PodMetrics(msgspec.Struct, frozen=True, gc=False):
    metadata: _Meta = _Meta()
    timestamp: str = ""
    window: str = ""
    containers: tuple[_Container, ...] = ()


class _List(msgspec.Struct):
    items: list[_PodMetrics] = []


class Listed(msgspec.Struct, frozen=True):
    """A namespace's pods as metrics.k8s.io lists them: by the App whose label they carry, and those that carry none by name."""

    apps: Mapping[str, Collection[_PodMetrics]] = {}
    others: Mapping[str, _PodMetrics] = {}


_list = msgspec.json.Decoder(_List)
_DURATION = re.compile(r"([0-9.]+)(h|ms|m|s|us|µs|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def of_metrics_api(body: bytes) -> Used:
    """A PodMetricsList of metrics.k8s.io, all of it an App's. ValueError where it is none.

    >>> told = b'''{"items": [{"metadata": {"name": "web-1"}, "timestamp": "1970-01-01T00:16:40Z", "window": "15.5s",
    ...   "containers": [{"name": "web", "usage": {"cpu": "250000000n", "memory": "1Mi"}}]}]}'''
    >>> of_metrics_api(told).cpu
    {'web-1': {'web': Sample(value=0.25, at=1000.0, window=15.5)}}
    """
    return _used(_pods(body))


def listed(body: bytes) -> Listed:
    """A PodMetricsList of a whole namespace. Amounts are left as they are until somebody asks for them. ValueError where it is none.

    >>> told = b'{"items": [{"metadata": {"name": "a-1", "labels": {"fairlead.dev/app": "a"}}}, {"metadata": {"name": "b-1"}}]}'
    >>> found = listed(told)
    >>> list(found.apps), list(found.others)
    (['a'], ['b-1'])
    """
    apps, others = dict[str, list[_PodMetrics]](), dict[str, _PodMetrics]()
    for pod in _pods(body):
        if pod.metadata.labels and (app := pod.metadata.labels.app):
            apps.setdefault(app, []).append(pod)
        else:
            others[pod.metadata.name] = pod
    return Listed(apps, others)


def of_listed(found: Listed, app: str, names: Collection[str]) -> Used:
    """What an App's pods use. Those that carry its label: metrics-server and prometheus-adapter copy pods' labels, and by these they
    choose where they are asked for one App alone, so both ways tell the same. The API does not promise that copy; where there is
    none, a pod is known by its name, which nothing else in the namespace has.

    >>> pod = b'{"metadata": {"name": "a-1"}, "containers": [{"name": "web", "usage": {"cpu": "250m"}}]}'
    >>> found = listed(b'{"items": [' + pod + b"]}")
    >>> list(of_listed(found, "a", ["a-1", "a-2"]).cpu), list(of_listed(found, "b", ["b-1"]).cpu)
    (['a-1'], [])
    """
    return _used([*found.apps.get(app, ()), *(found.others[name] for name in names if name in found.others)])


def _pods(body: bytes) -> list[_PodMetrics]:
    try:
        return _list.decode(body).items
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"metrics.k8s.io answers something else than PodMetrics: {error}") from None


def _used(pods: Iterable[_PodMetrics]) -> Used:
    cpu, memory = dict[str, dict[str, Sample]](), dict[str, dict[str, Sample]]()
    for pod in pods:
        at, window = parse_time(pod.timestamp) or 0.0, seconds(pod.window)
        for container in pod.containers:
            for amount, kept in ((container.usage.cpu, cpu), (container.usage.memory, memory)):
                if amount:
                    kept.setdefault(pod.metadata.name, {})[container.name] = Sample(float(exact(amount)), at, window)
    return Used(cpu, memory)


def seconds(duration: str) -> float:
    """Of a duration as Go writes it.

    >>> seconds("1m0.5s"), seconds("250ms"), seconds("")
    (60.5, 0.25, 0.0)
    """
    return sum((float(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration)), 0.0)


# ---------------------------------------------------------------- what a metric is told


def reading(used: Used, resource: str, container: str = "") -> Reading:
    """The samples of one resource, in thousandths: of whole pods, or of one of their containers. A sum is as old as its oldest
    part.

    >>> used = Used(cpu={"web-1": {"web": Sample(0.25, 100, 10), "proxy": Sample(0.05, 99, 10)}})
    >>> reading(used, "cpu").samples["web-1"], reading(used, "cpu", "proxy").samples["web-1"].value
    (Sample(value=300.0, at=99, window=10), 50.0)
    """
    if used.error:
        return Reading(error=used.error)
    samples = {}
    for pod, parts in (used.cpu if resource == "cpu" else used.memory).items():
        wanted = [part for name, part in parts.items() if name == container or not container]
        if wanted:
            value = math.ceil(round(1000 * sum(part.value for part in wanted), 6))  # as Quantity.MilliValue does
            samples[pod] = Sample(float(value), min(part.at for part in wanted), max(part.window for part in wanted))
    return Reading(samples)
