"""Who vouches for an EncryptedSecret: Ed25519 signatures (RFC 8032) over what its Secret is to be, and where.

To seal a value takes no secret, so whoever writes manifests could put one of their own in place of yours. Where a cluster names
signers, only what one of them has signed is opened (docs/adr/0024).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence
from typing import NoReturn

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.keys import line_of
from fairlead.secrets.model import Spec
from fairlead.secrets.suites import BadKey

FORMAT, ALGORITHM = "fs1", "ed25519"
_KEY = 32  # bytes of a key, public or private
_SIGNATURE = re.compile(r"fs1:ed25519:([0-9a-f]{32}):([A-Za-z0-9+/]{86}==)")


class Signer(msgspec.Struct, frozen=True):
    """Whose signatures count: a public key."""

    raw: bytes

    @property
    def id(self) -> str:
        """The signer's name: 32 hexadecimal digits, the start of SHA-256 over algorithm and key."""
        return hashlib.sha256(ALGORITHM.encode() + self.raw).hexdigest()[:32]

    def encode(self) -> str:
        """One line, as it stands in files and Helm values.

        >>> Signer(bytes(32)).encode()
        'ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
        """
        return f"{ALGORITHM}:{base64.b64encode(self.raw).decode()}"

    @classmethod
    def decode(cls, text: str) -> Signer:
        """The reverse of `encode`. BadKey for anything else."""
        return cls(_key(text, "public key"))

    def vouches(self, statement: bytes, signature: bytes) -> bool:
        """Whether this signer has signed that."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, statement)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey:
    """What is signed with. Shows nothing of itself but its id, and cannot be pickled."""

    __slots__ = ("_seed", "signer")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.signer = Signer(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(os.urandom(_KEY))

    @classmethod
    def decode(cls, text: str) -> SigningKey:
        """The reverse of `encode`. BadKey for anything else; it holds none of the text."""
        return cls(_key(text, "signing key"))

    def encode(self) -> str:
        """The private key itself, one line: for a file of its owner, and nowhere else."""
        return f"{ALGORITHM}:{base64.b64encode(self._seed).decode()}"

    def sign(self, spec: Spec, namespace: str, name: str) -> str:
        """The signature's text for `spec.signatures`."""
        id = self.signer.id
        signed = Ed25519PrivateKey.from_private_bytes(self._seed).sign(statement(id, spec, namespace, name))
        return f"{FORMAT}:{ALGORITHM}:{id}:{base64.b64encode(signed).decode()}"

    def __repr__(self) -> str:
        return f"SigningKey({self.signer.id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not pickled")


def _key(text: str, what: str) -> bytes:
    algorithm, encoded = line_of(text)
    if algorithm != ALGORITHM:
        raise BadKey(f"the {what} is not of the algorithm {ALGORITHM}")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(f"the {what} is not base64") from None
    if len(raw) != _KEY:
        raise BadKey(f"the {what} has {len(raw)} bytes instead of {_KEY}")
    return raw


def signer_of(signature: str) -> str:
    """Whose signature a text says it is; "" for one that is none this version can read."""
    found = _SIGNATURE.fullmatch(signature)
    return found[1] if found else ""


def statement(signer: str, spec: Spec, namespace: str, name: str) -> bytes:
    """What is signed: everything that decides what the Secret holds and what others do with it (an annotation may have it copied
    elsewhere), and its place as far as the scope goes. What only says how Fairlead goes about it (`adopt`, `deletionPolicy`) and
    the hint `sealedFor` are left out. JSON without blanks; all mappings as lists of pairs, sorted.

    >>> spec = Spec(values={"b": "fl1:…", "a": "fl1:…"})
    >>> statement("0f", spec, "shop", "db").decode()
    '["fairlead.dev/fs1","0f","Strict","shop","db",[["a","fl1:…"],["b","fl1:…"]],[],"","Opaque",[],[],[]]'
    >>> statement("0f", spec, "shop", "db") == statement("0f", spec, "shop", "mail")
    False
    """
    where = Place(spec.scope, namespace, name, "")
    template = spec.template
    fields = [
        f"fairlead.dev/{FORMAT}",
        signer,
        where.scope.value,
        "" if where.scope == Scope.CLUSTER else where.namespace,
        where.name if where.scope == Scope.STRICT else "",
        sorted(spec.values.items()),
        sorted((one.name, sorted(one.values.items())) for one in spec.recipients),
        spec.not_before,
        template.type,
        *(sorted(pairs.items()) for pairs in (template.labels, template.annotations, template.data)),
    ]
    return msgspec.json.encode(fields)


class Unsigned(msgspec.Struct, frozen=True):
    """Why nobody who counts vouches for it, and what to do."""

    reason: str
    message: str


def unsigned(spec: Spec, namespace: str, name: str, signers: Sequence[Signer]) -> Unsigned | None:
    """What is missing of a signature by one of these signers; None where there is one, or where none is asked for.

    >>> mine, theirs, spec = SigningKey(bytes(32)), SigningKey(b"1" * 32), Spec(values={"a": "fl1:…"})
    >>> def why(*signatures):
    ...     found = unsigned(msgspec.structs.replace(spec, signatures=signatures), "shop", "db", [mine.signer])
    ...     return found and found.reason
    >>> why(), why(theirs.sign(spec, "shop", "db")), why(mine.sign(spec, "shop", "mail")), why(mine.sign(spec, "shop", "db"))
    ('Unsigned', 'SignerUnknown', 'SignatureInvalid', None)
    """
    if not signers:
        return None
    known = {signer.id: signer for signer in signers}
    found = [(known.get(signer_of(text)), text) for text in spec.signatures]
    if any(
        signer and signer.vouches(statement(signer.id, spec, namespace, name), _raw(text)) for signer, text in found
    ):
        return None
    stays = "the Secret stays as it was"
    sign = "have one of them sign the file (`fairlead seal sign`), and apply it"
    wanted = f"only what is signed by {_one_of(list(known))} is opened here"
    if not found:
        return Unsigned("Unsigned", f"nobody has signed it, and {wanted}: {sign}; {stays}")
    mine = [signer.id for signer, _ in found if signer]
    if not mine:
        return Unsigned("SignerUnknown", f"nobody who counts here has signed it: {wanted}; {sign}; {stays}")
    words = "what it says is not what was signed, or it was signed for another namespace or name"
    return Unsigned(
        "SignatureInvalid",
        f"the signature of {_one_of(mine)} does not fit: {words}; look at what changed, and {sign}; {stays}",
    )


def _raw(signature: str) -> bytes:
    return base64.b64decode(signature.rpartition(":")[2])


def _one_of(ids: list[str]) -> str:
    """
    >>> _one_of(["a"]), _one_of(["a", "b", "c"])
    ('a', 'a, b or c')
    """
    return ids[0] if len(ids) == 1 else f"{', '.join(ids[:-1])} or {ids[-1]}"
