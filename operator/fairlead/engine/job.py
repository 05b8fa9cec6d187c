"""One plan on its way to the API server: what is to be done for one parent, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fairlead.core.actions import Action, Create, Delete, Patch, Try
from fairlead.core.meta import Key
from fairlead.kube.errors import ApiError

POD = "Pod"


class Intent(NamedTuple):
    """What a write asks for, as far as refusals tell writes apart."""

    verb: str
    kind: str
    alike: str  # `Create.alike`
    name: str

    @property
    def crowd(self) -> tuple[str, str, str]:
        """All that a refusal may speak of."""
        return self[:3]


@dataclass(slots=True)
class Outcome:
    """What became of a plan's actions."""

    refused: bool = False  # a new refusal was recorded: plan again with it before anything is told
    conflict: bool = False  # the view was stale, or no answer came: try again, with backoff
    unfinished: bool = False  # interrupted: a newer spec, the end of the slice, a stop
    untaken: bool = False  # an object other than a pod is not as the plan wants it, and nobody has said no
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
    done: dict[Intent, None] = field(default_factory=dict)
    refusals: dict[Intent, ApiError] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)  # pods (by `Create.alike`) whose Revision could not be made; "": all
    kept: set[tuple[str, str]] = field(
        default_factory=set
    )  # (kind, `Delete.room_for`) that stay: what they go for is refused
    parent_lives: bool | None = None  # as read live, before anything is adopted

    def lacks(self, alike: str) -> bool:
        """Whether what these pods are made from could not be made itself."""
        return "" in self.missing or alike in self.missing

    def keeps(self, delete: Delete) -> bool:
        """Whether it stays: what it would make room for cannot be had."""
        if (delete.kind, delete.room_for) in self.kept:
            return True
        return delete.kind == POD and bool(delete.room_for) and self.lacks(delete.room_for)


def intent_of(action: Action) -> Intent:
    """
    >>> intent_of(Create("Pod", "default", "shop-v1-bcdfg", b"{}", alike="v1"))
    Intent(verb='create', kind='Pod', alike='v1', name='shop-v1-bcdfg')
    """
    return Intent(verb_of(action), kind_of(action), alike_of(action), action.name)


def alike_of(action: Action) -> str:
    """What may be refused together with it, of its verb and kind."""
    return action.alike if isinstance(action, Create | Try) else ""


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
        case Create() | Try():
            return "create"
        case Delete():
            return "delete"
        case _:
            return "patch"
