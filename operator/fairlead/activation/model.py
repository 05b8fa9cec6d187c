"""What the operator and the activator agree on: the EndpointSlices of a Service that a request can wake. Pure.

Two sorts are looked at. Upstream's controller writes where the pods are; the operator writes, beside it, where the activator
listens for this Service, and puts the activator's addresses in while nobody else would answer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core.meta import GROUP, JSON, LABEL_APP, Key, controller_of

LABEL_ACTIVATED = f"{GROUP}/activated"  # on Services that a request can wake, and so on their EndpointSlices
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
ACTIVATOR = f"activator.{GROUP}"  # who manages the slices that the operator writes
TIMEOUT = f"{GROUP}/hold-seconds"  # annotation of these
LISTENING = range(20000, 30000)  # where activators listen: below the ports that Linux gives to outgoing connections

PATH = "/waiting"  # of an activator's control port: a stream of `Line`s
BEAT = 5.0  # seconds between two lines, at most: who hears nothing for three times as long takes the activator for gone


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an activator says of an App: whether it listens for it, and since when (epoch seconds) a request has been waiting. whole:
    all that there was to say has been said."""

    namespace: str = ""
    app: str = ""
    listens: bool = False
    since: float | None = None
    whole: bool = False


class SlicePort(msgspec.Struct, frozen=True):
    """A port of a slice: the name that it has in the Service, and its number at the endpoints."""

    name: str
    port: int
    protocol: str = "TCP"


class Endpoint(msgspec.Struct, frozen=True):
    """One address of a slice. ready: new connections may go there; pod: whose address it is, by
    uid, or the address itself where that is nobody's."""

    address: str
    ready: bool = True
    node: str = ""
    zone: str = ""
    pod: str = ""


class Slice(msgspec.Struct, frozen=True):
    """An EndpointSlice. app, service: what its labels name; ours: it stands for the activator; created: its creationTimestamp;
    applied: the mark of what the operator last wrote; hold_seconds: how long a request is held."""

    namespace: str
    name: str
    uid: str
    rv: int
    app: str
    service: str
    ours: bool = False
    created: str = ""
    owner_uid: str = ""
    address_type: str = "IPv4"
    ports: tuple[SlicePort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    applied: str = ""
    hold_seconds: float = 60.0

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.app)

    @property
    def ready(self) -> tuple[Endpoint, ...]:
        return tuple(each for each in self.endpoints if each.ready)


class _Port(msgspec.Struct):
    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class _Endpoint(msgspec.Struct, rename="camel"):
    addresses: list[str] = []
    conditions: JSON = {}
    node_name: str | None = None
    zone: str | None = None
    target_ref: JSON | None = None


class _Object(msgspec.Struct, rename="camel"):
    metadata: JSON
    address_type: str = "IPv4"
    ports: list[_Port] | None = None
    endpoints: list[_Endpoint] | None = None


_decoder = msgspec.json.Decoder(_Object)


def project_slice(data: bytes) -> Slice | None:
    """An EndpointSlice's JSON to a `Slice`; None for one of no Service. An endpoint that says nothing of its readiness is ready, and
    its first address is the one to use (discovery.k8s.io/v1).

    >>> pod = {"addresses": ["10.0.0.7"], "conditions": {"ready": True}, "nodeName": "n1"}
    >>> labels = {LABEL_APP: "shop", SERVICE_NAME: "shop", MANAGED_BY: "endpointslice-controller.k8s.io"}
    >>> body = {"metadata": {"name": "shop-x", "labels": labels}, "endpoints": [pod], "ports": [{"name": "", "port": 8080}]}
    >>> seen = project_slice(msgspec.json.encode(body))
    >>> seen.ours, seen.ready[0].address, seen.ports[0].port
    (False, '10.0.0.7', 8080)
    """
    raw = _decoder.decode(data)
    meta: dict[str, Any] = raw.metadata
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    if not labels.get(SERVICE_NAME):
        return None
    owner = controller_of(meta)
    return Slice(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta.get("uid", ""),
        rv=int(meta.get("resourceVersion") or 0),
        app=labels.get(LABEL_APP, ""),
        service=labels[SERVICE_NAME],
        ours=labels.get(MANAGED_BY) == ACTIVATOR,
        created=meta.get("creationTimestamp") or "",
        owner_uid=owner.uid if owner else "",
        address_type=raw.address_type,
        ports=tuple(SlicePort(p.name or "", p.port, p.protocol or "TCP") for p in raw.ports or () if p.port),
        endpoints=tuple(map(_endpoint, (each for each in raw.endpoints or () if each.addresses))),
        applied=notes.get("fairlead.dev/applied", ""),
        hold_seconds=_number(notes.get(TIMEOUT), 60),
    )


def _endpoint(raw: _Endpoint) -> Endpoint:
    pod = str((raw.target_ref or {}).get("uid") or raw.addresses[0])
    return Endpoint(
        raw.addresses[0], raw.conditions.get("ready") is not False, raw.node_name or "", raw.zone or "", pod
    )


def project_briefly(data: bytes) -> Slice | None:
    """The same for who only asks which pods have requests sent to them: of upstream's, no more than these."""
    seen = project_slice(data)
    if seen is None or seen.ours:
        return seen
    return msgspec.structs.replace(seen, ports=(), endpoints=tuple(Endpoint("", pod=each.pod) for each in seen.ready))


def _number(text: str | None, default: int) -> int:
    """
    >>> _number("30", 60), _number("-3", 60), _number(None, 60)
    (30, 60, 60)
    """
    return int(text) if text and text.isascii() and text.isdigit() else default


# ---------------------------------------------------------------- what a decision looks at


class Wanted(msgspec.Struct, frozen=True):
    """What the slices of an App are to say. ports: the TCP ports of its Service, by name; families: the Service's address families;
    hold_seconds: how long a request is held."""

    ports: tuple[str, ...]
    families: tuple[str, ...] = ("IPv4",)
    hold_seconds: int = 60


class ActivationObserved(msgspec.Struct, frozen=True):
    """All that decides about an App's slices for the activator. wanted: None where a request is to wake nobody; resting: autoscaling
    has decided that there is to be no pod; stopped: a person has; served: upstream's slices send requests to a pod that is there to stay;
    live: this App's slices of ours; activators: where they are, by address family; listening: those, by their pods' uids, that have said that
    they listen for this App; taken, lost: ports of other Apps, and those of ours that another App had first."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool = False
    wanted: Wanted | None = None
    resting: bool = False
    stopped: bool = False
    served: bool = False
    live: tuple[Slice, ...] = ()
    activators: dict[str, tuple[Endpoint, ...]] = {}
    listening: frozenset[str] = frozenset()
    taken: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
