"""How fast the size follows what the metrics come to: stabilization windows, and policies in a period. Pure.

Source: kubernetes pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas, normalizeDesiredReplicasWithBehaviors).
tests/parity holds this to the compiled original.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from fairlead.autoscale.history import SYNC, Recommendation, ScaleEvent, State
from fairlead.autoscale.model import INT32_MAX, Behavior, Bounds, Direction, Policy, Rules
from fairlead.core.conditions import timestamp

LEGACY_WINDOW = 300.0  # seconds (kcm: --horizontal-pod-autoscaler-downscale-stabilization)
LEGACY = Policy("Percent", 100, SYNC)
LEGACY_LEAST = 4


class Restraint(NamedTuple):
    """A number that was not followed: what may be instead, the condition's reason (upstream's), why in words, and until when
    (epoch seconds; None where time changes nothing)."""

    replicas: int
    reason: str
    text: str
    until: float | None = None


class Normalized(NamedTuple):
    """A recommendation as far as it is followed now; what held it back, first in time, then in pace."""

    replicas: int
    stabilized: Restraint | None = None
    limited: Restraint | None = None


def normalize(
    current: int, desired: int, bounds: Bounds, behavior: Behavior | None, state: State, now: float
) -> Normalized:
    """From what the metrics come to, to the size: stabilization windows first, then rates, then min and max.

    From 3, 40 are wanted. 4 more or twice as many within 15 s, whichever is more: 7.
    >>> told = normalize(3, 40, Bounds(1, 30), Behavior(), State(), 100)
    >>> told.replicas, told.limited.text
    (7, 'scaleUp policy 4 per 15 s')
    """
    held = (
        stabilized(current, desired, state.recommendations, behavior, now)
        if behavior
        else stabilized_down(desired, state.recommendations, now)
    )
    wanted = held.replicas if held else desired
    limited = _limited(current, wanted, bounds, behavior, state.events, now)
    return Normalized(limited.replicas if limited else wanted, held, limited)


# ---------------------------------------------------------------- stabilization


def stabilized(
    current: int, desired: int, history: Sequence[Recommendation], behavior: Behavior, now: float
) -> Restraint | None:
    """What recent recommendations allow; None where they allow what is desired (upstream: stabilizeRecommendationWithBehaviors).

    Up only to the lowest of scaleUp's window, down only to the highest of scaleDown's; a recommendation exactly as old as the
    window is not in it.

    >>> past = [Recommendation(0, 6), Recommendation(200, 3)]
    >>> stabilized(6, 2, past, Behavior(), 210).replicas, stabilized(6, 2, past, Behavior(), 300).replicas
    (6, 3)
    """
    up, down = _window(behavior.up), _window(behavior.down)
    lowest = _extreme(desired, [one for one in history if one.at > now - up], lower=True)
    highest = _extreme(desired, [one for one in history if one.at > now - down], lower=False)
    allowed = min(max(current, lowest.replicas), highest.replicas)
    if allowed == desired:
        return None
    if desired >= current:
        return _stabilized(allowed, lowest, "Up", up)
    return _stabilized(allowed, highest, "Down", down)


def stabilized_down(desired: int, history: Sequence[Recommendation], now: float) -> Restraint | None:
    """Without a behavior: down only to the highest of 300 s, up at once (upstream: stabilizeRecommendation). Here a
    recommendation exactly as old as the window is in it.

    >>> stabilized_down(2, [Recommendation(0, 6)], 300).replicas, stabilized_down(2, [Recommendation(0, 6)], 301)
    (6, None)
    """
    highest = _extreme(desired, [one for one in history if one.at >= now - LEGACY_WINDOW], lower=False)
    return _stabilized(highest.replicas, highest, "Down", LEGACY_WINDOW) if highest.replicas != desired else None


def _extreme(desired: int, history: Sequence[Recommendation], lower: bool) -> Recommendation:
    """The lowest or the highest; of equals the latest, since that one holds longest."""
    sign = -1 if lower else 1
    return max([*history, Recommendation(-math.inf, desired)], key=lambda one: (sign * one.replicas, one.at))


def _stabilized(allowed: int, by: Recommendation, direction: Direction, window: float) -> Restraint:
    said = f"{by.replicas} were recommended at {clock(by.at)}, within the scale{direction} window of {window:.0f} s"
    return Restraint(allowed, f"Scale{direction}Stabilized", said, by.at + window)


def _window(rules: Rules) -> float:
    return float(rules.stabilization_window_seconds or 0)


# ---------------------------------------------------------------- rates


class Allowance(NamedTuple):
    """The farthest a direction's policies let the size go; the policy that says so, and when it lets it go farther."""

    replicas: int
    policy: Policy | None
    until: float | None


