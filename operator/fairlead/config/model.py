"""What an App says of its configuration (spec.config), and what a Revision keeps of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from fairlead.core.actions import Read
from fairlead.core.conditions import find, parse_time
from fairlead.core.meta import API_VERSION, JSON, LABEL_APP, controller_of, stable_hash


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of spec.config: exactly one source, and exactly one of `mount_path` and `env` (the schema's rules).
    `reload`: any word; another one is another revision, for a Secret whose content nobody here reads."""

    name: str
    mount_path: str = ""
    env: bool = False
    prefix: str = ""
    files: dict[str, str] | None = None
    values: dict[str, str] | None = None
    config_map: str = ""
    keys: tuple[str, ...] = ()
    secret: str = ""
    reload: str = ""
    encrypted_secret: str = ""

    @property
    def inline(self) -> dict[str, str] | None:
        """The content that stands in the App itself."""
        return self.files if self.files is not None else self.values


class Pin(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One entry of a Revision's spec.config: which immutable copy its pods get (or which Secret, by name alone), and
    where; `reload` is the word it was released with. Of an EncryptedSecret `secret` is the version, an immutable Secret, and
    `items` the data keys that were asked for (all, where there are none). For `history`: `source` is the ConfigMap the copy
    was made of, or the EncryptedSecret, `by` who wrote it last, by the name of the field manager, `keys` a short hash of each
    key's value: of what is no secret alone."""

    name: str
    mount_path: str = ""
    env: bool = False
    prefix: str = ""
    copy: str = ""
    source: str = ""
    by: str = ""
    secret: str = ""
    reload: str = ""
    items: tuple[str, ...] = ()
    keys: dict[str, str] = {}


class Content(msgspec.Struct, frozen=True):
    """What a ConfigMap holds: `data` as text, `binary` in base64; `by`: who wrote it last."""

    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    by: str = ""


class Copy(msgspec.Struct, frozen=True):
    """An immutable ConfigMap as it is to be: its name says its content."""

    name: str
    entry: str
    content: Content


class ConfigMap(msgspec.Struct, frozen=True, gc=False):
    """A ConfigMap's metadata, a user's or a copy of ours (`app` is its label, `owner_uid` the controlling App's)."""

    namespace: str
    name: str
    uid: str
    rv: int
    created: float
    app: str = ""
    owner_uid: str = ""


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """What an EncryptedSecret says of itself: its Secret is never looked at. `version`: the immutable Secret that is to be
    pinned; `keys`: its data keys; `problem`: why it is not to be pinned now ("" where it is)."""

    namespace: str
    name: str
    uid: str
    rv: int
    version: str = ""
    keys: tuple[str, ...] = ()
    problem: str = ""


class Lack(msgspec.Struct, frozen=True):
    """Why it cannot be said what the pods are to get: a reason for programs, a message for people."""

    reason: str
    message: str


class Wanted(msgspec.Struct, frozen=True):
    """What spec.config comes to. While there is a lack, or something has yet to be read, it is not known."""

    pins: tuple[Pin, ...] = ()
    copies: tuple[Copy, ...] = ()
    lacks: tuple[Lack, ...] = ()
    reads: tuple[Read, ...] = ()
    known: bool = True


class ConfigObserved(msgspec.Struct, frozen=True):
    """All that decides about copies. `copies` are those there are, `kept` the names that Revisions refer to; `strays`:
    there are pods of a Revision that nobody knows, so no copy can be called unused; `lost`: copies that the active
    revision refers to, that were deleted and whose content nobody has any more."""

    namespace: str
    app: str
    app_uid: str
    deleting: bool
    configured: bool
    wanted: Wanted
    copies: tuple[ConfigMap, ...]
    kept: frozenset[str]
    strays: bool
    lost: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None


# ---------------------------------------------------------------- hashes


def digest_with(template: str, pins: Iterable[Pin]) -> str:
    """A revision's digest: its template's, and what its configuration means. Two mounts in another order are the same,
    two environments are not, for the later one wins.

    >>> a, b = Pin("a", mount_path="/a", copy="shop-a-1"), Pin("b", mount_path="/b", copy="shop-b-1")
    >>> digest_with("v1", (a, b)) == digest_with("v1", (b, a)), digest_with("v1", ())
    (True, 'v1')
    >>> digest_with("v1", (a,)) == digest_with("v1", (msgspec.structs.replace(a, copy="shop-a-2"),))
    False
    """
    means = [(p.env, "" if p.env else p.name, _meaning(p)) for p in pins]
    if not means:
        return template
    ordered = [(env, what) for env, _, what in sorted(means, key=lambda item: item[:2])]
    return stable_hash(msgspec.json.encode([template, ordered]))


def _meaning(pin: Pin) -> list[str]:
    """What of a pin a pod can tell; the word of a reload only where there is one, so that none is no change."""
    items = [f"item:{key}" for key in sorted(pin.items)]
    return [pin.name, pin.mount_path, pin.prefix, pin.copy, pin.secret, *([pin.reload] if pin.reload else ()), *items]


def content_hash(content: Content) -> str:
    """The name-safe hash of a content, whatever the order of its keys.

    >>> content_hash(Content({"a": "1", "b": "2"})) == content_hash(Content({"b": "2", "a": "1"}))
    True
    >>> content_hash(Content({"a": "1"})) == content_hash(Content({}, {"a": "1"}))
    False
    """
    parts = [sorted((key, _sha(value)) for key, value in side.items()) for side in (content.data, content.binary)]
    return stable_hash(msgspec.json.encode(parts))


def key_hashes(content: Content) -> dict[str, str]:
    """A short hash of each key's value, by key.

    >>> list(key_hashes(Content({"b": "2", "a": "1"})))
    ['a', 'b']
    """
    both = content.data | content.binary
    return {key: stable_hash(both[key].encode()) for key in sorted(both)}


def size_of(content: Content) -> int:
    """Bytes of all values, as the API server counts them (1 MiB is the most it takes).

    >>> size_of(Content({"a": "é"}, {"b": "AAAA"}))
    5
    """
    text = sum(len(value.encode()) for value in content.data.values())
    return text + sum(len(value) * 3 // 4 - value[-2:].count("=") for value in content.binary.values())


def _sha(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


# ---------------------------------------------------------------- projection


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    creation_timestamp: str | None = None
    labels: dict[str, str] | None = None
    owner_references: list[JSON] | None = None


class _ConfigMap(msgspec.Struct, rename="camel"):
    metadata: _Meta


class _Written(msgspec.Struct, rename="camel"):
    managed_fields: list[JSON] | None = None


class _Full(msgspec.Struct, rename="camel"):
    metadata: _Written = msgspec.field(default_factory=_Written)
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


class _SealedMeta(_Meta, rename="camel"):
    generation: int = 0


class _SealedStatus(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    version: str = ""
    keys: tuple[str, ...] = ()
    conditions: list[JSON] | None = None


class _Sealed(msgspec.Struct):
    metadata: _SealedMeta
    status: _SealedStatus = msgspec.field(default_factory=_SealedStatus)


_sealed = msgspec.json.Decoder(_Sealed)
_metadata = msgspec.json.Decoder(_ConfigMap)
_full = msgspec.json.Decoder(_Full)


def project_config_map(data: bytes) -> ConfigMap:
    """A ConfigMap's JSON, or its metadata's alone, to a `ConfigMap`. All of a cluster's are kept, so this is small."""
    meta = _metadata.decode(data).metadata
    owner = controller_of({"ownerReferences": meta.owner_references})
    ours = owner is not None and owner.kind == "App" and owner.api_version == API_VERSION
    return ConfigMap(
        meta.namespace,
        meta.name,
        meta.uid,
        int(meta.resource_version or 0),
        parse_time(meta.creation_timestamp) or 0.0,
        (meta.labels or {}).get(LABEL_APP, ""),
        owner.uid if owner and ours else "",
    )


def project_sealed(data: bytes) -> Sealed:
    """An EncryptedSecret's JSON to a `Sealed`; what is sealed in it is not kept."""
    raw = _sealed.decode(data)
    meta, status = raw.metadata, raw.status
    return Sealed(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version or 0),
        version=status.version,
        keys=status.keys,
        problem=_problem(meta.generation, status),
    )


def _problem(generation: int, status: _SealedStatus) -> str:
    """Why the version that the status names is not the one its spec asks for.

    >>> ready = {"type": "Ready", "status": "True"}
    >>> _problem(2, _SealedStatus(2, "db-1", (), [ready])), _problem(2, _SealedStatus(2, "db-1", (), [ready | {"status": "False", "message": "no"}]))
    ('', 'no')
    >>> _problem(2, _SealedStatus(1, "db-1", (), [ready]))[:27]
    'it has not been opened yet;'
    """
    if status.observed_generation != generation:
        return "it has not been opened yet; if that lasts, look whether `fairlead run secrets` runs (the chart's value secrets.enabled)"
    said = find(status.conditions or (), "Ready") or {}
    if said.get("status") != "True":
        return str(said.get("message") or said.get("reason") or "it is not Ready")
    return "" if status.version else "it names no version"


def project_content(data: bytes) -> Content:
    """What a ConfigMap that was read in full holds."""
    raw = _full.decode(data)
    writers = [
        entry
        for entry in raw.metadata.managed_fields or ()
        if {"f:data", "f:binaryData"} & (entry.get("fieldsV1") or {}).keys()
    ]
    last = max(writers, key=lambda entry: str(entry.get("time") or ""), default={})
    return Content(raw.data or {}, raw.binary_data or {}, str(last.get("manager") or "")[:128])
