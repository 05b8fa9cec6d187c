"""An App and everything that hangs on it, with the state of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.view.awaiting import pods
from fairlead.view.images import short_images
from fairlead.view.inert import inert_object, one_line
from fairlead.view.model import App, Revision, counted
from fairlead.view.verdict import Tone, tone_of, verdict

RUNNING = "Running"


class Node(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One object. `state` is a word or two, `detail` what else is worth a glance."""

    kind: str
    name: str
    state: str = ""
    tone: Tone = "quiet"
    detail: tuple[str, ...] = ()
    created: float | None = None
    children: tuple[Node, ...] = ()


class Around(msgspec.Struct, frozen=True):
    """What was found of an App's surroundings. None: it could not be read, which is not the same as not being there."""

    pods: tuple[Pod, ...] | None = ()
    service: JSON | None = None
    slices: tuple[JSON, ...] | None = ()
    budget: JSON | None = None
    unreadable: tuple[str, ...] = ()  # kinds the user may not read


def tree(app: App, revisions: Sequence[Revision], around: Around, now: float, *, most: int = 20) -> Node:
    """The tree; of a revision's pods at most `most`, those with a problem first."""
    ruling, revisions = verdict(app), counted(app, revisions)
    by_revision = _pods_by_revision(app, around.pods or ())
    branches = [
        _revision(app, revision, by_revision.pop(_hash(revision), []), most, now)
        for revision in _shown(app, revisions, by_revision)
    ]
    branches += [_stray(hash, found, most, now) for hash, found in sorted(by_revision.items())]
    retired = len(revisions) - len(_shown(app, revisions, _pods_by_revision(app, around.pods or ())))
    if retired:
        branches.append(Node("Revisions", f"{retired} more", state="kept", detail=("no pods, to go back to",)))
    if app.spec.expose or around.service:
        branches.append(_service(app, around))
    if app.spec.disruption or around.budget:
        branches.append(_budget(app, around))
    return Node(
        "App",
        app.name,
        state=one_line(app.status.summary) or ruling,
        tone=tone_of(ruling, app.status.available_replicas),
        detail=(f"{app.status.ready_replicas}/{app.replicas} ready",),
        created=app.metadata.created,
        children=tuple(branches),
    )


def _hash(revision: Revision) -> str:
    """What the revision's pods carry in their label."""
    return revision.metadata.labels.get("fairlead.dev/revision") or revision.spec.template_hash


def _pods_by_revision(app: App, found: Iterable[Pod]) -> dict[str, list[Pod]]:
    grouped: dict[str, list[Pod]] = defaultdict(list)
    for pod in found:
        if pod.owner_uid in ("", app.metadata.uid):
            grouped[pod.revision].append(pod)
    return grouped


def _shown(app: App, revisions: Sequence[Revision], by_revision: dict[str, list[Pod]]) -> list[Revision]:
    shown = [
        r for r in revisions if r.name == app.status.active_revision or r.status.replicas or by_revision.get(_hash(r))
    ]
    return sorted(shown, key=lambda r: (r.name != app.status.active_revision, -r.number))


def _revision(app: App, revision: Revision, found: list[Pod], most: int, now: float) -> Node:
    active = revision.name == app.status.active_revision
    ready = revision.status.ready_replicas
    wanted = app.replicas if active else revision.status.replicas
    detail = [f"{ready}/{wanted} ready", short_images(revision.images)]
    if active:
        state, tone = f"{revision.number} active", tone_of(verdict(app), app.status.available_replicas)
    else:
        stable = revision.name == app.status.stable_revision
        state, tone = f"{revision.number} stable" if stable else f"{revision.number} leaving", "held"
    return Node(
        "Revision",
        revision.name,
        state=state,
        tone=tone,
        detail=tuple(detail),
        created=revision.metadata.created,
        children=pod_nodes(found, most, now),
    )


def _stray(hash: str, found: list[Pod], most: int, now: float) -> Node:
    return Node(
        "Revision",
        hash or "(none)",
        state="gone",
        tone="bad",
        detail=(f"{len(found)} {pods(len(found))} left of it",),
        children=pod_nodes(found, most, now),
    )


def pod_nodes(found: Sequence[Pod], most: int, now: float) -> tuple[Node, ...]:
    """The pods, those with a problem first, then not ready, then by name; what goes past `most` in one line."""
    ordered = sorted(found, key=lambda p: (not p.problem, p.ready, p.name))
    nodes = [pod_node(pod) for pod in ordered[:most]]
    rest = ordered[most:]
    if rest:
        ready = sum(pod.ready for pod in rest)
        nodes.append(
            Node("Pods", f"{len(rest)} more", state=f"{ready} ready", tone="good" if ready == len(rest) else "busy")
        )
    return tuple(nodes)