def allowance(current: int, events: Sequence[ScaleEvent], rules: Rules, direction: Direction, now: float) -> Allowance:
    """Of all policies the one that lets the size change most, or least (upstream: calculateScaleUpLimitWithScalingRules and
    calculateScaleDownLimitWithBehaviors). A policy counts from the size its period began with: the size now, without what
    was added and with what was taken away since. An event exactly as old as the period is not in it.

    Two pods in 60 s. Two were added at 100, so that at 130 none may be until 160:
    >>> slow = Rules(policies=(Policy("Pods", 2, 60),))
    >>> allowance(8, [ScaleEvent(100, 2)], slow, "Up", 130)
    Allowance(replicas=8, policy=Policy(type='Pods', value=2, period_seconds=60), until=160)
    >>> allowance(8, [ScaleEvent(100, 2)], slow, "Up", 160).replicas
    10
    """
    if rules.select_policy == "Disabled":
        return Allowance(current, None, None)
    farthest = max if (rules.select_policy != "Min") == (direction == "Up") else min
    each = [(_reach(current, events, policy, direction, now), policy) for policy in rules.policies or ()]
    replicas, policy = farthest(each, key=lambda one: one[0])
    return Allowance(replicas, policy, _eases(events, policy, direction, now))


def _reach(current: int, events: Sequence[ScaleEvent], policy: Policy, direction: Direction, now: float) -> int:
    """Percentages are rounded up on the way up, or one pod would never become two, and cut off on the way down."""
    began = current - sum(one.change for one in events if one.at > now - policy.period_seconds)
    if policy.type == "Pods":
        return began + policy.value if direction == "Up" else began - policy.value
    part = float(policy.value) / 100
    return min(math.ceil(float(began) * (1 + part)), INT32_MAX) if direction == "Up" else int(float(began) * (1 - part))


def _eases(events: Sequence[ScaleEvent], policy: Policy, direction: Direction, now: float) -> float:
    """When the oldest change of this direction leaves the period; where there is none, when one that is made now does."""
    sign = 1 if direction == "Up" else -1
    within = [one.at for one in events if one.at > now - policy.period_seconds and one.change * sign > 0]
    return min(within, default=now) + policy.period_seconds


def _limited(
    current: int,
    wanted: int,
    bounds: Bounds,
    behavior: Behavior | None,
    events: Sequence[ScaleEvent],
    now: float,
) -> Restraint | None:
    """Where rates, min or max stop it; None where they do not (upstream: convertDesiredReplicasWithBehaviorRate, and
    convertDesiredReplicasWithRules without a behavior, where only growth has a rate)."""
    if behavior is None:
        most = _legacy(current, events, now)
        if wanted > min(bounds.max, most.replicas):
            return _above(most, bounds)
        return _below(Allowance(bounds.min, None, None), bounds) if wanted < bounds.min else None
    if wanted > current:
        most = allowance(current, events, behavior.up, "Up", now)
        most = most._replace(replicas=max(most.replicas, current))
        return _above(most, bounds) if wanted > min(bounds.max, most.replicas) else None
    if wanted < current:
        least = allowance(current, events, behavior.down, "Down", now)
        least = least._replace(replicas=min(least.replicas, current))
        return _below(least, bounds) if wanted < max(bounds.min, least.replicas) else None
    return None


def _legacy(current: int, events: Sequence[ScaleEvent], now: float) -> Allowance:
    """Twice as many, or four, between two of upstream's decisions (calculateScaleUpLimit). Whoever decides more often than
    every 15 s counts from the size of 15 s ago, or would grow as much faster. It is a limit of growth: what is there may stay.

    >>> _legacy(1, [], 0).replicas, _legacy(10, [], 0).replicas, _legacy(20, [ScaleEvent(0, 10)], 5).replicas
    (4, 20, 20)
    >>> _legacy(5, [ScaleEvent(0, 3)], 5).replicas
    5
    """
    began = current - sum(one.change for one in events if one.at > now - SYNC)
    return Allowance(max(2 * began, LEGACY_LEAST, current), LEGACY, _eases(events, LEGACY, "Up", now))


def _above(most: Allowance, bounds: Bounds) -> Restraint:
    if bounds.max > most.replicas:
        return Restraint(most.replicas, "ScaleUpLimit", _policy(most, "Up"), most.until)
    return Restraint(bounds.max, "TooManyReplicas", bounds.max_by)


def _below(least: Allowance, bounds: Bounds) -> Restraint:
    if bounds.min < least.replicas:
        return Restraint(least.replicas, "ScaleDownLimit", _policy(least, "Down"), least.until)
    return Restraint(bounds.min, "TooFewReplicas", bounds.min_by)


def _policy(allowed: Allowance, direction: Direction) -> str:
    if allowed.policy is None:
        return f"scale{direction}, which is disabled"
    if allowed.policy is LEGACY:
        return f"its growth, twice as many or {LEGACY_LEAST} per {SYNC} s"
    unit = " %" if allowed.policy.type == "Percent" else ""
    return f"scale{direction} policy {allowed.policy.value}{unit} per {allowed.policy.period_seconds} s"


def clock(at: float) -> str:
    """The time of day in UTC: what a restraint that lasts an hour at most needs.

    >>> clock(36_240)
    '10:04:00Z'
    """
    return timestamp(at)[11:]
