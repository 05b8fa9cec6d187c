"""EncryptedSecrets, SealingKeys, and the Secrets that come of them, as the store keeps them. No value is ever among it."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.core.meta import API_VERSION, GROUP, JSON, Key, controller_of, truncate
from fairlead.secrets.envelope import FORMAT, Scope

KIND = "EncryptedSecret"
SEALED_SECRET, SEALED_SECRET_API = "SealedSecret", "bitnami.com/v1alpha1"  # of sealed-secrets
LABEL_ENCRYPTED_SECRET = (
    f"{GROUP}/encrypted-secret"  # on the Secrets that come of one: its name, shortened to a label's 63
)
ANNOTATION_ADOPT = f"{GROUP}/adopt-by"  # on a Secret: the EncryptedSecret that may take it over
SEALING_KEY_TYPE = f"{GROUP}/sealing-key"  # type of a private key's Secret

# Writing a Secret of one of these types makes credentials out of nothing (for any service account; for joining the cluster), or
# a key that others would seal to.
FORBIDDEN_TYPES = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", SEALING_KEY_TYPE)

S = TypeVar("S")

KeyState = Literal["Active", "DecryptOnly", "Compromised", "Retired"]


class Recipient(msgspec.Struct, frozen=True):
    """The same values, sealed to another cluster's key."""

    name: str
    values: dict[str, str] = {}


class SealedFor(msgspec.Struct, frozen=True):
    """Where the sealer meant the values to go. Nobody vouches for it: it is for messages."""

    namespace: str = ""
    name: str = ""


class Template(msgspec.Struct, frozen=True):
    """What the Secret gets besides the values. `data`: texts with ${KEY} in place of values."""

    type: str = "Opaque"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    data: dict[str, str] = {}


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of an EncryptedSecret; `values`: data key -> envelope; `signatures`: texts (signing.py)."""

    scope: Scope = Scope.STRICT
    values: dict[str, str] = {}
    recipients: tuple[Recipient, ...] = ()
    sealed_for: SealedFor | None = None
    not_before: str = ""
    template: Template = Template()
    signatures: tuple[str, ...] = ()
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    adopt: bool = False


class EncryptedSecret(msgspec.Struct, frozen=True):
    """One EncryptedSecret. `invalid`: why its spec cannot be read ("" if it can). `orphaning`: it is being deleted, and what it
    owns is to stay."""

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int
    deleting: bool
    spec: Spec
    status: JSON
    invalid: str = ""
    orphaning: bool = False
    kids: frozenset[str] = frozenset()  # of the keys that any of its values are sealed to

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def label(self) -> str:
        """What its Secrets carry as LABEL_ENCRYPTED_SECRET."""
        return truncate(self.name, 63)


class Recovery(msgspec.Struct, frozen=True):
    """A private key, sealed to one of the recovery keys (`kid`)."""

    kid: str
    sealed: str = ""


class KeySpec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of a SealingKey. `wish`: what a person asked to become of it."""

    suite: str = ""
    public_key: str = ""
    created_at: str = ""
    wish: Literal["", "DecryptOnly", "Compromised", "Retired"] = ""
    recovery: tuple[Recovery, ...] = ()


class SealingKey(msgspec.Struct, frozen=True):
    """One key that was ever minted, by its kid. `created`: when it was, epoch seconds; `invalid`: why its spec cannot be read."""

    name: str
    uid: str
    rv: int
    generation: int
    created: float
    deleting: bool
    spec: KeySpec
    status: JSON
    invalid: str = ""

    @property
    def namespace(self) -> str:
        return ""

    @property
    def kid(self) -> str:
        return self.name


class SecretMeta(msgspec.Struct, frozen=True):
    """A Secret without its values. `keys`: names of its data keys; `fingerprint` tells two contents apart within one
    process and means nothing outside of it (fingerprints.py); `owner_uid`: of the controlling EncryptedSecret or SealedSecret."""

    namespace: str
    name: str
    uid: str
    rv: int
    created: float
    type: str
    immutable: bool
    deleting: bool
    owner_uid: str
    owned: bool  # somebody controls it, one of these or another
    labels: dict[str, str]
    annotations: dict[str, str]
    owners: frozenset[str] = frozenset()  # uids of all, who control it or not
    keys: tuple[str, ...] = ()
    fingerprint: bytes = b""


# ---------------------------------------------------------------- projection


class Meta(msgspec.Struct, rename="camel"):
    """What this room reads of any object's metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    owner_references: list[JSON] | None = None
    finalizers: list[str] | None = None


class _Object(msgspec.Struct):
    metadata: Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: JSON = {}


_object = msgspec.json.Decoder(_Object)
_spec = msgspec.json.Decoder(Spec)
_key_spec = msgspec.json.Decoder(KeySpec)
_OWNERS = {(API_VERSION, KIND), (SEALED_SECRET_API, SEALED_SECRET)}
UNREADABLE = "the spec cannot be read; apply it again with the definitions of this version of Fairlead installed"


def project_encrypted_secret(data: bytes) -> EncryptedSecret:
    """An EncryptedSecret's JSON. A spec that cannot be read (stored before a schema forbade it) is kept as `invalid`: in fixed
    words, for what does not fit may be a secret."""
    raw = _object.decode(data)
    meta, (spec, invalid) = raw.metadata, _read(_spec, raw.spec, Spec())
    return EncryptedSecret(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        deleting=meta.deletion_timestamp is not None,
        spec=spec,
        status=raw.status,
        invalid=invalid,
        orphaning="orphan" in (meta.finalizers or ()),  # what the API server marks `--cascade=orphan` by
        kids=kids(spec),
    )


def _read(decoder: msgspec.json.Decoder[S], raw: msgspec.Raw, otherwise: S) -> tuple[S, str]:
    """The spec, and "" or why it cannot be read."""
    try:
        return decoder.decode(raw), ""
    except msgspec.ValidationError:
        return otherwise, UNREADABLE


def kids(spec: Spec) -> frozenset[str]:
    """The keys that values are sealed to, by what their envelopes say, without a look into them.

    >>> sorted(kids(Spec(values={"a": "fl1:x:0f:AA", "b": "plain"}, recipients=(Recipient("other", {"a": "fl1:x:1f:AA"}),))))
    ['0f', '1f']
    """
    texts = [text for values in (spec.values, *(one.values for one in spec.recipients)) for text in values.values()]
    parts = [text.strip().split(":", 3) for text in texts]
    return frozenset(part[2] for part in parts if len(part) == 4 and part[0] == FORMAT)


def project_sealing_key(data: bytes) -> SealingKey:
    """A SealingKey's JSON."""
    raw = _object.decode(data)
    meta, (spec, invalid) = raw.metadata, _read(_key_spec, raw.spec, KeySpec())
    return SealingKey(
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        created=parse_time(spec.created_at) or parse_time(meta.creation_timestamp) or 0.0,
        deleting=meta.deletion_timestamp is not None,
        spec=spec,
        status=raw.status,
        invalid=invalid,
    )


def owner_uid(references: list[JSON] | None) -> tuple[str, bool]:
    """(uid of the controlling EncryptedSecret or SealedSecret, or "", whether anybody controls it).

    >>> ours = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "EncryptedSecret", "name": "db", "uid": "u", "controller": True}
    >>> owner_uid([ours]), owner_uid([{**ours, "kind": "Other"}]), owner_uid(None)
    (('u', True), ('', True), ('', False))
    """
    owner = controller_of({"ownerReferences": references})
    ours = owner is not None and (owner.api_version, owner.kind) in _OWNERS
    return (owner.uid if owner and ours else ""), owner is not None
