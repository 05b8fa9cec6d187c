"""The Service that shows a BlueGreen App's newest revision before it gets the traffic. Pure."""

from __future__ import annotations

import msgspec

from fairlead.core.actions import Action, Apply, Delete, Plan
from fairlead.core.children import must_apply, owned, refused
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION, truncate
from fairlead.expose.model import HEADLESS, Expose, PreviewObserved
from fairlead.expose.plan import must_recreate, recreate, service

SUFFIX = "-preview"


def plan(observed: PreviewObserved) -> Plan:
    """Keep the preview's Service, take away what is not wanted any more, and say in the condition `PreviewExposed` how it
    stands. A Service of that name that is not this App's stays its owner's."""
    if observed.deleting:
        return Plan()  # garbage collection takes it with the App
    wanted = observed.wanted if observed.name else None
    gone = [
        Delete("Service", other.namespace, other.name, other.uid)
        for other in observed.others
        if wanted is None or other.name != observed.name
    ]
    if wanted is None:
        return Plan(actions=tuple(gone))
    made = _kept(observed, wanted)
    return msgspec.structs.replace(made, actions=(*gone, *made.actions))


def _kept(observed: PreviewObserved, expose: Expose) -> Plan:
    said = condition(observed)
    if not observed.revision:
        return Plan(status=_conditions(said))
    live = owned(observed.live, observed.app_uid)
    made = manifest(observed, expose)
    if live and must_recreate(expose, live.spec):
        waiting = Condition("PreviewExposed", "False", "Recreating", f"Service {observed.name} is being made anew")
        return recreate(live, made, said if observed.refused else None, waiting)
    actions: tuple[Action, ...] = ()
    if must_apply(made, live):
        body = msgspec.json.encode(made)
        actions = (Apply("Service", observed.namespace, observed.name, body, observed.app_uid),)
    return Plan(actions=actions, status=_conditions(said))


def manifest(observed: PreviewObserved, expose: Expose) -> JSON:
    """The ports of the App's Service, inside the cluster; all pods of one revision, whether they get traffic or not.

    >>> from fairlead.expose.model import Port
    >>> seen = PreviewObserved("default", "shop", "u", False, Expose(ports=(Port(80),)), "shop-preview", "v2", None)
    >>> made = manifest(seen, seen.wanted)
    >>> made["metadata"]["name"], made["spec"]["selector"]
    ('shop-preview', {'fairlead.dev/app': 'shop', 'fairlead.dev/revision': 'v2'})
    """
    inside = Expose(
        ports=tuple(msgspec.structs.replace(port, node_port=None) for port in expose.ports),
        type=HEADLESS if expose.type == HEADLESS else "ClusterIP",
        ip_family_policy=expose.ip_family_policy,
        ip_families=expose.ip_families,
    )
    selector = {LABEL_APP: observed.app, LABEL_REVISION: observed.revision}
    return service(observed.namespace, observed.app, observed.app_uid, inside, observed.name, selector)


def condition(observed: PreviewObserved) -> Condition:
    """What `PreviewExposed` says: refused before pending before served."""
    name = observed.name
    if observed.refused:
        way_out = "delete it, or name another one in spec.rollout.blueGreen.previewService"
        return refused("PreviewExposed", "Service", name, observed.refused, "ServiceRefused", way_out)
    if observed.live is None:
        return Condition("PreviewExposed", "False", "Creating", f"Service {name} is being created")
    words = f"Service {name} selects the pods of the newest revision, also before they get traffic"
    return Condition("PreviewExposed", "True", "ServiceReady", words)


def _conditions(said: Condition) -> JSON:
    return {"conditions": [said]}


def name_of(app: str, wanted: str) -> str:
    """The name that is asked for, else the App's own with `-preview`, cut where it would not fit a DNS label.

    >>> name_of("shop", ""), name_of("shop", "shop-next"), len(name_of("s" * 63, ""))
    ('shop-preview', 'shop-next', 63)
    """
    return wanted or truncate(app, 63 - len(SUFFIX)) + SUFFIX
