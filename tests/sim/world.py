"""A whole cluster in one process and in virtual time: API server, machines, users, and the real operator."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead.app import app_controller
from fairlead.autoscale.model import WAYS
from fairlead.core.conditions import find, timestamp
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.engine.controller import Controller
from fairlead.engine.settings import EngineSettings, LeaseSettings
from fairlead.kube.errors import ApiError
from fairlead.kube.fake import Commit, Crash, FakeClient, FakeCluster, Faults, Origin, Stored, scale, schema
from fairlead.kube.resources import APPS, BUDGETS, CONFIG_MAPS, GATES, NAMESPACES, NODES, PODS, REVISIONS, SERVICES
from sim.backend import Backend
from sim.machines import Budgets, Collector, Kubelets, Nodes, Scheduler, config_maps_of, is_ready
from sim.monitor import Monitor, finished, wanted
from sim.operator_process import Process
from sim.usage import Usage
from support.clock import pace
from support.endpoints import Endpoints

EPOCH = 1_790_000_000.0
NAMESPACE = "shop"
CRDS = Path(__file__).parents[2] / "crds"
USER = Origin("apply", "user", "kubectl")
SETTLE_SECONDS = 20.0  # the operator counts as being at rest when it wrote nothing for so long


class Stuck(AssertionError):
    """Something did not happen in time; the message tells what the world looks like."""


class World:
    """Everything a scenario needs. Make it in a running loop whose time is virtual."""

    def __init__(self, *, nodes: int = 3, capacity: int = 20, seed: int = 0):
        self.loop = asyncio.get_running_loop()
        self.seed = seed
        self.cluster = FakeCluster(self.clock)
        self.cluster.schemas = {
            APPS.kind: schema.load(CRDS / "app.yaml"),
            REVISIONS.kind: schema.load(CRDS / "revision.yaml"),
            GATES.kind: schema.load(CRDS / "gate.yaml"),
        }
        self.cluster.create(NAMESPACES, None, {"metadata": {"name": NAMESPACE}})
        self.operators: list[Process] = []
        self.monitor = Monitor(self.cluster, {"operator", "second"})
        self.prepare: Callable[[FakeClient], None] = lambda _client: (
            None
        )  # each operator's connection, before it is used
        self.backend = Backend()  # what gates measure
        self.controllers: Callable[[], list[Controller]] = lambda: [app_controller(self.backend, WAYS)]
        self.identity = "operator"
        self.calm_at = 0.0  # loop time: until then there is weather
        self.skew = 0.0  # seconds by which the operators' wall clock is ahead of the API server's
        self.lease: LeaseSettings | None = None  # how operators are started, where `start` is not told
        self.settings: EngineSettings | None = None
        self.namespaces: tuple[str, ...] = ()
        self._changed = asyncio.Event()
        self.trace: deque[str] = deque(maxlen=80)
        self.cluster.subscribers.append(self._committed)
        machines = pace(seed)
        self.scheduler = Scheduler(self.cluster, machines, capacity)
        self.kubelets = Kubelets(self.cluster, machines)
        self.collector = Collector(self.cluster, machines)
        self.budgets = Budgets(self.cluster, machines)
        self.endpoints = Endpoints(self.cluster, pace(seed))  # of a pace of its own: other stories stay as they are
        self.nodes = Nodes(self.cluster, self.scheduler, self.kubelets, nodes)
        self.usage = Usage(self.cluster, machines)
        self._errors = _Errors(self.monitor.violations)
        self.loop.set_exception_handler(self._exception)

    def clock(self) -> float:
        return EPOCH + self.loop.time()

    def _committed(self, commit: Commit) -> None:
        who = commit.origin.identity or "-"
        sub = f"/{commit.origin.subresource}" if commit.origin.subresource else ""
        self.trace.append(
            f"{self.loop.time():9.3f} {who:10.10} {commit.type:8} {commit.resource.kind}{sub} {commit.name}"
        )
        self._changed.set()

    def _exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Crash):
            self.monitor.violations.append(f"{context.get('message')}: {error!r}")

    # ------------------------------------------------------------ the operator

    def start(
        self, faults: Faults | None = None, *, identity: str = "operator", lease: LeaseSettings | None = None
    ) -> Process:
        process = Process(
            self.cluster,
            lambda: self.clock() + self.skew,
            lambda error: self.monitor.violations.append(f"the operator ended: {error!r}"),
            self.controllers,
            identity=identity,
            lease=lease or self.lease,
            settings=self.settings,
            namespaces=self.namespaces,
            seed=self.seed,
            prepare=lambda client: self.prepare(client),
        )
        self.operators.append(process)
        process.start(faults)
        return process

    async def close(self) -> None:
        for process in self.operators:
            await process.stop()
        self._errors.close()

    def write_count(self) -> int:
        return sum(len(process.writes) for process in self.operators)

    # ------------------------------------------------------------ what users do

    def apply(self, name: str = "shop", *, image: str = "shop:1", rollout: JSON | None = None, **spec: Any) -> Stored:
        """`kubectl apply --server-side` of a whole App."""
        template = {
            "spec": {
                "containers": [{"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]
            }
        }
        wanted = {"replicas": 3, "template": template, **({"rollout": rollout} if rollout else {}), **spec}
        body = {"apiVersion": APPS.api_version, "kind": "App", "metadata": {"name": name}, "spec": wanted}
        return self.cluster.apply(APPS, NAMESPACE, name, body, USER, force=True)

    def patch(self, spec: JSON, name: str = "shop") -> Stored:
        """`kubectl patch` of some fields; None takes one away."""
        return self.cluster.patch(APPS, NAMESPACE, name, {"spec": spec}, "merge", USER)

    def annotate(self, annotations: JSON, name: str = "shop") -> Stored:
        """`kubectl annotate`; None takes one away."""
        return self.cluster.patch(APPS, NAMESPACE, name, {"metadata": {"annotations": annotations}}, "merge", USER)

    def config_map(self, name: str, **data: str) -> Stored:
        """`kubectl apply --server-side` of a ConfigMap."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        return self.cluster.apply(CONFIG_MAPS, NAMESPACE, name, body, USER, force=True)

    def copies(self, name: str = "shop") -> list[JSON]:
        """The contents of the App's immutable copies, by name."""
        ours = [c for c in self.cluster.all(CONFIG_MAPS, NAMESPACE) if c.meta.get("labels", {}).get(LABEL_APP) == name]
        return [copy.object["data"] for copy in ours]

    def configured(self, name: str = "shop") -> list[JSON]:
        """What each ready pod has of its first ConfigMap."""
        maps = {c.meta["name"]: c.object["data"] for c in self.cluster.all(CONFIG_MAPS, NAMESPACE)}
        return [maps[min(config_maps_of(pod.object))] for pod in self.ready(name)]

    def scale(self, replicas: int, name: str = "shop") -> None:
        self.patch({"replicas": replicas}, name)

    def scale_by_hand(self, replicas: int, name: str = "shop") -> None:
        """`kubectl scale`."""
        who = USER._replace(verb="patch", subresource="scale")
        scale.patch(self.cluster, APPS, NAMESPACE, name, {"spec": {"replicas": replicas}}, "merge", who)

    def image(self, image: str, name: str = "shop") -> None:
        change = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
        self.cluster.patch(APPS, NAMESPACE, name, [change], "json", USER)

    def restart(self, name: str = "shop") -> None:
        self.patch({"rollout": {"restartAt": timestamp(self.clock())}}, name)

    def delete(self, name: str = "shop", propagation: str = "Background") -> None:
        self.cluster.delete(APPS, NAMESPACE, name, propagation=propagation, origin=USER._replace(verb="delete"))

    def delete_pod(self, pod: Stored) -> None:
        self.cluster.delete(PODS, NAMESPACE, pod.meta["name"], origin=USER._replace(verb="delete"))

    def edit_pod(self, pod: Stored, change: Callable[[JSON], None]) -> None:
        self.cluster.edit(PODS, NAMESPACE, pod.meta["name"], change, USER)

    # ------------------------------------------------------------ what can be seen

    def apps(self) -> list[Stored]:
        return self.cluster.all(APPS, NAMESPACE)

    def app(self, name: str = "shop") -> Stored:
        return self.cluster.get(APPS, NAMESPACE, name)

    def status(self, name: str = "shop") -> JSON:
        return self.app(name).object.get("status") or {}

    def condition(self, type: str, name: str = "shop") -> JSON:
        return find(self.status(name).get("conditions") or (), type) or {}

    def pods(self, name: str = "shop", image: str = "") -> list[Stored]:
        """The App's active pods, by name; of one image where given."""
        found = self.cluster.find(APPS, NAMESPACE, name)
        pods = self.monitor.pods_of(found) if found else []
        return [pod for pod in pods if not image or pod.object["spec"]["containers"][0]["image"] == image]

    def ready(self, name: str = "shop", image: str = "") -> list[Stored]:
        return [pod for pod in self.pods(name, image) if is_ready(pod.object)]

    def revisions(self) -> list[Stored]:
        return sorted(self.cluster.all(REVISIONS, NAMESPACE), key=lambda revision: revision.object["spec"]["number"])

    def numbers(self) -> list[int]:
        return [revision.object["spec"]["number"] for revision in self.revisions()]

    def phases(self) -> list[str]:
        """The Revisions' phases, oldest first; "" where nothing has been told yet."""
        return [(revision.object.get("status") or {}).get("phase", "") for revision in self.revisions()]

    def everything(self) -> list[Stored]:
        return [
            stored
            for resource in (PODS, REVISIONS, SERVICES, BUDGETS, CONFIG_MAPS)
            for stored in self.cluster.all(resource, NAMESPACE)
        ]

    def rolled_out(self, name: str = "shop") -> bool:
        """The App says it is ready, and that is so."""
        found = self.cluster.find(APPS, NAMESPACE, name)
        if found is None:
            return False
        status, spec = found.object.get("status") or {}, wanted(found.object)
        said = find(status.get("conditions") or (), "Ready") or {}
        if status.get("observedGeneration") != found.meta["generation"] or said.get("status") != "True":
            return False
        return len(self.ready(name)) == spec["replicas"] == len(self.pods(name)) == status.get("availableReplicas")

    # ------------------------------------------------------------ waiting

    async def until(self, holds: Callable[[], bool], what: str = "it", within: float = 120.0) -> None:
        """Wait until it holds; looked at after every commit and every second."""
        deadline = self.loop.time() + within
        while not holds():
            if self.loop.time() >= deadline:
                raise Stuck(f"{what}: not within {within:.0f} s\n{self.describe()}")
            self._changed.clear()
            alarm = self.loop.call_later(1.0, self._changed.set)
            await self._changed.wait()
            alarm.cancel()

    async def complete(self, name: str = "shop", within: float = 120.0) -> None:
        await self.until(lambda: self.rolled_out(name), f"{name} rolled out", within)

    async def rest(self, within: float = 400.0) -> None:
        """Until no operator asks for a write for a while."""
        deadline = self.loop.time() + within
        last, since = self.write_count(), self.loop.time()
        while self.loop.time() - since < SETTLE_SECONDS:
            if self.loop.time() >= deadline:
                raise Stuck(f"the operator does not come to rest\n{self.describe()}")
            await asyncio.sleep(1.0)
            if self.write_count() != last:
                last, since = self.write_count(), self.loop.time()

    async def resyncs(self) -> None:
        """Lists all anew, twice: after lost watches, and as a new process. Nothing may be written."""
        before = self.write_count()
        for process in self.operators:
            process.client.lose_watches()
        await asyncio.sleep(SETTLE_SECONDS)
        self._must_be_silent(before, "after its watches were lost")
        for process in self.operators:
            process.crash()
        await asyncio.sleep(SETTLE_SECONDS)
        self._must_be_silent(before, "after a restart")

    def _must_be_silent(self, before: int, when: str) -> None:
        written = [write for process in self.operators for write in process.writes][before:]
        if written:
            self.monitor.violations.append(f"writes {when}, with nothing to do: " + "; ".join(map(str, written[:5])))

    def describe(self) -> str:
        """The state of things, for a failed test."""
        lines = ["--- the last commits", *self.trace, "--- pods"]
        for pod in self.cluster.all(PODS, NAMESPACE):
            state = "ready" if is_ready(pod.object) else "finished" if finished(pod) else "not ready"
            dying = " terminating" if pod.meta.get("deletionTimestamp") else ""
            image = pod.object["spec"]["containers"][0]["image"]
            lines.append(f"{pod.meta['name']} {image} {pod.object['status']['phase']} {state}{dying}")
        for app in self.cluster.all(APPS, NAMESPACE):
            lines += [f"--- {app.meta['name']} generation {app.meta['generation']}", str(app.object.get("status"))]
        lines += ["--- violations", *self.monitor.violations]
        return "\n".join(lines)


class _Errors(logging.Handler):
    """The operator's own error log lines are violations: a crash of a plan or a worker, not the API server's answers."""

    def __init__(self, violations: list[str]):
        super().__init__(logging.ERROR)
        self._violations = violations
        self._logger = logging.getLogger("fairlead")
        self._before = (self._logger.propagate, self._logger.level)
        self._logger.propagate = False  # formatting thousands of expected warnings takes longer than the simulation
        self._logger.setLevel(logging.ERROR)
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        reason = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._violations.append(f"error log: {record.getMessage()}{reason}")

    def close(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate, level = self._before
        self._logger.setLevel(level)
        super().close()


__all__ = ["NODES", "ApiError", "Stuck", "World"]
