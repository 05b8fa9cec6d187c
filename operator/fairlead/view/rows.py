"""A row for each revision that runs pods, or should. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.view.model import App, Revision, counted
from fairlead.view.verdict import Tone, Verdict, tone_of


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


def rows(app: App, revisions: Sequence[Revision], ruling: Verdict) -> tuple[Row, ...]:
    """The active revision first, then those that still have pods, newest first."""
    shown = [
        r
        for r in counted(app, revisions)
        if r.name == app.status.active_revision or r.status.replicas or r.status.terminating_replicas
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
