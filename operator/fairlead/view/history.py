"""An App's revisions as a history, and what one changed against another."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal

import msgspec
import yaml

from fairlead.view.images import short_images
from fairlead.view.inert import one_line
from fairlead.view.model import App, Revision, counted

State = Literal["active", "stable", "undone", "failed", "kept"]


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One kept revision."""

    number: int
    name: str
    state: State
    active: bool
    images: tuple[str, ...]
    cause: str
    who: str
    replicas: int
    ready: int
    created: float | None


class NoSuchRevision(ValueError):
    """The number is not among the kept ones, or cannot be meant; the message says what can."""


def history(app: App, revisions: Sequence[Revision]) -> list[Entry]:
    """Oldest first, so that the newest stands next to the prompt."""
    return [_entry(app, revision) for revision in sorted(counted(app, revisions), key=lambda r: r.number)]


def _entry(app: App, revision: Revision) -> Entry:
    return Entry(
        number=revision.number,
        name=revision.name,
        state=_state(app, revision),
        active=revision.name == app.status.active_revision,
        images=tuple(revision.images),
        cause=revision.spec.cause,
        who=revision.spec.created_by,
        replicas=revision.status.replicas,
        ready=revision.status.ready_replicas,
        created=revision.metadata.created,
    )


def _state(app: App, revision: Revision) -> State:
    if revision.name == app.status.active_revision:
        return "active"
    if turned_away(app, revision):
        return "undone"
    if revision.name == app.status.stable_revision:
        return "stable"
    return "failed" if revision.status.phase == "Failed" else "kept"


def find(revisions: Sequence[Revision], number: int) -> Revision:
    """The kept revision of that number; NoSuchRevision lists those there are."""
    for revision in revisions:
        if revision.number == number:
            return revision
    raise NoSuchRevision(f"there is no revision {number}; kept are {listing(revisions)}")


def listing(revisions: Sequence[Revision]) -> str:
    """The kept numbers in words, with their images.

    >>> from fairlead.view.model import Metadata, RevisionSpec
    >>> listing([Revision(Metadata(), RevisionSpec(number=n, images=[f"shop:{n}"])) for n in (2, 1)])
    '1 (shop:1), 2 (shop:2)'
    """
    ordered = sorted(revisions, key=lambda r: r.number)
    return ", ".join(f"{r.number} ({short_images(r.images)})" if r.images else str(r.number) for r in ordered) or "none"


def undo_target(app: App, revisions: Sequence[Revision], number: int | None) -> Revision:
    """Which revision an undo goes back to: the one asked for, else the last one that ran well, else the one before that
    was not turned away itself.

    The last one that ran well is not the one before when two bad releases came after it; and after an undo, or when a
    release took itself back, the one before is that very release.
    """
    active = app.status.active_revision
    if number is not None:
        target = find(revisions, number)
        if target.name == active:
            raise NoSuchRevision(f"revision {number} is the one that is active already; kept are {listing(revisions)}")
        return target
    others = [r for r in revisions if r.name != active]
    if not others:
        raise NoSuchRevision("there is no earlier revision to go back to: only the active one is kept")
    stable = next((r for r in others if r.name == app.status.stable_revision), None)
    if stable:
        return stable
    good = [r for r in others if _state(app, r) == "kept"]
    if not good:
        raise NoSuchRevision(
            f"the only other revision was undone or taken back itself; to run it all the same: --to {others[0].number}"
        )
    return max(good, key=lambda r: r.number)


def turned_away(app: App, revision: Revision) -> bool:
    """Whether the last undo was away from this revision."""
    undo = app.status.undo
    return bool(undo and undo.revision and undo.rejected and revision.spec.template_hash == undo.rejected)


def predecessor(revisions: Sequence[Revision], number: int) -> Revision:
    """The newest kept revision older than `number`."""
    older = [r for r in revisions if r.number < number]
    if not older:
        raise NoSuchRevision(f"revision {number} is the oldest that is kept: name a second one to compare it with")
    return max(older, key=lambda r: r.number)


def diff(before: Revision, after: Revision) -> list[str]:
    """What `after` changed, as the lines of a unified diff of what they run; empty where nothing."""
    return list(
        difflib.unified_diff(
            as_yaml(before),
            as_yaml(after),
            fromfile=f"revision {_told(before)}",
            tofile=f"revision {_told(after)}",
            lineterm="",
        )
    )


def _told(revision: Revision) -> str:
    """Its number, name and who wrote it, for a diff's head.

    >>> from fairlead.view.model import Metadata, RevisionSpec
    >>> _told(Revision(Metadata(name="shop-v2"), RevisionSpec(number=2, created_by="kubectl", cause="new checkout")))
    '2 (shop-v2, by kubectl: new checkout)'
    """
    who = f", by {revision.spec.created_by}" if revision.spec.created_by else ""
    why = f": {revision.spec.cause}" if revision.spec.cause else ""
    return one_line(f"{revision.number} ({revision.name}{who}{why})")


def as_yaml(revision: Revision) -> list[str]:
    """What a revision runs as YAML lines with sorted keys: the order of keys is nobody's change. A key of its
    configuration stands there with a hash of its value: the value itself is in the copy.

    >>> from fairlead.view.model import Metadata, RevisionSpec
    >>> pin = {"name": "s", "mountPath": "/etc/shop", "copy": "shop-s-1", "keys": {"a": "x7k2"}}
    >>> print(*as_yaml(Revision(Metadata(), RevisionSpec(config=[pin]))), sep=chr(10))
    config:
      s:
        keys:
          a: x7k2
        mountPath: /etc/shop
    """
    runs = dict(revision.spec.template)
    if revision.spec.config:  # the copy's name is a hash of the keys, and would only say it twice
        entries = {
            pin["name"]: {k: v for k, v in pin.items() if k not in ("name", "copy")} for pin in revision.spec.config
        }
        runs["config"] = entries
    return yaml.safe_dump(runs, sort_keys=True, allow_unicode=True, width=10_000).splitlines()
