"""What an App and its Revisions say of themselves. Pure.

Upstream: kubernetes pkg/controller/deployment/{sync,progress}.go and util (DeploymentComplete, DeploymentProgressing,
DeploymentTimedOut); kstatus of cli-utils for Ready, Reconciling and Stalled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from fairlead.core.conditions import Condition, find, parse_time, stamp, timestamp
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.expose.model import revision_service
from fairlead.gates.model import BACKGROUND
from fairlead.rollout import blue_green
from fairlead.rollout import problems as problem_texts
from fairlead.rollout.fleet import Course, Fleet
from fairlead.rollout.model import App, Observed, Progress, Rejected, Revision, progress_of
from fairlead.rollout.problems import Problem
from fairlead.rollout.revisions import revision_name
from fairlead.rollout.routing import in_force, unreached

DEADLINE = "ProgressDeadlineExceeded"
COMPLETE = "NewRevisionAvailable"
ABORTED = "Aborted"
UNMADE = ("Creating", "Recreating")  # reasons of the conditions of an App's other objects
AWAITED = ("Config", "InOrder")  # conditions that are False while a release has not even begun


class Counts(msgspec.Struct, frozen=True):
    """An App's pods in numbers; `total` are the active ones (upstream: status.replicas counts no terminating pods)."""

    total: int
    updated: int
    ready: int
    available: int
    terminating: int
    wanted: int  # the sum of all sizes
    underway: bool = False  # steps are left, or pods of the wanted revision have yet to get traffic

    def complete(self, replicas: int) -> bool:
        """Everything that runs is the wanted revision and available (DeploymentComplete), and no step is left.

        >>> Counts(total=4, updated=3, ready=4, available=4, terminating=0, wanted=4).complete(3)
        False
        """
        return self.updated == self.total == self.available == replicas and not self.underway

    def until(self, fleet: Fleet) -> Counts:
        """The same pods, on the way that this fleet goes.

        >>> from fairlead.rollout.fleet import Group
        >>> from fairlead.rollout.testing import make_pods
        >>> idle = Group("v2", 2, 1, make_pods(1, "v2", serving=False), 1)
        >>> counts = Counts(total=1, updated=1, ready=1, available=1, terminating=0, wanted=1)
        >>> counts.complete(1), counts.until(Fleet(idle, (), replicas=1, surge=1, unavailable=0)).complete(1)
        (True, False)
        """
        stepping = fleet.course is not None and fleet.course.current is not None
        idle = any(not pod.serving for pod in fleet.target.pods)
        return msgspec.structs.replace(self, underway=stepping or idle)

    def as_json(self) -> JSON:
        return {
            "replicas": self.total,
            "updatedReplicas": self.updated,
            "readyReplicas": self.ready,
            "availableReplicas": self.available,
            "unavailableReplicas": max(0, self.wanted - self.available),
            "terminatingReplicas": self.terminating,
        }


def count(observed: Observed, fleet: Fleet | None, now: float) -> Counts:
    """The App's pods counted as they are, whatever size they are to come to."""
    wait = observed.app.spec.rollout.min_ready_seconds
    active = [pod for pod in observed.pods if pod.active]
    return Counts(
        total=len(active),
        updated=len(fleet.target.pods) if fleet else 0,
        ready=sum(pod.ready for pod in active),
        available=sum(pod.available(wait, now) for pod in active),
        terminating=sum(pod.deleting is not None and not pod.finished for pod in observed.pods),
        wanted=fleet.total if fleet else 0,
    )


def progressed(counts: Counts, status: JSON) -> bool:
    """More updated, fewer old, more ready or more available pods than the last status said (DeploymentProgressing).

    >>> progressed(Counts(4, 2, 4, 4, 0, 4), {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 4, "availableReplicas": 4})
    True
    """
    before_updated = status.get("updatedReplicas") or 0
    before_old = (status.get("replicas") or 0) - before_updated
    return (
        counts.updated > before_updated
        or counts.total - counts.updated < before_old
        or counts.ready > (status.get("readyReplicas") or 0)
        or counts.available > (status.get("availableReplicas") or 0)
    )


