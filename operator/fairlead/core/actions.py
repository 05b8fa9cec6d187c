"""What a plan may ask for: a closed set of writes, as data.

A plan never writes. It returns these values; `engine.execute` carries them out with preconditions, budgets and
expectations. Everything the API server must check before it obeys (uid, resourceVersion) is part of the action.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fairlead.core.meta import JSON, Key


class Create(msgspec.Struct, frozen=True):
    """Create one object. `body` is the encoded object, its name already in it; `name` is what expectations wait for.

    AlreadyExists is resolved by a live read: the same controlling owner's uid (`owner_uid`) means it is done. Without an owner
    the name alone says what the object is (a key's id), and whoever was first has done it. `purpose`: of one that is none of
    many alike, as an App's pods are; then a refusal of it says nothing of the others. `alike`: which of those that are alike it is
    one of, as the pods of one revision: a refusal of one is a refusal of all of these, and says nothing of another revision's. Of another object: which pods are
    made from it, and not without it; "": all.
    """

    kind: str
    namespace: str
    name: str
    body: bytes
    owner_uid: str = ""
    purpose: str = ""
    alike: str = ""


class Apply(msgspec.Struct, frozen=True):
    """Server-side apply of the fields we own. `owner_uid`: refuse (NotOwned) when the live object exists under another owner.
    `known_as`: what the store calls it, where its kind is looked at in a second way (`Source.known_as`)."""

    kind: str
    namespace: str
    name: str
    body: bytes
    owner_uid: str = ""
    known_as: str = ""


class Patch(msgspec.Struct, frozen=True):
    """A merge patch: JSON's, or a strategic one (built-in kinds only), which changes single items of lists that have keys.
    Put `metadata.uid` (and `metadata.resourceVersion`) in the body for preconditions."""

    kind: str
    namespace: str
    name: str
    body: bytes
    subresource: str = ""
    type: Literal["merge", "strategic"] = "merge"


class Delete(msgspec.Struct, frozen=True):
    """Delete one object, only if it still is the one that was looked at (uid). `known_as`: as of an `Apply`. `room_for`: what it goes
    for, by the name or the `alike` of a `Try`: as long as that cannot be had, it stays."""

    kind: str
    namespace: str
    name: str
    uid: str
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background"
    known_as: str = ""
    room_for: str = ""


class Try(msgspec.Struct, frozen=True):
    """Ask whether the API server would take an object; nothing is made (a dry run). Where it would not, nothing is deleted for it
    either (`Delete.room_for`): what stands is not taken away for what cannot take its place. The refusal is kept as that of a create.
    `name`: of what is to be made; the body has no name where that one is still taken. `alike`: as of a `Create`."""

    kind: str
    namespace: str
    name: str
    body: bytes
    alike: str = ""


class Adopt(msgspec.Struct, frozen=True):
    """Make an orphan ours: the executor reads the owner live first (same uid, not being deleted; upstream: PodControllerRefManager)."""

    kind: str
    namespace: str
    name: str
    uid: str
    owner_kind: str
    owner_name: str
    owner_uid: str


class Release(msgspec.Struct, frozen=True):
    """Drop our owner reference from an object whose labels no longer match."""

    kind: str
    namespace: str
    name: str
    uid: str
    owner_uid: str


Action = Create | Apply | Patch | Delete | Try | Adopt | Release


class Read(msgspec.Struct, frozen=True):
    """Look at one object in full, of a kind that is watched by its metadata alone: it has come to this resourceVersion."""

    kind: str
    namespace: str
    name: str
    rv: int


class Errand(msgspec.Struct, frozen=True):
    """Work that takes its time and must hold nobody up, such as a measurement: it is done apart, and its answer is written
    to the status of one object, from where the watch brings it back. One at a time for each `slot`, and a bounded number
    at a time of each kind. Without a `name` nothing is written: the messenger keeps the answer, for the next plan."""

    kind: str
    namespace: str
    name: str
    uid: str
    slot: tuple[str, ...]
    task: Any


class ChildStatus(msgspec.Struct, frozen=True):
    """The whole status of a child whose status we own (Revision). `urgent`: it holds what is known only now, and must stand
    before the next step is decided; all else waits for its turn."""

    kind: str
    name: str
    status: JSON
    urgent: bool = False


class Event(msgspec.Struct, frozen=True):
    """One line of an object's history, for `kubectl describe`; aggregated by the recorder."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Failure(msgspec.Struct, frozen=True):
    """A refused write, kept for the next plan so that the status can say it: verb, resource, code and the server's words.

    `since` is when this same refusal was first met (epoch seconds), `count` how often in a row. `alone`: it says something of this
    object, and nothing of others like it. `alike`: of which ones it says the same (`Create.alike`).
    """

    verb: str
    kind: str
    name: str
    code: int
    reason: str
    message: str
    since: float
    count: int = 1
    alone: bool = False
    alike: str = ""


def refused_with(failures: tuple[Failure, ...], kind: str, name: str = "") -> tuple[str, str] | None:
    """(reason, the server's words) of a refused write of this kind, and of this name where one is said; None for none.

    >>> refused_with((Failure("apply", "Service", "shop", 403, "Forbidden", "no", 0),), "Service", "shop")
    ('Forbidden', 'no')
    """
    found = (f for f in failures if f.kind == kind and name in ("", f.name))
    return next(((f.reason, f.message) for f in found), None)


def out_of_quota(message: str) -> bool:
    """Whether a refusal is a quota's (upstream: the ResourceQuota admission; a 403 like others, told by its words alone).

    >>> out_of_quota('pods "x" is forbidden: exceeded quota: small, requested: pods=1')
    True
    """
    return "exceeded quota" in message.lower()


# What must be read live before the plan's deletions are carried out (engine rule 6):
#   "owner"    the parent itself: same uid, same generation (a scale to zero needs no more);
#   "children" the parent's pods too: the view they were ranked by may be stale.
Confirm = Literal["", "owner", "children"]


class Plan(msgspec.Struct, frozen=True):
    """One reconcile's decision. `status` is the whole status of the parent (None: leave it alone)."""

    actions: tuple[Action, ...] = ()
    status: JSON | None = None
    statuses: tuple[ChildStatus, ...] = ()
    events: tuple[Event, ...] = ()
    errands: tuple[Errand, ...] = ()
    requeue_after: float | None = None  # seconds
    confirm: Confirm = ""
    # The status holds a decision (how many pods each revision is to have) that the actions on pods follow from: it must
    # be stored before them, so that an operator that dies in between goes on from the decision, not from half its effect.
    status_first: bool = False
    # What has to be read before this can be decided as it should be; what is known of it already was used.
    reads: tuple[Read, ...] = ()


def merge_requeue(*delays: float | None) -> float | None:
    """The soonest of several wishes to be called again.

    >>> merge_requeue(None, 30, 5), merge_requeue(None)
    (5, None)
    """
    wishes = [delay for delay in delays if delay is not None]
    return min(wishes) if wishes else None


__all__ = [
    "Action",
    "Adopt",
    "Apply",
    "ChildStatus",
    "Confirm",
    "Create",
    "Delete",
    "Errand",
    "Event",
    "Failure",
    "Key",
    "Patch",
    "Plan",
    "Read",
    "Release",
    "merge_requeue",
    "refused_with",
]
