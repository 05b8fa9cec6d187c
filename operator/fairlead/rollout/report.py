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
    rescaled = before.desired is not None and before.desired != app.replicas
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
        desired=app.replicas,
        bound=fleet.bound,
        restart_at=app.spec.rollout.restart_at,
        step=passed,
        step_at=timestamp(course.since) if course and course.current else "",
        held_at=(at if stepped or not same else before.held_at or at) if held else "",
        moment=judging.open_moment(fleet, counts.complete(app.replicas)),
        weights=shared.weights,
        tried=shared.tried,
    )


class Standing(msgspec.Struct, frozen=True):
    """What a plan has come to: what was looked at, what is to run and with how many pods, and how far that is.

    counts, found: of the pods as they are. progress: what is to be remembered. complete: the release is done, and nothing is
    refused. now: seconds since the epoch."""

    observed: Observed
    target: Target
    fleet: Fleet
    counts: Counts
    found: Sequence[problems.Problem]
    progress: Progress
    complete: bool
    now: float

    @property
    def revision(self) -> str:
        """The name of the Revision that is to run."""
        return revisions.name_of(self.observed.app, self.target)


def compose(standing: Standing) -> JSON:
    """This room's share of the App's status.

    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> seen = Observed(make_app(replicas=2, digest="v2"), (make_revision(),), ())
    >>> fleet = Fleet(Group("v2", 2, 1), (Group("v1", 1, 2),), replicas=2, surge=1, unavailable=0)
    >>> begun = Progress(sizes={"v2": 1, "v1": 2}, desired=2, bound=3)
    >>> said = compose(Standing(seen, Target("v2", 2, None), fleet, Counts(0, 0, 0, 0, 0, 2), (), begun, False, 0))
    >>> said["activeRevision"], said["rollout"]["sizes"], said["rollout"]["waitingFor"]
    ('shop-v2', {'v2': 1, 'v1': 2}, '1 of 2 updated pods to be created')
    """
    app, target, fleet = standing.observed.app, standing.target, standing.fleet
    awaited = "" if standing.complete else status.awaited(app, fleet, standing.counts, standing.found)
    rollout = msgspec.to_builtins(standing.progress)
    rollout |= {"waitingFor": awaited, "available": fleet.target.available}
    rollout |= status.steps(fleet, standing.complete)
    return {
        **standing.counts.as_json(),
        "selector": status.selector(app),
        "revision": target.number,
        "activeRevision": standing.revision,
        "problems": [problem.as_json() for problem in standing.found],
        "rollout": {field: value for field, value in rollout.items() if value not in ("", None, {})},
        "conditions": _conditions(standing, awaited),
        **_memory(standing),
    }


def _conditions(standing: Standing, awaited: str) -> list[Condition]:
    observed, target, fleet, counts = standing.observed, standing.target, standing.fleet, standing.counts
    app = observed.app
    conditions = [
        status.available(app, fleet, counts, standing.found),
        judging.progressing(app, fleet.course)
        or status.progressing(app, counts, standing.progress, awaited, standing.now),
        *([status.rolled_back(target.rejected, target.number)] if target.rejected else ()),
    ]
    if app.spec.rollout.paused:
        conditions.append(_PAUSED)
    inexact = weights.exactness(app.spec.rollout, app.replicas, fleet.surge)
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
    going_back = rounds.waits_to_go_back(observed, target)
    return [*conditions, going_back] if going_back else conditions


def _memory(standing: Standing) -> JSON:
    """What later plans go by, where there is any: what to go back to, what was turned away, and with whom it goes."""
    observed, target = standing.observed, standing.target
    app = observed.app
    # Who goes back with others goes back to what was stable before it: from now on that is what failures lead back to.
    settled = standing.complete or target.rejected
    said: JSON = {}
    if stable := standing.revision if settled else app.status.get("stableRevision"):
        said["stableRevision"] = stable
    if undo := revisions.recorded_undo(app, target):
        said["undo"] = msgspec.to_builtins(undo)
    if rejected := target.rejected or revisions.standing_rejection(app, observed.revisions):
        told = msgspec.to_builtins(rejected)
        said["rejected"] = {field: value for field, value in told.items() if value != "" or field == "retry"}
    if round := rounds.next_round(observed, target, standing.complete, standing.now):
        said["round"] = {field: value for field, value in msgspec.to_builtins(round).items() if value}
    return said


def next_change(standing: Standing) -> float | None:
    """When time alone changes something: a pod has been ready long enough, or takes long to start, a step's pause is over,
    or the deadline passes (upstream requeues at the second after)."""
    app, pods, now = standing.observed.app, standing.observed.pods, standing.now
    wait = app.spec.rollout.min_ready_seconds
    soon = None
    if wait:
        due = [
            pod.ready_since + wait - now for pod in pods if pod.active and pod.ready and not pod.available(wait, now)
        ]
        soon = min((max(0.0, seconds) + 0.01 for seconds in due), default=None)
    progress, course = standing.progress, standing.fleet.course
    left = None if standing.complete or not progress.started_at else status.deadline_left(app, progress, now)
    step = course.left if course and course.held else None
    starting = (problems.start_overdue(pod, now) for pod in pods)
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
        "rollout": {"desired": app.replicas, "pausedAt": progress_of(app.status).paused_at or timestamp(now)},
    }
    return Plan(actions=tuple(claims), status=said)