def deadline_left(app: App, progress: Progress, now: float) -> float | None:
    """Seconds until the roll counts as stuck; None while paused, by the spec or by a step, or when it cannot be (never
    negative)."""
    since = parse_time(progress.last_progress_at)
    if app.spec.rollout.paused or progress.held_at or since is None:
        return None
    return max(0.0, since + app.spec.rollout.progress_deadline_seconds - now)


def progressing(app: App, counts: Counts, progress: Progress, awaited: str, now: float) -> Condition:
    """The condition Progressing. Once complete it stays so until the next roll: later failures are Available's to tell
    (upstream never re-arms the deadline: KEP-2804)."""
    replicas = app.replicas
    before = find(app.status.get("conditions") or (), "Progressing") or {}
    if app.spec.rollout.paused:
        return Condition(
            "Progressing",
            "Unknown",
            "Paused",
            "spec.rollout.paused is set: no pod changes its revision until it is taken away",
        )
    if counts.complete(replicas):
        return Condition(
            "Progressing", "True", COMPLETE, f"{replicas} of {replicas} pods run the wanted revision and are available"
        )
    if before.get("reason") == COMPLETE and not progress.started_at:
        return Condition("Progressing", "True", COMPLETE, "the wanted revision was rolled out")
    left = deadline_left(app, progress, now)
    if left == 0:
        return Condition(
            "Progressing",
            "False",
            DEADLINE,
            f"no progress for {app.spec.rollout.progress_deadline_seconds} s, waiting for {awaited}",
        )
    if progress.held_at:
        return Condition("Progressing", "True", "StepPaused", f"waiting for {awaited}")
    return Condition("Progressing", "True", "RevisionUpdating", f"waiting for {awaited}")


def rolled_back(rejected: Rejected, number: int) -> Condition:
    """The condition RolledBack: which release failed, why, what runs instead, and the ways on.

    >>> rolled_back(Rejected(number=4, reason="Aborted", message="it was aborted by hand"), 5).message
    'revision 4 was taken back: it was aborted by hand; revision 5 runs what ran before; change the template, or `fairlead retry` to try the same again'
    """
    said = f"revision {rejected.number} was taken back: {rejected.message}; revision {number} runs what ran before"
    if rejected.member:
        way = f"it is released again when {rejected.member} is, or `fairlead retry` to release it without"
        return Condition("RolledBack", "True", "GroupMemberFailed", f"{said}; {way}")
    words = f"{said}; change the template, or `fairlead retry` to try the same again"
    return Condition("RolledBack", "True", "ReleaseAborted" if rejected.reason == ABORTED else "ReleaseFailed", words)


def blocked(revision: Revision) -> Condition:
    """The condition where an undo cannot be obeyed, for what the revision ran with is gone.

    >>> from fairlead.rollout.testing import make_revision
    >>> blocked(make_revision(number=2, lost=("shop-settings-x",))).message
    'spec.rollout.undoTo: revision 2 cannot run: the copies of its configuration were deleted (ConfigMap shop-settings-x); give spec.config that content again and release it, or choose another revision; what runs is left as it is'
    """
    names = ", ".join(revision.lost)
    return Condition(
        "Accepted",
        "False",
        "RollbackBlocked",
        f"spec.rollout.undoTo: revision {revision.number} cannot run: the copies of its configuration were deleted "
        f"(ConfigMap {names}); give spec.config that content again and release it, or choose another revision; "
        "what runs is left as it is",
    )


def steps(fleet: Fleet, complete: bool) -> JSON:
    """status.rollout's share about steps: how many there are, the weight that is wanted, and the share there is (of
    the available pods, in per cent, or what a route gives)."""
    course = fleet.course
    if course is None or complete or not course.steps:
        return {"step": None}
    share = round(100 * fleet.target.serving / fleet.serving) if fleet.serving else 0
    if fleet.routed is not None:
        share = fleet.routed.weights.get(fleet.target.id, 0)
    return {"steps": len(course.steps), "weight": course.weight, "share": share}


