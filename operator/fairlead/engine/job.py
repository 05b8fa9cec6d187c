"""One plan on its way to the API server: what is to be done for one parent, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fairlead.core.actions import Action, Create, Delete, Patch
from fairlead.core.meta import Key
from fairlead.kube.errors import ApiError

POD = "Pod"


@dataclass(slots=True)
class Outcome:
    """What became of a plan's actions."""

    refused: bool = False  # a new refusal was recorded: plan again with it before anything is told
    conflict: bool = False  # the view was stale, or no answer came: try again, with backoff
    unfinished: bool = False  # interrupted: a newer spec, the end of the slice, a stop
    succeeded: int = 0


@dataclass(slots=True)
class Job:
    """One plan to carry out, for one parent."""

    key: Key
    parent_kind: str
    parent_uid: str
    generation: int
    actions: Sequence[Action]
    interrupted: Callable[[], bool]
    outcome: Outcome = field(default_factory=Outcome)
    done: dict[tuple[str, str, str], None] = field(default_factory=dict)  # (verb, kind, name)
    refusals: dict[tuple[str, str, str], ApiError] = field(default_factory=dict)
    blocked: bool = False  # a prerequisite (a Revision) could not be made: no pods of it
    parent_lives: bool | None = None  # as read live, before anything is adopted


def kind_of(action: Action) -> str:
    """What RBAC and refusals speak of: who may write pods may not write their status. A pod with a purpose of its own may be
    refused for what it is, and the App's pods be taken.

    >>> kind_of(Patch("Pod", "default", "one", b"{}", "status")), kind_of(Patch("Pod", "default", "one", b"{}"))
    ('Pod/status', 'Pod')
    """
    match action:
        case Patch(subresource=part) | Create(purpose=part) if part:
            return f"{action.kind}/{part}"
        case _:
            return action.kind


def part_of(kind: str) -> str:
    """The subresource in it, "" for a whole object.

    >>> part_of("Pod/resize"), part_of("Pod")
    ('resize', '')
    """
    return kind.partition("/")[2]


def verb_of(action: Action) -> str:
    """The RBAC verb an action needs."""
    match action:
        case Create():
            return "create"
        case Delete():
            return "delete"
        case _:
            return "patch"
