"""Whose a live object is, by its owner references."""

from __future__ import annotations

import msgspec

from fairlead.core.actions import Apply
from fairlead.core.children import APPLIED
from fairlead.core.meta import LABEL_APP


class Reference(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class OwnedMeta(msgspec.Struct, rename="camel"):
    uid: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Reference] | None = None

    @property
    def controller(self) -> Reference | None:
        return next((ref for ref in self.owner_references or () if ref.controller), None)

    def left_by(self, app: str) -> bool:
        """Whether an App of this name made it and left it behind (`kubectl delete --cascade=orphan`)."""
        ours = APPLIED in (self.annotations or {}) and (self.labels or {}).get(LABEL_APP) == app
        return ours and self.controller is None


class _Owned(msgspec.Struct):
    metadata: OwnedMeta = msgspec.field(default_factory=OwnedMeta)


_owned = msgspec.json.Decoder(_Owned)


def ownership(body: bytes) -> OwnedMeta:
    """The metadata of an object that was read live."""
    return _owned.decode(body).metadata


def app_of(action: Apply) -> str:
    """The App whose child is applied, by the child's label: not every child is named like its App."""
    return (ownership(action.body).labels or {}).get(LABEL_APP, action.name)


def belongs(controller: Reference | None) -> str:
    """Whose it is, for people.

    >>> belongs(Reference(kind="App", name="shop"))
    'is controlled by App "shop"'
    """
    if controller is None:
        return "has no controlling owner"
    return f'is controlled by {controller.kind} "{controller.name}"'
