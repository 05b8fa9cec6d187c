"""Sizes that a person has set: who did, and how long they stand. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.autoscale.model import Autoscale, HandScaled
from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON

HPA_MANAGER = "kube-controller-manager"  # who writes where a HorizontalPodAutoscaler scales


def hand_scaled(managed: Iterable[JSON], replicas: int) -> HandScaled | None:
    """Who set spec.replicas through the scale subresource, by metadata.managedFields; None where the last to write it went
    another way. managed: its entries. replicas: spec.replicas. The API server notes no time for the scale of a custom resource.

    >>> entry = {"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    >>> hand_scaled([entry], 8)
    HandScaled(by='kubectl', at=None, replicas=8)
    >>> hand_scaled([{**entry, "subresource": ""}], 8) is None
    True
    """
    for entry in managed:
        owns = "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        if owns and entry.get("subresource") == "scale":
            return HandScaled(str(entry.get("manager") or "somebody"), parse_time(entry.get("time")), replicas)
    return None


def dated(scaled: HandScaled | None, held: HandScaled | None, asked: int | None, now: float) -> HandScaled | None:
    """The same with since when it stands; None where it is older than what was decided last. held, asked: what is remembered,
    the scale by hand that was seen last, and spec.replicas at the last decision (None: there was none).

    What is seen for the first time stands from now on; what an App was scaled to before it had an autoscaler is no hold:
    >>> new = HandScaled("kubectl", None, 8)
    >>> dated(new, None, 3, 100), dated(new, None, None, 100), dated(new, None, 8, 100)
    (HandScaled(by='kubectl', at=100, replicas=8), None, None)
    >>> dated(new, HandScaled("kubectl", 60, 8), 8, 100).at
    60
    """
    if scaled is None or scaled.at is not None:
        return scaled
    if held is not None and (held.by, held.replicas) == (scaled.by, scaled.replicas):
        return held
    if asked is None or asked == scaled.replicas:
        return None
    return HandScaled(scaled.by, now, scaled.replicas)


def hold(spec: Autoscale, scaled: HandScaled | None, now: float) -> float | None:
    """Until when a size set through the scale subresource stands; None where none does. What an apply or an edit writes into
    spec.replicas is no hold: manifests carry a number there that nobody means. Nor is what a HorizontalPodAutoscaler writes:
    it would never end.

    >>> kubectl = HandScaled("kubectl", 1000, 8)
    >>> hold(Autoscale(max=9, hold_seconds=600), kubectl, 1500), hold(Autoscale(max=9, hold_seconds=600), kubectl, 1600)
    (1600, None)
    """
    if scaled is None or scaled.at is None or rival(scaled) or now >= scaled.at + spec.hold_seconds:
        return None
    return scaled.at + spec.hold_seconds


def rival(scaled: HandScaled | None) -> bool:
    """It was no person that set the size, but an autoscaler beside this one.

    >>> rival(HandScaled("kube-controller-manager", 0, 8)), rival(HandScaled("kubectl", 0, 8))
    (True, False)
    """
    return scaled is not None and scaled.by == HPA_MANAGER
