"""From a pod event to the write that answers it, while a thousand pod events a second come in.

No API server on two cores tells of so many and answers what follows from them. So the operator's process runs against the
simulation's API server behind a socket (tests/support/front.py). There, pods of many Apps are taken away one after the
other, each App's in turn. Each is nine pod events, as a kubelet's pod is: being deleted, its container ended, its grace
period over, gone; made again, bound, its container waiting, running, Ready.
"""

import asyncio
import gc
import json
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import workload
from bench.process import Operator
from bench.workload import NAMESPACE
from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.kube.fake import Commit, FakeCluster, Origin, schema
from fairlead.kube.resources import APPS, NAMESPACES, PODS, REVISIONS
from substrate import paths
from support.front import Front

EVENTS_PER_POD = 9
_EACH = 10  # pods of each App
_KUBELET = Origin("update", "kubelet", "kubelet", "status")
_FILLED_WITHIN = 120.0  # seconds
_ANSWERED_WITHIN = 30.0
_GLANCE = 0.05


class Cluster:
    """The API server's state, its one scheduler and kubelet, and the stopwatch."""

    def __init__(self) -> None:
        self.state = FakeCluster(time.time, window=20_000)
        for resource, file in ((APPS, "app"), (REVISIONS, "revision")):
            self.state.schemas[resource.kind] = schema.load(paths.REPOSITORY / "crds" / f"{file}.yaml")
        self.state.create(NAMESPACES, None, {"metadata": {"name": NAMESPACE}})
        self.state.create(NAMESPACES, None, {"metadata": {"name": "fairlead-system"}})
        self.state.subscribers.append(self._committed)
        self.ready: dict[str, deque[str]] = defaultdict(deque)  # App -> its ready pods, the longest ready first
        self.events = 0
        self.latencies: list[float] = []
        self._lost: dict[str, deque[float]] = defaultdict(deque)  # App -> when its pods were taken, on the loop's clock
        self._loop = asyncio.get_running_loop()

    def fill(self, apps: int, each: int) -> None:
        for number in range(apps):
            body = workload.app(f"app-{number}", each, 1, "", "Default")
            self.state.create(APPS, NAMESPACE, json.loads(body))

    def take(self, app: str) -> None:
        """Take the App's oldest ready pod away."""
        if not self.ready[app]:
            return
        name = self.ready[app].popleft()
        self._lost[app].append(time.perf_counter())
        self.state.delete(PODS, NAMESPACE, name)
        self._report(name, state={"terminated": {"exitCode": 0, "reason": "Completed"}})
        self.state.delete(PODS, NAMESPACE, name, grace_period_seconds=0)

    @property
    def awaited(self) -> int:
        return sum(map(len, self._lost.values()))

    def _committed(self, commit: Commit) -> None:
        if commit.resource != PODS:
            return
        self.events += 1
        app = commit.new.meta["labels"][LABEL_APP]
        if commit.type == "ADDED":
            if self._lost[app]:
                self.latencies.append(time.perf_counter() - self._lost[app].popleft())
            self._loop.call_soon(self._start, app, commit.name)

    def _start(self, app: str, name: str) -> None:
        self.state.assign(NAMESPACE, name, "node-0")
        self._report(name, state={"waiting": {"reason": "ContainerCreating"}})
        self._report(name, state={"running": {}}, phase="Running")
        self._report(name, state={"running": {}}, phase="Running", ready=True)
        self.ready[app].append(name)

    def _report(self, name: str, *, state: JSON, phase: str = "Pending", ready: bool = False) -> None:
        """What a kubelet says of a pod."""

        def say(pod: JSON) -> None:
            condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(time.time())}
            container = {"name": "load", "ready": ready, "restartCount": 0, "state": state}
            pod["status"] |= {"phase": phase, "conditions": [condition], "containerStatuses": [container]}

        self.state.edit(PODS, NAMESPACE, name, say, _KUBELET)


async def measure(folder: Path, rate: int, seconds: float) -> dict[str, float]:
    """Milliseconds until the replacement of a lost pod is asked for (the median, and what 99 of 100 stay below), and how
    many pod events a second there really were. There are so many Apps that each loses a pod a second."""
    cluster, apps = Cluster(), rate // EVENTS_PER_POD
    cluster.fill(apps, _EACH)
    async with Front(cluster.state) as front:
        front.chunk = 1 << 16
        operator = Operator(front.kubeconfig(folder / "latency.kubeconfig"), folder / "latency-operator.log")
        operator.start()
        try:
            await asyncio.to_thread(operator.wait_ready)
            await _until(lambda: sum(map(len, cluster.ready.values())) == apps * _EACH, _FILLED_WITHIN, "all pods")
            with _without_pauses():
                return await _under_load(cluster, rate, seconds, [f"app-{number}" for number in range(apps)])
        finally:
            await asyncio.to_thread(operator.stop)


@contextmanager
def _without_pauses() -> Iterator[None]:
    """The API server's history is hundreds of thousands of objects: looking through them for garbage would be measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _under_load(cluster: Cluster, rate: int, seconds: float, apps: Sequence[str]) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    pause = EVENTS_PER_POD / rate
    began, events, number = loop.time(), cluster.events, 0
    while (due := began + number * pause) < began + seconds:  # by the clock, however long the answers take
        await asyncio.sleep(due - loop.time())
        cluster.take(apps[number % len(apps)])
        number += 1
    happened = (cluster.events - events) / (loop.time() - began)
    await _until(lambda: not cluster.awaited, _ANSWERED_WITHIN, "the last replacements")
    return {
        "event_to_write_p50": quantile(cluster.latencies, 0.5) * 1e3,
        "event_to_write_p99": quantile(cluster.latencies, 0.99) * 1e3,
        "event_rate": happened,
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed.

    >>> quantile([5.0, 1.0, 2.0, 4.0, 3.0], 0.5), quantile([1.0, 2.0], 0.99)
    (3.0, 2.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


async def _until(reached: Callable[[], bool], seconds: float, what: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not reached():
                await asyncio.sleep(_GLANCE)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {seconds:.0f} s") from None
