"""The parts of a cluster that move by themselves: scheduler, kubelets, garbage collector, disruption controller, and
what happens to a node that dies. Each listens to commits and acts a little later; none has a task of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.kube.errors import ApiError, NotFound
from fairlead.kube.fake import Commit, FakeCluster, Origin, Stored, gc
from fairlead.kube.fake.selectors import label_selector_match
from fairlead.kube.resources import APPS, BUDGETS, CONFIG_MAPS, NODES, PODS

KUBELET = Origin("update", "kubelet", "kubelet", "status")
LIFECYCLE = Origin("update", "node-lifecycle", "kube-controller-manager", "status")

PULL_SECONDS = 0.4
STOP_SECONDS = 0.3  # from the end of preStop to the end of the process
SCHEDULE_SECONDS = 0.05
COLLECT_SECONDS = 0.05
NOT_READY_SECONDS = 40.0  # a silent node's pods lose their readiness
EVICT_SECONDS = 300.0  # and are deleted so much later (tolerationSeconds of the default tolerations)
CRASH_BACKOFF = 10.0
RESIZE_SECONDS = 0.3


Pace = Callable[[float], float]  # how long something takes this time that takes so many seconds on average


class Behaviour(NamedTuple):
    """How an image behaves. Times are seconds."""

    ready: float = 0.6  # from the start of the container; never where it is infinite
    pulls: bool = True
    crashes: bool = False
    exits: bool = False  # the pod ends by itself: it is evicted by its node
    code: int = 0  # how it exits where it is run to its end (restartPolicy Never), `ready` seconds after its start


IMAGES = {
    "slow": Behaviour(ready=30.0),
    "bad": Behaviour(pulls=False),
    "crash": Behaviour(crashes=True),
    "unready": Behaviour(ready=float("inf")),
    "hog": Behaviour(exits=True),
    "faulty": Behaviour(code=3),
}


def config_maps_of(pod: JSON) -> set[str]:
    """The ConfigMaps that the pod cannot start without.

    >>> config_maps_of({"spec": {"containers": [{"envFrom": [{"configMapRef": {"name": "a"}}]}], "volumes": [{"name": "v"}]}})
    {'a'}
    """
    spec = pod["spec"]
    volumes = {volume["configMap"]["name"] for volume in spec.get("volumes") or () if "configMap" in volume}
    sources = [source for container in spec["containers"] for source in container.get("envFrom") or ()]
    return volumes | {source["configMapRef"]["name"] for source in sources if "configMapRef" in source}


def behaviour(pod: JSON) -> Behaviour:
    """By the tag of the first container's image; any other tag is a good image.

    >>> behaviour({"spec": {"containers": [{"image": "shop:bad"}]}}).pulls
    False
    """
    return IMAGES.get(pod["spec"]["containers"][0]["image"].rpartition(":")[2], Behaviour())


class Machine:
    """Something that listens to a cluster and acts on it later."""

    def __init__(self, cluster: FakeCluster, pace: Pace):
        self.cluster, self.pace = cluster, pace
        self.loop = asyncio.get_running_loop()
        cluster.subscribers.append(self.committed)

    def committed(self, commit: Commit) -> None:
        raise NotImplementedError

    def live(self, namespace: str, name: str, uid: str) -> Stored | None:
        """The pod, if it still is that one."""
        found = self.cluster.find(PODS, namespace, name)
        return found if found and found.meta["uid"] == uid else None


class Scheduler(Machine):
    """Binds pods to the emptiest node that is alive, not cordoned and has room."""

    def __init__(self, cluster: FakeCluster, pace: Pace, capacity: int):
        super().__init__(cluster, pace)
        self.capacity = capacity
        self.dead: set[str] = set()

    def committed(self, commit: Commit) -> None:
        if commit.resource == PODS and commit.type == "ADDED" and not commit.new.object["spec"].get("nodeName"):
            self.loop.call_later(
                self.pace(SCHEDULE_SECONDS), self._place, commit.namespace, commit.name, commit.new.meta["uid"]
            )
        elif (commit.resource == PODS and commit.type == "DELETED") or commit.resource == NODES:
            self.loop.call_later(self.pace(SCHEDULE_SECONDS), self._retry)

    def _retry(self) -> None:
        for pod in self.cluster.all(PODS, field_selector="spec.nodeName="):
            self._place(pod.meta["namespace"], pod.meta["name"], pod.meta["uid"])

    def _place(self, namespace: str, name: str, uid: str) -> None:
        pod = self.live(namespace, name, uid)
        if pod is None or pod.object["spec"].get("nodeName") or pod.meta.get("deletionTimestamp"):
            return
        load = Counter(other.object["spec"].get("nodeName") for other in self.cluster.all(PODS))
        wanted = (pod.object["spec"].get("nodeSelector") or {}).items()
        nodes = [node for node in self.cluster.all(NODES) if self._fits(node, load, dict(wanted))]
        if nodes:
            best = min(nodes, key=lambda node: (load[node.meta["name"]], node.meta["name"]))
            self.cluster.assign(namespace, name, best.meta["name"])
        else:
            count = len(self.cluster.all(NODES))
            self._refuse(namespace, name, f"0/{count} nodes are available: {count} did not fit.")

    def _fits(self, node: Stored, load: Counter[str], wanted: JSON) -> bool:
        name = node.meta["name"]
        if name in self.dead or node.object["spec"].get("unschedulable") or load[name] >= self.capacity:
            return False
        labels = node.meta.get("labels") or {}
        return all(labels.get(key) == value for key, value in wanted.items())

    def _refuse(self, namespace: str, name: str, message: str) -> None:
        def say(obj: JSON) -> None:
            obj["status"]["conditions"] = [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            ]

        self.cluster.edit(PODS, namespace, name, say, Origin("update", "scheduler", "scheduler", "status"))


class Kubelets(Machine):
    """Every node's kubelet: pulls, starts, probes, restarts and ends containers."""

    def __init__(self, cluster: FakeCluster, pace: Pace):
        super().__init__(cluster, pace)
        self.dead: set[str] = set()
        self.no_room = ""  # what becomes of a resize in place: Deferred, Infeasible, or "", and it is done
        self._started: set[str] = set()
        self._stopping: set[str] = set()

    def committed(self, commit: Commit) -> None:
        if commit.resource != PODS or commit.type == "DELETED" or not commit.new.object["spec"].get("nodeName"):
            return
        if commit.origin.subresource == "resize":
            meta = commit.new.meta
            self.loop.call_later(
                self.pace(SCHEDULE_SECONDS), self._resize, meta["namespace"], meta["name"], meta["uid"]
            )
        self._look(commit.new)

    def _look(self, pod: Stored) -> None:
        meta, node = pod.meta, pod.object["spec"]["nodeName"]
        who = (meta["namespace"], meta["name"], meta["uid"])
        if node in self.dead:
            return
        if pod.object["spec"].get("readinessGates"):  # somebody may have set a condition that one names
            self.loop.call_later(self.pace(SCHEDULE_SECONDS), self._judge, *who)
        if meta.get("deletionTimestamp"):
            if meta["uid"] not in self._stopping:
                self._stopping.add(meta["uid"])
                self.loop.call_later(self._stop_seconds(pod.object), self._gone, *who)
        elif meta["uid"] not in self._started:
            self._started.add(meta["uid"])
            self.loop.call_later(self.pace(PULL_SECONDS), self._start, *who)

    def _resize(self, namespace: str, name: str, uid: str) -> None:
        """What it requests has changed: the kubelet says what becomes of that, and does it."""
        if self._mine(namespace, name, uid) is None:
            return
        if self.no_room:
            words = "Node didn't have enough resource: cpu"
            self._tell(namespace, name, type="PodResizePending", reason=self.no_room, message=words)
            return
        self._tell(namespace, name, type="PodResizeInProgress")
        self.loop.call_later(self.pace(RESIZE_SECONDS), self._resized, namespace, name, uid)

    def _resized(self, namespace: str, name: str, uid: str) -> None:
        if self._mine(namespace, name, uid) is not None:
            self._tell(namespace, name)

    def _tell(self, namespace: str, name: str, **condition: str) -> None:
        """The one word on a resize, or none."""

        def say(obj: JSON) -> None:
            rest = [c for c in obj["status"].get("conditions") or () if not c["type"].startswith("PodResize")]
            now = {"status": "True", "lastTransitionTime": timestamp(self.cluster.clock())}
            obj["status"]["conditions"] = [*rest, *([{**condition, **now}] if condition else [])]
            obj["status"]["observedGeneration"] = obj["metadata"]["generation"]

        self.cluster.edit(PODS, namespace, name, say, KUBELET)

    def revive(self, node: str) -> None:
        """The node answers again: it ends what was deleted meanwhile and reports the rest ready."""
        self.dead.discard(node)
        for pod in self.cluster.all(PODS, field_selector=f"spec.nodeName={node}"):
            self._look(pod)
            if not pod.meta.get("deletionTimestamp") and pod.object["status"]["phase"] == "Running":
                self._report(pod.meta["namespace"], pod.meta["name"], pod.meta["uid"], ready=True)

    def _stop_seconds(self, pod: JSON) -> float:
        """preStop sleeps are honoured, up to the grace period."""
        sleeps = [
            ((((c.get("lifecycle") or {}).get("preStop") or {}).get("sleep")) or {}).get("seconds", 0)
            for c in pod["spec"]["containers"]
        ]
        return float(min(pod["metadata"]["deletionGracePeriodSeconds"], max(sleeps) + self.pace(STOP_SECONDS)))

    def _start(self, namespace: str, name: str, uid: str) -> None:
        pod = self._mine(namespace, name, uid)
        if pod is None:
            return
        found = [self.cluster.find(CONFIG_MAPS, namespace, name) for name in sorted(config_maps_of(pod.object))]
        if None in found:  # it is looked for again and again, and says so only in Events
            self.loop.call_later(1.0, self._start, namespace, name, uid)
            return
        texts = [text for stored in found if stored for text in (stored.object.get("data") or {}).values()]
        how = next((IMAGES[text] for text in texts if text in IMAGES), behaviour(pod.object))
        if not how.pulls:
            image = pod.object["spec"]["containers"][0]["image"]
            waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}": not found'}
            self._report(namespace, name, uid, phase="Pending", state={"waiting": waiting})
            return
        self._report(namespace, name, uid, phase="Running", state={"running": {}})
        if how.crashes:
            self.loop.call_later(0.2, self._crash, namespace, name, uid, 1)
        elif how.exits:
            self.loop.call_later(0.2, self._evict, namespace, name, uid)
        elif pod.object["spec"].get("restartPolicy") == "Never":
            if how.ready != float("inf"):
                self.loop.call_later(how.ready, self._end, namespace, name, uid, how.code)
        elif how.ready != float("inf"):
            self.loop.call_later(how.ready, self._ready, namespace, name, uid)

    def _end(self, namespace: str, name: str, uid: str, code: int) -> None:
        """The program of a pod that is run to its end has ended."""
        phase = "Failed" if code else "Succeeded"
        finished = timestamp(self.cluster.clock())
        ended = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "message": "done",
            "finishedAt": finished,
        }
        self._report(namespace, name, uid, phase=phase, ready=False, state={"terminated": ended})

    def _judge(self, namespace: str, name: str, uid: str) -> None:
        """Ready is what containers and readinessGates come to."""
        pod = self._mine(namespace, name, uid)
        if pod is None or not pod.object["status"].get("containerStatuses"):
            return
        containers = bool(pod.object["status"]["containerStatuses"][0].get("ready"))
        if is_ready(pod.object) != (containers and _gates_open(pod.object)):
            self._report(namespace, name, uid)

    def restart(self, namespace: str, name: str, uid: str) -> None:
        """A container ends and starts anew; it is ready again some time later."""
        self._report(namespace, name, uid, ready=False, restarts=1)
        self.loop.call_later(self.pace(PULL_SECONDS), self._ready, namespace, name, uid)

    def _mine(self, namespace: str, name: str, uid: str) -> Stored | None:
        pod = self.live(namespace, name, uid)
        if pod is None or pod.object["spec"].get("nodeName") in self.dead:
            return None
        return None if pod.object["status"]["phase"] in ("Failed", "Succeeded") else pod

    def _ready(self, namespace: str, name: str, uid: str) -> None:
        self._report(namespace, name, uid, ready=True, state={"running": {}})

    def probe(self, namespace: str, name: str, uid: str, *, ready: bool) -> None:
        """The readiness probe has another result now."""
        self._report(namespace, name, uid, ready=ready)

    def _crash(self, namespace: str, name: str, uid: str, times: int) -> None:
        ended = {"exitCode": 3, "reason": "Error", "message": "starting\ncannot open /etc/shop"}
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
        self._report(
            namespace, name, uid, state={"waiting": waiting}, last={"terminated": ended}, restarts=times, ready=False
        )
        if times < 4:  # then the back-off is longer than any scenario
            self.loop.call_later(CRASH_BACKOFF * 2**times, self._crash, namespace, name, uid, times + 1)

    def _evict(self, namespace: str, name: str, uid: str) -> None:
        def fail(obj: JSON) -> None:
            ended = {"exitCode": 137, "reason": "Error", "finishedAt": timestamp(self.cluster.clock())}
            obj["status"] |= {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "The node was low on resource: memory.",
            }
            obj["status"]["conditions"] = _conditions(obj, False, self.cluster.clock())
            for container in obj["status"].get("containerStatuses") or ():
                container |= {"ready": False, "state": {"terminated": ended}}

        if self._mine(namespace, name, uid):
            self.cluster.edit(PODS, namespace, name, fail, KUBELET)

    evict = _evict

    def _report(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        phase: str | None = None,
        ready: bool | None = None,
        state: JSON | None = None,
        last: JSON | None = None,
        restarts: int = 0,
    ) -> None:
        if self._mine(namespace, name, uid) is None:
            return

        def change(obj: JSON) -> None:
            status = obj["status"]
            before = (status.get("containerStatuses") or [{}])[0]
            is_ready = bool(before.get("ready")) if ready is None else ready
            status["phase"] = phase or status["phase"]
            status.setdefault("startTime", timestamp(self.cluster.clock()))
            status["containerStatuses"] = [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "ready": is_ready,
                    "restartCount": restarts or before.get("restartCount", 0),
                    "state": state or before.get("state", {}),
                    "lastState": last or before.get("lastState", {}),
                }
                for container in obj["spec"]["containers"]
            ]
            status["conditions"] = _conditions(obj, is_ready, self.cluster.clock())
            status["observedGeneration"] = obj["metadata"]["generation"]

        self.cluster.edit(PODS, namespace, name, change, KUBELET)

    def _gone(self, namespace: str, name: str, uid: str) -> None:
        pod = self.live(namespace, name, uid)
        if pod is None or pod.object["spec"].get("nodeName") in self.dead:
            self._stopping.discard(uid)
            return
        self.cluster.delete(
            PODS, namespace, name, uid=uid, grace_period_seconds=0, origin=KUBELET._replace(verb="delete")
        )


