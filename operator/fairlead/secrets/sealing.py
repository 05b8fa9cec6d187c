"""Values to envelopes and back. What is encrypted is not the value alone: a header says when it was sealed, and padding
hides how long it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from fairlead.secrets import envelope as envelopes
from fairlead.secrets.envelope import Envelope, Place
from fairlead.secrets.suites import PrivateKey, PublicKey, sealed_to

_HEADER = struct.Struct(">BQI")  # version, seconds since 1970, bytes of the value
_VERSION = 1
_SMALLEST, _STEP = 64, 4096


class CannotOpen(Exception):
    """The one answer to everything that goes wrong with an envelope that can be read: another key, another place, a
    flipped bit. It says nothing of which, so that nobody can ask it questions."""

    MESSAGE = (
        "cannot be opened: it was sealed for another namespace, name, data key or scope, or it was changed since; seal the value again "
        "for this place"
    )

    def __init__(self) -> None:
        super().__init__(self.MESSAGE)


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A value and when it was sealed (seconds since 1970), as its sealer said under the seal."""

    value: bytes
    sealed_at: int

    def __repr__(self) -> str:
        return f"Opened(sealed_at={self.sealed_at})"


def seal(public: PublicKey, place: Place, value: bytes, sealed_at: int) -> str:
    """The envelope's text. Another one each time, for the same value too."""
    body = sealed_to(public, _padded(value, sealed_at), envelopes.info(public.suite, public.kid, place))
    return envelopes.render(Envelope(public.suite, public.kid, body))


def unseal(private: PrivateKey, envelope: Envelope, place: Place) -> Opened:
    """What `seal` was given. CannotOpen, whatever is wrong."""
    if (envelope.suite, envelope.kid) != (private.suite, private.kid):
        raise CannotOpen
    try:
        plaintext = private.open(envelope.body, envelopes.info(private.suite, private.kid, place))
    except (InvalidTag, ValueError):
        raise CannotOpen from None
    return _unpadded(plaintext)


def bucket(size: int) -> int:
    """What a plaintext of `size` bytes is padded to: a power of two from 64 to 4096, then whole 4096s.

    >>> [bucket(size) for size in (13, 64, 65, 4096, 4097)]
    [64, 64, 128, 4096, 8192]
    """
    if size > _STEP:
        return -(-size // _STEP) * _STEP
    return max(_SMALLEST, 1 << (size - 1).bit_length())


def _padded(value: bytes, sealed_at: int) -> bytes:
    plaintext = _HEADER.pack(_VERSION, sealed_at, len(value)) + value
    return plaintext.ljust(bucket(len(plaintext)), b"\0")


def _unpadded(plaintext: bytes) -> Opened:
    """Anybody may have sealed it, so nothing of it is taken on trust."""
    if len(plaintext) < _HEADER.size:
        raise CannotOpen
    version, sealed_at, length = _HEADER.unpack_from(plaintext)
    value, padding = plaintext[_HEADER.size : _HEADER.size + length], plaintext[_HEADER.size + length :]
    if version != _VERSION or len(value) != length or padding.strip(b"\0"):
        raise CannotOpen
    return Opened(value, sealed_at)
