"""When a release is taken back, and for how long its template stays rejected. Pure.

The user's spec is never written: the template that failed is remembered by its digest, and what runs is the last
revision that was completed, until the template changes or somebody asks for another try.
"""

from __future__ import annotations

from fairlead.core.conditions import timestamp
from fairlead.core.podstate import Pod
from fairlead.rollout import status
from fairlead.rollout.fleet import Fleet
from fairlead.rollout.judging import GATE_FAILED
from fairlead.rollout.model import App, Progress, Rejected
from fairlead.rollout.rounds import own_round

CRASHES = 3  # restarts of a pod after which it counts as one that will not come up
CRASHING = "CrashLoopBackOff"
MESSAGE_LIMIT = 1024


def verdict(app: App, number: int, fleet: Fleet, progress: Progress, now: float) -> str:
    """The reason for which the release of revision `number` is taken back now; "" while it may go on.

    A person's word counts at once. Else, unless spec.rollout.onFailure is Pause: when a gate has failed, when most of the
    new pods crash again and again, or when the release has got no further for progressDeadlineSeconds.
    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.testing import make_app, make_pods
    >>> crashing = make_pods(2, "v2", ready=False, problem="CrashLoopBackOff", restarts=3)
    >>> fleet = Fleet(Group("v2", 2, 2, crashing), (), replicas=4, surge=1, unavailable=1)
    >>> verdict(make_app(replicas=4), 2, fleet, Progress(), 0)
    'CrashLoopBackOff'
    """
    if app.asked.abort == str(number):
        return status.ABORTED
    if app.spec.rollout.paused or app.spec.rollout.on_failure != "Rollback":
        return ""
    if fleet.course and fleet.course.hindrance and fleet.course.hindrance.phase == "Failed":
        return GATE_FAILED
    if 2 * sum(map(_crashes, fleet.target.pods)) > len(fleet.target.pods):
        return CRASHING
    return status.DEADLINE if status.deadline_left(app, progress, now) == 0 else ""


def reject(app: App, revision: str, number: int, reason: str, said: str, now: float) -> Rejected:
    """What status.rejected is to say; `said`: what the release waited for, with the pods' problems, or what the gate that
    failed has measured.

    >>> from fairlead.rollout.testing import make_app
    >>> made = reject(make_app(digest="v2"), "shop-v2", 2, "ProgressDeadlineExceeded", "2 of 4 updated pods", 0)
    >>> made.message
    'no progress for 600 s, waiting for 2 of 4 updated pods'
    """
    messages = {
        status.ABORTED: f"it was aborted by hand while it waited for {said}",
        CRASHING: f"most of its pods crash again and again; it waited for {said}",
        GATE_FAILED: said,
        status.DEADLINE: f"no progress for {app.spec.rollout.progress_deadline_seconds} s, waiting for {said}",
    }
    message = messages[reason][:MESSAGE_LIMIT]
    round = own_round(app)
    began = round.began_at if round else ""
    return Rejected(app.digest, revision, number, reason, message, timestamp(now), app.asked.retry, began)


def _crashes(pod: Pod) -> bool:
    return pod.problem == CRASHING and pod.restarts >= CRASHES
