"""How many pods an App is to have now, and why. Pure.

metrics ──calculator──▶ proposals ──the highest──▶ recommendation ──behavior──▶ size
                        a failed one never lowers    windows, rates, min and max    a person's hold, refusals come last
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from fairlead.autoscale import history, idle, words
from fairlead.autoscale.behavior import LEGACY_WINDOW, Normalized, Restraint, normalize
from fairlead.autoscale.calculator import Situation, Tolerance, propose, tolerance
from fairlead.autoscale.history import Recommendation, ScaleEvent, State
from fairlead.autoscale.holds import dated, hold, rival
from fairlead.autoscale.model import (
    INT32_MAX,
    TOLERANCE,
    Autoscale,
    Bounds,
    HandScaled,
    Metric,
    Proposal,
    Seen,
    Standby,
    Timing,
)
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
    "Idle",  # at zero, for want of requests
    "Woken",  # a request waits for a pod
    "NoActivator",  # it would be at zero, were there somebody to hold its requests
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
        if self.reason in ("Followed", "Limited", "OutOfBounds", "Idle", "Woken"):
            return Condition(CONDITION, "True", self.reason, self.message)
        if self.reason in ("Stopped", "Held", "MetricsUnavailable", "NoActivator"):
            return Condition(CONDITION, "False", self.reason, self.message)
        raise ValueError(self.reason)


def decide(spec: Autoscale, before: State, seen: Seen, now: float, timing: Timing = Timing()) -> Decision:
    """The size for now. before: the last decision's state; what an operator begins from is `history.resumed`. Time counts in
    whole seconds, since that is what the status keeps.

    Six pods at 83 % of the cpu they request, where 60 % are wanted and growth is slow:
    >>> from fairlead.autoscale.model import Behavior, Policy, Rules
    >>> from fairlead.autoscale.testing import autoscale, seen
    >>> slow = autoscale(behavior=Behavior(scale_up=Rules(policies=(Policy("Pods", 2, 60),))))
    >>> told = decide(slow, State(6), seen(6, 83), 36_180)
    >>> told.replicas, told.message
    (8, 'cpu 83 % of 60 % over 6 ready pods → 9, limited to 8 by scaleUp policy 2 per 60 s until 10:04:00Z')
    """
    now = float(math.floor(now))
    before = history.not_ahead(before, now)
    limits = bounds(spec, seen.available, now)
    if rival(seen.hand_scaled):
        limits = msgspec.structs.replace(limits, problems=(*limits.problems, words.RIVAL))
    if seen.asked == 0:
        return _stopped(limits)
    scaled = dated(seen.hand_scaled, before.held, before.asked, now)
    until = hold(spec, scaled, now)
    held = scaled if until else None
    current = held.replicas if held else _current(before, seen)
    before = _begun(before, current, now)
    proposals, failing = _proposals(spec, before, seen, current, now, timing)
    failed = before.failing
    before = msgspec.structs.replace(before, replicas=current, asked=seen.asked, failing=failing, held=held)
    metrics = _by_metrics(
        _Case(spec, before, current, seen.refused, limits, proposals, now, seen.standby, seen.released, failed)
    )
    return _held(until, held, metrics, before) if held and until else metrics


def _current(before: State, seen: Seen) -> int:
    """The size to start from: what was decided last; where that is nothing, what the App has. Zero that is not of our making (a
    stop that is over) is no size to start from."""
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
    situation = Situation(
        current,
        seen.active,
        tuple(pod for pod in seen.pods if not pod.idle),
        _tolerance(spec),
        timing,
        now,
        current if seen.releasing else INT32_MAX,
    )
    measured = [(metric, propose(metric, one, situation)) for metric, one in idle.told(spec, current, seen.readings)]
    failing = {one.metric: before.failing.get(one.metric, now) for _, one in measured if one.error}
    return tuple(_stood_in(metric, one, failing, now) for metric, one in measured), failing


def _tolerance(spec: Autoscale) -> Tolerance:
    down, up = (spec.behavior.down.tolerance, spec.behavior.up.tolerance) if spec.behavior else (None, None)
    return tolerance(TOLERANCE if down is None else down, TOLERANCE if up is None else up)


def _stood_in(metric: Metric, proposal: Proposal, failing: dict[str, float], now: float) -> Proposal:
    """The fallback of a metric that has failed for long enough, in its place."""
    since = failing.get(proposal.metric)
    if metric.fallback is None or since is None or now - since < metric.fallback.after_seconds:
        return proposal
    usage = f"failing since {timestamp(since)} ({proposal.error})"
    return Proposal(proposal.metric, metric.fallback.replicas, usage, "its fallback")


class _Case(NamedTuple):
    """What is known once everything is measured. `before` has the size that is decided from, `current`; `failed`: since when metrics
    could not be told, at the look before."""

    spec: Autoscale
    before: State
    current: int
    refused: str
    limits: Bounds
    proposals: tuple[Proposal, ...]
    now: float
    standby: Standby | None
    released: bool
    failed: dict[str, float]


def _by_metrics(case: _Case) -> Decision:
    """What follows from the metrics, as if nobody held the size. Upstream's order: bounds, what is not known, behaviour."""
    known = [one.replicas for one in case.proposals if not one.error]
    recommended = max(0, *known) if known else None
    if case.current == 0 and (why := idle.wakes(case.spec.idle, case.standby, case.now)):
        return _woken(case, why, recommended)
    if case.current == 0 and case.spec.idle and not case.limits.min and not recommended:
        return _resting(case)
    if _beyond(case, recommended):
        return _out_of_bounds(case)
    if recommended is None or (len(known) < len(case.proposals) and recommended < case.current):
        return _unknown(case, recommended)
    return _as_recommended(case, recommended)


