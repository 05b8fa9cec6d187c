"""Where a rollout stands, and where many Apps do: what `fairlead status` shows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.core.hashing import template_hash
from fairlead.view import gates
from fairlead.view.awaiting import deadline, goes_back, last_progress, waiting_for
from fairlead.view.inert import one_line
from fairlead.view.model import App, Condition, GateStatus, Problem, Revision
from fairlead.view.rows import Row, rows
from fairlead.view.troubles import AWAITED_ELSEWHERE, FOLLOWING, held_up, troubles
from fairlead.view.verdict import Tone, Verdict, tone_of, verdict

# An operator that runs looks at a change within milliseconds.
UNSEEN_PATIENCE = 15.0  # seconds


class Progress(msgspec.Struct, frozen=True, rename="camel"):
    """Everything `fairlead status NAME` shows, and its JSON."""

    name: str
    namespace: str
    verdict: Verdict
    summary: str
    revision: int | None
    strategy: str
    paused: bool
    desired: int
    ready: int
    updated: int
    available: int
    total: int
    terminating: int
    revisions: tuple[Row, ...]
    problems: tuple[Problem, ...]
    held_up: bool  # a release waits before it begins
    troubles: tuple[Condition, ...]  # conditions that say something is wrong and that no problem says
    gates: tuple[GateStatus, ...] = ()
    waiting_for: str = ""
    waiting_since: float | None = None
    gives_up_at: float | None = None  # when the progress deadline ends
    goes_back: bool = False  # whether the release is taken back then
    taken_back: int | None = (
        None  # the revision whose release was taken back, and whose template still stands in the spec
    )
    notes: tuple[str, ...] = ()
    created: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen without a person: a gate may stop waiting."""
        return self.verdict in ("Done", "Failed")

    @property
    def tone(self) -> Tone:
        return tone_of(self.verdict, self.available)


def progress(app: App, revisions: Sequence[Revision], now: float) -> Progress:
    """The whole picture. `revisions` may be empty where they cannot be read: the App's own counts stand in."""
    ruling = verdict(app)
    since = last_progress(app)
    waiting = waiting_for(app, ruling)
    status = app.status
    return Progress(
        name=app.name,
        namespace=app.metadata.namespace,
        verdict=ruling,
        summary=_summary(app, ruling),
        revision=status.revision,
        strategy=_strategy(app),
        paused=app.spec.rollout.paused,
        desired=app.replicas,
        ready=status.ready_replicas,
        updated=status.updated_replicas,
        available=status.available_replicas,
        total=status.replicas,
        terminating=status.terminating_replicas,
        revisions=rows(app, revisions, ruling),
        problems=tuple(status.problems),
        troubles=tuple(troubles(app)),
        gates=gates.shown(app),
        held_up=held_up(app) is not None,
        waiting_for=waiting,
        waiting_since=since if waiting else None,
        gives_up_at=deadline(app, ruling),
        goes_back=goes_back(app),
        taken_back=app.status.rejected.number if app.status.rejected and app.is_true("RolledBack") else None,
        notes=tuple(_notes(app, ruling, now)),
        created=app.metadata.created,
    )


def _summary(app: App, ruling: Verdict) -> str:
    """The operator's own short text; before it has looked, and where it wrote none, the verdict."""
    if ruling == "Unseen":
        return "Waiting for the operator"
    if ruling == "Deleting":
        return "Deleting"
    words = {"Done": "Ready", "Failed": "Stuck", "Paused": "Paused", "Moving": "Rolling", "Degraded": "Degraded"}
    return one_line(app.status.summary) or f"{words[ruling]} {app.status.updated_replicas}/{app.replicas}"


def _strategy(app: App) -> str:
    rollout = app.spec.rollout
    if rollout.strategy != "Rolling":
        return rollout.strategy
    return f"Rolling, surge {rollout.max_surge}, unavailable {rollout.max_unavailable}"


def _notes(app: App, ruling: Verdict, now: float) -> list[str]:
    notes = []
    if ruling == "Unseen":
        since = last_progress(app)
        if since is not None and now - since > UNSEEN_PATIENCE:
            notes.append("Is the operator running? kubectl get pods -A -l app.kubernetes.io/name=fairlead")
    if app.spec.rollout.paused and ruling == "Done":
        notes.append("Paused: the next change waits until the rollout is resumed.")
    if app.observed:
        notes += [
            one_line(c.message) for c in app.status.conditions if c.status == "False" and c.reason in AWAITED_ELSEWHERE
        ]
    sized = app.condition("Autoscaling")
    if app.observed and sized and sized.reason != "MetricsUnavailable":  # which is a trouble
        notes.append(f"Autoscaling: {one_line(sized.message)}.")
    if right := _requests(app):
        notes.append(f"Resources: {one_line(right)}.")
    if undone(app):
        notes.append("Taken back: the template in the spec is not what runs, until it is changed.")
    return notes


def _requests(app: App) -> str:
    """What containers request by what they use, or, where it is not applied, what they should; "" where nobody asks for it."""
    applied = app.condition("RequestsApplied")
    if applied and (applied.status == "True" or applied.reason == FOLLOWING):  # else it is a trouble
        return applied.message
    return str(((app.status.autoscale or {}).get("resources") or {}).get("message") or "")


def undone(app: App) -> bool:
    """Whether an undo is in force: it was written against the very template that still stands in the spec."""
    undo = app.status.undo
    return bool(
        undo
        and undo.revision  # none where nobody keeps what was asked for
        and undo.rejected
        and app.spec.rollout.undo_to == undo.to
        and undo.rejected == template_hash(app.spec.template)
    )


# ---------------------------------------------------------------- many Apps


class Overview(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the list of Apps."""

    namespace: str
    name: str
    verdict: Verdict
    summary: str
    tone: Tone
    ready: int
    desired: int
    updated: int
    available: int
    revision: int | None
    images: tuple[str, ...]
    problem: str
    created: float | None


def overview(app: App) -> Overview:
    ruling = verdict(app)
    first = app.status.problems[0] if app.status.problems else None
    return Overview(
        namespace=app.metadata.namespace,
        name=app.name,
        verdict=ruling,
        summary=_summary(app, ruling),
        tone=tone_of(ruling, app.status.available_replicas),
        ready=app.status.ready_replicas,
        desired=app.replicas,
        updated=app.status.updated_replicas,
        available=app.status.available_replicas,
        revision=app.status.revision,
        images=tuple(app.images),
        problem=first.reason if first else "",
        created=app.metadata.created,
    )
