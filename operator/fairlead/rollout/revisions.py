"""Which revision is wanted, how a new one is named and numbered, and which are old enough to go. Pure.

Upstream: kubernetes pkg/controller/deployment/sync.go (getNewReplicaSet, cleanupDeployment), kubectl rollout undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fairlead.config.model import Pin
from fairlead.core.meta import API_VERSION, JSON, LABEL_APP, LABEL_REVISION, MANAGED_BY, owner_reference, truncate
from fairlead.rollout.model import App, Rejected, Revision, Undo, rejected_of, undo_of


class Target(msgspec.Struct, frozen=True):
    """What should run. `revision` None: it has to be created under `hash`. `missing` is the undo number nobody keeps,
    `blocked` the revision that was asked for and cannot run, for copies of its configuration are gone."""

    hash: str
    number: int
    revision: Revision | None
    undo: Undo | None = None
    missing: int = 0
    blocked: Revision | None = None
    waiting: bool = False  # a release is held back until other Apps are done
    rejected: Rejected | None = None  # the release that this is the way back from


def choose(app: App, revisions: Sequence[Revision]) -> Target | None:
    """The revision to run, or None where nothing may start (a paused App that never ran).

    - undoTo names a kept revision: that one, as long as the template is the one undoTo was written against; a newer
      template spends the undo (asked for by people who fix forward with `kubectl apply`).
    - paused: what runs now goes on; a changed template waits (upstream: no new ReplicaSet while paused).
    - the template was taken back: the last revision that was completed.
    - nobody knows yet what the configuration comes to (a ConfigMap is missing): what runs now goes on.
    - else the oldest kept revision that means the same as the template, else a new one.
    """
    undo = standing_undo(app)
    if undo:
        revision = _meant(undo, revisions)
        if revision is None:  # nothing is touched: what ran goes on
            running = active(app, revisions)
            return _of(running, undo, missing=undo.to) if running else None
        if revision.lost and revision.name != app.status.get("activeRevision"):
            running = active(app, revisions)
            return msgspec.structs.replace(_of(running, undo), blocked=revision) if running else None
        if not app.spec.rollout.paused:
            return _of(revision, msgspec.structs.replace(undo, revision=revision.name))
    if app.spec.rollout.paused:
        running = active(app, revisions)
        return _of(running, undo) if running else None
    rejected = standing_rejection(app, revisions)
    if rejected and (back := way_back(app, revisions, rejected)):
        return back
    if not app.digest:
        running = active(app, revisions)
        return _of(running, undo) if running else None
    same = sorted(
        (r for r in revisions if r.digest == app.digest and not r.deleting), key=lambda r: (r.created, r.name)
    )
    if same:
        return _of(same[0], None)
    return Target(hash=free_hash(app, revisions), number=next_number(revisions), revision=None)


def standing_undo(app: App) -> Undo | None:
    """The undo in force: a newly written undoTo rejects the template of now; a known one holds while that template stands.

    >>> from fairlead.rollout.testing import make_app
    >>> standing_undo(make_app(undo_to=2, digest="bad"))
    Undo(to=2, rejected='bad', revision='')
    >>> standing_undo(make_app(undo_to=2, digest="fixed", status={"undo": {"to": 2, "rejected": "bad"}})) is None
    True
    """
    wanted = app.spec.rollout.undo_to
    if not wanted:
        return None
    known = undo_of(app.status)
    if known.to != wanted:
        return Undo(to=wanted, rejected=app.digest)
    if not known.rejected:  # what it was written against was not known then: it is what is known first
        return msgspec.structs.replace(known, rejected=app.digest)
    return known if app.digest in (known.rejected, "") else None


def standing_rejection(app: App, revisions: Sequence[Revision]) -> Rejected | None:
    """The rejection in force: of this very template (by its Revision too, should another version of Fairlead compute
    another digest), as long as no retry has been asked for since.

    >>> from fairlead.rollout.testing import make_app
    >>> status = {"rejected": {"digest": "v2", "revision": "shop-v2", "number": 2}}
    >>> standing_rejection(make_app(digest="v2", status=status), ()).number
    2
    >>> standing_rejection(make_app(digest="v3", status=status), ()) is None
    True
    """
    known = rejected_of(app.status)
    if not known.digest or known.retry != app.asked.retry:
        return None
    same = {known.digest, *(r.digest for r in revisions if r.name == known.revision)}
    return known if app.digest in same or not app.digest else None


def way_back(app: App, revisions: Sequence[Revision], rejected: Rejected) -> Target | None:
    """To the last revision that was completed; None where none is kept, or it is the one that failed."""
    name = app.status.get("stableRevision")
    stable = next((r for r in revisions if r.name == name and not r.deleting), None)
    if stable is None or stable.name == rejected.revision:
        return None
    return msgspec.structs.replace(_of(stable, None), rejected=rejected)


def recorded_undo(app: App, target: Target) -> Undo | None:
    """What status.undo must say: a spent undo is remembered as long as undoTo stands, or it would come back to life. So
    is one that nobody can obey: a newer template is to run all the same.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> app = make_app(undo_to=7, digest="v2", status={"activeRevision": "shop-v1"})
    >>> target = choose(app, [make_revision()])
    >>> target.missing, recorded_undo(app, target)
    (7, Undo(to=7, rejected='v2', revision=''))
    """
    if not app.spec.rollout.undo_to:
        return None
    if target.undo:
        return target.undo
    known = undo_of(app.status)
    return known if known.to == app.spec.rollout.undo_to else None


def next_number(revisions: Iterable[Revision]) -> int:
    """One more than any kept revision has (upstream: MaxRevision + 1).

    >>> next_number(())
    1
    """
    return max((r.number for r in revisions), default=0) + 1


def must_renumber(target: Target, revisions: Sequence[Revision]) -> bool:
    """A revision that is gone back to becomes the newest again, so that `history` reads in order of what ran."""
    return target.revision is not None and any(r.number > target.revision.number for r in revisions if not r.deleting)


def free_hash(app: App, revisions: Iterable[Revision]) -> str:
    """The template's digest, made longer where another template already goes by that name (upstream: collisionCount)."""
    taken = {r.hash for r in revisions}
    hash, round = app.digest, 0
    while hash in taken:
        round += 1
        hash = f"{app.digest}{round}"
    return hash


