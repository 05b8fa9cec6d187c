"""Where a rollout stands: the verdict, a row per revision, what is awaited and since when, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.core.hashing import template_hash
from fairlead.core.meta import JSON
from fairlead.view import gates
from fairlead.view.inert import one_line
from fairlead.view.model import App, Condition, GateStatus, Problem, Revision, counts_of

# Done and Failed end a rollout. Unseen: the operator has not looked at the newest spec. Degraded: the rollout was done, and
# pods have failed since.
Verdict = Literal["Done", "Failed", "Moving", "Degraded", "Paused", "Unseen", "Deleting"]

# How a thing is doing, for whoever picks the colours.
Tone = Literal["good", "busy", "bad", "held", "quiet"]

TONES: dict[Verdict, Tone] = {
    "Done": "good",
    "Failed": "bad",
    "Moving": "busy",
    "Degraded": "held",
    "Paused": "held",
    "Unseen": "busy",
    "Deleting": "quiet",
}

ROLLED_OUT = "NewRevisionAvailable"  # reason of Progressing once a rollout has been completed, until the next begins


def tone_of(ruling: Verdict, available: int) -> Tone:
    """A verdict's tone; pods that failed after the rollout are bad news once none is left."""
    return "bad" if ruling == "Degraded" and available == 0 else TONES[ruling]


# An operator that runs looks at a change within milliseconds.
UNSEEN_PATIENCE = 15.0  # seconds


class Row(msgspec.Struct, frozen=True):
    """One revision that runs pods, or should."""

    number: int
    name: str
    images: tuple[str, ...]
    active: bool
    stable: bool
    state: str  # one or two words: "rolling in", "leaving"
    tone: Tone
    desired: int
    replicas: int
    ready: int
    available: int
    terminating: int
    created: float | None = None

    @property
    def done(self) -> int:
        """What the bar shows of `desired`: ready pods of the active revision, pods that are left of another."""
        return self.ready if self.active else self.replicas

    @property
    def counts(self) -> str:
        """The row's counts in words.

        >>> row = Row(3, "shop-x", (), True, False, "", "busy", desired=6, replicas=5, ready=4, available=3, terminating=0)
        >>> row.counts
        '4/6 ready, 3 available'
        >>> msgspec.structs.replace(row, active=False, desired=0, replicas=2, terminating=1).counts
        '2 left, 1 terminating'
        """
        if self.active:
            parts = [f"{self.ready}/{self.desired} ready"]
            if self.available < self.ready:
                parts.append(f"{self.available} available")
        else:
            parts = [f"{self.replicas} left"] if self.replicas or not self.terminating else []
        if self.terminating:
            parts.append(f"{self.terminating} terminating")
        return ", ".join(parts)


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


def verdict(app: App) -> Verdict:
    """What became of the App's newest spec, from its status alone (kstatus rules, then the counts).

    A verdict about an older spec is none: right after a change the status still speaks of what was before.
    """
    if app.metadata.deleting:
        return "Deleting"
    if not app.observed:
        return "Unseen"
    if app.is_true("Stalled"):
        return "Failed"
    if _complete(app):
        return "Done"
    if app.spec.rollout.paused:
        return "Paused"
    return "Degraded" if _was_complete(app) else "Moving"


def _was_complete(app: App) -> bool:
    """Whether all pods are of the wanted revision, and only some are missing or not well."""
    progressing, status = app.condition("Progressing"), app.status
    rolled = progressing is not None and progressing.status == "True" and progressing.reason == ROLLED_OUT
    return rolled and status.updated_replicas == status.replicas


def _complete(app: App) -> bool:
    ready = app.condition("Ready")
    if app.is_true("Reconciling") or (ready is not None and ready.status != "True"):
        return False
    status, desired = app.status, app.replicas
    return (
        status.updated_replicas >= desired
        and status.replicas <= status.updated_replicas
        and status.available_replicas >= desired
    )


def progress(app: App, revisions: Sequence[Revision], now: float) -> Progress:
    """The whole picture. `revisions` may be empty where they cannot be read: the App's own counts stand in."""
    ruling = verdict(app)
    since = _last_progress(app)
    waiting = _waiting_for(app, ruling)
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
        revisions=_rows(app, revisions, ruling),
        problems=tuple(status.problems),
        troubles=tuple(troubles(app)),
        gates=gates.shown(app),
        held_up=held_up(app) is not None,
        waiting_for=waiting,
        waiting_since=since if waiting else None,
        gives_up_at=_deadline(app, ruling),
        goes_back=_goes_back(app),
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