def _gates_open(pod: JSON) -> bool:
    """Every condition that a readinessGate names is True.

    >>> _gates_open({"spec": {"readinessGates": [{"conditionType": "a"}]}, "status": {}}), _gates_open({"spec": {}, "status": {}})
    (False, True)
    """
    standing = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions") or ()}
    return all(standing.get(gate["conditionType"]) == "True" for gate in pod["spec"].get("readinessGates") or ())


def _conditions(pod: JSON, ready: bool, now: float) -> list[JSON]:
    """The pod's conditions; lastTransitionTime moves only when the status does."""
    before = {condition["type"]: condition for condition in pod["status"].get("conditions") or ()}
    result = [condition for type, condition in before.items() if type not in ("Ready", "ContainersReady")]
    for type, so in (("Ready", ready and _gates_open(pod)), ("ContainersReady", ready)):
        old, status = before.get(type, {}), "True" if so else "False"
        when = old["lastTransitionTime"] if old.get("status") == status else timestamp(now)
        result.append({"type": type, "status": status, "lastTransitionTime": when})
    return result


class Collector(Machine):
    """kube-controller-manager's garbage collector and namespace controller."""

    def __init__(self, cluster: FakeCluster, pace: Pace):
        super().__init__(cluster, pace)
        self._due = False

    def committed(self, commit: Commit) -> None:
        if not self._due and gc.needs_collection(self.cluster, commit.new, commit.type):
            self._due = True
            self.loop.call_later(self.pace(COLLECT_SECONDS), self._collect)

    def _collect(self) -> None:
        self._due = False
        gc.collect(self.cluster)