def awaited(app: App, fleet: Fleet, counts: Counts, problems: Sequence[Problem]) -> str:
    """What the next step waits for, as half a sentence.

    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.testing import make_app, make_pods
    >>> fleet = Fleet(Group("v2", 2, 2, make_pods(2, "v2", ready=False)), (), replicas=2, surge=1, unavailable=0)
    >>> awaited(make_app(replicas=2), fleet, Counts(2, 2, 0, 0, 0, 2), [Problem("ImagePullBackOff", "no such image", 2, "shop-v2-0")])
    '2 of 2 updated pods to become available: 2 × ImagePullBackOff (shop-v2-0: no such image)'

    Old pods may be in trouble, too, which is why there are new ones; those are not what is waited for:
    >>> awaited(make_app(replicas=2), fleet, Counts(2, 2, 0, 0, 0, 2), [Problem("CrashLoopBackOff", "", 2, "shop-v1-0", revision="shop-v1")])
    '2 of 2 updated pods to become available'

    With Recreate the old pods go first, and only for new ones that are allowed:
    >>> fleet = Fleet(Group("v2", 2, 0), (), replicas=2, surge=0, unavailable=2, lingering=2)
    >>> awaited(make_app(replicas=2), fleet, Counts(2, 0, 2, 2, 0, 2), [Problem("PodSecurityViolation", "create pods: no", 3, revision="shop-v2")])
    'a pod of revision 2 to be allowed, 2 of the old one stay until then: PodSecurityViolation (create pods: no)'
    """
    target, course = fleet.target, fleet.course
    tail = _because(problems)
    name = revision_name(app.name, target.id)
    own = _because([one for one in problems if one.revision in ("", name)])
    if course and course.held:
        pause = course.current.pause if course.current and not course.hindrance else None
        shown = app.spec.rollout.strategy == "BlueGreen" and pause
        return blue_green.held(course, target) if shown else _held(course)
    if fleet.lingering and target.size == 0 and app.replicas:
        if refused := _because([one for one in problems if one.revision == name and not one.sample_pod]):
            return f"a pod of revision {target.number} to be allowed, {fleet.lingering} of the old one stay until then{refused}"
        return f"the pods of the old revision to end, {fleet.lingering} left{tail}"
    if counts.updated < target.size:
        return f"{target.size - counts.updated} of {app.replicas} updated pods to be created{own}"
    missing = target.size - target.available
    if missing > 0:
        held = " (ready, held by minReadySeconds)" if target.ready == target.size else ""
        return f"{missing} of {app.replicas} updated pods to become available{held}{own}"
    if behind := unreached(target):
        service = revision_service(app.name, target.id)
        return (
            f"{behind} of {target.size} updated pods, which are ready, to be among the endpoints of Service {service}"
        )
    if not in_force(fleet):
        return "the route to give the traffic as the pods are: the condition Routed says how it stands"
    if target.serving < target.size:
        return (
            f"the traffic to come to {target.size - target.serving} of {target.size} pods of revision {target.number}"
        )
    if counts.total > counts.updated:
        return f"the pods of old revisions to be replaced, {counts.total - counts.updated} left{tail}"
    if counts.available < app.replicas:
        return f"{app.replicas - counts.available} of {app.replicas} pods to become available{tail}"
    return f"the pods to settle{tail}"


def _because(problems: Sequence[Problem]) -> str:
    why = problem_texts.in_words(problems)
    return f": {why}" if why else ""


def _held(course: Course) -> str:
    """What a step waits for whose pods are all as it wants them; the moment, not the seconds left, which would change.

    >>> from fairlead.rollout.model import Pause, Step
    >>> _held(Course((Step(weight=10), Step(pause=Pause(60))), passed=1, since=0, held=True))
    'step 2 of 2 at 10 %: a pause of 60 s, until 1970-01-01T00:01:00Z'
    >>> _held(Course((Step(weight=10), Step(gate="errors")), passed=1, held=True))
    'step 2 of 2 at 10 %: its gates, not measured yet'
    """
    if course.hindrance is not None:
        return f"gate {course.hindrance.name}: {course.hindrance.message}"
    where = f"step {course.passed + 1} of {len(course.steps)} at {course.weight} %"
    if course.gated:
        return f"{where}: {course.gates or 'its gates, not measured yet'}"
    pause = course.current.pause if course.current else None
    if pause is None or pause.seconds is None:
        return (
            f"step {course.passed + 1} of {len(course.steps)} to be promoted, at {course.weight} %: `fairlead promote`"
        )
    return f"{where}: a pause of {pause.seconds} s, until {timestamp(course.since + pause.seconds)}"