# ---------------------------------------------------------------- a row per revision


def _rows(app: App, revisions: Sequence[Revision], ruling: Verdict) -> tuple[Row, ...]:
    """The active revision first, then those that still have pods, newest first."""
    counted = [msgspec.structs.replace(r, status=counts_of(app, r)) for r in revisions]
    shown = [
        r for r in counted if r.name == app.status.active_revision or r.status.replicas or r.status.terminating_replicas
    ]
    if not shown:
        return (_row_of_app(app, ruling),) if app.status.observed_generation else ()
    ordered = sorted(shown, key=lambda r: (r.name != app.status.active_revision, -r.number))
    return tuple(_row(app, revision, ruling) for revision in ordered)


def _row(app: App, revision: Revision, ruling: Verdict) -> Row:
    active = revision.name == app.status.active_revision
    state, tone = _active_state(app, ruling) if active else _other_state(app, revision, ruling)
    return Row(
        number=revision.number,
        name=revision.name,
        images=tuple(revision.images),
        active=active,
        stable=revision.name == app.status.stable_revision,
        state=state,
        tone=tone,
        desired=app.replicas if active else 0,
        replicas=revision.status.replicas,
        ready=revision.status.ready_replicas,
        available=revision.status.available_replicas,
        terminating=revision.status.terminating_replicas,
        created=revision.metadata.created,
    )


def _row_of_app(app: App, ruling: Verdict) -> Row:
    state, tone = _active_state(app, ruling)
    status = app.status
    return Row(
        number=status.revision or 0,
        name=status.active_revision,
        images=tuple(app.images),
        active=True,
        stable=status.active_revision == status.stable_revision,
        state=state,
        tone=tone,
        desired=app.replicas,
        replicas=status.updated_replicas,
        ready=min(status.ready_replicas, status.updated_replicas),
        available=min(status.available_replicas, status.updated_replicas),
        terminating=status.terminating_replicas,
    )


def _active_state(app: App, ruling: Verdict) -> tuple[str, Tone]:
    if ruling == "Done" and app.replicas == 0:
        return "no pods wanted", "quiet"
    if app.is_true("RolledBack"):
        return "brought back", "held"
    if ruling == "Moving" and _beside(app):
        return ("has the traffic" if app.status.rollout.weight == 100 else "preview"), tone_of(ruling, 1)
    words: dict[Verdict, str] = {
        "Done": "running",
        "Failed": "stuck",
        "Moving": "rolling in",
        "Degraded": "running",
        "Paused": "paused",
        "Unseen": "",
        "Deleting": "leaving",
    }
    return words[ruling], tone_of(ruling, app.status.available_replicas)


def _other_state(app: App, revision: Revision, ruling: Verdict) -> tuple[str, Tone]:
    if revision.status.replicas == 0:
        return "leaving", "quiet"
    if ruling == "Moving" and _beside(app):
        return ("kept" if app.status.rollout.weight == 100 else "has the traffic"), "held"
    if ruling == "Failed" and not app.is_true("RolledBack"):
        return "still serving" if revision.status.ready_replicas else "not ready", "held"
    return ("held", "held") if ruling == "Paused" else ("leaving", "quiet")


def _beside(app: App) -> bool:
    """Two revisions stand beside each other, and one of them has the traffic."""
    return app.spec.rollout.strategy == "BlueGreen" and app.status.rollout.steps > 0


# ---------------------------------------------------------------- what is awaited


def _waiting_for(app: App, ruling: Verdict) -> str:
    """What the rollout waits for: the operator's words, else what the counts say. "" where it waits for nothing."""
    if ruling in ("Done", "Deleting"):
        return ""
    if ruling == "Unseen":
        return "the operator to look at the newest spec"
    told = one_line(app.status.rollout.waiting_for)
    if held := held_up(app):
        return one_line(held.message)
    if app.status.problems:  # which are shown by themselves
        told = _PROBLEMS_IN_WORDS.split(told)[0]
    return told or waiting_by_counts(app)


