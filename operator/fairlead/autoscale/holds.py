"""Sizes that a person has set: who did, and how long they stand. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.autoscale.model import Autoscale, HandScaled
from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON


def hand_scaled(managed: Iterable[JSON], replicas: int) -> HandScaled | None:
    """Who set spec.replicas through the scale subresource, by metadata.managedFields; None where the last to write it went
    another way. managed: its entries. replicas: spec.replicas.

    >>> entry = {"manager": "kubectl", "subresource": "scale", "time": "1970-01-01T00:01:00Z",
    ...          "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    >>> hand_scaled([entry], 8)
    HandScaled(by='kubectl', at=60.0, replicas=8)
    >>> hand_scaled([{**entry, "subresource": ""}], 8) is None
    True
    """
    for entry in managed:
        owns = "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        at = parse_time(entry.get("time"))
        if owns and entry.get("subresource") == "scale" and at is not None:
            return HandScaled(str(entry.get("manager") or "somebody"), at, replicas)
    return None


def hold(spec: Autoscale, scaled: HandScaled | None, now: float) -> float | None:
    """Until when a size set through the scale subresource stands; None where none does. What an apply or an edit writes into
    spec.replicas is no hold: manifests carry a number there that nobody means.

    >>> kubectl = HandScaled("kubectl", 1000, 8)
    >>> hold(Autoscale(max=9, hold_seconds=600), kubectl, 1500), hold(Autoscale(max=9, hold_seconds=600), kubectl, 1600)
    (1600, None)
    """
    if scaled is None or now >= scaled.at + spec.hold_seconds:
        return None
    return scaled.at + spec.hold_seconds