class Budgets(Machine):
    """The disruption controller: keeps the status of PodDisruptionBudgets of Apps."""

    def __init__(self, cluster: FakeCluster, pace: Pace):
        super().__init__(cluster, pace)
        self._due = False

    def committed(self, commit: Commit) -> None:
        if not self._due and commit.resource in (PODS, BUDGETS) and self.cluster.table(BUDGETS):
            self._due = True
            self.loop.call_later(self.pace(COLLECT_SECONDS), self._count)

    def _count(self) -> None:
        self._due = False
        for budget in self.cluster.all(BUDGETS):
            self._count_one(budget)

    def _count_one(self, budget: Stored) -> None:
        namespace, spec = budget.meta["namespace"], budget.object["spec"]
        matches = label_selector_match(spec.get("selector"))
        pods = [pod for pod in self.cluster.all(PODS, namespace) if matches(pod.object)]
        healthy = sum(is_ready(pod.object) and not pod.meta.get("deletionTimestamp") for pod in pods)
        expected = sum(
            {
                owner["uid"]: self._wanted(namespace, owner)
                for pod in pods
                for owner in pod.meta.get("ownerReferences") or ()
            }.values()
        )
        if "maxUnavailable" in spec:
            desired = max(0, expected - _scaled(spec["maxUnavailable"], expected))
        else:
            desired = _scaled(spec.get("minAvailable", 1), expected)
        status = {
            "observedGeneration": budget.meta["generation"],
            "disruptionsAllowed": max(0, healthy - desired) if expected else 0,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }

        def say(obj: JSON) -> None:
            obj["status"] = status

        self.cluster.edit(BUDGETS, namespace, budget.meta["name"], say, Origin("update", "disruption", "", "status"))

    def _wanted(self, namespace: str, owner: JSON) -> int:
        app = self.cluster.find(APPS, namespace, owner["name"])
        return int(app.object["spec"]["replicas"]) if app else 0


