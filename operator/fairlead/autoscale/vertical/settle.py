"""What an App's pods are to request, where spec.autoscale.resources applies what is recommended. Pure.

It is settled once for the App, and pods follow. Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/updater/priority
(update_priority_calculator.go, priority_processor.go), which asks the same of each pod.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fairlead.autoscale.vertical.model import RESOURCES, Amounts, Applied, Estimate

LASTS = 12 * 3600.0  # seconds for which what is good enough is left alone
WORTH = 0.1  # a change of less is not worth it


def settled(
    before: Applied,
    requested: Mapping[str, Amounts],
    estimates: Mapping[str, Estimate],
    since: float,
    starved: Collection[str],
    now: float,
) -> Applied:
    """What pods are to request from now on. requested: by the template; since: when the first of its containers was first looked at;
    starved: those that ran out of memory a moment ago.

    Outside of its bounds a request is settled anew at once; within them after twelve hours, and for a tenth:
    >>> estimates = {"web": Estimate({"cpu": 300}, {"cpu": 200}, {"cpu": 600})}
    >>> settled(Applied(), {"web": {"cpu": 700}}, estimates, 0, (), 60)
    Applied(amounts={'web': {'cpu': 300}}, at=60)
    >>> settled(Applied(), {"web": {"cpu": 500}}, estimates, 0, (), 60)
    Applied(amounts={}, at=0.0)
    >>> settled(Applied(), {"web": {"cpu": 500}}, estimates, 0, (), LASTS).amounts
    {'web': {'cpu': 300}}
    >>> settled(Applied(), {"web": {"cpu": 320}}, estimates, 0, (), LASTS).amounts
    {}
    """
    kept = _still_controlled(before, estimates)
    asked = {name: dict(requested.get(name, {})) | kept.amounts.get(name, {}) for name in estimates}
    wanted = {name: told.target for name, told in estimates.items() if told.target}
    if now - (kept.at or since) >= LASTS and _difference(asked, wanted) >= WORTH:
        return Applied(wanted, now)
    if any(_outside(asked[name], told) or _hungry(name, starved, told, asked) for name, told in estimates.items()):
        amounts = {name: kept.amounts.get(name, {}) | _at_once(asked[name], told) for name, told in estimates.items()}
        return Applied({name: amount for name, amount in amounts.items() if amount}, now)
    return kept


def _at_once(asked: Amounts, told: Estimate) -> Amounts:
    """What is outside of its bounds, and what is too little. What may be too much, by the little that is known so far, stays: with its
    request a limit goes as well (upstream gives the whole pod what it has recommended).

    >>> _at_once({"cpu": 500, "memory": 7}, Estimate({"cpu": 10, "memory": 9}, {"memory": 8}, {}))
    {'memory': 9}
    """
    return {
        resource: amount
        for resource, amount in told.target.items()
        if (has := asked.get(resource, 0)) < amount or has > told.upper.get(resource, has)
    }


def _still_controlled(before: Applied, estimates: Mapping[str, Estimate]) -> Applied:
    """Without what nothing is recommended for any more: a container that is gone, a resource that is the template's again."""
    amounts = {
        name: {resource: amount for resource, amount in asked.items() if resource in estimates[name].target}
        for name, asked in before.amounts.items()
        if name in estimates
    }
    left = {name: asked for name, asked in amounts.items() if asked}
    return Applied(left, before.at) if left else Applied()


def _outside(asked: Amounts, told: Estimate) -> bool:
    """A resource of which nothing is requested is (upstream takes it so)."""
    return any(
        resource not in asked
        or asked[resource] < told.lower.get(resource, 0)
        or asked[resource] > told.upper.get(resource, asked[resource])
        for resource in told.target
    )


def _hungry(name: str, starved: Collection[str], told: Estimate, asked: Mapping[str, Amounts]) -> bool:
    """It ran out of memory, and more is recommended by now (upstream: quick OOM)."""
    return name in starved and told.target.get("memory", 0) > asked[name].get("memory", 0)


def _difference(asked: Mapping[str, Amounts], wanted: Mapping[str, Amounts]) -> float:
    """Of a whole pod's requests, as shares of them, over the resources.

    >>> round(_difference({"web": {"cpu": 500}, "log": {"cpu": 100}}, {"web": {"cpu": 410}, "log": {"cpu": 130}}), 2)
    0.1
    """
    total = 0.0
    for resource in RESOURCES:
        names = [name for name in wanted if resource in wanted[name]]
        now = max(sum(asked[name].get(resource, 0) for name in names), 1)
        total += abs(now - sum(wanted[name][resource] for name in names)) / now if names else 0.0
    return total
