"""The text form of one sealed value, and the place it is bound to.

`fl1:<suite>:<kid>:<base64 of enc || ciphertext>`. Everything but the body is readable by anybody; all of it, and the place,
is authenticated by `info` (docs/secrets.md).
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum

import msgspec

FORMAT = "fl1"
XWING, X25519 = "xw", "x"
ENCAPSULATED = {XWING: 1120, X25519: 32}  # suite -> bytes of `enc`: draft-connolly-cfrg-xwing-kem, RFC 9180 7.1
TAG = 16  # bytes AES-256-GCM adds

MALFORMED = "Malformed"
UNSUPPORTED = "UnsupportedEnvelope"
PLAINTEXT = "PlaintextValue"

_VERSION = re.compile(r"fl([1-9][0-9]{0,3}):")
_PARTS = re.compile(r"fl1:([a-z0-9]{1,16}):([0-9a-f]{32}):([A-Za-z0-9+/]+={0,2})")


class Scope(StrEnum):
    """How far a sealed value may be carried: to nothing, to another name of its namespace, to any namespace."""

    STRICT = "Strict"
    NAMESPACE = "Namespace"
    CLUSTER = "Cluster"


class Place(msgspec.Struct, frozen=True):
    """What a value is bound to: the EncryptedSecret's namespace and name, as far as the scope goes, and always the data
    key."""

    scope: Scope
    namespace: str
    name: str
    key: str


class Envelope(msgspec.Struct, frozen=True):
    """One sealed value. `body` is the encapsulated key and the ciphertext, `enc || ct`."""

    suite: str
    kid: str
    body: bytes


class EnvelopeError(ValueError):
    """A text that is no envelope this version can read. The message is fixed: it never holds any of the text, which may
    be a secret somebody forgot to seal."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def _plaintext() -> EnvelopeError:
    return EnvelopeError(
        PLAINTEXT,
        "is not sealed: a sealed value starts with fl1:. If it is the secret itself, it has been readable to all who can read this "
        "object and its history: replace the secret at its source, then seal the new one with `fairlead seal`",
    )


def _malformed() -> EnvelopeError:
    return EnvelopeError(
        MALFORMED,
        "is damaged: it is no whole fl1:SUITE:KEY:BASE64. Copy it again from where it was sealed, or seal the value again",
    )


def _newer() -> EnvelopeError:
    return EnvelopeError(
        UNSUPPORTED,
        "was sealed in a format that this version of Fairlead does not know: upgrade the operator, or seal it again with the "
        "fairlead of this version",
    )


def parse(text: str) -> Envelope:
    """The envelope a text holds. EnvelopeError with reason PlaintextValue, UnsupportedEnvelope or Malformed.

    >>> parse("fl2:zz:00:x")
    Traceback (most recent call last):
    fairlead.secrets.envelope.EnvelopeError: was sealed in a format that this version of Fairlead does not know: upgrade the operator, or seal it again with the fairlead of this version
    >>> parse("hunter2")
    Traceback (most recent call last):
    fairlead.secrets.envelope.EnvelopeError: is not sealed: a sealed value starts with fl1:. If it is the secret itself, it has been readable to all who can read this object and its history: replace the secret at its source, then seal the new one with `fairlead seal`
    """
    text = text.strip()  # a block of YAML ends with a line feed
    version = _VERSION.match(text)
    if version is None:
        raise _plaintext()
    if version[1] != "1":
        raise _newer()
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise _malformed()
    suite, kid, encoded = parts.groups()
    if suite not in ENCAPSULATED:
        raise _newer()
    body = _decoded(encoded)
    if len(body) <= ENCAPSULATED[suite] + TAG:
        raise _malformed()
    return Envelope(suite, kid, body)


def _decoded(encoded: str) -> bytes:
    """Base64 with one spelling alone: what would decode to the same bytes in another way is refused."""
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if base64.b64encode(body).decode() != encoded:
        raise _malformed()
    return body


def render(envelope: Envelope) -> str:
    """The envelope's text.

    >>> render(Envelope("x", "00" * 16, b"abc"))
    'fl1:x:00000000000000000000000000000000:YWJj'
    """
    return f"{FORMAT}:{envelope.suite}:{envelope.kid}:{base64.b64encode(envelope.body).decode()}"


def info(suite: str, kid: str, place: Place) -> bytes:
    """What the key of one value depends on besides the recipient's: HPKE's `info` (RFC 9180 5.1). Each field is preceded by
    its length in four bytes, so that no two lists of fields are the same bytes.

    >>> strict = Place(Scope.STRICT, "shop", "db", "password")
    >>> info("x", "00" * 16, strict) == info("x", "00" * 16, Place(Scope.STRICT, "shop", "dbp", "assword"))
    False
    >>> wide = [Place(Scope.CLUSTER, namespace, "db", "password") for namespace in ("shop", "other")]
    >>> info("x", "00" * 16, wide[0]) == info("x", "00" * 16, wide[1])
    True
    """
    namespace = "" if place.scope == Scope.CLUSTER else place.namespace
    name = place.name if place.scope == Scope.STRICT else ""
    fields = (f"fairlead.dev/{FORMAT}", suite, kid, place.scope.value, namespace, name, place.key)
    return b"".join(len(part).to_bytes(4, "big") + part for part in (field.encode() for field in fields))
