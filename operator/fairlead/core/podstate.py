"""Pods as the engine keeps them: flat, frozen, about 400 bytes; and the upstream rules about their states.

Sources: kubernetes pkg/controller/controller_utils.go (IsPodActive, ActivePodsWithRanks), api/v1/pod (IsPodAvailable).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

import msgspec

from fairlead.core import gated as gates
from fairlead.core.conditions import parse_time
from fairlead.core.gated import Gated
from fairlead.core.meta import (
    ANNOTATION_GIVES_WAY,
    ANNOTATION_RESTARTED_AT,
    API_VERSION,
    LABEL_APP,
    LABEL_JUDGES,
    LABEL_REVISION,
    LABEL_SERVING,
)

COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"


class Resizing(NamedTuple):
    """A resize in place that is not done. reason: the kubelet's Deferred, Infeasible, InProgress or Error; "" until it has seen it."""

    reason: str = ""
    since: float = 0.0
    message: str = ""


class Pod(msgspec.Struct, frozen=True, gc=False):
    """One pod. Times are epoch seconds; `problem` is why it is not well ("" where nothing is known to be wrong)."""

    namespace: str
    name: str
    uid: str
    rv: int
    created: float
    phase: str = "Pending"
    node: str = ""
    ready: bool = False
    ready_since: float = 0.0
    deleting: float | None = None  # deletionTimestamp: when its grace period ends
    owner_kind: str = ""  # the controlling owner, "" for an orphan
    owner_name: str = ""
    owner_uid: str = ""
    app: str = ""  # label fairlead.dev/app
    revision: str = ""  # label fairlead.dev/revision
    serving: bool = False
    restarted_at: str = ""  # annotation fairlead.dev/restarted-at: which wish for a restart made this pod
    finished_at: float = 0.0  # when a Failed or Succeeded pod ended
    cost: int = 0
    restarts: int = 0
    problem: str = ""  # ImagePullBackOff, CrashLoopBackOff, Unschedulable, Evicted, …
    message: str = ""
    container: str = ""  # the container the problem is about
    exit_code: int | None = None
    gated: Gated | None = None  # with readinessGates of ours only
    judges: str = ""  # label fairlead.dev/judges: the App whose release it is run to judge; it is none of its pods
    started: float = 0.0  # status.startTime: when the kubelet took it up, 0 before
    readiness: str = ""  # the Ready condition's status: True, False, Unknown, "" before there is one
    starved: tuple[str, float] | None = None  # the container that ran out of memory last, and when
    resources: bytes = b"{}"  # what of its spec says how much it asks for, as JSON; one object for all that ask alike
    resizing: Resizing | None = None  # as good as no pod is
    gives_way: bool = False  # annotation fairlead.dev/gives-way: another pod of its revision is to take its place

    @property
    def active(self) -> bool:
        """Neither finished nor being deleted (IsPodActive)."""
        return self.deleting is None and self.phase not in ("Succeeded", "Failed")

    @property
    def starting(self) -> bool:
        """On its node, not started, and without a word of why."""
        return self.phase == "Pending" and bool(self.node) and not self.problem and self.deleting is None

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def held(self) -> bool:
        """Its containers are ready, and a health gate says no."""
        return self.gated is not None and self.gated.containers_ready and not self.ready

    def available(self, min_ready_seconds: int, now: float) -> bool:
        """Ready, and for min_ready_seconds strictly longer (IsPodAvailable).

        >>> Pod("", "p", "u", 1, 0, ready=True, ready_since=100).available(10, 110)
        False
        >>> Pod("", "p", "u", 1, 0, ready=True, ready_since=100).available(10, 110.1)
        True
        """
        if not self.ready:
            return False
        return min_ready_seconds == 0 or self.ready_since + min_ready_seconds < now


# ---------------------------------------------------------------- projection: the API's JSON to a Pod


