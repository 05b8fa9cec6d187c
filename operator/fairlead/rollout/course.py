"""The steps of a release, and where it stands among them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.rollout import blue_green
from fairlead.rollout.fleet import Course
from fairlead.rollout.judging import cleared, hindrance, moment_of, with_gates, words_of
from fairlead.rollout.model import App, Revision, Rollout, Step, progress_of
from fairlead.rollout.revisions import Target, name_of


def course_of(app: App, target: Target, kept: Sequence[Revision], now: float) -> Course | None:
    """Where the release stands among spec.rollout.steps; None where none apply: a first release has nothing to be
    compared with, a way back must not wait, and where there are to be no pods nothing can be judged.

    >>> from fairlead.rollout.model import Asked, Step
    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> v1, v2 = make_revision(), make_revision(number=2, hash="v2")
    >>> steps = (Step(weight=10), Step(weight=50))
    >>> status = {"stableRevision": "shop-v1", "activeRevision": "shop-v2", "rollout": {"step": 1}}
    >>> app = make_app(steps=steps, status=status, asked=Asked(promote="2/2"))
    >>> found = course_of(app, Target("v2", 2, v2), (v1, v2), 0)
    >>> found.passed, found.promoted
    (1, 2)
    >>> course_of(app, Target("v1", 1, v1), (v1, v2), 0) is None
    True
    """
    steps, name = steps_of(app.spec.rollout), name_of(app, target)
    stable = next((r for r in kept if r.name == app.status.get("stableRevision") and not r.deleting), None)
    if (
        not app.replicas
        or target.undo
        or target.rejected
        or stable is None
        or stable.name == name
        or fast(app, target, now)
    ):
        return None
    judged = bool(app.spec.rollout.gates) or any(step.gate for step in steps)
    if not steps and not judged:
        return None
    promoted = promoted_steps(app.asked.promote, target.number, len(steps))
    if promoted is None:
        return Course(steps, passed=len(steps))
    if app.status.get("activeRevision") != name:
        return Course(steps, promoted=promoted, since=now, now=now, judged_by=judged)
    progress = progress_of(app.status)
    since = parse_time(progress.step_at)
    passed, held = min(progress.step, len(steps)), bool(progress.held_at)
    course = Course(steps, passed, promoted, now if since is None else since, now, held, judged)
    return _judged(app, target, course) if judged else course


def _judged(app: App, target: Target, course: Course) -> Course:
    """The course with what is known of its gates by now."""
    moment = moment_of(course)
    names = app.spec.rollout.judged_at(moment)
    promoted = course.promoted > course.passed  # a person has said what these gates could not
    return msgspec.structs.replace(
        course,
        cleared=cleared(app, target, names, moment),
        hindrance=hindrance(app, target, "" if promoted else moment),
        gates=words_of(app, target, names, moment),
    )


def fast(app: App, target: Target, now: float) -> bool:
    """The template is that of a completed revision that ran until less than rollout.fastUndoSeconds ago: there is nothing
    to learn from steps and gates that was not known then, and whoever goes back is in a hurry.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> before = Target("v1", 1, make_revision(status={"retiredAt": "1970-01-01T00:10:00Z"}))
    >>> fast(make_app(fast_undo_seconds=300), before, 800), fast(make_app(fast_undo_seconds=300), before, 1000)
    (True, False)
    """
    window, revision = app.spec.rollout.fast_undo_seconds, target.revision
    retired = parse_time(revision.status.get("retiredAt")) if revision else None
    if not window or revision is None or retired is None:
        return False
    under_way = app.status.get("activeRevision") == revision.name
    began = parse_time(progress_of(app.status).started_at) if under_way else None
    return (now if began is None else began) - retired <= window


def steps_of(rollout: Rollout) -> tuple[Step, ...]:
    """The way of a release: what a Canary's author wrote, or the four steps of every BlueGreen, and where gates are judged."""
    own = blue_green.steps(rollout.blue_green) if rollout.strategy == "BlueGreen" else rollout.steps
    return with_gates(rollout, own)


def promoted_steps(asked: str, number: int, steps: int) -> int | None:
    """How many steps the annotation lets this revision pass without waiting; None: all of them, at once.

    >>> promoted_steps("4/2", 4, 5), promoted_steps("4", 4, 5), promoted_steps("3", 4, 5), promoted_steps("4/x", 4, 5)
    (2, None, 0, 0)
    """
    revision, slash, step = asked.partition("/")
    if revision != str(number):
        return 0
    if not slash:
        return None
    return min(int(step), steps) if step.isdecimal() else 0