def _beyond(case: _Case, recommended: int | None) -> bool:
    """The size is outside of its bounds. At zero that is for the metrics to say; but a min that has been raised must not wait
    for a source that is down (upstream does)."""
    if case.current == 0:
        return recommended is None and case.limits.min > 0
    return not case.limits.min <= case.current <= case.limits.max


def _as_recommended(case: _Case, recommended: int) -> Decision:
    current, limits = case.current, case.limits
    normalized = normalize(current, recommended, limits, case.spec.behavior, case.before, case.now)
    size = max(normalized.replicas, limits.min) if current == 0 else normalized.replicas
    refused = case.refused if size > current else ""
    size = current if refused else size
    past = case.before.recommendations
    if current and not recommended:
        past = idle.witnessed(case.spec.idle, past, case.failed, case.now)
    stays = idle.stays(case.spec.idle, past, case.standby, case.released, case.now) if current and not size else None
    if stays:
        size, normalized = stays.replicas, Normalized(stays.replicas, stays)
    told = history.remembered(past, Recommendation(case.now, recommended), *_windows(case.spec))
    state = msgspec.structs.replace(_resized(case, size), recommendations=idle.lasting(case.spec.idle, past, told))
    ends = [held.until for held in (normalized.stabilized, normalized.limited) if held]
    return Decision(
        size,
        _reason(size, recommended, stays),
        words.followed(case.proposals, normalized, current, size, refused, limits),
        state,
        case.proposals,
        recommended,
        normalized,
        limits,
        min((at for at in (*ends, limits.until) if at is not None), default=None),
    )


def _reason(size: int, recommended: int, stays: Restraint | None) -> Reason:
    if stays and stays.reason == "NoActivator":
        return "NoActivator"
    return "Followed" if size == recommended else "Limited"


def _windows(spec: Autoscale) -> tuple[float, float]:
    """For how many seconds recommendations can still be asked for: by the stabilization windows, up and down, and by how long the
    App has been idle."""
    quiet = float(spec.idle.after_seconds) if spec.idle else 0.0
    if spec.behavior is None:
        return 0.0, max(LEGACY_WINDOW, quiet)
    up, down = spec.behavior.up.stabilization_window_seconds, spec.behavior.down.stabilization_window_seconds
    return float(up or 0), max(float(down or 0), quiet)


