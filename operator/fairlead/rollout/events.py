"""What is told of an App as Events, for `kubectl describe`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.core.actions import Event
from fairlead.core.conditions import find
from fairlead.rollout import problems, revisions, status
from fairlead.rollout.fleet import Fleet
from fairlead.rollout.model import Observed, progress_of
from fairlead.rollout.revisions import Target
from fairlead.rollout.status import Counts


def happened(
    observed: Observed, target: Target, fleet: Fleet, counts: Counts, found: Sequence[problems.Problem], complete: bool
) -> list[Event]:
    """What happened since the last status, for `kubectl describe`."""
    app = observed.app
    before = app.status
    name = revisions.name_of(app, target)
    said = []
    if target.rejected and before.get("activeRevision") == target.rejected.revision:
        failed = target.rejected
        words = f"Revision {failed.number} ({failed.revision}) is taken back: {failed.message}"
        said.append(Event("Warning", "RolledBack", words))
    if before.get("activeRevision") != name:
        template = target.revision.template if target.revision else app.spec.template
        images = ", ".join(revisions.images(msgspec.json.decode(template)))
        back = target.undo or target.rejected
        verb = f"Going back to revision {target.number}" if back else f"Rolling out revision {target.number}"
        said.append(Event("Normal", "RolloutStarted", f"{verb} ({name}): {images}"))
    desired = progress_of(before).desired
    autoscaled = app.spec.autoscale is not None and app.spec.replicas  # which says more of it
    if desired is not None and desired != app.replicas and not autoscaled:
        said.append(Event("Normal", "Scaled", f"Scaled from {desired} to {app.replicas} pods"))
    if complete and before.get("stableRevision") != name:
        said.append(
            Event(
                "Normal",
                "RolloutComplete",
                f"Revision {target.number} ({name}) runs on {app.replicas} of {app.replicas} pods",
            )
        )
    progressing = find(before.get("conditions") or (), "Progressing") or {}
    known = {(p.get("reason"), p.get("container"), p.get("revision")) for p in before.get("problems") or ()}
    said += [
        Event("Warning", problem.reason, problems.in_words([problem]))
        for problem in found
        if (problem.reason, problem.container or None, problem.revision or None) not in known
    ]
    if progressing.get("reason") == status.DEADLINE and counts.complete(app.replicas):
        said.append(Event("Normal", "Recovered", "the roll went on and is complete"))
    return said
