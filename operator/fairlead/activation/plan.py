"""The EndpointSlices that stand for the activator beside upstream's. Pure.

    size   slice                                        requests go
    n      ports, so that activators listen already     to pods
    0      ports and the activators' addresses          to activators, which hold them
    n      the same, until upstream's has a pod ready   to activators, which pass them on; then to pods

Both at once do no harm. None at all does: so the addresses are there before the last pod goes (`kept`), and stay until upstream's
controller has written a pod that is ready.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

import msgspec

from fairlead.activation.model import (
    ACTIVATOR,
    LABEL_ACTIVATED,
    LISTENING,
    MANAGED_BY,
    SERVICE_NAME,
    TIMEOUT,
    ActivationObserved,
    Endpoint,
    Slice,
    Wanted,
)
from fairlead.core.actions import Action, Apply, Delete, Plan
from fairlead.core.children import APPLIED
from fairlead.core.meta import JSON, LABEL_APP, owner_reference, stable_hash
from fairlead.core.meta import MANAGED_BY as FAIRLEAD
from fairlead.expose.model import HEADLESS, Expose

KIND = "EndpointSlice"
KNOWN_AS = "ActivatedSlice"  # what the store calls those of Services that a request can wake
NOT_INSTALLED = "no activator is installed; set the chart's value activator.enabled"
_SUFFIXES = {"IPv4": "-activator", "IPv6": "-activator-ipv6"}


def plan(observed: ActivationObserved) -> Plan:
    """Keep one slice for each address family of the Service; take away what is not wanted any more, when nobody needs it."""
    if observed.deleting:
        return Plan()  # garbage collection takes them with the App
    wanted = observed.wanted
    if wanted is None:
        return Plan(actions=tuple(_gone(observed, observed.live)))
    ports = numbers(observed, wanted)
    held = holds(observed)
    actions: list[Action] = []
    for family in wanted.families:
        live = next((each for each in observed.live if each.address_type == family), None)
        made = manifest(observed, wanted, family, ports, _addresses(observed, family, live) if held else ())
        if live is None or live.applied != made["metadata"]["annotations"][APPLIED] or not _stands(live, made):
            name = made["metadata"]["name"]
            body = msgspec.json.encode(made)
            actions.append(Apply(KIND, observed.namespace, name, body, observed.app_uid, known_as=KNOWN_AS))
    others = [each for each in observed.live if each.address_type not in wanted.families]
    return Plan(actions=(*actions, *_gone(observed, others)))


def holds(observed: ActivationObserved) -> bool:
    """Requests are to go to the activators: there is no pod by our own decision, or there has been none and upstream's controller
    knows of no new one yet.

    >>> from fairlead.activation.testing import observed, ours
    >>> holds(observed(resting=True)), holds(observed())
    (True, False)
    >>> back = ours(addresses=("10.0.0.1",))
    >>> holds(observed(live=(back,))), holds(observed(live=(back,), served=True))
    (True, False)
    """
    if observed.resting:
        return True
    return not observed.served and not observed.stopped and any(each.endpoints for each in observed.live)


def stands(slices: Iterable[Slice], families: Collection[str]) -> bool:
    """Requests of every address family come to an activator.

    >>> from fairlead.activation.testing import ours
    >>> stands([ours(addresses=("10.0.0.1",))], ("IPv4",)), stands([ours()], ("IPv4",)), stands([], ())
    (True, False, False)
    """
    there = {each.address_type for each in slices if each.ready}
    return bool(families) and there.issuperset(families)


def unsuited(expose: Expose | None) -> str:
    """Why no request can wake an App that is exposed in this way; "" where one can.

    >>> from fairlead.expose.model import Port
    >>> unsuited(Expose(ports=(Port(53, protocol="UDP"),)))
    'spec.expose has no TCP port, and only there a request can be held; give it one'
    """
    if expose is None:
        return "spec.expose is not there, so no request comes to it; expose a TCP port"
    if expose.type == HEADLESS:
        return "a Headless Service has no address of its own, so no request can be held; take another type"
    if not any(port.protocol == "TCP" for port in expose.ports):
        return "spec.expose has no TCP port, and only there a request can be held; give it one"
    if expose.internal_traffic_policy == "Local":
        return (
            "spec.expose.internalTrafficPolicy is Local, so requests of most nodes come to no activator; take Cluster"
        )
    return ""


def unheard(service: str, there: int, listening: int) -> str:
    """Why no activator holds its requests, as far as they have told; "" where one would.

    >>> unheard("fairlead/fairlead-activator", 2, 0)
    'none of the 2 activators has said yet that it listens for it'
    """
    if listening:
        return ""
    if there:
        return f"none of the {there} activators has said yet that it listens for it"
    return f"no pod of Service {service} is ready; look at its Deployment"


def numbers(observed: ActivationObserved, wanted: Wanted) -> dict[str, int]:
    """Where activators listen, by the name of the Service's port: as it stands in the slice, unless another App had the number
    first; else from where the App's name says, the next that is free. So a slice that was deleted comes back as it was.

    >>> from fairlead.activation.testing import observed, ours
    >>> first = numbers(observed(), observed().wanted)["http"]
    >>> numbers(observed(taken=frozenset({first})), observed().wanted)["http"] == first + 1
    True
    >>> numbers(observed(live=(ours(port=20007),)), observed().wanted)["http"]
    20007
    """
    standing = {
        port.name: port.port
        for each in observed.live
        for port in each.ports
        if port.port in LISTENING and port.port not in observed.lost
    }
    chosen = {name: standing[name] for name in wanted.ports if name in standing}
    for name in wanted.ports:
        if name not in chosen:
            chosen[name] = _free(f"{observed.namespace}/{observed.app}/{name}", {*observed.taken, *chosen.values()})
    return chosen


def _free(name: str, taken: Collection[int]) -> int:
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    size = len(LISTENING)
    for at in range(size):
        number = LISTENING[(start + at) % size]
        if number not in taken:
            return number
    return LISTENING[
        start % size
    ]  # 10,000 ports are listened on: whoever was first keeps it, and this one is not served


def _addresses(observed: ActivationObserved, family: str, live: Slice | None) -> tuple[Endpoint, ...]:
    """The activators that are ready and have said that they listen; and those that stood here before, as long as they are ready: an
    operator that has just begun has not heard of any yet."""
    before = {each.address for each in live.endpoints} if live else set()
    return tuple(
        each
        for each in observed.activators.get(family, ())
        if each.ready and (each.pod in observed.listening or each.address in before)
    )


def manifest(
    observed: ActivationObserved, wanted: Wanted, family: str, ports: dict[str, int], addresses: Iterable[Endpoint]
) -> JSON:
    """One slice (discovery.k8s.io/v1).

    >>> from fairlead.activation.testing import observed
    >>> made = manifest(observed(), observed().wanted, "IPv4", {"http": 20007}, [Endpoint("10.0.0.1", node="n1")])
    >>> made["metadata"]["name"], made["ports"], made["endpoints"]
    ('shop-activator', [{'name': 'http', 'port': 20007, 'protocol': 'TCP'}], [{'addresses': ['10.0.0.1'], 'conditions': {'ready': True}, 'nodeName': 'n1'}])
    """
    body: JSON = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": KIND,
        "metadata": {
            "name": observed.app + _SUFFIXES[family],
            "namespace": observed.namespace,
            "labels": {
                LABEL_APP: observed.app,
                LABEL_ACTIVATED: "true",
                SERVICE_NAME: observed.app,
                MANAGED_BY: ACTIVATOR,
                "app.kubernetes.io/managed-by": FAIRLEAD,
            },
            "annotations": {TIMEOUT: str(wanted.hold_seconds)},
            "ownerReferences": [owner_reference("App", observed.app, observed.app_uid)],
        },
        "addressType": family,
        "ports": [{"name": name, "port": ports[name], "protocol": "TCP"} for name in wanted.ports],
        "endpoints": [_endpoint(each) for each in sorted(addresses, key=lambda each: each.address)],
    }
    body["metadata"]["annotations"][APPLIED] = stable_hash(msgspec.json.encode(body, order="sorted"))
    return body


def _endpoint(each: Endpoint) -> JSON:
    said: JSON = {"addresses": [each.address], "conditions": {"ready": True}}
    return said | {field: value for field, value in (("nodeName", each.node), ("zone", each.zone)) if value}


def _stands(live: Slice, made: JSON) -> bool:
    """What somebody else may have changed is as it was written."""
    ports = [(port.name, port.port) for port in live.ports]
    addresses = [each.address for each in live.ready]
    return ports == [(port["name"], port["port"]) for port in made["ports"]] and addresses == [
        each["addresses"][0] for each in made["endpoints"]
    ]


def _gone(observed: ActivationObserved, slices: Iterable[Slice]) -> Iterable[Action]:
    """Those whose requests have another way, or are to have none."""
    for each in slices:
        if observed.served or observed.stopped or not each.endpoints:
            yield Delete(KIND, each.namespace, each.name, each.uid, known_as=KNOWN_AS)
