"""Where pods should go when their template does not say. Pure."""

from __future__ import annotations

from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION
from fairlead.placement.model import Placement

NODE = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"

# The scheduler's own default for nodes (PodTopologySpread, List defaulting): it derives selectors from Services,
# ReplicaSets and StatefulSets only, so pods of any other owner would lose it.
_NODE_SKEW = 3
_ZONE_WEIGHT = 100


def add_spread(placement: Placement, app: str, pod_spec: JSON) -> JSON:
    """The pod spec with soft spreading over nodes and zones, where it says nothing of its own. matchLabelKeys counts
    each revision by itself, so that pods are still even after a roll (KEP-3243).

    Nodes are a topology constraint, zones a preferred anti-affinity. Not two constraints: the scheduler leaves a node
    out of all of them that lacks the label of one, so that on a cluster without zones no pod would be spread at all
    (only the constraints that the scheduler makes up itself are exempt: PodTopologySpread's requireAllTopologies).

    >>> spec = add_spread(Placement(), "shop", {})
    >>> [(c["topologyKey"], c["maxSkew"], c["matchLabelKeys"]) for c in spec["topologySpreadConstraints"]]
    [('kubernetes.io/hostname', 3, ['fairlead.dev/revision'])]
    >>> (preferred,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    >>> preferred["podAffinityTerm"]["topologyKey"]
    'topology.kubernetes.io/zone'
    >>> add_spread(Placement(spread="None"), "shop", {})
    {}
    """
    if placement.spread == "None" or pod_spec.get("topologySpreadConstraints"):
        return pod_spec
    alike = {"labelSelector": {"matchLabels": {LABEL_APP: app}}, "matchLabelKeys": [LABEL_REVISION]}
    nodes = {"maxSkew": _NODE_SKEW, "topologyKey": NODE, "whenUnsatisfiable": "ScheduleAnyway", **alike}
    affinity = pod_spec.get("affinity") or {}
    if "podAntiAffinity" not in affinity:  # whoever wrote one has thought of it
        zones = {"weight": _ZONE_WEIGHT, "podAffinityTerm": {"topologyKey": ZONE, **alike}}
        affinity = affinity | {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [zones]}}
    return pod_spec | {"topologySpreadConstraints": [nodes], "affinity": affinity}
