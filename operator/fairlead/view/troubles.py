"""What a person must read: the conditions that say something is wrong, and what keeps a release from beginning. Pure."""

from __future__ import annotations

import re

import msgspec

from fairlead.view.model import App, Condition

_BEFORE_A_RELEASE = ("Config", "InOrder")  # False while a release cannot even begin
_GOOD_WHEN_TRUE = (
    "Accepted",
    "Exposed",
    "Gates",
    "PreviewExposed",
    "Routed",
    "Disruption",
    "Autoscaling",
    "RequestsApplied",
    *_BEFORE_A_RELEASE,
)
_BAD_WHEN_TRUE = ("ReplicaFailure", "RolledBack", "Stalled")
# Reasons of a condition that is False for now, and no one's fault.
AWAITED_ELSEWHERE = ("LoadBalancerPending", "GatewayPending")
_AS_WISHED = ("Stopped", "Held", "TakenAway")  # a size that a person has set
FOLLOWING = "Following"  # pods come to request what is recommended
_PENDING = ("Creating", "Recreating", *AWAITED_ELSEWHERE, *_AS_WISHED, FOLLOWING)
# How the operator ends a sentence with the problems: ": 2 × ImagePullBackOff (…)".
_PROBLEMS = re.compile(r": \d+ × ")


def troubles(app: App) -> list[Condition]:
    """Conditions a person must read: those of the newest spec that are bad, and that `problems` does not say already."""
    if not app.observed:
        return []
    told = {problem.reason for problem in app.status.problems}
    found = [_shortened(c, app) for c in app.status.conditions if _is_trouble(c) and c.reason not in told]
    unique: dict[str, Condition] = {}
    for condition in sorted(found, key=lambda c: c.type == "Stalled"):  # which only repeats another one
        unique.setdefault(condition.message or condition.reason, condition)
    return list(unique.values())


def held_up(app: App) -> Condition | None:
    """What the next release waits for before it begins: a ConfigMap that is missing, or another App.

    >>> from fairlead.view.model import AppSpec, AppStatus, Metadata
    >>> said = [Condition("Config", "False", "ConfigMapMissing", "there is no ConfigMap settings")]
    >>> held_up(App(Metadata(generation=1), AppSpec(), AppStatus(observed_generation=1, conditions=said))).reason
    'ConfigMapMissing'
    """
    if not app.observed:
        return None
    return next((c for c in app.status.conditions if c.type in _BEFORE_A_RELEASE and c.status == "False"), None)


def _shortened(condition: Condition, app: App) -> Condition:
    """The condition without the problems at its message's end, where those are shown by themselves."""
    if not app.status.problems:
        return condition
    return msgspec.structs.replace(condition, message=without_problems(condition.message))


def without_problems(message: str) -> str:
    """What the operator says, without the problems that it ends with.

    >>> without_problems("1 pod to become ready: 2 × ImagePullBackOff (shop-x-bcdfg)")
    '1 pod to become ready'
    """
    return _PROBLEMS.split(message)[0]


def _is_trouble(condition: Condition) -> bool:
    if condition.type in _BAD_WHEN_TRUE:
        return condition.status == "True"
    return condition.type in _GOOD_WHEN_TRUE and condition.status == "False" and condition.reason not in _PENDING
