"""How many pods an App is to have now, and why. Pure.

metrics ──calculator──▶ proposals ──the highest──▶ recommendation ──behavior──▶ size
                        a failed one never lowers    windows, rates, min and max    a person's hold, refusals come last
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from fairlead.autoscale import history
from fairlead.autoscale.behavior import Normalized, clock, normalize
from fairlead.autoscale.calculator import Situation, propose, tolerance
from fairlead.autoscale.history import Recommendation, ScaleEvent, State
from fairlead.autoscale.holds import hold
from fairlead.autoscale.model import INT32_MAX, TOLERANCE, Autoscale, Bounds, HandScaled, Metric, Proposal, Seen, Timing
from fairlead.autoscale.windows import bounds
from fairlead.core.conditions import Condition, timestamp

CONDITION = "Autoscaling"
Reason = Literal[
    "Stopped",  # spec.replicas is 0
    "Held",  # a person's size stands
    "MetricsUnavailable",  # nothing is known, or too little to scale down
    "OutOfBounds",  # the size is beyond min or max, whatever the metrics say
    "Followed",  # the size is what the metrics come to
    "Limited",  # the size is not, or not yet
]


class Decision(msgspec.Struct, frozen=True):
    """The size, and everything that led to it. recommended: what the metrics come to (None where they do not count now or
    cannot be told). state: what is to be stored before pods follow. until: when something changes by itself (epoch seconds;
    None: with the metrics only)."""

    replicas: int
    reason: Reason
    message: str
    state: State
    proposals: tuple[Proposal, ...] = ()
    recommended: int | None = None
    normalized: Normalized | None = None
    bounds: Bounds | None = None
    until: float | None = None

    @property
    def condition(self) -> Condition:
        """What `Autoscaling` says: True while the size follows the metrics."""
        told = self.reason in ("Followed", "Limited", "OutOfBounds")
        return Condition(CONDITION, "True" if told else "False", self.reason, self.message)


def decide(spec: Autoscale, before: State, seen: Seen, now: float, timing: Timing = Timing()) -> Decision:
    """The size for now. Time counts in whole seconds, since that is what the status keeps.

    Six pods at 83 % of the cpu they request, where 60 % are wanted and growth is slow:
    >>> from fairlead.autoscale.model import Behavior, Policy, Rules
    >>> from fairlead.autoscale.testing import autoscale, seen
    >>> slow = autoscale(behavior=Behavior(scale_up=Rules(policies=(Policy("Pods", 2, 60),))))
    >>> told = decide(slow, State(6), seen(6, 83), 36_180)
    >>> told.replicas, told.message
    (8, 'cpu 83 % of 60 % over 6 ready pods → 9, limited to 8 by scaleUp policy 2 per 60 s until 10:04:00Z')
    """
    now = float(math.floor(now))
    before = history.steady(history.not_ahead(before, now), now)
    limits = bounds(spec, seen.available, now)
    if seen.asked == 0:
        return _stopped(before, limits)
    current = _current(before, seen, spec, now)
    before = _begun(before, current, now)
    proposals, failing = _proposals(spec, before, seen, current, now, timing)
    before = msgspec.structs.replace(before, replicas=current, failing=failing)
    metrics = _told(spec, before, seen, current, limits, proposals, now)
    if seen.hand_scaled and (until := hold(spec, seen.hand_scaled, now)):
        return _held(until, seen.hand_scaled, metrics, before)
    return metrics


def _current(before: State, seen: Seen, spec: Autoscale, now: float) -> int:
    """The size to start from: what a person says, else what was decided last; where that is nothing, what the App has. Zero
    that is not of our making (a stop that is over) is no size to start from."""
    if seen.hand_scaled and hold(spec, seen.hand_scaled, now):
        return seen.hand_scaled.replicas
    if before.replicas or (before.replicas == 0 and before.to_zero):
        return before.replicas
    return seen.size or seen.asked


def _begun(before: State, current: int, now: float) -> State:
    """With a first recommendation, the size as it is: nobody knows yet that fewer would do (upstream:
    recordInitialRecommendation)."""
    if before.recommendations:
        return before
    return msgspec.structs.replace(before, recommendations=(Recommendation(now, current),))


# ---------------------------------------------------------------- what the metrics come to


def _proposals(
    spec: Autoscale, before: State, seen: Seen, current: int, now: float, timing: Timing
) -> tuple[tuple[Proposal, ...], dict[str, float]]:
    """One for each metric, and since when those that fail have been failing. Pods without traffic are left out, or an idle
    canary would dilute the average of those that carry the load."""
    rules = (spec.behavior.down, spec.behavior.up) if spec.behavior else ()
    down, up = (one.tolerance for one in rules) if rules else (TOLERANCE, TOLERANCE)
    situation = Situation(
        current,
        seen.active,
        tuple(pod for pod in seen.pods if not pod.idle),
        tolerance(TOLERANCE if down is None else down, TOLERANCE if up is None else up),
        timing,
        now,
        current if seen.releasing else INT32_MAX,
    )
    measured = [propose(metric, one, situation) for metric, one in zip(spec.metrics, seen.readings, strict=True)]
    failing = {one.metric: before.failing.get(one.metric, now) for one in measured if one.error}
    stood_in = [_stood_in(metric, one, failing, now) for metric, one in zip(spec.metrics, measured, strict=True)]
    return tuple(stood_in), failing


def _stood_in(metric: Metric, proposal: Proposal, failing: dict[str, float], now: float) -> Proposal:
    """The fallback of a metric that has failed for long enough, in its place."""
    since = failing.get(proposal.metric)
    if metric.fallback is None or since is None or now - since < metric.fallback.after_seconds:
        return proposal
    usage = f"failing since {timestamp(since)} ({proposal.error})"
    return Proposal(proposal.metric, metric.fallback.replicas, usage, "its fallback")


def _told(
    spec: Autoscale,
    before: State,
    seen: Seen,
    current: int,
    limits: Bounds,
    proposals: Sequence[Proposal],
    now: float,
) -> Decision:
    """What follows from the metrics, as if nobody held the size."""
    asleep = current == 0
    if not asleep and not limits.min <= current <= limits.max:
        return _out_of_bounds(spec, before, current, limits, proposals, now)
    known = [one for one in proposals if not one.error]
    if asleep and limits.min and not known:
        return _out_of_bounds(spec, before, current, limits, proposals, now)
    recommended = max((one.replicas for one in known), default=0)
    if not known or (len(known) < len(proposals) and recommended < current):
        return _unknown(before, current, limits, proposals, recommended if known else None, now)
    recommended = max(recommended, 0)
    normalized = normalize(current, recommended, limits, spec.behavior, before, now)
    size = max(normalized.replicas, limits.min) if asleep else normalized.replicas
    refused = seen.refused if size > current else ""
    size = current if refused else size
    state = msgspec.structs.replace(
        _followed(spec, before, current, size, now),
        recommendations=history.remembered(before.recommendations, Recommendation(now, recommended), *_windows(spec)),
    )
    message = _words(proposals, recommended, normalized, current, size, refused, limits)
    followed = size == recommended
    until = [normalized.stabilized, normalized.limited]
    return Decision(
        size,
        "Followed" if followed else "Limited",
        message,
        state,
        tuple(proposals),
        recommended,
        normalized,
        limits,
        min([at.until for at in until if at and at.until is not None] + _next(limits), default=None),
    )


def _windows(spec: Autoscale) -> tuple[float, float]:
    """Seconds of the stabilization windows, up and down."""
    if spec.behavior is None:
        return 0.0, 300.0
    up, down = spec.behavior.up.stabilization_window_seconds, spec.behavior.down.stabilization_window_seconds
    return float(up or 0), float(down or 0)


def _followed(spec: Autoscale, before: State, current: int, size: int, now: float) -> State:
    """The state with the new size, and its change among the scale events."""
    if size == current:
        return before
    events = history.recorded(before.events, ScaleEvent(now, size - current), history.longest_period(spec))
    return msgspec.structs.replace(before, replicas=size, to_zero=size == 0, events=events)


# ---------------------------------------------------------------- cases


def _stopped(before: State, limits: Bounds) -> Decision:
    """Nothing is measured and nothing is remembered: what comes after a stop begins anew (upstream: ScalingDisabled)."""
    message = "spec.replicas is 0, which stops the App and its autoscaling; give another number, or take the field away"
    return Decision(0, "Stopped", message, State(0), bounds=limits, until=limits.until)


def _held(until: float, scaled: HandScaled, metrics: Decision, before: State) -> Decision:
    """A person's size, with what would be: the metrics go on being watched, so that the end of the hold is no surprise. Only
    changes of our own are scale events."""
    state = msgspec.structs.replace(metrics.state, replicas=scaled.replicas, to_zero=False, events=before.events)
    message = (
        f"held at {scaled.replicas} by {scaled.by}, which scaled the App at {timestamp(scaled.at)}, until {timestamp(until)}; "
        f"set spec.autoscale.holdSeconds to 0 to end it now; else it would be {metrics.replicas}: {metrics.message}"
    )
    return msgspec.structs.replace(
        metrics, replicas=scaled.replicas, reason="Held", message=message, state=state, until=until
    )


def _out_of_bounds(
    spec: Autoscale, before: State, current: int, limits: Bounds, proposals: Sequence[Proposal], now: float
) -> Decision:
    """To the nearest bound at once; the metrics are asked again from there (upstream: reconcileAutoscaler). So also from
    zero where no metric can be told: a min that has been raised must not wait for a source that is down."""
    size, by = (limits.max, limits.max_by) if current > limits.max else (limits.min, limits.min_by)
    message = f"{by} is {size}, and the App had {current}{_problems(limits)}"
    state = _followed(spec, before, current, size, now)
    return Decision(size, "OutOfBounds", message, state, tuple(proposals), bounds=limits, until=limits.until)


def _unknown(
    before: State, current: int, limits: Bounds, proposals: Sequence[Proposal], recommended: int | None, now: float
) -> Decision:
    """Without a metric that can be told nothing happens, and while one cannot, no scale down: it might want more."""
    failed = "; ".join(
        f"{one.metric}: {one.error} (since {timestamp(before.failing.get(one.metric, now))})"
        for one in proposals
        if one.error
    )
    rest = (
        ""
        if recommended is None
        else f"; the others come to {recommended}, and less than now is not believed of a part"
    )
    return Decision(
        current,
        "MetricsUnavailable",
        f"stays at {current}, since metrics cannot be told: {failed}{rest}{_problems(limits)}",
        before,
        tuple(proposals),
        recommended,
        bounds=limits,
        until=limits.until,
    )


# ---------------------------------------------------------------- words


def _words(
    proposals: Sequence[Proposal],
    recommended: int,
    normalized: Normalized,
    current: int,
    size: int,
    refused: str,
    limits: Bounds,
) -> str:
    """The metric that decides first, then what was made of it, then the others."""
    first, *others = sorted(proposals, key=lambda one: (bool(one.error), -one.replicas))
    said = _said(first)
    if normalized.stabilized:
        held = normalized.stabilized
        said += f", {_kept(held.replicas, current)}{_until(held.until)}: {held.text}"
    if normalized.limited:
        limit = normalized.limited
        said += f", limited to {limit.replicas} by {limit.text}{_until(limit.until)}"
    if refused:
        said += f", stays at {size} while more pods are refused: {refused}"
    elif size > normalized.replicas:
        said += f", raised to {size} by {limits.min_by}"
    return "; ".join([said, *map(_said, others)]) + _problems(limits)


def _kept(replicas: int, current: int) -> str:
    return f"stays at {replicas}" if replicas == current else f"comes to {replicas}"


def _said(proposal: Proposal) -> str:
    if proposal.error:
        return f"{proposal.metric} cannot be told: {proposal.error}"
    over = f" over {proposal.over}" if proposal.over else ""
    return f"{proposal.metric} {proposal.usage} of {proposal.target}{over} → {proposal.replicas}"


def _until(at: float | None) -> str:
    return "" if at is None else f" until {clock(at)}"


def _problems(limits: Bounds) -> str:
    return "".join(f"; {problem}" for problem in limits.problems)


def _next(limits: Bounds) -> list[float]:
    return [] if limits.until is None else [limits.until]
