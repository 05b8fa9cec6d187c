"""Reading what hangs on an App: pods, Service, endpoints, budget, events, logs. What may not be read is left out, and said."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.cli.session import Session, flatten
from fairlead.core.podstate import Pod
from fairlead.kube.errors import ApiError, NotFound
from fairlead.kube.resources import BUDGETS, EVENTS, NODES, SERVICES, Resource
from fairlead.view.inert import inert
from fairlead.view.model import App, Event, read_all
from fairlead.view.tree import Around
from fairlead.view.why import Evidence, samples, symptom

SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LOG_LINES = 5
MOST_NODES = 5


def around(session: Session, app: App) -> Around:
    """Everything `fairlead tree` shows beside App and Revisions."""
    cluster = session.cluster
    pods = session.allowed("Pods", lambda: session.pods(app))
    service = slices = budget = None
    if app.spec.expose:
        service = session.allowed("Service", lambda: cluster.get(SERVICES, app.name))
        slices = session.allowed(
            "EndpointSlices", lambda: flatten(cluster.pages(SLICES, labels=f"kubernetes.io/service-name={app.name}"))
        )
    if app.spec.disruption:
        budget = session.allowed("PodDisruptionBudget", lambda: cluster.get(BUDGETS, app.name))
    return Around(
        pods=None if pods is None else tuple(pods),
        service=service,
        slices=None if slices is None else tuple(slices),
        budget=budget,
        unreadable=tuple(session.unreadable),
    )


def evidence(session: Session, app: App) -> Evidence:
    """Everything `fairlead why` reasons from: few requests, however many pods there are."""
    revisions = session.allowed("Revisions", lambda: session.revisions(app)) or []
    pods = session.allowed("Pods", lambda: session.pods(app))
    chosen = samples(app, pods or [])
    events = session.allowed("Events", lambda: _events(session, app, chosen))
    return Evidence(
        revisions=tuple(revisions),
        pods=None if pods is None else tuple(pods),
        events=None if events is None else tuple(events),
        logs={pod.name: lines for pod in chosen if (lines := _log(session, pod))},
        lost_nodes=frozenset(_lost_nodes(session, pods or [])),
    )


def _events(session: Session, app: App, chosen: list[Pod]) -> list[Event]:
    """Those about the App and its sample pods: a namespace's whole list may be long."""
    found: list[Event] = []
    for uid in (app.metadata.uid, *(pod.uid for pod in chosen)):
        for page in session.cluster.pages(EVENTS, fields=f"involvedObject.uid={uid}"):
            found += read_all(page, Event)
    return found


def _lost_nodes(session: Session, pods: list[Pod]) -> Iterator[str]:
    """Nodes of pods that are not ready for no reason of their own, as far as they may be read and do not answer."""
    suspects = sorted({pod.node for pod in pods if pod.node and symptom(pod, frozenset()) == "NotReady"})
    for name in suspects[:MOST_NODES]:
        try:
            node = session.cluster.get(NODES, name)
        except NotFound:
            yield name
            continue
        except ApiError:
            return
        conditions = (node.get("status") or {}).get("conditions") or ()
        if any(c.get("type") == "Ready" and c.get("status") != "True" for c in conditions):
            yield name


def _log(session: Session, pod: Pod) -> tuple[str, ...]:
    """The end of the log of a process that ended: of the one before where a new one has been started since."""
    if not pod.container or pod.exit_code is None:
        return ()
    for previous in (True, False):
        try:
            text = session.cluster.log(pod.name, pod.container, lines=LOG_LINES, previous=previous)
        except ApiError:
            continue
        if text.strip():
            return tuple(line for line in inert(text).splitlines() if line.strip())[-LOG_LINES:]
    return ()