def _resized(case: _Case, size: int) -> State:
    """The state with the new size, and its change among the scale events."""
    if size == case.current:
        return case.before
    change = ScaleEvent(case.now, size - case.current)
    longest = history.longest_period(case.spec, "Up" if change.change > 0 else "Down")
    events = history.recorded(case.before.events, change, longest)
    return msgspec.structs.replace(case.before, replicas=size, to_zero=size == 0, events=events)


# ---------------------------------------------------------------- at zero, for want of requests


def _woken(case: _Case, why: Restraint, recommended: int | None) -> Decision:
    """Up from zero at once, to stay for as long as an App has to be idle: it counts as recommended now."""
    size = max(why.replicas, case.limits.min)
    state = msgspec.structs.replace(_resized(case, size), recommendations=_busy(case, size))
    reason: Reason = "Woken" if why.reason == "Woken" else "NoActivator"
    return Decision(
        size, reason, why.text, state, case.proposals, recommended, bounds=case.limits, until=case.limits.until
    )


def _resting(case: _Case) -> Decision:
    """It stays at zero. A metric that cannot be told here keeps nobody up: it did not while it was zero."""
    ready = case.standby.ready if case.standby else 0
    since = max((one.at for one in case.before.events if one.change < 0), default=None)
    message = words.resting(since, ready, case.proposals, case.limits)
    return Decision(0, "Idle", message, case.before, case.proposals, 0, bounds=case.limits, until=case.limits.until)


def _busy(case: _Case, size: int) -> tuple[Recommendation, ...]:
    """The recommendations with the word that so many are needed now."""
    return history.remembered(case.before.recommendations, Recommendation(case.now, size), *_windows(case.spec))


# ---------------------------------------------------------------- where the metrics do not decide


def _stopped(limits: Bounds) -> Decision:
    """Nothing is measured and nothing is remembered: what comes after a stop begins anew (upstream: ScalingDisabled)."""
    return Decision(0, "Stopped", words.STOPPED, State(0, asked=0), bounds=limits, until=limits.until)


def _held(until: float, scaled: HandScaled, metrics: Decision, before: State) -> Decision:
    """A person's size, with what would be: the metrics go on being watched, so that the end of the hold is no surprise. Only
    changes of our own are scale events."""
    state = msgspec.structs.replace(metrics.state, replicas=scaled.replicas, to_zero=False, events=before.events)
    message = words.held(scaled, until, metrics.replicas, metrics.message)
    return msgspec.structs.replace(
        metrics, replicas=scaled.replicas, reason="Held", message=message, state=state, until=until
    )


def _out_of_bounds(case: _Case) -> Decision:
    """To the nearest bound at once; the metrics are asked again from there (upstream: reconcileAutoscaler)."""
    limits = case.limits
    size, by = (limits.max, limits.max_by) if case.current > limits.max else (limits.min, limits.min_by)
    message = words.out_of_bounds(case.current, size, by, limits)
    return Decision(
        size, "OutOfBounds", message, _resized(case, size), case.proposals, bounds=limits, until=limits.until
    )


def _unknown(case: _Case, recommended: int | None) -> Decision:
    """Without a metric that can be told nothing happens, and while one cannot, no scale down: it might want more. While a request
    waits for the first pod, there is nothing to measure yet."""
    if case.spec.idle and case.standby and case.standby.waiting is not None:
        state = msgspec.structs.replace(case.before, recommendations=_busy(case, case.current))
        message = f"{words.woken(case.standby.waiting)}, which waits for a pod to be ready"
        return Decision(case.current, "Woken", message, state, case.proposals, recommended, bounds=case.limits)
    message = words.unknown(case.proposals, case.before.failing, case.current, recommended, case.limits)
    return Decision(
        case.current,
        "MetricsUnavailable",
        message,
        case.before,
        case.proposals,
        recommended,
        bounds=case.limits,
        until=case.limits.until,
    )