# How the operator ends a sentence with the problems: ": 2 × ImagePullBackOff (…)".
_PROBLEMS_IN_WORDS = re.compile(r": \d+ × ")


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


def _last_progress(app: App) -> float | None:
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


def _deadline(app: App, ruling: Verdict) -> float | None:
    since = _last_progress(app)
    held = bool(app.status.rollout.held_at)  # a step that waits for time or a person cannot be late
    if ruling != "Moving" or since is None or held or not app.is_true("Reconciling"):
        return None
    return since + app.spec.rollout.progress_deadline_seconds


def _goes_back(app: App) -> bool:
    """Whether there is something to go back to, and it is not forbidden."""
    status = app.status
    return app.spec.rollout.on_failure == "Rollback" and status.stable_revision not in ("", status.active_revision)


# ---------------------------------------------------------------- what is wrong


_BEFORE_A_RELEASE = ("Config", "InOrder")  # False while a release cannot even begin
_GOOD_WHEN_TRUE = (
    "Accepted",
    "Exposed",
    "Gates",
    "PreviewExposed",
    "Routed",
    "Disruption",
    "Autoscaling",
    "RequestsApplied",
    *_BEFORE_A_RELEASE,
)
_BAD_WHEN_TRUE = ("ReplicaFailure", "RolledBack", "Stalled")
# Reasons of a condition that is False for now, and no one's fault.
_AWAITED_ELSEWHERE = ("LoadBalancerPending", "GatewayPending")
_AS_WISHED = ("Stopped", "Held", "TakenAway")  # a size that a person has set
_FOLLOWING = "Following"  # pods come to request what is recommended
_PENDING = ("Creating", *_AWAITED_ELSEWHERE, *_AS_WISHED, _FOLLOWING)


def troubles(app: App) -> list[Condition]:
    """Conditions a person must read: those of the newest spec that are bad, and that `problems` does not say already."""
    if not app.observed:
        return []
    told = {problem.reason for problem in app.status.problems}
    found = [_without_problems(c, app) for c in app.status.conditions if _is_trouble(c) and c.reason not in told]
    unique: dict[str, Condition] = {}
    for condition in sorted(found, key=lambda c: c.type == "Stalled"):  # which only repeats another one
        unique.setdefault(condition.message or condition.reason, condition)
    return list(unique.values())


def held_up(app: App) -> Condition | None:
    """What the next release waits for before it begins: a ConfigMap that is missing, or another App.

    >>> from fairlead.view.model import AppSpec, AppStatus, Metadata
    >>> said = [Condition("Config", "False", "ConfigMapMissing", "there is no ConfigMap settings")]
    >>> held_up(App(Metadata(generation=1), AppSpec(), AppStatus(observed_generation=1, conditions=said))).reason
    'ConfigMapMissing'
    """
    if not app.observed:
        return None
    return next((c for c in app.status.conditions if c.type in _BEFORE_A_RELEASE and c.status == "False"), None)


def _without_problems(condition: Condition, app: App) -> Condition:
    """The condition without the problems at its message's end, where those are shown by themselves."""
    if not app.status.problems:
        return condition
    return msgspec.structs.replace(condition, message=_PROBLEMS_IN_WORDS.split(condition.message)[0])


def _is_trouble(condition: Condition) -> bool:
    if condition.type in _BAD_WHEN_TRUE:
        return condition.status == "True"
    return condition.type in _GOOD_WHEN_TRUE and condition.status == "False" and condition.reason not in _PENDING


def _notes(app: App, ruling: Verdict, now: float) -> list[str]:
    notes = []
    if ruling == "Unseen":
        since = _last_progress(app)
        if since is not None and now - since > UNSEEN_PATIENCE:
            notes.append("Is the operator running? kubectl get pods -A -l app.kubernetes.io/name=fairlead")
    if app.spec.rollout.paused and ruling == "Done":
        notes.append("Paused: the next change waits until the rollout is resumed.")
    if app.observed:
        notes += [
            one_line(c.message) for c in app.status.conditions if c.status == "False" and c.reason in _AWAITED_ELSEWHERE
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
    if applied and (applied.status == "True" or applied.reason == _FOLLOWING):  # else it is a trouble
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
