"""What an App says of its Service (spec.expose)."""

from __future__ import annotations

import msgspec

from fairlead.core.children import Child


class Port(msgspec.Struct, frozen=True, rename="camel"):
    """One port of the Service (core/v1 ServicePort)."""

    port: int
    name: str = ""
    target_port: int | str | None = None
    protocol: str = "TCP"
    node_port: int | None = None
    app_protocol: str = ""


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


class ExposeObserved(msgspec.Struct, frozen=True):
    """All that decides about a Service. `refused`: the server's words to the last refused write, with its reason."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool
    wanted: Expose | None
    live: Child | None
    refused: tuple[str, str] | None = None


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
