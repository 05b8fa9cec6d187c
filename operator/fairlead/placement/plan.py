"""Where pods should go when their template does not say. Pure."""

from __future__ import annotations

from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION
from fairlead.placement.model import Placement

# The scheduler's own defaults (PodTopologySpread, List defaulting): it derives selectors from Services, ReplicaSets and
# StatefulSets only, so pods of any other owner would lose them.
_DEFAULT_SPREAD = (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5))


def add_spread(placement: Placement, app: str, pod_spec: JSON) -> JSON:
    """The pod spec with soft spreading over nodes and zones, where it says nothing of its own. matchLabelKeys counts
    each revision by itself, so that pods are still even after a roll (KEP-3243).

    >>> spec = add_spread(Placement(), "shop", {})
    >>> [(c["topologyKey"], c["maxSkew"], c["matchLabelKeys"]) for c in spec["topologySpreadConstraints"]]
    [('kubernetes.io/hostname', 3, ['fairlead.dev/revision']), ('topology.kubernetes.io/zone', 5, ['fairlead.dev/revision'])]
    >>> add_spread(Placement(spread="None"), "shop", {})
    {}
    """
    if placement.spread == "None" or pod_spec.get("topologySpreadConstraints"):
        return pod_spec
    constraints = [
        {
            "maxSkew": skew,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {LABEL_APP: app}},
            "matchLabelKeys": [LABEL_REVISION],
        }
        for key, skew in _DEFAULT_SPREAD
    ]
    return pod_spec | {"topologySpreadConstraints": constraints}
