"""What must hold after every single write, whoever made it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque

from fairlead.core.conditions import find, parse_time
from fairlead.core.meta import HEALTH_GATE, JSON, LABEL_APP, LABEL_REVISION, LABEL_SERVING, controller_of
from fairlead.kube.fake import Commit, FakeCluster, Stored
from fairlead.kube.resources import APPS, BUDGETS, CONFIG_MAPS, NAMESPACES, PODS, REVISIONS, SERVICES, Resource
from sim.machines import config_maps_of, is_ready

LAG = 0.25
_OURS = ("fairlead.dev/", "app.kubernetes.io/")


class Monitor:
    """Looks at every commit and writes down what should not have happened. It never raises: that would be an answer
    of the API server.

    lag: seconds; what changed so recently the operator cannot have heard of in time.
    """

    def __init__(self, cluster: FakeCluster, operators: set[str]):
        self.cluster, self.operators = cluster, operators
        self.lag = LAG
        self.violations: list[str] = []
        self.loop = asyncio.get_running_loop()
        self.creates = 0  # of pods, by an operator
        self.deletes = 0
        self.taken_away: set[tuple[str, str]] = set()  # ConfigMaps that others deleted: (namespace, name)
        self._names: set[tuple[str, str, str]] = set()
        self._specs: dict[str, deque[tuple[float, JSON]]] = {}  # by App uid: (until when it was current, spec)
        self._unavailable: dict[str, float] = {}  # pod uid -> since when (loop time)
        self._apps: set[str] = set()  # the uids there have been
        self._ended: dict[str, float] = {}  # App uid -> when it went, or its deletion began
        self._ready: dict[str, float] = {}  # the same for those that are ready
        self._lost: deque[tuple[float, str, Stored]] = deque(maxlen=64)  # (when, App uid, pod): taken from it by others
        self._released: dict[str, float] = {}  # pod uid -> since when nobody owns it
        self._meddled: dict[tuple[str, str, str], float] = {}  # Services and budgets: when another last wrote it
        cluster.subscribers.append(self.committed)

    def committed(self, commit: Commit) -> None:
        self._remember(commit)
        if commit.origin.identity not in self.operators:
            return
        if commit.resource == APPS:
            self._check_app_write(commit)
        if commit.resource == PODS:
            self._check_pod_write(commit)
        if commit.resource == CONFIG_MAPS:
            self._check_config_map_write(commit)
        if commit.type == "ADDED" and commit.resource.kind not in ("Lease", "Event"):
            self._check_create(commit)

    def wrong(self, commit: Commit, what: str) -> None:
        self.violations.append(
            f"{self.loop.time():.3f} {commit.origin.verb} {commit.resource.kind} {commit.name} (rv {commit.rv}): {what}"
        )

    # ------------------------------------------------------------ memory

    def _remember(self, commit: Commit) -> None:
        """Specs and readiness as they were a moment ago: the operator acts on what it has heard of."""
        now = self.loop.time()
        if commit.resource == APPS:
            self._apps.add(commit.new.meta["uid"])
            if commit.type == "DELETED" or commit.new.meta.get("deletionTimestamp"):
                self._ended.setdefault(commit.new.meta["uid"], now)
        if (
            commit.resource == APPS
            and commit.old is not None
            and wanted(commit.old.object) != wanted(commit.new.object)
        ):
            self._specs.setdefault(commit.new.meta["uid"], deque(maxlen=8)).append((now, wanted(commit.old.object)))
        if commit.resource == CONFIG_MAPS and commit.type == "DELETED":
            self.taken_away.add((commit.namespace, commit.name))
        if commit.resource in (SERVICES, BUDGETS) and commit.origin.identity not in self.operators:
            self._meddled[(commit.resource.kind, commit.namespace, commit.name)] = now
        if commit.resource != PODS:
            return
        if controller_of(commit.new.meta) is None:
            self._released.setdefault(commit.new.meta["uid"], now)
        else:
            self._released.pop(commit.new.meta["uid"], None)
        if commit.origin.identity not in self.operators and commit.old is not None and _serves(commit.old):
            owner = controller_of(commit.old.meta)
            if owner is not None and not (commit.type != "DELETED" and _serves(commit.new)):
                self._lost.append((now, owner.uid, commit.old))
        if commit.type != "DELETED" and is_ready(commit.new.object):
            self._unavailable.pop(commit.new.meta["uid"], None)
            self._ready.setdefault(commit.new.meta["uid"], now)
        else:
            self._ready.pop(commit.new.meta["uid"], None)
            self._unavailable.setdefault(commit.new.meta["uid"], now)

    def _recent_specs(self, app: Stored) -> list[JSON]:
        now = self.loop.time()
        earlier = [spec for until, spec in self._specs.get(app.meta["uid"], ()) if until + self.lag >= now]
        return [wanted(app.object), *earlier]

    # ------------------------------------------------------------ writes to Apps

    def _check_app_write(self, commit: Commit) -> None:
        if commit.origin.subresource != "status" or commit.old is None:
            self.wrong(commit, "the operator may write nothing of an App but its status")
            return
        for field in ("spec",):
            if commit.old.object.get(field) != commit.new.object.get(field):
                self.wrong(commit, f"the operator changed the App's {field}")
        ignored = ("resourceVersion", "managedFields")
        meta = [{k: v for k, v in side.meta.items() if k not in ignored} for side in (commit.old, commit.new)]
        if meta[0] != meta[1]:
            self.wrong(commit, "the operator changed the App's metadata")
        status = commit.new.object.get("status") or {}
        if "observedGeneration" not in status:
            self.wrong(commit, "a status without observedGeneration: kstatus would call it Current")
        if status.get("observedGeneration", 0) > commit.new.meta["generation"]:
            self.wrong(commit, "observedGeneration is ahead of the generation")
        types = {condition["type"] for condition in status.get("conditions") or ()}
        if "Ready" not in types:
            self.wrong(commit, "a status without a Ready condition")
        if _runs_as_asked(commit.new) and not _runs_as_asked(commit.old):
            self._check_children(commit)

    def _check_children(self, commit: Commit) -> None:
        """Who says for the first time that a spec runs as asked has its Service and its budget as it asks for them."""
        spec = commit.new.object["spec"]
        if ports := (spec.get("expose") or {}).get("ports"):
            found = self._child(commit, SERVICES)
            asked, there = ([port["port"] for port in side] for side in (ports, (found or {}).get("ports") or ()))
            headless = spec["expose"].get("type") == "Headless"
            if found is not None and (asked != there or headless != (found.get("clusterIP") == "None")):
                self.wrong(commit, f"Ready, and the Service is {found}")
        if disruption := spec.get("disruption"):
            found = self._child(commit, BUDGETS)
            fields = ("minAvailable", "maxUnavailable")
            if found is not None and [disruption.get(field) for field in fields] != [found.get(f) for f in fields]:
                self.wrong(commit, f"Ready, and the budget is {found}")

    def _child(self, commit: Commit, resource: Resource) -> JSON | None:
        """The spec of the App's own; {} where there is none, None where another has just written it."""
        when = self._meddled.get((resource.kind, commit.namespace, commit.name))
        if when is not None and when + self.lag >= self.loop.time():
            return None
        found = self.cluster.find(resource, commit.namespace, commit.name)
        owner = controller_of(found.meta) if found else None
        ours = found is not None and owner is not None and owner.uid == commit.new.meta["uid"]
        return dict(found.object["spec"]) if found is not None and ours else {}

    # ------------------------------------------------------------ writes to pods

    def _check_create(self, commit: Commit) -> None:
        ref = (commit.resource.kind, commit.namespace, commit.name)
        if ref in self._names and commit.resource == PODS:
            self.wrong(commit, "a second pod of that name")
        self._names.add(ref)
        owner = controller_of(commit.new.meta)
        if owner is not None and owner.kind == "Revision":  # what a gate runs: for the App whose Revision it judges
            judged = self.cluster.find(REVISIONS, commit.namespace, owner.name)
            owner = controller_of(judged.meta) if judged else None
        ended = self._ended.get(owner.uid) if owner else 0.0
        if owner is None:
            self.wrong(commit, "created without an owner")
        elif owner.uid not in self._apps:
            self.wrong(commit, "created for an App that never was")
        elif ended is not None and ended + self.lag < self.loop.time():
            self.wrong(commit, f"created for an App that is gone or going since {ended:.3f}")
        if self.cluster.find(NAMESPACES, None, commit.namespace) is None:
            self.wrong(commit, "created in a namespace that is not there")

    def _check_pod_write(self, commit: Commit) -> None:
        if commit.origin.subresource == "status" and commit.old is not None:
            self._check_pod_status(commit, commit.old)
        owner = controller_of((commit.old or commit.new).meta)
        app = self.cluster.find(APPS, commit.namespace, owner.name) if owner else None
        if commit.type == "ADDED":
            self.creates += 1
            self._check_config(commit)
            if app:
                self._check_surge(commit, app)
                self._check_recreate(commit, app)
        elif commit.origin.verb == "delete" and commit.old is not None and not commit.old.meta.get("deletionTimestamp"):
            self.deletes += 1
            if owner is None:
                if self._released[commit.new.meta["uid"]] + self.lag < self.loop.time():
                    self.wrong(commit, "a pod that nobody owns was deleted")
            elif app and not app.meta.get("deletionTimestamp"):
                self._check_floor(commit, app)
                self._check_shares(commit, app)
        elif commit.old is not None and _in_traffic(commit.old) != _in_traffic(commit.new) and app:
            self._check_floor(commit, app)
            self._check_shares(commit, app)

    def _check_pod_status(self, commit: Commit, old: Stored) -> None:
        """Of a pod's status only the conditions of health gates are the operator's, and only those that the pod waits for."""
        before, after = (_foreign_status(side.object) for side in (old, commit.new))
        if before != after:
            self.wrong(commit, "the operator changed more of a pod's status than its own conditions")
        waited = {gate["conditionType"] for gate in commit.new.object["spec"].get("readinessGates") or ()}
        ours = {c["type"] for c in commit.new.object["status"]["conditions"] if c["type"].startswith(HEALTH_GATE)}
        if not ours <= waited:
            self.wrong(commit, f"conditions that no readinessGate names: {ours - waited}")

    def _check_config(self, commit: Commit) -> None:
        """A pod is made after the copies it runs with, and they are what will never change."""
        for name in config_maps_of(commit.new.object):
            found = self.cluster.find(CONFIG_MAPS, commit.namespace, name)
            ours = name.startswith(controller_of(commit.new.meta).name + "-")  # type: ignore[union-attr]
            if found is None:
                if ours and (commit.namespace, name) not in self.taken_away:
                    self.wrong(commit, f"a pod without its ConfigMap {name}")
            elif LABEL_APP in (found.meta.get("labels") or {}) and not found.object.get("immutable"):
                self.wrong(commit, f"a pod with a copy that can change: {name}")

    def _check_config_map_write(self, commit: Commit) -> None:
        if commit.origin.verb == "delete":
            users = [
                pod.meta["name"]
                for pod in self.cluster.all(PODS, commit.namespace)
                if not finished(pod) and commit.name in config_maps_of(pod.object)
            ]
            if users:
                self.wrong(commit, f"a copy was deleted that {users[0]} runs with")
        elif commit.type != "ADDED":
            self.wrong(commit, "the operator changed a ConfigMap")

    def pods_of(self, app: Stored) -> list[Stored]:
        """Active pods the App owns and that still carry its label."""
        return [pod for pod in self.owned_by(app) if not pod.meta.get("deletionTimestamp") and not finished(pod)]

    def owned_by(self, app: Stored) -> list[Stored]:
        uid, name = app.meta["uid"], app.meta["name"]
        return [
            pod
            for pod in self.cluster.all(PODS, app.meta["namespace"])
            if (owner := controller_of(pod.meta))
            and owner.uid == uid
            and pod.meta.get("labels", {}).get(LABEL_APP) == name
        ]

    def _check_surge(self, commit: Commit, app: Stored) -> None:
        specs = self._recent_specs(app)
        limit = max(_most(spec) for spec in specs)
        count = len(self.pods_of(app))
        if count > limit:
            self.wrong(commit, f"{count} pods, at most {limit} allowed")

    def _check_recreate(self, commit: Commit, app: Stored) -> None:
        if any(spec["rollout"]["strategy"] != "Recreate" for spec in self._recent_specs(app)):
            return
        revision = commit.new.meta["labels"].get("fairlead.dev/revision")
        others = {
            pod.meta["labels"].get("fairlead.dev/revision") for pod in self.owned_by(app) if not finished(pod)
        } - {revision}
        if others:
            self.wrong(commit, f"Recreate: pods of {others} are still there")

    def _check_floor(self, commit: Commit, app: Stored) -> None:
        """An available pod may only go, or leave the traffic, while enough others serve."""
        specs = self._recent_specs(app)
        if commit.old is None or not _in_traffic(commit.old):
            return
        if any(spec["rollout"]["strategy"] == "Recreate" for spec in specs) or not self._known_available(commit, specs):
            return
        floor = min(_least(spec) for spec in specs)
        lost = [pod for when, uid, pod in self._lost if uid == app.meta["uid"] and when + self.lag >= self.loop.time()]
        left = sum(_in_traffic(pod) and self._counted(pod, specs) for pod in [*self.pods_of(app), *lost])
        if left < floor:
            self.wrong(commit, f"{left} pods left available, at least {floor} are needed")

    def _check_shares(self, commit: Commit, app: Stored) -> None:
        """No revision is given a larger share of the traffic than its ready pods are of those that the App needs."""
        specs = self._recent_specs(app)
        if any(spec["rollout"]["strategy"] == "Recreate" for spec in specs):
            return
        there = [pod for pod in self.pods_of(app) if self._counted(pod, specs)]
        ready = Counter(pod.meta["labels"].get(LABEL_REVISION) for pod in there)
        traffic = Counter(pod.meta["labels"].get(LABEL_REVISION) for pod in there if _in_traffic(pod))
        needed = min(ready.total(), *(_least(spec) for spec in specs))
        for revision, serving in traffic.items():
            if serving * needed > ready[revision] * traffic.total():
                self.wrong(commit, f"{revision} serves with {serving} of {traffic.total()}, {dict(ready)} are ready")

    def _known_available(self, commit: Commit, specs: list[JSON]) -> bool:
        """The deleted pod was available, and for so long that the operator must have heard of it."""
        since = self._ready.get(commit.new.meta["uid"])
        return since is not None and since + self.lag < self.loop.time() and self._counted(commit.old, specs)

    def _counted(self, pod: Stored | None, specs: list[JSON]) -> bool:
        """Available, or so until so recently that nobody can know."""
        if pod is None:
            return False
        wait = min(spec["rollout"]["minReadySeconds"] for spec in specs)
        ready = next((c for c in pod.object["status"].get("conditions") or () if c["type"] == "Ready"), None)
        if ready and ready["status"] == "True":
            return not wait or (parse_time(ready["lastTransitionTime"]) or 0) + wait < self.cluster.clock() + self.lag
        return bool(ready) and self._unavailable.get(pod.meta["uid"], 0.0) + self.lag > self.loop.time()