def _scaled(value: int | str, total: int) -> int:
    """Percentages round up, both kinds (kubernetes pkg/controller/disruption).

    >>> _scaled("50%", 3), _scaled(1, 3)
    (2, 1)
    """
    return value if isinstance(value, int) else -(-int(value.rstrip("%")) * total // 100)


def is_ready(pod: JSON) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())


class Nodes:
    """Nodes that die, come back, and are taken away."""

    def __init__(self, cluster: FakeCluster, scheduler: Scheduler, kubelets: Kubelets, count: int):
        self.cluster, self._scheduler, self._kubelets = cluster, scheduler, kubelets
        self._loop = asyncio.get_running_loop()
        for index in range(1, count + 1):
            self.add(f"node-{index}")

    def add(self, name: str, **labels: str) -> None:
        self.cluster.create(NODES, None, {"metadata": {"name": name, "labels": labels}, "spec": {}})

    def kill(self, name: str) -> None:
        """Nothing is heard of the node any more."""
        self._kubelets.dead.add(name)
        self._scheduler.dead.add(name)
        self._loop.call_later(NOT_READY_SECONDS, self._if_dead, name, self._unready)
        self._loop.call_later(NOT_READY_SECONDS + EVICT_SECONDS, self._if_dead, name, self._delete)

    def revive(self, name: str) -> None:
        self._scheduler.dead.discard(name)
        self._kubelets.revive(name)

    def cordon(self, name: str, on: bool) -> None:
        self.cluster.edit(NODES, None, name, lambda node: node["spec"].update(unschedulable=on))

    def remove(self, name: str) -> None:
        """The node object goes; the pod collector force-deletes what was on it."""
        self.cluster.delete(NODES, None, name)
        for pod in self._pods(name):
            self.cluster.delete(PODS, pod.meta["namespace"], pod.meta["name"], grace_period_seconds=0, origin=LIFECYCLE)

    def _if_dead(self, name: str, act: Callable[[Stored], None]) -> None:
        if name in self._kubelets.dead:
            for pod in self._pods(name):
                try:
                    act(pod)
                except NotFound:
                    continue

    def _pods(self, name: str) -> list[Stored]:
        return self.cluster.all(PODS, field_selector=f"spec.nodeName={name}")

    def _unready(self, pod: Stored) -> None:
        def say(obj: JSON) -> None:
            obj["status"]["conditions"] = _conditions(obj, False, self.cluster.clock())

        self.cluster.edit(PODS, pod.meta["namespace"], pod.meta["name"], say, LIFECYCLE)

    def _delete(self, pod: Stored) -> None:
        self.cluster.delete(PODS, pod.meta["namespace"], pod.meta["name"], origin=LIFECYCLE._replace(verb="delete"))


__all__ = ["ApiError", "Budgets", "Collector", "Kubelets", "Nodes", "Scheduler", "is_ready"]
