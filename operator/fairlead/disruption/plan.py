"""The PodDisruptionBudget of an App. Pure."""

from __future__ import annotations

import msgspec

from fairlead.core.actions import Action, Apply, Delete, Event, Plan
from fairlead.core.budget import evictions
from fairlead.core.children import child_manifest, must_apply, owned, refused
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.disruption.model import Disruption, DisruptionObserved

KIND = "PodDisruptionBudget"
NO_EVICTION = "NoEvictionAllowed"


def plan(observed: DisruptionObserved) -> Plan:
    """Keep the budget as spec.disruption says; it goes when the field goes."""
    live = owned(observed.live, observed.app_uid)
    if observed.deleting:
        return Plan()
    if observed.wanted is None:
        return Plan(actions=(Delete(KIND, observed.namespace, live.name, live.uid),)) if live else Plan()
    manifest = budget(observed.namespace, observed.app, observed.app_uid, observed.wanted)
    actions: tuple[Action, ...] = ()
    if must_apply(manifest, live):
        actions = (Apply(KIND, observed.namespace, observed.app, msgspec.json.encode(manifest), observed.app_uid),)
    said = condition(observed)
    # Once, when it begins: the condition says it for as long as it lasts.
    news = said.reason == NO_EVICTION != observed.said
    events = (Event("Warning", NO_EVICTION, said.message),) if news else ()
    return Plan(actions=actions, status={"conditions": [said]}, events=events)


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


def deadlock(disruption: Disruption, replicas: int) -> str:
    """Why this budget can never allow an eviction, and the way out; "" where it can. It is kept as it was asked for: somebody
    may mean it, and only they can know.

    >>> deadlock(Disruption(min_available="90%"), 3)
    'spec.disruption.minAvailable 90% of 3 allows no eviction, even while all pods are healthy: node drains wait for ever; set spec.disruption to {maxUnavailable: 1}, or scale to 10 or more'
    >>> deadlock(Disruption(max_unavailable=0), 1)
    'spec.disruption.maxUnavailable 0 of 1 allows no eviction, even while all pods are healthy: node drains wait for ever; set spec.disruption to {maxUnavailable: 1}'
    >>> deadlock(Disruption(max_unavailable=0), 0), deadlock(Disruption(min_available=2), 3)
    ('', '')
    """
    floor, most = disruption.min_available, disruption.max_unavailable
    if not replicas or evictions(floor, most, replicas):
        return ""
    asked = f"maxUnavailable {most}" if floor is None else f"minAvailable {floor}"
    said = f"spec.disruption.{asked} of {replicas} allows no eviction, even while all pods are healthy: node drains wait for ever"
    enough = _enough(floor, replicas)
    return f"{said}; set spec.disruption to {{maxUnavailable: 1}}" + (
        f", or scale to {enough} or more" if enough else ""
    )


def _enough(floor: int | str | None, replicas: int) -> int | None:
    """The fewest replicas, more than there are, of which this floor lets one go; None where none are enough."""
    if isinstance(floor, int):
        return floor + 1
    # The rest of a percentage is a whole pod at the hundredth at the latest.
    return next((n for n in range(replicas + 1, 101) if floor is not None and evictions(floor, None, n)), None)


def condition(observed: DisruptionObserved) -> Condition:
    """What `Disruption` says: whether the budget stands, and lets nodes be drained."""
    if observed.refused:
        return refused("Disruption", KIND, observed.app, observed.refused, "BudgetRefused", "delete it")
    if observed.live is None:
        return Condition("Disruption", "False", "Creating", f"the {KIND} is being created")
    if observed.wanted and (why := deadlock(observed.wanted, observed.replicas)):
        return Condition("Disruption", "False", NO_EVICTION, why)
    return Condition("Disruption", "True", "BudgetReady", f"{KIND} {observed.app} guards this App's pods")
