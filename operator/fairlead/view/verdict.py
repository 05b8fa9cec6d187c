"""What became of an App's newest spec, in one word, and how good or bad that is. Pure."""

from __future__ import annotations

from typing import Literal

from fairlead.view.model import App

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