def revision_name(app: str, hash: str) -> str:
    """`<app>-<hash>`, the app's name cut where pods' names would not fit a DNS label any more.

    >>> revision_name("shop", "x7k2b9f4dq")
    'shop-x7k2b9f4dq'
    >>> len(revision_name("a" * 63, "x7k2b9f4dq"))
    57
    """
    return f"{truncate(app, 57 - 1 - len(hash))}-{hash}"


def name_of(app: App, target: Target) -> str:
    """The name of the target's Revision, also before it is made."""
    return target.revision.name if target.revision else revision_name(app.name, target.hash)


def manifest(app: App, target: Target, pins: Sequence[Pin]) -> JSON:
    """The Revision object for a template, with its configuration, that runs for the first time."""
    template = msgspec.json.decode(app.spec.template)
    config = {"config": msgspec.to_builtins(pins)} if pins else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "Revision",
        "metadata": {
            "name": revision_name(app.name, target.hash),
            "namespace": app.namespace,
            "labels": {
                LABEL_APP: app.name,
                LABEL_REVISION: target.hash,
                "app.kubernetes.io/name": app.name,
                "app.kubernetes.io/instance": app.name,
                "app.kubernetes.io/managed-by": MANAGED_BY,
            },
            "ownerReferences": [owner_reference("App", app.name, app.uid)],
        },
        "spec": {
            "app": app.name,
            "number": target.number,
            "templateHash": target.hash,
            "template": template,
            "images": images(template),
            "cause": app.cause[:1024],
            "createdBy": app.manager[:128],
            **config,
        },
    }


def images(template: JSON) -> list[str]:
    """The images of a template, init containers first, each once.

    >>> images({"spec": {"containers": [{"image": "shop:2"}, {"image": "log:1"}, {"image": "shop:2"}]}})
    ['shop:2', 'log:1']
    """
    spec: dict[str, Any] = template.get("spec") or {}
    found = [c.get("image", "") for field in ("initContainers", "containers") for c in spec.get(field) or ()]
    return list(dict.fromkeys(image for image in found if image))


def expired(revisions: Sequence[Revision], limit: int, in_use: set[str]) -> list[Revision]:
    """Kept revisions beyond the history limit, lowest number first; never one whose hash is in use.

    >>> from fairlead.rollout.testing import make_revision
    >>> kept = [make_revision(number=n, hash=f"h{n}") for n in (3, 1, 2)]
    >>> [r.number for r in expired(kept, 1, in_use={"h3"})]
    [1]
    """
    old = sorted((r for r in revisions if r.hash not in in_use and not r.deleting), key=lambda r: (r.number, r.name))
    return old[: max(0, len(old) - limit)]


def active(app: App, revisions: Sequence[Revision]) -> Revision | None:
    """The revision that is run or rolled to, by the status."""
    name = app.status.get("activeRevision")
    return next((r for r in revisions if r.name == name and not r.deleting), None)


def _meant(undo: Undo, revisions: Sequence[Revision]) -> Revision | None:
    kept = [r for r in revisions if not r.deleting]
    if undo.revision:
        return next((r for r in kept if r.name == undo.revision), None)
    return next((r for r in kept if r.number == undo.to), None)


def _of(revision: Revision, undo: Undo | None, missing: int = 0) -> Target:
    return Target(revision.hash, revision.number, revision, undo, missing)
