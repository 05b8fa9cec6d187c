"""A decision in a sentence: what was measured, what it came to, what was made of it, and until when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.autoscale.behavior import Normalized, clock
from fairlead.autoscale.model import Bounds, HandScaled, Proposal
from fairlead.core.conditions import timestamp

MOST = 1024  # characters of a sentence that the status keeps
RIVAL = "a HorizontalPodAutoscaler scales this App too, which changes nothing while spec.autoscale is there; delete one of the two"
RELEASING = "a release is under way, which zero would complete unseen"
STOPPED = "spec.replicas is 0, which stops the App and its autoscaling; give another number, or take the field away"


def followed(
    proposals: Sequence[Proposal], normalized: Normalized, current: int, size: int, refused: str, limits: Bounds
) -> str:
    """The metric that decides first, then what was made of it, then the others.

    >>> cpu = Proposal("cpu", 9, "83 %", "60 %", "6 ready pods")
    >>> followed([cpu], Normalized(9), 6, 6, "exceeded quota", Bounds(1, 30))
    'cpu 83 % of 60 % over 6 ready pods → 9, stays at 6 while more pods are refused: exceeded quota'
    """
    first, *others = sorted(proposals, key=lambda one: (bool(one.error), -one.replicas))
    said = _measured(first)
    if held := normalized.stabilized:
        course = "stays at" if held.replicas == current else "comes to"
        said += f", {course} {held.replicas}{_until(held.until)}: {held.text}"
    if limit := normalized.limited:
        said += f", limited to {limit.replicas} by {limit.text}{_until(limit.until)}"
    if refused:
        said += f", stays at {size} while more pods are refused: {refused}"
    elif size > normalized.replicas:
        said += f", raised to {size} by {limits.min_by}"
    return "; ".join([said, *map(_measured, others)]) + _problems(limits)


def unknown(
    proposals: Sequence[Proposal], failing: Mapping[str, float], current: int, recommended: int | None, limits: Bounds
) -> str:
    """Which metrics fail, why, and since when. recommended: what the others come to, None where there are none.

    >>> unknown([Proposal("cpu", error="no answer")], {"cpu": 0}, 4, None, Bounds(1, 30))
    'stays at 4, since metrics cannot be told: cpu: no answer (since 1970-01-01T00:00:00Z)'
    """
    failed = [f"{one.metric}: {one.error} (since {timestamp(failing[one.metric])})" for one in proposals if one.error]
    said = f"stays at {current}, since metrics cannot be told: {'; '.join(failed)}"
    if recommended is not None:
        said += f"; the others come to {recommended}, and fewer than now are not believed of a part"
    return said + _problems(limits)


def out_of_bounds(current: int, size: int, by: str, limits: Bounds) -> str:
    """
    >>> out_of_bounds(12, 5, "max of schedule night", Bounds(1, 5))
    'max of schedule night is 5, and the App had 12'
    """
    return f"{by} is {size}, and the App had {current}{_problems(limits)}"


def held(scaled: HandScaled, until: float, otherwise: int, why: str) -> str:
    """Whose size it is, until when, how to end that; and what it would be, and why."""
    return (
        f"held at {scaled.replicas} by {scaled.by}, which scaled the App at {timestamp(scaled.at or 0.0)}, until {timestamp(until)}; "
        f"set spec.autoscale.holdSeconds to 0 to end it now; else it would be {otherwise}: {why}"
    )


def not_idle_yet(busy: float, seconds: int) -> str:
    """
    >>> not_idle_yet(60, 300)
    'idle only since 00:01:00Z, and spec.autoscale.idle.afterSeconds is 300'
    """
    return f"idle only since {clock(busy)}, and spec.autoscale.idle.afterSeconds is {seconds}"


def no_activator(trouble: str) -> str:
    """Why it does not go to zero."""
    return f"nobody would hold its requests at zero: {trouble}"


def deserted(trouble: str, since: float) -> str:
    """Why it does not stay at zero."""
    return (
        f"brought back from zero, since nobody has been there to hold its requests since {timestamp(since)}: {trouble}"
    )


def woken(at: float) -> str:
    """
    >>> woken(0)
    'woken by a request at 1970-01-01T00:00:00Z'
    """
    return f"woken by a request at {timestamp(at)}"


def resting(since: float | None, ready: int, proposals: Sequence[Proposal], limits: Bounds) -> str:
    """At zero: since when, and what brings it back.

    >>> resting(0.0, 2, [Proposal("jobs", 0, "0", "1")], Bounds(0, 5))
    'at zero since 1970-01-01T00:00:00Z, wakes by the first request (2 activators ready); jobs 0 of 1 → 0'
    """
    began = "" if since is None else f" since {timestamp(since)}"
    holders = "1 activator" if ready == 1 else f"{ready} activators"
    said = f"at zero{began}, wakes by the first request ({holders} ready)"
    return "; ".join([said, *map(_measured, proposals)]) + _problems(limits)


def taken_away(size: int, asked: int) -> str:
    """Why the App has another size than its spec says."""
    return (
        f"spec.autoscale was taken away: the App keeps the {size} pods it had come to, until spec.replicas is given another "
        f"number than {asked}"
    )


def _measured(proposal: Proposal) -> str:
    if proposal.error:
        return f"{proposal.metric} cannot be told: {proposal.error}"
    over = f" over {proposal.over}" if proposal.over else ""
    return f"{proposal.metric} {proposal.usage} of {proposal.target}{over} → {proposal.replicas}"


def _until(at: float | None) -> str:
    return "" if at is None else f" until {clock(at)}"


def _problems(limits: Bounds) -> str:
    return "".join(f"; {problem}" for problem in limits.problems)
