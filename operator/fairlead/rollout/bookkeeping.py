"""What becomes of an App's Revisions: made, renumbered, dropped, and what each says of itself. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from fairlead.core.actions import Action, Create, Delete, Patch
from fairlead.core.conditions import Condition, stamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.rollout import revisions
from fairlead.rollout.fleet import Fleet
from fairlead.rollout.model import Observed, Phase, Revision
from fairlead.rollout.revisions import Target


def keep_revisions(observed: Observed, target: Target, fleet: Fleet, complete: bool) -> list[Action]:
    """Create the wanted Revision, renumber one that is gone back to, and drop what is beyond the history limit once the
    roll is complete (upstream: cleanupDeployment)."""
    app = observed.app
    if target.revision is None:
        body = msgspec.json.encode(revisions.manifest(app, target, observed.pins))
        return [Create("Revision", app.namespace, revisions.revision_name(app.name, target.hash), body, app.uid)]
    if revisions.must_renumber(target, observed.revisions):
        number = revisions.next_number(observed.revisions)
        body = msgspec.json.encode({"metadata": {"uid": target.revision.uid}, "spec": {"number": number}})
        return [Patch("Revision", app.namespace, target.revision.name, body)]
    if not complete:
        return []
    in_use = {target.hash, *(pod.revision for pod in observed.pods)}
    old = revisions.expired(observed.revisions, app.spec.rollout.revision_history_limit, in_use)
    return [Delete("Revision", app.namespace, revision.name, revision.uid) for revision in old]


def revision_statuses(
    observed: Observed, target: Target, complete: bool, now: float
) -> tuple[tuple[str, str, JSON], ...]:
    by_hash: dict[str, list[Pod]] = defaultdict(list)
    for pod in observed.pods:
        by_hash[pod.revision].append(pod)
    changed = []
    for revision in observed.revisions:
        wanted = revision.hash == target.hash
        phase: Phase = "Retired" if not wanted else "Active" if complete else "Progressing"
        wanted_status = of_revision(
            revision, by_hash[revision.hash], observed.app.spec.rollout.min_ready_seconds, phase, now
        )
        if wanted_status != revision.status and not revision.deleting:
            changed.append(("Revision", revision.name, wanted_status))
    return tuple(changed)


def of_revision(revision: Revision, pods: Sequence[Pod], min_ready_seconds: int, phase: Phase, now: float) -> JSON:
    """A Revision's status: its pods' counts and where it stands (Progressing, Active, Retired)."""
    active = [pod for pod in pods if pod.active]
    available = sum(pod.available(min_ready_seconds, now) for pod in active)
    settled = phase == "Active" or (phase == "Retired" and not pods)
    message = (
        f"{len(active)} pods are left" if phase == "Retired" else f"{available} of {len(active)} pods are available"
    )
    condition = Condition("Ready", "True" if settled else "False", phase, message)
    return {
        "observedGeneration": revision.generation,
        "phase": phase,
        "replicas": len(active),
        "readyReplicas": sum(pod.ready for pod in active),
        "availableReplicas": available,
        "terminatingReplicas": sum(pod.deleting is not None for pod in pods),
        "conditions": stamp([condition], revision.status.get("conditions") or (), revision.generation, now),
    }