def _runs_as_asked(app: Stored) -> bool:
    """Its status says so, of the spec as it is."""
    status = app.object.get("status") or {}
    ready = find(status.get("conditions") or (), "Ready") or {}
    return status.get("observedGeneration") == app.meta["generation"] and ready.get("status") == "True"


def wanted(app: JSON) -> JSON:
    """The spec with as many replicas as the App is to have: what autoscaling has come to counts when it is stored.

    >>> wanted({"spec": {"replicas": 1, "autoscale": {"min": 2, "max": 9}}})["replicas"]
    2
    >>> wanted({"spec": {"replicas": 1, "autoscale": {}}, "status": {"autoscale": {"replicas": 5}}})["replicas"]
    5
    """
    spec, stored = app["spec"], (app.get("status") or {}).get("autoscale") or {}
    bounds = spec.get("autoscale")
    if not spec["replicas"] or (bounds is None and stored.get("asked") != spec["replicas"]):
        return dict(spec)
    size = stored.get("replicas")
    if bounds is not None and not size and not stored.get("scaledToZero"):
        size = min(max(spec["replicas"], bounds["min"]), bounds["max"])
    return spec | {"replicas": spec["replicas"] if size is None else size}


def _foreign_status(pod: JSON) -> JSON:
    """A pod's status without what is the operator's."""
    status = pod["status"]
    others = [c for c in status.get("conditions") or () if not c["type"].startswith(HEALTH_GATE)]
    return {**status, "conditions": others}


