"""Which versions of a Secret Revisions run with: all that this room reads of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.core.meta import Key
from fairlead.secrets.model import Meta


class PinningRevision(msgspec.Struct, frozen=True):
    """A Revision by the Secrets that its pods get. A name among them that is no version of ours does no harm."""

    namespace: str
    name: str
    uid: str
    rv: int
    secrets: tuple[str, ...]


class _Pin(msgspec.Struct):
    secret: str = ""


class _Spec(msgspec.Struct):
    config: tuple[_Pin, ...] = ()


class _Revision(msgspec.Struct):
    metadata: Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)


_revision = msgspec.json.Decoder(_Revision)


def project_revision(data: bytes) -> PinningRevision:
    """A Revision's JSON. One without Secrets is kept too: it may have been one with them."""
    raw = _revision.decode(data)
    meta = raw.metadata
    names = tuple(sorted({pin.secret for pin in raw.spec.config if pin.secret}))
    return PinningRevision(meta.namespace, meta.name, meta.uid, int(meta.resource_version), names)


def encrypted_secrets(revision: PinningRevision) -> Iterable[Key]:
    """The EncryptedSecrets whose versions a Revision names, by the versions' names.

    >>> list(encrypted_secrets(PinningRevision("shop", "web-1", "u", 1, ("db-tslp7k2525",))))
    [Key(namespace='shop', name='db')]
    """
    for name in revision.secrets:
        base, dash, _ = name.rpartition("-")
        if dash:
            yield Key(revision.namespace, base)


def holders(revisions: Iterable[PinningRevision]) -> dict[str, tuple[PinningRevision, ...]]:
    """Which of them run with which Secret.

    >>> one, two = (PinningRevision("shop", f"web-{n}", str(n), 1, ("db-tslp7k2525",)) for n in "12")
    >>> {secret: [revision.name for revision in found] for secret, found in holders([one, two]).items()}
    {'db-tslp7k2525': ['web-1', 'web-2']}
    """
    found: dict[str, tuple[PinningRevision, ...]] = {}
    for revision in revisions:
        for secret in revision.secrets:
            found[secret] = (*found.get(secret, ()), revision)
    return found
