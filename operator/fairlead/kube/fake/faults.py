"""Trouble on the way to the API server, planned: a refusal, an answer that never came, the end of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fairlead.kube.errors import ApiError, Conflict, TooManyRequests, Unavailable, Unreachable
from fairlead.kube.resources import Resource


class Crash(BaseException):
    """The operator's process ends here. Not an Exception, so that nothing in the operator can survive it by accident."""


class Write(NamedTuple):
    """One write as a client asks for it; `number` counts the client's writes that its faults look at, from 1."""

    number: int
    verb: str  # create, update, patch, apply, delete
    resource: Resource
    namespace: str
    name: str
    subresource: str
    uid: str = ""  # a delete's precondition

    def __str__(self) -> str:
        tail = f"/{self.subresource}" if self.subresource else ""
        return f"#{self.number} {self.verb} {self.resource.kind} {self.namespace}/{self.name}{tail}"


class Faults:
    """Asked around every write of a client, and before every read. The base lets everything pass; subclasses raise.

    before: an ApiError refuses the write, `Crash` ends the process before it.
    after:  the write is committed. An ApiError is what the client sees instead of the answer; `Crash` ends the process.
    counts: which writes are counted and asked about at all (leases and events seldom are).
    """

    def counts(self, write: Write) -> bool:
        return write.resource.kind not in ("Lease", "Event")

    def read(self, verb: str, resource: Resource) -> None:
        """Asked before every get, list and watch; may raise an ApiError."""

    def before(self, write: Write) -> None:
        pass

    def after(self, write: Write) -> None:
        pass


class At(Faults):
    """Something happens at the one write with that number."""

    def __init__(
        self,
        number: int,
        *,
        before: Callable[[Write], None] | None = None,
        after: Callable[[Write], None] | None = None,
    ):
        self.number = number
        self._before, self._after = before, after
        self.hit: Write | None = None

    def before(self, write: Write) -> None:
        if write.number == self.number:
            self.hit = write
            if self._before:
                self._before(write)

    def after(self, write: Write) -> None:
        if write.number == self.number and self._after:
            self._after(write)


def crash(write: Write) -> None:
    raise Crash(str(write))


def refuse(error: ApiError) -> Callable[[Write], None]:
    def hook(_write: Write) -> None:
        raise error

    return hook


def conflict(write: Write) -> None:
    raise Conflict(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {write.resource.plural} {write.name!r}: the object has been modified",
    )


def lost_answer(_write: Write) -> None:
    """The write is done, the answer never arrives."""
    raise Unreachable(0, "Timeout", "no answer within the time allowed")


def too_many(_write: Write) -> None:
    raise TooManyRequests(429, "TooManyRequests", "the server is currently overloaded", retry_after=1.0)


def server_error(_write: Write) -> None:
    raise Unavailable(500, "InternalError", "etcdserver: leader changed")


def unavailable(_write: Write) -> None:
    raise Unavailable(503, "ServiceUnavailable", "apiserver is shutting down", retry_after=1.0)
