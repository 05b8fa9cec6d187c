"""The Service of an App, and how its pods leave it without losing a request. Pure."""

from __future__ import annotations

import msgspec

from fairlead.activation.model import LABEL_ACTIVATED
from fairlead.core.actions import Action, Apply, Delete, Event, Plan, Try
from fairlead.core.children import Child, child_manifest, must_apply, owned, refused
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON, LABEL_APP, LABEL_SERVING
from fairlead.expose.model import HEADLESS, Expose, ExposeObserved, Port


def plan(observed: ExposeObserved) -> Plan:
    """Keep the Service as spec.expose says, and say how it stands in the condition `Exposed`."""
    live = owned(observed.live, observed.app_uid)
    if observed.deleting:
        return Plan()  # garbage collection takes the Service with the App
    if observed.wanted is None:
        return _unexposed(observed)
    mark = {LABEL_ACTIVATED: "true"} if observed.activated else {}
    manifest = service(observed.namespace, observed.app, observed.app_uid, observed.wanted, labels=mark)
    if live and must_recreate(observed.wanted, live.spec):
        refusal = condition(observed) if observed.refused else None
        return recreate(live, manifest, refusal, _waiting("Recreating", "the Service is being made anew"))
    actions: tuple[Action, ...] = ()
    if must_apply(manifest, live):
        body = msgspec.json.encode(manifest)
        actions = (Apply("Service", observed.namespace, observed.app, body, observed.app_uid),)
    return Plan(actions=actions, status=_conditions(condition(observed)))


def recreate(live: Child, manifest: JSON, refusal: Condition | None, waiting: Condition) -> Plan:
    """clusterIP cannot be changed in place. The Service, the App's own or its preview's, goes only for one that will be taken, so until then
    it stays as it is. `refusal`: what is told where its successor was refused; `waiting`: where it is on its way."""
    words = f"Service {live.name} is made anew: clusterIP cannot be changed in place"
    events = () if refusal else (Event("Normal", "RecreatingService", words),)
    return Plan(actions=replacement(live, manifest), events=events, status=_conditions(refusal or waiting))


def replacement(live: Child, manifest: JSON) -> tuple[Action, ...]:
    """The deletion of a Service for one that is to stand in its place, and would be taken.

    >>> there = Child("default", "shop", "s1", 5, "u", "shop", "shop", {}, {"clusterIP": "10.0.0.7"}, {})
    >>> tried, gone = replacement(there, service("default", "shop", "u", Expose(type="Headless")))
    >>> gone.uid, msgspec.json.decode(tried.body)["metadata"]["generateName"]
    ('s1', 'shop-')
    """
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "name"}
    body = msgspec.json.encode({**manifest, "metadata": {**metadata, "generateName": f"{live.name}-"}})
    tried = Try("Service", live.namespace, live.name, body)
    return tried, Delete("Service", live.namespace, live.name, live.uid, room_for=live.name)


def _unexposed(observed: ExposeObserved) -> Plan:
    """expose was taken away: the Service goes with it, if it is ours."""
    live = owned(observed.live, observed.app_uid)
    return Plan(actions=(Delete("Service", observed.namespace, live.name, live.uid),)) if live else Plan()


def condition(observed: ExposeObserved) -> Condition:
    """What `Exposed` says: refused before pending before served."""
    if observed.refused:
        way_out = "delete it, or rename the App"
        return refused("Exposed", "Service", observed.app, observed.refused, "ServiceRefused", way_out)
    if observed.live is None:
        return _waiting("Creating", "the Service is being created")
    wanted = observed.wanted
    if wanted and wanted.type == "LoadBalancer" and not (observed.live.status.get("loadBalancer") or {}).get("ingress"):
        return _waiting("LoadBalancerPending", "waiting for a load balancer controller to give the Service an address")
    return Condition("Exposed", "True", "ServiceReady", f"Service {observed.app} selects this App's serving pods")