def available(app: App, fleet: Fleet | None, counts: Counts, problems: Sequence[Problem]) -> Condition:
    """The condition Available: enough pods serve (upstream: at least replicas - maxUnavailable)."""
    floor = fleet.floor if fleet else app.replicas
    why = problem_texts.in_words(problems)
    if counts.available >= floor:
        return Condition(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            f"{counts.available} pods are available, at least {floor} are needed",
        )
    message = f"{counts.available} pods are available, at least {floor} are needed" + (f": {why}" if why else "")
    return Condition("Available", "False", "MinimumReplicasUnavailable", message)


def summarise(app: App, joined: JSON, now: float) -> JSON:
    """The status to write: what the rooms said joined, and the summary every tool reads (Ready, Reconciling, Stalled).

    Ready is True exactly when the spec of this generation runs as asked; it is there from the first write on.
    """
    conditions: dict[str, Condition] = {c.type: c for c in joined.get("conditions") or ()}
    stalled = _stalled(conditions)
    ready = _ready(app, joined, conditions, stalled)
    conditions["Ready"] = ready
    if stalled:
        conditions["Stalled"] = Condition("Stalled", "True", stalled.reason, stalled.message)
    elif ready.status != "True":
        conditions["Reconciling"] = Condition("Reconciling", "True", ready.reason, ready.message)
    return joined | {
        "observedGeneration": app.generation,
        "conditions": stamp(conditions.values(), app.status.get("conditions") or (), app.generation, now),
        "summary": summary(app, joined, ready, bool(stalled)),
    }


def _stalled(conditions: dict[str, Condition]) -> Condition | None:
    """What needs a person: a release that was taken back, a deadline that passed, a spec that cannot be obeyed, a name
    that someone else holds."""
    accepted = conditions.get("Accepted")
    if accepted and accepted.status == "False":
        return accepted
    if back := conditions.get("RolledBack"):
        return Condition("Stalled", "True", "RolledBack", back.message)
    progressing = conditions.get("Progressing")
    if progressing and progressing.status == "False":
        return progressing
    return _because_of(conditions, ("NotOwned", "Contested", "ServiceRefused", "RouteRefused", "BudgetRefused"))


def _unmade(conditions: Mapping[str, Condition]) -> Condition | None:
    """What is not there yet of the objects beside the pods.

    >>> _unmade({"Exposed": Condition("Exposed", "False", "Recreating", "the Service is being made anew")}).reason
    'Recreating'
    >>> _unmade({"Exposed": Condition("Exposed", "False", "LoadBalancerPending", "it waits for an address")})
    """
    return _because_of(conditions, UNMADE)


def _because_of(conditions: Mapping[str, Condition], reasons: Collection[str]) -> Condition | None:
    """The first of an App's other objects about which one of these reasons is given."""
    found = (conditions.get(type) for type in ("Exposed", "PreviewExposed", "Routed", "Disruption"))
    return next((one for one in found if one and one.status == "False" and one.reason in reasons), None)


