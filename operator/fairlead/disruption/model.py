"""What an App says of voluntary disruptions (spec.disruption)."""

from __future__ import annotations

import msgspec

from fairlead.core.children import Child


class Disruption(msgspec.Struct, frozen=True, rename="camel"):
    """spec.disruption: exactly one of the two bounds (the schema sees to it)."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str = "AlwaysAllow"


class DisruptionObserved(msgspec.Struct, frozen=True):
    """All that decides about a PodDisruptionBudget."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool
    wanted: Disruption | None
    live: Child | None
    refused: tuple[str, str] | None = None
    replicas: int = 1
    said: str = ""  # the reason that the condition gave last
