"""What becomes of an App's Revisions: made, renumbered, dropped, and what each says of itself. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from fairlead.core.actions import Action, ChildStatus, Create, Delete, Patch
from fairlead.core.conditions import Condition, stamp, timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.rollout import revisions
from fairlead.rollout.fleet import Fleet
from fairlead.rollout.model import Observed, Phase, Rejected, Revision, round_of
from fairlead.rollout.revisions import Target


def keep_revisions(observed: Observed, target: Target, fleet: Fleet, complete: bool) -> list[Action]:
    """Create the wanted Revision, renumber one that is gone back to, and drop what is beyond the history limit once the
    roll is complete (upstream: cleanupDeployment)."""
    app = observed.app
    if target.revision is None:
        body = msgspec.json.encode(revisions.manifest(app, target, observed.pins))
        name = revisions.revision_name(app.name, target.hash)
        return [Create("Revision", app.namespace, name, body, app.uid, alike=target.hash)]
    if revisions.must_renumber(target, observed.revisions):
        number = revisions.next_number(observed.revisions)
        body = msgspec.json.encode({"metadata": {"uid": target.revision.uid}, "spec": {"number": number}})
        return [Patch("Revision", app.namespace, target.revision.name, body)]
    if not complete:
        return []
    before = {revision.hash for revision in observed.revisions if revision.name == round_of(app.status).before}
    in_use = {target.hash, *(pod.revision for pod in observed.pods), *before}
    old = revisions.expired(observed.revisions, app.spec.rollout.revision_history_limit, in_use)
    return [Delete("Revision", app.namespace, revision.name, revision.uid) for revision in old]


def revision_statuses(observed: Observed, target: Target, complete: bool, now: float) -> tuple[ChildStatus, ...]:
    """What differs from what the Revisions say of themselves. When one retired is told at once: the App forgets that it was
    the stable one as soon as the next is, and a status that waits for its turn may come after that."""
    by_hash: dict[str, list[Pod]] = defaultdict(list)
    for pod in observed.pods:
        by_hash[pod.revision].append(pod)
    rejected = target.rejected or revisions.standing_rejection(observed.app, observed.revisions)
    changed = []
    for revision in observed.revisions:
        wanted = revision.hash == target.hash
        phase = phase_of(revision, wanted, complete, rejected)
        wanted_status = of_revision(
            revision, by_hash[revision.hash], observed.app.spec.rollout.min_ready_seconds, phase, now
        )
        retired = retired_at(revision, phase, revision.name == observed.app.status.get("stableRevision"), now)
        if retired or "retiredAt" in revision.status:  # emptied, not dropped: a new process knows not what was written
            wanted_status["retiredAt"] = retired
        # What gates have found there is written by whoever measures, and stays as it is.
        before = {field: value for field, value in revision.status.items() if field != "gates"}
        if wanted_status != before and not revision.deleting:
            changed.append(
                ChildStatus(
                    "Revision", revision.name, wanted_status, urgent=retired != revision.status.get("retiredAt", "")
                )
            )
    return tuple(changed)


def phase_of(revision: Revision, wanted: bool, complete: bool, rejected: Rejected | None) -> Phase:
    """Where a Revision stands. That its release failed is kept until it is tried again, for who reads the history later.

    >>> from fairlead.rollout.testing import make_revision
    >>> bad, rejected = make_revision(hash="v2"), Rejected(revision="shop-v2")
    >>> phase_of(bad, False, True, rejected), phase_of(make_revision(), True, True, rejected)
    ('Failed', 'Active')
    >>> known = make_revision(hash="v2", status={"phase": "Failed"})
    >>> phase_of(known, False, True, None), phase_of(known, True, False, None)
    ('Failed', 'Progressing')
    """
    if wanted:
        return "Active" if complete else "Progressing"
    failed = revision.status.get("phase") == "Failed" or (rejected is not None and rejected.revision == revision.name)
    return "Failed" if failed else "Retired"


def retired_at(revision: Revision, phase: Phase, completed: bool, now: float) -> str:
    """When it gave way to another, after it had been completed (it is the App's stable one then); "" while it runs, and where
    its release never was. It stays known while the revision is gone back to.

    >>> from fairlead.rollout.testing import make_revision
    >>> retired_at(make_revision(), "Retired", True, 60), retired_at(make_revision(), "Retired", False, 60)
    ('1970-01-01T00:01:00Z', '')
    """
    if phase == "Active":
        return ""
    return str(revision.status.get("retiredAt") or (timestamp(now) if phase == "Retired" and completed else ""))


def of_revision(revision: Revision, pods: Sequence[Pod], min_ready_seconds: int, phase: Phase, now: float) -> JSON:
    """A Revision's status: its pods' counts and where it stands."""
    active = [pod for pod in pods if pod.active]
    available = sum(pod.available(min_ready_seconds, now) for pod in active)
    running = phase in ("Active", "Progressing")
    settled = phase == "Active" or (not running and not pods)
    message = f"{len(active)} pods are left" if not running else f"{available} of {len(active)} pods are available"
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
