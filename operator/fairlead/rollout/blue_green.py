"""The four steps of every BlueGreen release, and how they are told. Pure."""

from __future__ import annotations

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.rollout.fleet import Course, Group
from fairlead.rollout.model import BlueGreen, Pause, Scale, Step


def steps(how: BlueGreen) -> tuple[Step, Step, Step, Step]:
    """A preview beside what serves, a wait, the switch, and a while in which the way back needs no new pods.

    >>> [step.pause for step in steps(BlueGreen(auto_promote=False))]
    [None, Pause(seconds=None), None, Pause(seconds=30)]
    """
    shown = how.preview_replicas
    capacity = Scale(percent=100) if shown is None else Scale(replicas=shown)
    wait = Pause(how.auto_promote_seconds) if how.auto_promote or how.auto_promote_seconds else Pause()
    return Step(scale=capacity), Step(pause=wait), Step(weight=100), Step(pause=Pause(how.scale_down_delay_seconds))


def held(course: Course, target: Group) -> str:
    """What a release waits for whose pods are all as its step wants them; the moment, not the seconds left.

    >>> held(Course(steps(BlueGreen()), passed=3, since=0, held=True), Group("v2", 2, 4, available=4))
    'revision 2 has all the traffic; the pods it came from are kept until 1970-01-01T00:00:30Z'
    >>> held(Course(steps(BlueGreen(auto_promote=False)), passed=1, held=True), Group("v2", 2, 4, available=4))
    'the preview of revision 2 to be promoted, 4 pods are available: `fairlead promote`'
    """
    pause = course.current.pause if course.current else None
    until = None if pause is None or pause.seconds is None else timestamp(course.since + pause.seconds)
    if course.weight == 100:
        return f"revision {target.number} has all the traffic; the pods it came from are kept until {until}"
    shown = f"the preview of revision {target.number}"
    if until is None:
        return f"{shown} to be promoted, {target.available} pods are available: `fairlead promote`"
    return f"{shown}, which gets the traffic at {until}: {target.available} pods are available"


def summary(rollout: JSON, replicas: int, tail: str) -> str:
    """The STATUS column: where it stands, and what is wrong, if anything (`tail`).

    >>> summary({"weight": 0, "available": 4, "heldAt": "2026-11-21T10:00:00Z"}, 4, "")
    'Preview 4/4: waiting'
    >>> summary({"weight": 100, "share": 100, "available": 3}, 4, ": CrashLoopBackOff")
    'Switched 3/4: CrashLoopBackOff'
    """
    shown, whole = rollout.get("weight") != 100, rollout.get("share") == 100
    stage = "Preview" if shown else "Switched" if whole else "Switching"
    waiting = ": waiting" if rollout.get("heldAt") and shown else tail
    return f"{stage} {rollout.get('available', 0)}/{replicas}{waiting}"
