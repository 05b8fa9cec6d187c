"""What a room gives the engine, and what it gets: the contract between decisions and their execution.

A parent kind (App, later Batch) is reconciled by one `Controller`: an ordered tuple of `Part`s, one per room. Each part
looks (`observe`: the store only, no I/O) and decides (`plan`: pure). The engine joins the parts' plans, carries out the
actions, and writes one status. Rooms never call one another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from fairlead.core.actions import Event, Failure, Plan
from fairlead.core.meta import JSON, Key
from fairlead.kube.client import Client
from fairlead.kube.resources import Resource


class Record(Protocol):
    """A projected object in the store: flat, frozen, small (msgspec Struct). `rv` is the resourceVersion as a number."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def rv(self) -> int: ...


R = TypeVar("R", bound=Record)


class View(Protocol):
    """Read access to the store, as `observe` gets it."""

    def get(self, kind: str, namespace: str, name: str) -> Any | None:
        """The record of that kind and name, None where there is none."""
        ...

    def by(self, kind: str, index: str, value: Hashable) -> Iterable[Any]:
        """The records whose index function gave `value`, in a stable order (by name)."""
        ...

    def unavailable(self, kind: str) -> str:
        """Why an optional kind cannot be had here at all (its definition is not installed, or no role allows it), in the
        server's words; "" where it can."""
        ...

    def content(self, kind: str, namespace: str, name: str) -> tuple[int, Any | None] | None:
        """What was last read of an object in full, at a plan's wish (`Plan.reads`), with the resourceVersion it had then;
        (…, None) where it was not there, None where nothing has been read (or has been forgotten since)."""
        ...


class Source(msgspec.Struct, frozen=True):
    """One watched kind: how an object is projected, found again, and whom it concerns.

    project: the object's JSON (not the watch envelope) -> record, None for an object that is none of our business.
    indexes: name -> function(record) -> index value, a frozenset where it has several, None to leave it out of that index.
    keys:    function(record) -> the parents to reconcile when this record appears, changes (asked of old and new) or goes.
    content: the whole object's JSON -> what is kept of it, where a plan asks for it to be read in full.
    optional: the kind may not be there; then it is as if there were no object of it (`View.unavailable` says why), and it is
             looked for again from time to time.
    within:  the one namespace where it is looked for, "" for all in which the process works.
    known_as: what the store calls these objects where their kind is looked at in a second way, "" for their kind.
    """

    resource: Resource
    project: Callable[[bytes], Any | None]
    keys: Callable[[Any], Iterable[Key]]
    indexes: Mapping[str, Callable[[Any], Hashable | None]] = {}
    label_selector: str = ""
    metadata_only: bool = False
    content: Callable[[bytes], Any] | None = None
    optional: bool = False
    within: str = ""
    known_as: str = ""

    @property
    def table(self) -> str:
        """The name that `View` finds its records by."""
        return self.known_as or self.resource.kind


class Part(Protocol):
    """One room's share of a parent's reconcile."""

    @property
    def name(self) -> str: ...

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> Any | None:
        """Everything the plan needs, frozen; None when the parent is gone (nothing to decide)."""
        ...

    def plan(self, observed: Any, now: float) -> Plan:
        """Pure. `now` is epoch seconds."""
        ...


class Pods(msgspec.Struct, frozen=True):
    """Where a parent's pods are found: all that its key is told of, whoever owns them."""

    selector: Callable[[Any], str]  # the label selector for a live list
    known: Callable[[View, Any], Iterable[Any]]  # in the store, by its indexes


class Messenger(Protocol):
    """Who does the errands that a controller's plans ask for."""

    async def run(self, task: Any, client: Client) -> Any:
        """Do the work; it has time limits of its own. Nothing is written here. ApiError: it is asked for again. None: nothing
        follows from it, so the parent need not be looked at again before its time."""
        ...

    def said(self, task: Any, status: JSON, answer: Any, now: float) -> JSON | None:
        """Pure. The fields of the object's status that change by the answer; None where it comes too late."""
        ...


class Attendant(Protocol):
    """Who listens elsewhere while this process leads, and has parents looked at by what is heard there. Nothing is written."""

    async def run(self, view: View, ask: Callable[[Key], None], clock: Callable[[], float]) -> None:
        """Until cancelled. `ask`: look at this parent at once; `clock`: the one that plans are made by."""
        ...


class Controller(msgspec.Struct, frozen=True):
    """All about one parent kind."""

    name: str  # for metrics and logs: "app"
    parent: Resource
    sources: tuple[Source, ...]  # the parent kind itself is one of them
    parts: tuple[Part, ...]
    status_of: Callable[[Any], JSON]  # parent record -> its status as last seen
    summarise: Callable[[Any, JSON, float], JSON]  # (parent record, joined status, now) -> the status to write
    generation_of: Callable[[Any], int]
    pods: Pods | None = None  # None: a parent of this kind has none
    messenger: Messenger | None = None  # None where no plan asks for errands
    attendant: Attendant | None = None
    # (a parent as it was last seen, what is there now) -> what is told of its end. Said by who leads when the watch shows it,
    # and by nobody where none does.
    farewell: Callable[[Any, View], Iterable[Event]] | None = None
    # A parent that is no object and always there, such as the ring of all keys: what is to be decided also while there is not
    # one object of the kind. It has no status; `parent` is the kind that its errors and refusals are told of.
    standing: Record | None = None

    def hears_of(self, kind: str) -> bool:
        """Whether objects of this kind are its parents themselves."""
        return self.standing is None and self.parent.kind == kind