def service(
    namespace: str,
    app: str,
    app_uid: str,
    expose: Expose,
    name: str = "",
    selector: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
) -> JSON:
    """The Service's manifest. It keeps a selector, so that endpoints stay right while the operator is down: that of all
    pods that may get traffic, where no other is said.

    >>> made = service("default", "shop", "u", Expose(ports=(Port(80, "http", "web"),)))
    >>> made["spec"]["selector"]
    {'fairlead.dev/app': 'shop', 'fairlead.dev/serving': 'true'}
    >>> made["spec"]["ports"]
    [{'port': 80, 'protocol': 'TCP', 'name': 'http', 'targetPort': 'web'}]
    """
    headless = expose.type == HEADLESS
    spec: JSON = {
        "type": "ClusterIP" if headless else expose.type,
        "selector": selector or {LABEL_APP: app, LABEL_SERVING: "true"},
    }
    if headless:
        spec["clusterIP"] = "None"
    optional: JSON = {
        # Not an empty list: the API server stores none, and it would look as if somebody had taken it away.
        "ports": [_port(port) for port in expose.ports],
        "ipFamilyPolicy": _family_policy(expose),
        "ipFamilies": list(expose.ip_families),
        "sessionAffinity": expose.session_affinity,
        "trafficDistribution": expose.traffic_distribution,
        "externalTrafficPolicy": expose.external_traffic_policy,
        "internalTrafficPolicy": expose.internal_traffic_policy,
        "loadBalancerClass": expose.load_balancer_class,
        "loadBalancerSourceRanges": list(expose.load_balancer_source_ranges),
        "publishNotReadyAddresses": expose.publish_not_ready_addresses,
    }
    spec |= {field: value for field, value in optional.items() if value}
    if expose.session_affinity == "ClientIP" and expose.session_affinity_timeout_seconds:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": expose.session_affinity_timeout_seconds}}
    return child_manifest("v1", "Service", app, namespace, app_uid, spec, expose.annotations, name, labels)


def _family_policy(expose: Expose) -> str:
    """Said always, as the API server takes it where a new Service says nothing (core/v1 ServiceSpec.ipFamilyPolicy): of an update
    that leaves it out it keeps what was there, and so a second family for good.

    >>> _family_policy(Expose()), _family_policy(Expose(ip_families=("IPv6", "IPv4")))
    ('SingleStack', 'RequireDualStack')
    """
    return expose.ip_family_policy or ("SingleStack" if len(expose.ip_families) < 2 else "RequireDualStack")


def _port(port: Port) -> JSON:
    made: JSON = {"port": port.port, "protocol": port.protocol}
    optional: JSON = {
        "name": port.name,
        "targetPort": port.target_port if port.target_port is not None else port.port,
        "nodePort": port.node_port,
        "appProtocol": port.app_protocol,
    }
    return made | {field: value for field, value in optional.items() if value}


def must_recreate(expose: Expose, live: JSON) -> bool:
    """clusterIP is immutable: between headless and not, the Service has to be made anew (core/v1 Service validation).

    >>> must_recreate(Expose(type="Headless"), {"clusterIP": "10.0.0.7"}), must_recreate(Expose(), {"clusterIP": "10.0.0.7"})
    (True, False)
    """
    return (expose.type == HEADLESS) != (live.get("clusterIP") == "None")


def add_drain(expose: Expose | None, pod_spec: JSON) -> JSON:
    """The pod spec with the kubelet's own preStop sleep in every container that has no preStop, and the grace period
    made longer by it: endpoints go before the process does, in rolls, evictions and drains, also while the operator is
    down (KEP-3960).

    >>> spec = add_drain(Expose(), {"containers": [{"name": "web"}]})
    >>> spec["containers"][0]["lifecycle"], spec["terminationGracePeriodSeconds"]
    ({'preStop': {'sleep': {'seconds': 5}}}, 35)
    """
    seconds = expose.drain_seconds if expose else 0
    grace = pod_spec.get("terminationGracePeriodSeconds", 30)
    if not seconds or not grace:
        return pod_spec
    sleep = {"preStop": {"sleep": {"seconds": seconds}}}
    containers = [
        container
        if (container.get("lifecycle") or {}).get("preStop")
        else container | {"lifecycle": (container.get("lifecycle") or {}) | sleep}
        for container in pod_spec.get("containers") or ()
    ]
    return pod_spec | {"containers": containers, "terminationGracePeriodSeconds": grace + seconds}


def _waiting(reason: str, message: str) -> Condition:
    return Condition("Exposed", "False", reason, message)


def _conditions(*conditions: Condition) -> JSON:
    return {"conditions": list(conditions)}
