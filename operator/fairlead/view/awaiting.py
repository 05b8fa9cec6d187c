"""What a rollout waits for, since when, and until when. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON
from fairlead.view.inert import one_line
from fairlead.view.model import App
from fairlead.view.troubles import held_up, without_problems
from fairlead.view.verdict import Verdict


def waiting_for(app: App, ruling: Verdict) -> str:
    """What the rollout waits for: the operator's words, else what the counts say. "" where it waits for nothing."""
    if ruling in ("Done", "Deleting"):
        return ""
    if ruling == "Unseen":
        return "the operator to look at the newest spec"
    told = one_line(app.status.rollout.waiting_for)
    if held := held_up(app):
        return one_line(held.message)
    if app.status.problems:  # which are shown by themselves
        told = without_problems(told)
    return told or waiting_by_counts(app)


def waiting_by_counts(app: App) -> str:
    """The next thing that must happen, by the counts alone.

    >>> from fairlead.view.model import AppSpec, AppStatus, Metadata
    >>> app = App(Metadata(), AppSpec(replicas=6), AppStatus(revision=3, replicas=7, updated_replicas=4, ready_replicas=5))
    >>> waiting_by_counts(app)
    '2 more pods of revision 3 to be created'
    """
    status, desired = app.status, app.replicas
    of = f"revision {status.revision}" if status.revision else "the newest revision"
    missing = desired - status.updated_replicas
    if missing > 0:
        return f"{missing} more {pods(missing)} of {of} to be created"
    unready = desired - status.ready_replicas
    if unready > 0:
        return f"{unready} {pods(unready)} to become ready"
    unavailable = desired - status.available_replicas
    if unavailable > 0:
        return f"{unavailable} {pods(unavailable)} to stay ready for {app.spec.rollout.min_ready_seconds}s"
    old = status.replicas - status.updated_replicas
    if old > 0:
        return f"{old} {pods(old)} of older revisions to go"
    return ""


def pods(count: int) -> str:
    """The noun in the right number."""
    return "pod" if count == 1 else "pods"


def last_progress(app: App) -> float | None:
    """Since when the rollout waits for the same thing."""
    if not app.observed:
        return spec_written(app.metadata.managed_fields) or app.metadata.created
    rollout = app.status.rollout
    known = parse_time(rollout.last_progress_at) or parse_time(rollout.started_at)
    if known is not None:
        return known
    for type in ("Progressing", "Ready"):
        found = app.condition(type)
        if found and found.since is not None:
            return found.since
    return None


def spec_written(managed_fields: Sequence[JSON]) -> float | None:
    """When a person or a tool last wrote to the object (anything but its status), from the server's own books.

    >>> spec_written([{"time": "1970-01-01T00:00:07Z"}, {"time": "1970-01-01T00:00:09Z", "subresource": "status"}])
    7.0
    """
    times = [parse_time(entry.get("time")) for entry in managed_fields if entry.get("subresource") != "status"]
    return max((time for time in times if time is not None), default=None)


def deadline(app: App, ruling: Verdict) -> float | None:
    since = last_progress(app)
    held = bool(app.status.rollout.held_at)  # a step that waits for time or a person cannot be late
    if ruling != "Moving" or since is None or held or not app.is_true("Reconciling"):
        return None
    return since + app.spec.rollout.progress_deadline_seconds


def goes_back(app: App) -> bool:
    """Whether there is something to go back to, and it is not forbidden."""
    status = app.status
    return app.spec.rollout.on_failure == "Rollback" and status.stable_revision not in ("", status.active_revision)
