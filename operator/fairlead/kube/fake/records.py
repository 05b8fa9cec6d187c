"""The values the fake API server is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from fairlead.core.meta import JSON
from fairlead.kube.fake.fields import Owners, Writer
from fairlead.kube.resources import Resource

encode = msgspec.json.encode
decode = msgspec.json.decode


class Origin(NamedTuple):
    """Where a request came from and what it asked."""

    verb: str = "update"  # create, update, patch, apply, delete
    identity: str = ""
    manager: str = ""
    subresource: str = ""
    dry_run: bool = False


class Stored(NamedTuple):
    """One object as it is kept: `object` is read-only, `copy()` is not."""

    object: JSON
    data: bytes
    owners: Owners
    times: dict[Writer, str]

    def copy(self) -> JSON:
        return decode(self.data)  # type: ignore[no-any-return]

    @property
    def meta(self) -> JSON:
        return self.object["metadata"]  # type: ignore[no-any-return]


class Commit(NamedTuple):
    """One committed write. For a deletion `new` is the last state, with the deletion's resourceVersion. `at` is when, by
    the cluster's clock."""

    rv: int
    at: float
    type: str  # ADDED, MODIFIED, DELETED
    resource: Resource
    namespace: str
    name: str
    new: Stored
    old: Stored | None
    origin: Origin


class Admission(NamedTuple):
    """What an admission hook gets. It may change `object`, or raise an ApiError."""

    origin: Origin
    resource: Resource
    namespace: str
    name: str
    object: JSON
    old: JSON | None


Ref = tuple[str, str]
Table = dict[Ref, Stored]
Hook = Callable[[Admission], None]


class Page(NamedTuple):
    """One page of a list."""

    items: list[Stored]
    rv: int
    token: str