def pod_node(pod: Pod) -> Node:
    """One pod as a line.

    >>> pod_node(Pod("", "shop-x-1", "u", 1, 0, phase="Running", node="n1", ready=True, serving=True, restarts=2)).detail
    ('n1', '2 restarts')
    """
    state, tone = pod_state(pod)
    detail = [pod.node] if pod.node else []
    if pod.restarts:
        detail.append(f"{pod.restarts} restart" + ("s" if pod.restarts > 1 else ""))
    if pod.ready and not pod.serving and pod.deleting is None:
        detail.append("not serving")
    if pod.problem and pod.message:
        detail.append(one_line(pod.message))
    return Node("Pod", pod.name, state=state, tone=tone, detail=tuple(detail), created=pod.created or None)


def pod_state(pod: Pod) -> tuple[str, Tone]:
    """A pod's state in the word kubectl has for it, and how bad that is."""
    if pod.deleting is not None:
        return "Terminating", "quiet"
    if pod.problem:
        return pod.problem, "bad"
    if pod.ready:
        return "Ready", "good"
    if pod.phase == RUNNING:
        return "Running, not ready", "busy"
    return pod.phase, "quiet" if pod.finished else "busy"


# ---------------------------------------------------------------- Service and budget


def _service(app: App, around: Around) -> Node:
    if around.service is None:
        return _absent("Service", app.name, around)
    service = inert_object(around.service)
    spec = service.get("spec") or {}
    detail = [*_addresses(service), *(_port(port) for port in spec.get("ports") or ())]
    state, tone = _endpoints(around.slices)
    meta = service.get("metadata") or {}
    kind = "Headless" if spec.get("clusterIP") == "None" else spec.get("type", "ClusterIP")
    return Node("Service", meta.get("name", app.name), state=state, tone=tone, detail=(kind, *detail))


def _addresses(service: JSON) -> list[str]:
    spec, status = service.get("spec") or {}, service.get("status") or {}
    own = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if ip and ip != "None"]
    outer = [
        entry.get("ip") or entry.get("hostname", "")
        for entry in (status.get("loadBalancer") or {}).get("ingress") or ()
    ]
    if spec.get("type") == "LoadBalancer" and not outer:
        outer = ["no external address yet"]
    return own + outer


def _port(port: JSON) -> str:
    """A Service port in one word.

    >>> _port({"port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080}), _port({"port": 53, "protocol": "UDP"})
    ('80:30080→http', '53/UDP')
    """
    text = str(port.get("port", ""))
    if port.get("nodePort"):
        text += f":{port['nodePort']}"
    if port.get("protocol", "TCP") != "TCP":
        text += f"/{port['protocol']}"
    target = port.get("targetPort")
    return f"{text}→{target}" if target not in (None, port.get("port")) else text


def _endpoints(slices: tuple[JSON, ...] | None) -> tuple[str, Tone]:
    """How many different pods get traffic, over the slices of both address families."""
    if slices is None:
        return "", "quiet"
    ready = set()
    for part in slices:
        for endpoint in part.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                ready.add((endpoint.get("targetRef") or {}).get("uid") or tuple(endpoint.get("addresses") or ()))
    if not ready:
        return "no endpoints", "bad"
    return f"{len(ready)} endpoint" + ("s" if len(ready) > 1 else ""), "good"


def _budget(app: App, around: Around) -> Node:
    if around.budget is None:
        return _absent("PodDisruptionBudget", app.name, around)
    budget = inert_object(around.budget)
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    limits = [f"{key} {spec[key]}" for key in ("minAvailable", "maxUnavailable") if key in spec]
    allowed = status.get("disruptionsAllowed", 0)
    detail = (*limits, f"{status.get('currentHealthy', 0)} healthy of {status.get('desiredHealthy', 0)} needed")
    name = (budget.get("metadata") or {}).get("name", app.name)
    if not allowed:
        return Node("PodDisruptionBudget", name, state="no eviction allowed", tone="held", detail=detail)
    return Node("PodDisruptionBudget", name, state=f"{allowed} may be evicted", tone="good", detail=detail)


def _absent(kind: str, name: str, around: Around) -> Node:
    if kind in around.unreadable:
        return Node(kind, name, state="not readable with your permissions", tone="quiet")
    return Node(kind, name, state="missing", tone="bad")
