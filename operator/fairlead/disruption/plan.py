"""The PodDisruptionBudget of an App. Pure."""

from __future__ import annotations

import msgspec

from fairlead.core.actions import Action, Apply, Delete, Plan
from fairlead.core.children import child_manifest, must_apply
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.disruption.model import Disruption, DisruptionObserved

KIND = "PodDisruptionBudget"


def plan(observed: DisruptionObserved) -> Plan:
    """Keep the budget as spec.disruption says; it goes when the field goes."""
    live = observed.live if observed.live and observed.live.owner_uid == observed.app_uid else None
    if observed.deleting:
        return Plan()
    if observed.wanted is None:
        return Plan(actions=(Delete(KIND, observed.namespace, live.name, live.uid),)) if live else Plan()
    manifest = budget(observed.namespace, observed.app, observed.app_uid, observed.wanted)
    actions: tuple[Action, ...] = ()
    if must_apply(manifest, live):
        actions = (Apply(KIND, observed.namespace, observed.app, msgspec.json.encode(manifest), observed.app_uid),)
    return Plan(actions=actions, status={"conditions": [condition(observed)]})


def budget(namespace: str, app: str, app_uid: str, disruption: Disruption) -> JSON:
    """The budget's manifest: it selects all pods of the App, serving or not.

    >>> budget("default", "shop", "u", Disruption(max_unavailable=1))["spec"]
    {'selector': {'matchLabels': {'fairlead.dev/app': 'shop'}}, 'unhealthyPodEvictionPolicy': 'AlwaysAllow', 'maxUnavailable': 1}
    """
    spec: JSON = {
        "selector": {"matchLabels": {LABEL_APP: app}},
        "unhealthyPodEvictionPolicy": disruption.unhealthy_pod_eviction_policy,
    }
    if disruption.min_available is not None:
        spec["minAvailable"] = disruption.min_available
    else:
        spec["maxUnavailable"] = disruption.max_unavailable
    return child_manifest("policy/v1", KIND, app, namespace, app_uid, spec)


def condition(observed: DisruptionObserved) -> Condition:
    """What `Disruption` says: whether the budget stands."""
    if observed.refused:
        reason, words = observed.refused
        if reason == "NotOwned":
            return Condition(
                "Disruption",
                "False",
                reason,
                f"a {KIND} named {observed.app} exists and is not this App's: delete it ({words})",
            )
        if reason == "Contested":
            return Condition("Disruption", "False", reason, f"{KIND} {observed.app}: {words}")
        return Condition("Disruption", "False", "BudgetRefused", f"the API server refuses the {KIND}: {words}")
    if observed.live is None:
        return Condition("Disruption", "False", "Creating", f"the {KIND} is being created")
    return Condition("Disruption", "True", "BudgetReady", f"{KIND} {observed.app} guards this App's pods")
