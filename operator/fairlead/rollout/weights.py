"""What the weights of a Canary come to in whole pods, and what is said where that is not what was asked for. Pure."""

from __future__ import annotations

import math

from fairlead.core.conditions import Condition
from fairlead.rollout.model import Rollout
from fairlead.rollout.strategies.canary import split

TOLERATED = 1.0  # per cent points: a third of the pods is 33 % to everybody


def exactness(rollout: Rollout, replicas: int, surge: int) -> Condition | None:
    """The condition WeightsExact, where a weight of the steps is not to be had with so many replicas; None where all are.

    >>> from fairlead.rollout.model import Step
    >>> rollout = Rollout(strategy="Canary", steps=(Step(weight=10), Step(weight=50)))
    >>> exactness(rollout, 4, 0).message
    'rollout.steps[0].weight 10 comes to 25 % (1 of 4 pods), the nearest there is; 10 replicas make it exact'
    >>> exactness(rollout, 10, 0) is None
    True
    >>> exactness(rollout, 1, 0).reason
    'WeightImpossible'
    """
    if rollout.strategy != "Canary" or not replicas:
        return None
    rounded, impossible = [], []
    for index, step in enumerate(rollout.steps):
        if step.weight is None or not 0 < step.weight < 100:
            continue
        new, old = split(replicas, step.weight, surge, rollout.min_per_revision)
        came = 100 * new / (new + old)
        what = f"rollout.steps[{index}].weight {step.weight}"
        if not new or not old:
            impossible.append(what)
        elif abs(came - step.weight) >= TOLERATED:
            exact = 100 // math.gcd(100, step.weight)
            nearest = f"{came:.0f} % ({new} of {new + old} pods), the nearest there is"
            rounded.append(f"{what} comes to {nearest}; {exact} replicas make it exact")
    if impossible:
        words = (
            f"{', '.join(impossible)} cannot be had with {replicas} pod and no surge: there would be no pod to share the "
            "traffic with, so the step is passed without a trial; set rollout.maxSurge to 1, or run two replicas"
        )
        return Condition("WeightsExact", "False", "WeightImpossible", words)
    return Condition("WeightsExact", "False", "WeightRounded", ". ".join(rounded)) if rounded else None