def _ready(app: App, joined: JSON, conditions: dict[str, Condition], stalled: Condition | None) -> Condition:
    if stalled:
        return Condition("Ready", "False", stalled.reason, stalled.message)
    if app.spec.rollout.paused and joined.get("updatedReplicas") != joined.get("replicas"):
        return Condition("Ready", "False", "Paused", "the roll is paused half way")
    if app.spec.rollout.paused and not joined.get("activeRevision"):
        return Condition(
            "Ready", "False", "Paused", "spec.rollout.paused is set: nothing is created until it is taken away"
        )
    for type in AWAITED:
        awaited = conditions.get(type)
        if awaited and awaited.status == "False":
            return Condition("Ready", "False", awaited.reason, awaited.message)
    progressing = conditions.get("Progressing")
    rolled = progressing is not None and progressing.reason in (COMPLETE, "Paused")
    if rolled and (made := _unmade(conditions)):
        return Condition("Ready", "False", made.reason, made.message)
    if rolled and joined.get("availableReplicas") == joined.get("replicas") == app.replicas:
        return Condition(
            "Ready",
            "True",
            "RolledOut",
            f"{app.replicas} of {app.replicas} pods run the wanted revision and are available",
        )
    if rolled:
        message = conditions["Available"].message if "Available" in conditions else ""
        return Condition("Ready", "False", "PodsMissing", message)
    message = progressing.message if progressing else "not looked at yet"
    return Condition("Ready", "False", progressing.reason if progressing else "Pending", message)


def summary(app: App, joined: JSON, ready: Condition, stalled: bool) -> str:
    """The STATUS column: one or two words and a fraction.

    >>> from fairlead.rollout.testing import make_app
    >>> counts = {"updatedReplicas": 3, "availableReplicas": 5, "problems": [{"reason": "ImagePullBackOff"}]}
    >>> summary(make_app(replicas=6), counts | {"rollout": {"available": 1}}, Condition("Ready", "False", "RevisionUpdating"), False)
    'Rolling 1/6: ImagePullBackOff'
    """
    if ready.status == "True":
        return "Ready" if app.replicas else "Scaled to zero"
    worst = (joined.get("problems") or [{}])[0].get("reason", "")
    tail = f": {worst}" if worst else ""
    if ready.reason == "RolledBack":
        return f"Rolled back: {(joined.get('rejected') or {}).get('reason', '')}"
    if stalled:
        return f"Stuck{tail or ': ' + ready.reason}"
    replicas = app.replicas
    if ready.reason in UNMADE or any(c.type in AWAITED and c.status == "False" for c in joined.get("conditions") or ()):
        return f"Waiting: {ready.reason}"
    if app.spec.rollout.paused:
        return f"Paused {joined.get('updatedReplicas', 0)}/{replicas}{tail}"
    if ready.reason == "PodsMissing":
        return f"Degraded {joined.get('availableReplicas', 0)}/{replicas}{tail}"
    rollout = joined.get("rollout") or {}
    if rollout.get("steps", 0) > rollout.get("step", 0):
        if app.spec.rollout.strategy == "BlueGreen":
            return blue_green.summary(rollout, replicas, tail)
        held = (
            ": judged"
            if rollout.get("moment", BACKGROUND) != BACKGROUND
            else ": paused"
            if rollout.get("heldAt")
            else tail
        )
        return f"Step {rollout.get('step', 0) + 1}/{rollout['steps']} at {rollout.get('share', 0)}%{held}"
    return f"Rolling {rollout.get('available', 0)}/{replicas}{tail}"


def selector(app: App) -> str:
    """What /scale, HorizontalPodAutoscalers and `kubectl get pods -l` select this App's pods by."""
    return f"{LABEL_APP}={app.name}"


def next_progress(app: App, counts: Counts, target: str, replicas_changed: bool, stepped: bool, now: float) -> Progress:
    """status.rollout's times: the clock starts with a roll, is wound by every progress, and stops when complete."""
    before = progress_of(app.status)
    running = app.status.get("activeRevision")
    rolling = not counts.complete(app.replicas)
    started = before.started_at
    if running != target or replicas_changed or (rolling and not started and not _completed(app)):
        started = timestamp(now) if rolling else ""
    elif not rolling:
        started = ""
    resumed = bool(before.paused_at) and not app.spec.rollout.paused
    moved = running != target or replicas_changed or stepped or resumed or progressed(counts, app.status)
    last = timestamp(now) if moved or not before.last_progress_at else before.last_progress_at
    return msgspec.structs.replace(
        before,
        started_at=started,
        last_progress_at=last,
        paused_at=(before.paused_at or timestamp(now)) if app.spec.rollout.paused else "",
    )


def _completed(app: App) -> bool:
    before = find(app.status.get("conditions") or (), "Progressing") or {}
    return before.get("reason") == COMPLETE
