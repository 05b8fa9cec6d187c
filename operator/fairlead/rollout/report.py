"""What the status says of a plan: how far the release is, what is awaited, and what is to be remembered. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.core.actions import Action, Plan, merge_requeue
from fairlead.core.conditions import Condition, timestamp
from fairlead.core.meta import JSON
from fairlead.expose.model import Routed
from fairlead.rollout import judging, order, problems, revisions, rounds, routing, status, weights
from fairlead.rollout.fleet import Fleet
from fairlead.rollout.model import Observed, Progress, progress_of
from fairlead.rollout.revisions import Target
from fairlead.rollout.status import Counts

_PAUSED = Condition("Paused", "True", "PausedBySpec", "spec.rollout.paused is set")


def remember(observed: Observed, target: Target, fleet: Fleet, counts: Counts, now: float) -> Progress:
    """status.rollout after this plan. Where pods are yet to be made that nobody refuses, a deadline that has passed begins
    anew: no operator has run meanwhile, and they never had their time."""
    app = observed.app
    before = progress_of(app.status)
    name = revisions.name_of(app, target)
    rescaled = before.desired is not None and before.desired != app.spec.replicas
    restarted = (
        bool(app.spec.rollout.restart_at)
        and before.desired is not None
        and before.restart_at != app.spec.rollout.restart_at
    )
    course, at = fleet.course, timestamp(now)
    same = app.status.get("activeRevision") == name
    passed, held = (course.passed, course.held) if course else (0, False)
    shared = routing.decide(fleet) if fleet.routed is not None else Routed()
    stepped = same and (passed != before.step or (bool(before.held_at) and not held))
    to_make = len(fleet.target.pods) < fleet.target.size and not observed.failures
    begins = to_make and status.deadline_left(app, before, now) == 0
    times = status.next_progress(app, counts, name, rescaled or restarted, stepped or begins, now)
    return msgspec.structs.replace(
        times,
        sizes={id: size for id, size in fleet.sizes.items() if size or id == target.hash},
        serving={group.id: group.share for group in fleet.groups if group.serve is not None and group.size},
        desired=app.spec.replicas,
        bound=fleet.bound,
        restart_at=app.spec.rollout.restart_at,
        step=passed,
        step_at=timestamp(course.since) if course and course.current else "",
        held_at=(at if stepped or not same else before.held_at or at) if held else "",
        moment=judging.open_moment(fleet, counts.complete(app.spec.replicas)),
        weights=shared.weights,
        tried=shared.tried,
    )


def compose(
    observed: Observed,
    target: Target,
    fleet: Fleet,
    counts: Counts,
    found: Sequence[problems.Problem],
    progress: Progress,
    complete: bool,
    now: float,
) -> JSON:
    """This room's share of the App's status."""
    app = observed.app
    awaited = "" if complete else status.awaited(app, fleet, counts, found)
    name = revisions.name_of(app, target)
    conditions = [
        status.available(app, fleet, counts, found),
        judging.progressing(app, fleet.course) or status.progressing(app, counts, progress, awaited, now),
        *([status.rolled_back(target.rejected, target.number)] if target.rejected else ()),
    ]
    if app.spec.rollout.paused:
        conditions.append(_PAUSED)
    inexact = weights.exactness(app.spec.rollout, app.spec.replicas, fleet.surge)
    if inexact and fleet.routed is None:
        conditions.append(inexact)
    if observed.failures:
        worst = observed.failures[0]
        conditions.append(
            Condition("ReplicaFailure", "True", problems.refusal(worst), f"{worst.verb} {worst.kind}: {worst.message}")
        )
    if target.missing:
        kept = ", ".join(str(number) for number in sorted(r.number for r in observed.revisions)) or "none"
        words = f"spec.rollout.undoTo: revision {target.missing} is not kept any more (kept: {kept}); what runs is left as it is"
        conditions.append(Condition("Accepted", "False", "RevisionNotFound", words))
    if target.blocked:
        conditions.append(status.blocked(target.blocked))
    conditions = order.with_order(conditions, observed.order, target)
    if going_back := rounds.waits_to_go_back(observed, target):
        conditions.append(going_back)
    rollout = msgspec.to_builtins(progress)
    rollout |= {"waitingFor": awaited, "available": fleet.target.available, **status.steps(fleet, complete)}
    # Who goes back with others goes back to what was stable before it: from now on that is what failures lead back to.
    stable = name if complete or target.rejected else app.status.get("stableRevision")
    undo = revisions.recorded_undo(app, target)
    said: JSON = {
        **counts.as_json(),
        "selector": status.selector(app),
        "revision": target.number,
        "activeRevision": name,
        "problems": [problem.as_json() for problem in found],
        "rollout": {field: value for field, value in rollout.items() if value not in ("", None, {})},
        "conditions": conditions,
    }
    if stable:
        said["stableRevision"] = stable
    if undo:
        said["undo"] = msgspec.to_builtins(undo)
    if rejected := target.rejected or revisions.standing_rejection(app, observed.revisions):
        told = msgspec.to_builtins(rejected)
        said["rejected"] = {field: value for field, value in told.items() if value != "" or field == "retry"}
    if round := rounds.next_round(observed, target, complete, now):
        said["round"] = {field: value for field, value in msgspec.to_builtins(round).items() if value}
    return said


def next_change(observed: Observed, fleet: Fleet, progress: Progress, complete: bool, now: float) -> float | None:
    """When time alone changes something: a pod has been ready long enough, or takes long to start, a step's pause is over,
    or the deadline passes (upstream requeues at the second after)."""
    app = observed.app
    wait = app.spec.rollout.min_ready_seconds
    soon = None
    if wait:
        due = [
            pod.ready_since + wait - now
            for pod in observed.pods
            if pod.active and pod.ready and not pod.available(wait, now)
        ]
        soon = min((max(0.0, seconds) + 0.01 for seconds in due), default=None)
    left = None if complete or not progress.started_at else status.deadline_left(app, progress, now)
    course = fleet.course
    step = course.left if course and course.held else None
    starting = (problems.start_overdue(pod, now) for pod in observed.pods)
    unstarted = min((seconds for seconds in starting if seconds), default=None)
    return merge_requeue(soon, left + 1 if left else None, step, unstarted)


def refused(observed: Observed, condition: Condition, now: float) -> Plan:
    """The spec cannot be obeyed: nothing that runs is touched, and the status says which field and the way out."""
    counts = status.count(observed, None, now)
    before = observed.app.status
    kept = {
        field: before[field]
        for field in (
            "activeRevision",
            "stableRevision",
            "revision",
            "rollout",
            "undo",
            "rejected",
            "round",
            "problems",
        )
        if field in before
    }
    said = kept | counts.as_json() | {"selector": status.selector(observed.app), "conditions": [condition]}
    said["updatedReplicas"] = before.get("updatedReplicas", 0)
    return Plan(status=said)


def nothing_to_run(observed: Observed, claims: list[Action], now: float) -> Plan:
    """Paused before anything ever ran, an undo to a revision nobody keeps with nothing running, or a first release whose
    configuration is not there."""
    app = observed.app
    if (observed.order.waits or observed.order.cycle) and not app.spec.rollout.paused:
        why = order.cyclic(observed.order) if observed.order.cycle else order.waiting(observed.order)
        held = refused(observed, why, now)
        return msgspec.structs.replace(held, actions=tuple(claims), requeue_after=order.LOOK_AGAIN)
    if not app.digest and not app.spec.rollout.paused and not revisions.standing_undo(app):
        pending = Condition("Progressing", "True", "ConfigPending", "waiting for what spec.config names")
        return msgspec.structs.replace(refused(observed, pending, now), actions=tuple(claims))
    if app.spec.rollout.undo_to and not app.spec.rollout.paused:
        words = f"spec.rollout.undoTo: revision {app.spec.rollout.undo_to} does not exist; take the field away to run the template"
        return msgspec.structs.replace(
            refused(observed, Condition("Accepted", "False", "RevisionNotFound", words), now), actions=tuple(claims)
        )
    waiting = Condition(
        "Progressing", "Unknown", "Paused", "spec.rollout.paused is set: nothing is created until it is taken away"
    )
    said = status.count(observed, None, now).as_json() | {
        "selector": status.selector(app),
        "conditions": [waiting, _PAUSED],
        "rollout": {"desired": app.spec.replicas, "pausedAt": progress_of(app.status).paused_at or timestamp(now)},
    }
    return Plan(actions=tuple(claims), status=said)
