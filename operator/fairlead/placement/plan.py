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
# From so many replicas on, zones are left to the nodes: see add_spread.
_LARGE = 100


def add_spread(placement: Placement, app: str, revision: str, replicas: int, pod_spec: JSON) -> JSON:
    """The pod spec with soft spreading over nodes and zones, where it says nothing of its own. Each revision is counted
    by itself, so that pods are still even after a roll: what matchLabelKeys is for (KEP-3243), where a template does not know its
    revision. A pod that is made of one names its hash, which older API
    servers understand too.

    Nodes are a topology constraint, zones a preferred anti-affinity. Not two constraints: the scheduler leaves a node
    out of all of them that lacks the label of one, so that on a cluster without zones no pod would be spread at all
    (only the constraints that the scheduler makes up itself are exempt: PodTopologySpread's requireAllTopologies).

    The scheduler compares each pod it places with the anti-affinity of every pod there is: to roll 1000 pods cost it two
    thirds more CPU than a Deployment's. A large App goes without: pods that are even over many nodes are even over their zones, by
    the nodes that each zone has.

    >>> spec = add_spread(Placement(), "shop", "v1", 6, {})
    >>> [(c["topologyKey"], c["maxSkew"]) for c in spec["topologySpreadConstraints"]]
    [('kubernetes.io/hostname', 3)]
    >>> spec["topologySpreadConstraints"][0]["labelSelector"]
    {'matchLabels': {'fairlead.dev/app': 'shop', 'fairlead.dev/revision': 'v1'}}
    >>> (preferred,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    >>> preferred["podAffinityTerm"]["topologyKey"]
    'topology.kubernetes.io/zone'
    >>> "affinity" in add_spread(Placement(), "shop", "v1", 100, {})
    False
    >>> add_spread(Placement(spread="None"), "shop", "v1", 6, {})
    {}
    """
    if placement.spread == "None" or pod_spec.get("topologySpreadConstraints"):
        return pod_spec
    alike = {"labelSelector": {"matchLabels": {LABEL_APP: app, LABEL_REVISION: revision}}}
    nodes = {"maxSkew": _NODE_SKEW, "topologyKey": NODE, "whenUnsatisfiable": "ScheduleAnyway", **alike}
    spread = pod_spec | {"topologySpreadConstraints": [nodes]}
    affinity = pod_spec.get("affinity") or {}
    if replicas >= _LARGE or "podAntiAffinity" in affinity:  # whoever wrote one has thought of it
        return spread
    zones = {"weight": _ZONE_WEIGHT, "podAffinityTerm": {"topologyKey": ZONE, **alike}}
    anti = {"preferredDuringSchedulingIgnoredDuringExecution": [zones]}
    return spread | {"affinity": affinity | {"podAntiAffinity": anti}}