class _Owner(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _Asking(msgspec.Struct, rename="camel", omit_defaults=True):
    """A container, as far as it says what it asks for."""

    name: str = ""
    restart_policy: str = ""
    resources: msgspec.Raw = msgspec.Raw(b"")


class _Resources(msgspec.Struct, rename="camel", omit_defaults=True):
    containers: list[_Asking] = []
    init_containers: list[_Asking] | None = None
    resources: msgspec.Raw = msgspec.Raw(b"")
    overhead: msgspec.Raw = msgspec.Raw(b"")


class _Spec(_Resources, rename="camel", omit_defaults=True):
    node_name: str = ""
    readiness_gates: msgspec.Raw = msgspec.Raw(b"")


class _Waiting(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Terminated(msgspec.Struct, rename="camel"):
    reason: str = ""
    message: str = ""
    exit_code: int = 0
    finished_at: str | None = None


class _State(msgspec.Struct):
    waiting: _Waiting | None = None
    terminated: _Terminated | None = None


class _Container(msgspec.Struct, rename="camel"):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)


class _Condition(msgspec.Struct, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    start_time: str | None = None
    conditions: list[_Condition] | None = None
    container_statuses: list[_Container] | None = None
    init_container_statuses: list[_Container] | None = None


class _Pod(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_decoder = msgspec.json.Decoder(_Pod)

# Waiting reasons that are part of a normal start.
_STARTING = {"", "ContainerCreating", "PodInitializing"}


def project_pod(data: bytes) -> Pod | None:
    """A pod's JSON to a `Pod`; None for a pod that neither an App owns nor a label of ours marks."""
    raw = _decoder.decode(data)
    meta = raw.metadata
    labels = meta.labels or {}
    owner = next((ref for ref in meta.owner_references or () if ref.controller), None)
    ours = owner is not None and owner.kind == "App" and owner.api_version == API_VERSION
    if not ours and LABEL_APP not in labels and LABEL_JUDGES not in labels:
        return None
    status = raw.status
    ready, resize = _told(status.conditions or ())
    problem, message, container, code = diagnose(status)
    # As good as no pod has any: the others are not taken apart a second time.
    gated = gates.project_gated(data) if raw.spec.readiness_gates else None
    if gated and not problem:
        problem, message = gates.diagnose(gated)
    return Pod(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        created=parse_time(meta.creation_timestamp) or 0.0,
        phase=intern(status.phase),
        node=intern(raw.spec.node_name),
        ready=ready is not None and ready.status == "True",
        ready_since=(parse_time(ready.last_transition_time) or 0.0) if ready else 0.0,
        deleting=parse_time(meta.deletion_timestamp),
        owner_kind=intern(owner.kind) if owner else "",
        owner_name=intern(owner.name) if owner else "",
        owner_uid=intern(owner.uid) if owner else "",
        app=intern(labels.get(LABEL_APP, "")),
        revision=intern(labels.get(LABEL_REVISION, "")),
        serving=labels.get(LABEL_SERVING) == "true",
        restarted_at=(meta.annotations or {}).get(ANNOTATION_RESTARTED_AT, ""),
        finished_at=_finished_at(status) if status.phase in ("Succeeded", "Failed") else 0.0,
        cost=_cost((meta.annotations or {}).get(COST_ANNOTATION)),
        restarts=sum(c.restart_count for c in status.container_statuses or ()),
        problem=intern(problem),
        message=message,
        container=intern(container),
        exit_code=code,
        gated=gated,
        judges=intern(labels.get(LABEL_JUDGES, "")),
        started=parse_time(status.start_time) or 0.0,
        readiness=intern(ready.status) if ready else "",
        starved=_starved(status),
        resources=_resources(raw.spec),
        resizing=_resizing(resize, meta.generation, status.observed_generation),
        gives_way=ANNOTATION_GIVES_WAY in (meta.annotations or ()),
    )


_NOT_SEEN = Resizing()
_RESIZES = frozenset({"PodResizeInProgress", "PodResizePending"})


def _told(conditions: Iterable[Any]) -> tuple[Any, Any]:
    """The Ready condition, and that of a resize: what waits stands before what is under way."""
    ready = resize = None
    for condition in conditions:
        if condition.type == "Ready":
            ready = condition
        elif condition.type in _RESIZES and condition.status == "True":
            resize = condition if resize is None else max(resize, condition, key=lambda one: one.type)
    return ready, resize


def _resizing(condition: Any, generation: int, seen: int) -> Resizing | None:
    """Kubelets tell a resize by conditions (KEP-1287), and by the generation that they have seen (KEP-5067), as far as they do."""
    if condition is not None:
        since = parse_time(condition.last_transition_time) or 0.0
        return Resizing(intern(condition.reason or "InProgress"), since, condition.message)
    return _NOT_SEEN if 0 < seen < generation else None


def _resources(spec: Any) -> bytes:
    asking = _Resources(spec.containers, spec.init_containers, spec.resources, spec.overhead)
    return _one(msgspec.json.encode(asking))


@lru_cache(maxsize=4096)
def _one(data: bytes) -> bytes:
    """A revision's pods ask alike: they share one object of it."""
    return data


def _starved(status: Any) -> tuple[str, float] | None:
    """Of the containers' last ends those for want of memory: the latest."""
    ends = [
        (parse_time(ended.finished_at) or 0.0, container.name)
        for container in status.container_statuses or ()
        if container.restart_count or container.state.terminated
        for ended in (container.state.terminated, container.last_state.terminated)
        if ended and ended.reason == "OOMKilled"
    ]
    return (max(ends)[1], max(ends)[0]) if ends else None


def _finished_at(status: Any) -> float:
    """When a pod ended: the latest of what its containers and conditions say."""
    times = [c.state.terminated.finished_at for c in status.container_statuses or () if c.state.terminated]
    times += [c.last_transition_time for c in status.conditions or ()]
    return max((parse_time(time) or 0.0 for time in times), default=0.0)


def _cost(text: str | None) -> int:
    """The deletion cost annotation; nonsense counts as 0 (KEP-2255)."""
    try:
        return int(text) if text else 0
    except ValueError:
        return 0


_NOT_FOUND = re.compile(r'\b(configmap|secret|persistentvolumeclaim) "[^"]*" not found')


def diagnose(status: Any) -> tuple[str, str, str, int | None]:
    """Why this pod is not well: (reason, message, container, exit code), all empty where nothing is known to be wrong.

    The pod's own failure first, then what a container waits for, then what ended it last time, then scheduling. A
    crash loop is told by what the process said and its exit code, not by the kubelet's "back-off restarting".
    """
    if status.phase == "Failed":
        return status.reason or "PodFailed", status.message or _last_words(status), "", _exit_code(status)
    for container in [*(status.init_container_statuses or ()), *(status.container_statuses or ())]:
        waiting = container.state.waiting
        ended = container.state.terminated or container.last_state.terminated
        if waiting and waiting.reason == "CrashLoopBackOff":
            return "CrashLoopBackOff", _ending(ended), container.name, ended.exit_code if ended else None
        if waiting and waiting.reason not in _STARTING:
            return missing(waiting.message) or waiting.reason, waiting.message, container.name, None
        ended = container.state.terminated
        if ended and ended.exit_code != 0:
            return ended.reason or "Error", _ending(ended), container.name, ended.exit_code
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return missing(condition.message) or condition.reason or "Unschedulable", condition.message, "", None
    return "", "", "", None


def missing(message: str) -> str:
    """The reason where kubelet or scheduler wait for an object that the template refers to; "" where they say of none.

    >>> missing('configmap "settings" not found'), missing("couldn't find key url in Secret shop/db")
    ('ConfigMapMissing', '')
    >>> missing('0/3 nodes are available: persistentvolumeclaim "data" not found. not found')
    'VolumeClaimMissing'
    """
    found = _NOT_FOUND.search(message)
    kind = found[1] if found else ""
    if kind == "configmap":
        return "ConfigMapMissing"
    if kind == "secret":
        return "SecretMissing"
    return "VolumeClaimMissing" if kind else ""


def _ending(ended: Any) -> str:
    """How a process ended, its last words (termination message) at the end.

    >>> _ending(_Terminated("Error", "cannot open /etc/shop", 3))
    'exit code 3 (Error): cannot open /etc/shop'
    """
    if ended is None:
        return ""
    what = f"exit code {ended.exit_code}" + (f" ({ended.reason})" if ended.reason else "")
    lines = ended.message.strip().splitlines()
    return f"{what}: {lines[-1][:300]}" if lines else what


def _last_words(status: Any) -> str:
    for container in status.container_statuses or ():
        if container.state.terminated:
            return _ending(container.state.terminated)
    return ""


def _exit_code(status: Any) -> int | None:
    for container in status.container_statuses or ():
        if container.state.terminated:
            return int(container.state.terminated.exit_code)
    return None


# ---------------------------------------------------------------- who goes first

_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(candidates: Iterable[Pod], siblings: Sequence[Pod], now: float) -> list[Pod]:
    """The candidates, first to delete first (ActivePodsWithRanks): unassigned, Pending before Unknown before Running,
    not ready, lower deletion cost, more active siblings on the same node, ready for less time, more restarts, newer.
    Times compare on a log2 scale, ties by uid, so that the choice is not always the youngest (KEP-2185).

    `siblings` are all active pods of the same App, over all its revisions.

    >>> old = Pod("", "old", "1", 1, created=0, phase="Running", node="n", ready=True, ready_since=10)
    >>> new = Pod("", "new", "2", 1, created=900, phase="Running", node="n", ready=True, ready_since=910)
    >>> broken = Pod("", "broken", "3", 1, created=0, phase="Running", node="n")
    >>> [pod.name for pod in deletion_order([old, new, broken], [old, new, broken], now=1000)]
    ['broken', 'new', 'old']
    """
    crowd = Counter(pod.node for pod in siblings if pod.active and pod.node)

    def rank(pod: Pod) -> tuple[Any, ...]:
        return (
            bool(pod.node),
            _PHASE_RANK.get(pod.phase, 1),
            pod.ready,
            pod.cost,
            -crowd[pod.node],
            _log_age(now - pod.ready_since) if pod.ready else 0,
            -pod.restarts,
            _log_age(now - pod.created),
            pod.uid,
        )

    return sorted(candidates, key=rank)


def _log_age(seconds: float) -> int:
    return math.floor(math.log2(seconds)) if seconds >= 1 else 0


def by_age(pods: Iterable[Pod]) -> list[Pod]:
    """Oldest first, ties by uid: a total order, so that two runs agree."""
    return sorted(pods, key=lambda pod: (pod.created, pod.uid))
