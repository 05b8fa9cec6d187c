"""Keys to seal with and to open with, by suite: `xw` is X-Wing (ML-KEM-768 and X25519), `x` is X25519 alone.

The cryptography is the library's (`cryptography`, HPKE). X-Wing is still an Internet-Draft, hence the suite's name in every
envelope; what either suite does is held to published vectors in tests/unit/secrets/test_vectors.py.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import NoReturn

import msgspec
from cryptography.hazmat.backends.openssl.backend import backend
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from fairlead.secrets.envelope import X25519, XWING

SEED = 32  # bytes of a private key, in either suite
_MLKEM_PUBLIC = 1184  # FIPS 203, table 3
_PUBLIC = {XWING: _MLKEM_PUBLIC + 32, X25519: 32}
_NO_MLKEM = (
    "the OpenSSL that cryptography was built with has no ML-KEM, so values are sealed with X25519 alone (suite x) and those sealed "
    "with suite xw cannot be opened; install cryptography from its own wheels for the hybrid suite"
)


class BadKey(ValueError):
    """A text or a number of bytes that is no key of the suite. The message never holds any of it."""


class PublicKey(msgspec.Struct, frozen=True):
    """What values are sealed to: 1216 bytes for `xw`, 32 for `x`."""

    suite: str
    raw: bytes

    @property
    def kid(self) -> str:
        """The key's name: 32 hexadecimal digits, the start of SHA-256 over suite and key."""
        return hashlib.sha256(self.suite.encode() + self.raw).hexdigest()[:32]

    def encode(self) -> str:
        """Base64, as a SealingKey publishes it."""
        return base64.b64encode(self.raw).decode()

    @classmethod
    def decode(cls, suite: str, text: str) -> PublicKey:
        """The reverse of `encode`. BadKey where the suite is unknown or the text is no key of it."""
        _require_known(suite)
        key = cls(suite, _from_base64(text, _PUBLIC[suite], "public key"))
        _loaded(key)
        return key


class PrivateKey:
    """What values are opened with. Shows nothing of itself but its kid, and cannot be pickled."""

    __slots__ = ("_key", "_seed", "public")

    def __init__(self, suite: str, seed: bytes) -> None:
        _require_known(suite)
        if len(seed) != SEED:
            raise BadKey(f"a private key has {SEED} bytes")
        self._seed = seed
        self._key: hpke.MLKEM768X25519PrivateKey | X25519PrivateKey
        self._key, raw = _xwing(seed) if suite == XWING else _x25519(seed)
        self.public = PublicKey(suite, raw)

    @property
    def suite(self) -> str:
        return self.public.suite

    @property
    def kid(self) -> str:
        return self.public.kid

    def encode(self) -> str:
        """The private key itself, base64: for its Secret and for backups, and nowhere else."""
        return base64.b64encode(self._seed).decode()

    @classmethod
    def from_text(cls, suite: str, text: str) -> PrivateKey:
        """The reverse of `encode`. BadKey where the suite is unknown or the text is no key of it."""
        _require_known(suite)
        return cls(suite, _from_base64(text, SEED, "private key"))

    def open(self, body: bytes, info: bytes) -> bytes:
        """HPKE, single shot (RFC 9180 6.1). Raises cryptography's InvalidTag, or ValueError for what is too short."""
        return _suite(self.suite).decrypt(body, self._key, info)

    def __repr__(self) -> str:
        return f"PrivateKey({self.kid})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


def generate(suite: str) -> PrivateKey:
    """A new key, from the operating system's randomness."""
    return PrivateKey(suite, os.urandom(SEED))


def default_suite() -> str:
    """The suite to mint keys of: `xw`, or `x` where `lack()` says why not."""
    return X25519 if lack() else XWING


def lack() -> str:
    """Why the hybrid suite cannot be used here, with what to do; empty where it can."""
    return "" if backend.mlkem_supported() else _NO_MLKEM


def sealed_to(public: PublicKey, plaintext: bytes, info: bytes) -> bytes:
    """HPKE, single shot (RFC 9180 6.1): `enc || ct`, another one each time."""
    return _suite(public.suite).encrypt(plaintext, _loaded(public), info)


def _suite(name: str) -> hpke.Suite:
    kem = hpke.KEM.MLKEM768_X25519 if name == XWING else hpke.KEM.X25519
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _xwing(seed: bytes) -> tuple[hpke.MLKEM768X25519PrivateKey, bytes]:
    """expandDecapsulationKey of draft-connolly-cfrg-xwing-kem: SHAKE-256 makes 96 bytes of the seed, 64 of them
    ML-KEM's own."""
    _require_mlkem()
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    raw = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return hpke.MLKEM768X25519PrivateKey(lattice, curve), raw


def _x25519(seed: bytes) -> tuple[X25519PrivateKey, bytes]:
    key = X25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes_raw()


def _loaded(public: PublicKey) -> hpke.MLKEM768X25519PublicKey | X25519PublicKey:
    """The library's key. BadKey for bytes that are no key (ML-KEM checks them, FIPS 203 7.2)."""
    if public.suite == X25519:
        return X25519PublicKey.from_public_bytes(public.raw)
    _require_mlkem()
    try:
        lattice = MLKEM768PublicKey.from_public_bytes(public.raw[:_MLKEM_PUBLIC])
    except ValueError:
        raise BadKey("the public key is damaged: no ML-KEM-768 key has these bytes") from None
    return hpke.MLKEM768X25519PublicKey(lattice, X25519PublicKey.from_public_bytes(public.raw[_MLKEM_PUBLIC:]))


def _require_known(suite: str) -> None:
    if suite not in _PUBLIC:
        raise BadKey(f"the suite is not one of {', '.join(_PUBLIC)}")


def _require_mlkem() -> None:
    if lack():
        raise BadKey(lack())


def _from_base64(text: str, size: int, what: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(f"the {what} is not base64") from None
    if len(raw) != size:
        raise BadKey(f"the {what} has {len(raw)} bytes instead of {size}")
    return raw
