"""Whether a Secret's content is what it should be, without keeping the content.

A plain digest of a secret lets everybody who sees it try guesses. This one is keyed with bytes that no one but this process
has, and that end with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.secrets.model import Meta, SecretMeta, owner_uid

_KEY = os.urandom(32)


def fingerprint(data: Mapping[str, bytes]) -> bytes:
    """32 bytes that are the same for the same data within this process.

    >>> fingerprint({"a": b"1", "b": b"2"}) == fingerprint({"b": b"2", "a": b"1"})
    True
    >>> fingerprint({"a": b"1"}) == fingerprint({"a": b"2"})
    False
    """
    keyed = hashlib.blake2b(key=_KEY, digest_size=32)
    for name in sorted(data):
        for part in (name.encode(), data[name]):
            keyed.update(len(part).to_bytes(8, "big") + part)
    return keyed.digest()


class _Meta(Meta, rename="camel"):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _Meta
    type: str = "Opaque"
    immutable: bool | None = None
    data: dict[str, str] | None = None


_secret = msgspec.json.Decoder(_Secret)


def project_secret(data: bytes) -> SecretMeta:
    """A Secret's JSON, of whose content only the fingerprint and the names of the data keys are left."""
    raw = _secret.decode(data)
    meta, content = raw.metadata, raw.data or {}
    uid, owned = owner_uid(meta.owner_references)
    return SecretMeta(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        created=parse_time(meta.creation_timestamp) or 0.0,
        type=raw.type,
        immutable=bool(raw.immutable),
        deleting=meta.deletion_timestamp is not None,
        owner_uid=uid,
        owned=owned,
        labels=meta.labels or {},
        annotations=meta.annotations or {},
        owners=frozenset(str(one.get("uid")) for one in meta.owner_references or ()),
        keys=tuple(sorted(content)),
        fingerprint=fingerprint({key: _bytes(value) for key, value in content.items()}),
    )


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return text.encode()  # what no API server sends
