"""What an App says of its Service (spec.expose)."""

from __future__ import annotations

import msgspec

from fairlead.core.actions import Failure
from fairlead.core.children import Child
from fairlead.core.meta import LABEL_REVISION, truncate

HEADLESS = "Headless"  # a type of spec.expose


class Port(msgspec.Struct, frozen=True, rename="camel"):
    """One port of the Service (core/v1 ServicePort)."""

    port: int
    name: str = ""
    target_port: int | str | None = None
    protocol: str = "TCP"
    node_port: int | None = None
    app_protocol: str = ""


class Parent(msgspec.Struct, frozen=True, rename="camel"):
    """The Gateway that a route is attached to (Gateway API ParentReference)."""

    name: str
    namespace: str = ""
    section_name: str = ""
    port: int | None = None


class Path(msgspec.Struct, frozen=True):
    """Which requests a route takes, by their path (HTTPPathMatch)."""

    value: str = "/"
    type: str = "PathPrefix"


class Header(msgspec.Struct, frozen=True):
    """A header that a request must have (HTTPHeaderMatch)."""

    name: str
    value: str
    type: str = "Exact"


class Route(msgspec.Struct, frozen=True, rename="camel"):
    """spec.expose.route: an HTTPRoute of the App's own. `canary_headers`: requests that have all of them go to the
    revision on trial, whatever its weight."""

    parent_refs: tuple[Parent, ...] = ()
    hostnames: tuple[str, ...] = ()
    paths: tuple[Path, ...] = (Path(),)
    port: int | None = None
    canary_headers: tuple[Header, ...] = ()
    annotations: dict[str, str] = {}


class Routed(msgspec.Struct, frozen=True):
    """How a route shares the traffic: per cent by revision (its hash), and which one gets the requests with the headers
    of the one on trial ("" where none does). `by_header`: whether the App names such headers at all; `reached`: the pods, by
    uid, that the endpoints of the Services behind it name, None where that cannot be known."""

    weights: dict[str, int] = {}
    tried: str = ""
    by_header: bool = False
    reached: frozenset[str] | None = None

    def same_as(self, other: Routed) -> bool:
        """The same share for every revision; one that gets nothing need not be named.

        >>> Routed({"v1": 100}).same_as(Routed({"v1": 100, "v2": 0})), Routed({"v1": 100}, "v2").same_as(Routed({"v1": 100}))
        (True, False)
        """
        return (self._given, self.tried) == (other._given, other.tried)

    @property
    def _given(self) -> dict[str, int]:
        return {hash: weight for hash, weight in self.weights.items() if weight}


def revision_service(app: str, hash: str) -> str:
    """The name of the Service that has one revision's pods: as the Revision's own.

    >>> revision_service("shop", "5f7c9"), len(revision_service("s" * 63, "5f7c9"))
    ('shop-5f7c9', 63)
    """
    return f"{truncate(app, 62 - len(hash))}-{hash}"


def revision_of(service: Child) -> str:
    """The revision whose pods a Service of ours has for a route; "" for one that has another purpose.

    >>> made = Child("default", "shop-v1", "u", 1, "", "", "shop", {}, {"selector": {LABEL_REVISION: "v1"}}, {})
    >>> revision_of(made), revision_of(msgspec.structs.replace(made, name="shop-preview"))
    ('v1', '')
    """
    hash = str((service.spec.get("selector") or {}).get(LABEL_REVISION, ""))
    return hash if hash and service.name == revision_service(service.app, hash) else ""


class Expose(msgspec.Struct, frozen=True, rename="camel"):
    """spec.expose. `drain_seconds`: how long a pod goes on serving after its end is decided."""

    ports: tuple[Port, ...] = ()
    type: str = "ClusterIP"
    ip_family_policy: str = ""
    ip_families: tuple[str, ...] = ()
    session_affinity: str = ""
    session_affinity_timeout_seconds: int | None = None
    traffic_distribution: str = ""
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    load_balancer_class: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    publish_not_ready_addresses: bool = False
    annotations: dict[str, str] = {}
    drain_seconds: int = 5
    route: Route | None = None


class ExposeObserved(msgspec.Struct, frozen=True):
    """All that decides about a Service. `refused`: the server's words to the last refused write, with its reason; `activated`: a
    request to it may wake the App."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool
    wanted: Expose | None
    live: Child | None
    refused: tuple[str, str] | None = None
    activated: bool = False


class PreviewObserved(msgspec.Struct, frozen=True):
    """All that decides about the Service that shows a BlueGreen App's newest revision. `name`: "" where none is wanted;
    `revision`: its hash, "" while there is none yet; `others`: this App's Services beside the one of its own name."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool
    wanted: Expose | None
    name: str
    revision: str
    live: Child | None
    others: tuple[Child, ...] = ()
    refused: tuple[str, str] | None = None


class RouteObserved(msgspec.Struct, frozen=True):
    """All that decides about an HTTPRoute. `decided`: what the rollout has decided of the weights, none where a release of
    this App is not shared out by weights; `services`: this App's Services of single revisions; `missing`: why there can be
    no HTTPRoutes here, "" where there can; `refused`: writes of the route or of these Services."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool
    wanted: Expose | None
    decided: Routed
    live: Child | None
    services: tuple[Child, ...] = ()
    missing: str = ""
    refused: tuple[Failure, ...] = ()