def _serves(pod: Stored) -> bool:
    """It is an App's, and meant to stay."""
    return bool(
        controller_of(pod.meta)
        and pod.meta.get("labels", {}).get(LABEL_APP)
        and not pod.meta.get("deletionTimestamp")
        and not finished(pod)
    )


def _in_traffic(pod: Stored) -> bool:
    """It carries the label that the Service selects."""
    return pod.meta.get("labels", {}).get(LABEL_SERVING) == "true"


def finished(pod: Stored) -> bool:
    return pod.object["status"]["phase"] in ("Failed", "Succeeded")


def _fences(spec: JSON) -> tuple[int, int]:
    """(surge, unavailable), worked out without the code under test.

    >>> _fences({"replicas": 3, "rollout": {"strategy": "Rolling", "maxSurge": "25%", "maxUnavailable": "25%"}})
    (1, 0)
    """
    rollout, replicas = spec["rollout"], spec["replicas"]
    if rollout["strategy"] == "Recreate":
        return 0, replicas
    surge, unavailable = (
        wish if isinstance(wish, int) else int(wish.rstrip("%")) * replicas / 100
        for wish in (rollout["maxSurge"], rollout["maxUnavailable"])
    )
    surge, unavailable = math.ceil(surge), math.floor(unavailable)
    if rollout["strategy"] == "BlueGreen":
        surge = replicas
    surge = min(surge, max(0, rollout.get("maxTotal", math.inf) - replicas))
    return surge, unavailable if surge or unavailable else 1


def _most(spec: JSON) -> int:
    return int(spec["replicas"]) + _fences(spec)[0] if spec["replicas"] else 0


def _least(spec: JSON) -> int:
    return max(0, int(spec["replicas"]) - _fences(spec)[1])
