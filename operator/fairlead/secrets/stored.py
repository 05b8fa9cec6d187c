"""What the store keeps of the Secrets of ours: of what EncryptedSecrets made the metadata, of private keys the key."""

from __future__ import annotations

import base64
import binascii

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.secrets.fingerprints import project_secret
from fairlead.secrets.keys import (
    ANNOTATION_CREATED_AT,
    KEY_PRIVATE,
    LABEL_SEALING_KEY,
    LABEL_SECRET,
    ROLE_KEY,
    ROLE_NEXT,
    private_from,
    secret_name,
)
from fairlead.secrets.model import SEALING_KEY_TYPE, SecretMeta
from fairlead.secrets.suites import BadKey, PrivateKey


class KeySecret(msgspec.Struct, frozen=True):
    """A Secret that should hold a private key. `private` is None where it holds none, and `problem` says why, in words that
    hold nothing of it. `minting`: it is the one by which a key is minted. `minted`: when the key was, epoch seconds."""

    namespace: str
    name: str
    uid: str
    rv: int
    created: float
    minted: float
    kid: str
    minting: bool
    private: PrivateKey | None
    problem: str = ""


class _Data(msgspec.Struct):
    data: dict[str, str] | None = None


_data = msgspec.json.Decoder(_Data)


def project(body: bytes) -> SecretMeta | KeySecret:
    """A Secret's JSON. Only those with the label of a private key are looked into for one."""
    meta = project_secret(body)
    role = meta.labels.get(LABEL_SECRET)
    if role not in (ROLE_KEY, ROLE_NEXT):
        return meta
    private, problem = _read(meta, _data.decode(body).data or {})
    kid = private.kid if private is not None else ""
    if role == ROLE_KEY:
        named = meta.labels.get(LABEL_SEALING_KEY) or meta.name.removeprefix(secret_name(""))
        if private is not None and named != kid:
            private, problem = None, f"it holds another key, {kid}"
        kid = named
    return KeySecret(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=meta.rv,
        created=meta.created,
        minted=parse_time(meta.annotations.get(ANNOTATION_CREATED_AT)) or meta.created,
        kid=kid,
        minting=role == ROLE_NEXT,
        private=private,
        problem=problem,
    )


def _read(meta: SecretMeta, data: dict[str, str]) -> tuple[PrivateKey | None, str]:
    """The private key, or why there is none."""
    if meta.type != SEALING_KEY_TYPE:
        return None, f"its type is {meta.type} instead of {SEALING_KEY_TYPE}"
    if KEY_PRIVATE not in data:
        return None, f"it has no data key {KEY_PRIVATE}"
    try:
        return private_from(base64.b64decode(data[KEY_PRIVATE], validate=True).decode()), ""
    except (binascii.Error, UnicodeDecodeError):
        return None, f"its data key {KEY_PRIVATE} is no text"
    except BadKey as error:
        return None, str(error)
