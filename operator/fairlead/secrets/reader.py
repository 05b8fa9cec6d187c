"""From a SealedSecret of sealed-secrets to the Secret of its name, in place of that project's controller. Pure.

It is written as that controller would have written it, and owned by the SealedSecret, so that either can go on where the other
stopped. As with EncryptedSecrets, nothing is written while one value does not open, and no Secret of somebody else ever.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fairlead.core.actions import Action, Event, Failure, Plan
from fairlead.core.conditions import Condition, find, parse_time, timestamp
from fairlead.core.meta import GROUP, JSON, MANAGED_BY, Key
from fairlead.secrets.fingerprints import fingerprint
from fairlead.secrets.keys import LABEL_SECRET, ROLE_UNSEALED
from fairlead.secrets.kubeseal import LABEL_KEY, SealedSecretError, Unsealed, keys_in_pem, opened
from fairlead.secrets.model import ANNOTATION_ADOPT, SEALED_SECRET, SEALED_SECRET_API, Meta, SecretMeta
from fairlead.secrets.opening import substituted, too_large
from fairlead.secrets.outputs import (
    ANNOTATION_APPLIED,
    Bounds,
    Claim,
    Obstacle,
    Output,
    applied_names,
    body,
    corrected,
    created,
    in_the_way,
    metadata_changes,
    protected,
    refused,
)

ANNOTATION_MANAGED = "sealedsecrets.bitnami.com/managed"  # on a Secret: a SealedSecret of its name may take it over


class SealedSecret(msgspec.Struct, frozen=True):
    """One SealedSecret. `content`: its metadata and spec, as far as `kubeseal.opened` looks at them."""

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int
    deleting: bool
    content: JSON
    status: JSON

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class OldKey(msgspec.Struct, frozen=True):
    """A Secret with a key of sealed-secrets. `private` is empty where it holds none that can be read."""

    namespace: str
    name: str
    uid: str
    rv: int
    created: float
    private: tuple[RSAPrivateKey, ...]


class Keys(msgspec.Struct, frozen=True):
    """What SealedSecrets are opened with, the newest key first; home: the namespace keys are looked for in; unavailable: why they
    cannot be, "" where they can."""

    home: str
    private: tuple[RSAPrivateKey, ...] = ()
    unavailable: str = ""


class Outline(msgspec.Struct, frozen=True):
    """What a SealedSecret came to, without its values: enough to see that its Secret is as it should be."""

    metadata: JSON
    type: str
    immutable: bool
    fingerprint: bytes
    size: int  # data keys


class ReaderObserved(msgspec.Struct, frozen=True):
    """All that decides about one SealedSecret.

    found: what it comes to (`output`), or its Outline where that is known and the Secret stands as it should. beside: what is
    said where the old controller still runs (predecessor.py), "" where it does not. current, foreign and failures as with
    EncryptedSecrets (plan.SecretObserved).
    """

    record: SealedSecret
    found: Output | Obstacle | Outline
    beside: str = ""
    current: SecretMeta | None = None
    foreign: SecretMeta | None = None
    failures: tuple[Failure, ...] = ()


# ---------------------------------------------------------------- projection


class _Meta(Meta, rename="camel"):
    annotations: dict[str, str] | None = None


class _SealedSecret(msgspec.Struct):
    metadata: _Meta
    spec: JSON = {}
    status: JSON | None = None


class _KeySecret(msgspec.Struct):
    metadata: Meta
    data: dict[str, str] | None = None


_sealed_secret = msgspec.json.Decoder(_SealedSecret)
_key_secret = msgspec.json.Decoder(_KeySecret)


def project_sealed_secret(data: bytes) -> SealedSecret:
    """A SealedSecret's JSON."""
    raw = _sealed_secret.decode(data)
    meta = raw.metadata
    about = {"name": meta.name, "namespace": meta.namespace, "annotations": meta.annotations or {}}
    return SealedSecret(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        deleting=meta.deletion_timestamp is not None,
        content={"metadata": about, "spec": raw.spec},
        status=raw.status or {},
    )


def project_old_key(data: bytes) -> OldKey:
    """A Secret's JSON, of whose content only `tls.key` is looked at."""
    raw = _key_secret.decode(data)
    meta = raw.metadata
    try:
        pem = base64.b64decode((raw.data or {}).get("tls.key", ""))
    except ValueError:
        pem = b""
    return OldKey(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        created=parse_time(meta.creation_timestamp) or 0.0,
        private=tuple(keys_in_pem(pem)),
    )


def newest_first(keys: Iterable[OldKey]) -> tuple[RSAPrivateKey, ...]:
    """Every private key: values say nothing of which one they are sealed to, and most are to one of the last."""
    return tuple(private for key in sorted(keys, key=lambda one: -one.created) for private in key.private)


# ---------------------------------------------------------------- the plan


def plan(observed: ReaderObserved, now: float) -> Plan:
    """Open everything, or leave everything as it is; then bring the Secret in line with it, and say how it stands."""
    record, there = observed.record, observed.current
    if record.deleting:
        return Plan()  # garbage collection takes what it owns
    if observed.beside:  # what it says in the status stays, too
        return Plan(events=(Event("Warning", "OldControllerRuns", observed.beside),))
    found = observed.found
    if isinstance(found, Outline):
        return _told(observed, _opened(found.size))
    if isinstance(found, Obstacle):
        return _told(observed, _refused(found))
    if there is not None and _predecessors(record, there):
        return Plan()  # garbage collection is about to take it, and the watch will tell
    obstacle, reads = in_the_way(found, observed, claim(record))
    if obstacle is not None:
        # A Secret that is not watched: only a create that goes through will tell that it is gone. It is held back ever longer.
        tried = (created(found),) if there is None else ()
        return msgspec.structs.replace(_told(observed, _refused(obstacle)), reads=reads, actions=tried)
    write: Action | None = created(found) if there is None else corrected(found, there)
    if write is None:
        return _told(observed, _opened(len(found.data)))
    refusal = refused(observed.failures, [write])
    if refusal is not None:
        words = f"the API server refuses the Secret {record.name}: {refusal.message}; it is tried again by itself"
        said = Condition("Synced", "False", "WriteRefused", words)
        return msgspec.structs.replace(_told(observed, said), reads=reads, actions=(write,))
    return Plan(actions=(write,), events=tuple(_repaired(observed, found)))  # told of when the watch shows it


def output(record: SealedSecret, keys: Keys, bounds: Bounds) -> Output | Obstacle:
    """What the Secret is to be, or what keeps it from being known."""
    if not keys.private:
        return Obstacle("KeyMissing", _no_keys(keys))
    try:
        found = opened(record.content, record.namespace, keys.private)
    except SealedSecretError as error:
        return Obstacle(error.reason, f"{error.message}; the Secret stays as it was")
    why = protected(bounds, SEALED_SECRET, record.namespace, found.type, found.scope)
    if why:
        return Obstacle("Protected", why)
    data = {**found.values, **{file: substituted(text, found.values) for file, text in found.files.items()}}
    for problem in too_large(data):
        return Obstacle(problem.reason, f"{problem.key} {problem.message}")
    return Output(SEALED_SECRET, record.uid, manifest(record, found, data), data)


def outline(found: Output) -> Outline:
    """What of it may be kept in memory."""
    body = found.body
    return Outline(body["metadata"], found.type, bool(body.get("immutable")), fingerprint(found.data), len(found.data))


def stands(record: SealedSecret, known: Outline, there: SecretMeta | None) -> bool:
    """Whether the Secret that is there is the one that this comes to, so that nothing has to be opened to know it: RSA takes
    milliseconds a key, and each look would ask for it again.

    >>> record = SealedSecret("shop", "db", "u", 1, 1, False, {}, {})
    >>> found = Output(SEALED_SECRET, "u", manifest(record, Unsealed("db", "shop", None), {"a": b"1"}), {"a": b"1"})
    >>> stands(record, outline(found), None)
    False
    """
    if there is None or there.deleting or not _ours(record, there):
        return False
    same = (there.type, there.fingerprint) == (known.type, known.fingerprint)
    return same and there.immutable >= known.immutable and not metadata_changes(there, known.metadata)


def _no_keys(keys: Keys) -> str:
    words = (
        f"there is no private key of sealed-secrets in the namespace {keys.home}: its Secrets have the label {LABEL_KEY}=active. Bring them "
        "there, or name their namespace in the chart's value secrets.sealedSecrets.namespace; it is opened as soon as they are seen"
    )
    return f"{words} ({keys.unavailable})" if keys.unavailable else words


def manifest(record: SealedSecret, found: Unsealed, data: dict[str, bytes]) -> JSON:
    """The Secret as sealed-secrets makes it, and with our label, by which it is watched. It agrees at once to be taken over by an
    EncryptedSecret of its name; as long as the SealedSecret controls it, that is of no effect.

    >>> record = SealedSecret("shop", "db", "u", 1, 1, False, {}, {})
    >>> manifest(record, Unsealed("db", "shop", None, labels={"team": "blue"}), {})["metadata"]["labels"]["team"]
    'blue'
    """
    labels, annotations = _of_others(found.labels), _of_others(found.annotations)
    metadata: JSON = {
        "namespace": record.namespace,
        "name": record.name,
        "labels": {"app.kubernetes.io/managed-by": MANAGED_BY, **labels, LABEL_SECRET: ROLE_UNSEALED},
        "annotations": {
            **annotations,
            ANNOTATION_APPLIED: applied_names(labels, annotations),
            ANNOTATION_ADOPT: record.name,
        },
    }
    if found.owned:
        owner = {"apiVersion": SEALED_SECRET_API, "kind": SEALED_SECRET, "name": record.name, "uid": record.uid}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    made = body(metadata, found.type, data)
    return made | {"immutable": True} if found.immutable else made


def _of_others(names: Mapping[str, str]) -> dict[str, str]:
    """What a template may give: by names of ours it could pass its Secret off as another's."""
    return {name: value for name, value in names.items() if f"{GROUP}/" not in name}


# ---------------------------------------------------------------- whose Secret it is


def _ours(record: SealedSecret, secret: SecretMeta) -> bool:
    """Controlled by this very SealedSecret, whoever wrote it; or by nobody, and made of one of this name."""
    if secret.owned:
        return secret.owner_uid == record.uid
    return secret.labels.get(LABEL_SECRET) == ROLE_UNSEALED


def _predecessors(record: SealedSecret, secret: SecretMeta) -> bool:
    """Whether it is of a deleted SealedSecret of the same name."""
    return secret.labels.get(LABEL_SECRET) == ROLE_UNSEALED and secret.owner_uid not in ("", record.uid)


def claim(record: SealedSecret) -> Claim:
    """A Secret of somebody else is taken over where it says so itself, in our words or in those of sealed-secrets."""
    return Claim(
        ours=lambda there: _ours(record, there),
        agreed=lambda said: said.get(ANNOTATION_ADOPT) == record.name or said.get(ANNOTATION_MANAGED) == "true",
    )


# ---------------------------------------------------------------- words


def _opened(size: int) -> Condition:
    return Condition("Synced", "True", "Opened", f"all {size} data keys are in the Secret")


def _refused(obstacle: Obstacle) -> Condition:
    return Condition("Synced", "False", obstacle.reason, obstacle.message)


def _told(observed: ReaderObserved, said: Condition) -> Plan:
    """The status, and an Event where it is news that something has to be done."""
    before = find(observed.record.status.get("conditions") or (), "Synced") or {}
    news = said.status == "False" and (before.get("status"), before.get("reason")) != ("False", said.reason)
    events = (Event("Warning", said.reason, said.message),) if news else ()
    return Plan(status={"conditions": [said]}, events=events)


def _repaired(observed: ReaderObserved, found: Output) -> Iterable[Event]:
    """What somebody did to a Secret of ours, and that it was undone."""
    record, there = observed.record, observed.current
    said = find(record.status.get("conditions") or (), "Synced") or {}
    if said.get("reason") != "Opened" or record.status.get("observedGeneration") != record.generation:
        return  # it is the SealedSecret that changed
    if there is None:
        yield Event("Warning", "SecretRecreated", f"the Secret {record.name} was gone, and was made again")
    elif _ours(record, there) and there.fingerprint != fingerprint(found.data):
        words = f"the content of the Secret {record.name} was changed by somebody, and was put back"
        yield Event("Warning", "SecretReverted", words)


def summarise(record: SealedSecret, status: JSON, now: float) -> JSON:
    """The status in the form that sealed-secrets has given it, for those that read it there (kubectl's columns, Argo CD).

    >>> record = SealedSecret("shop", "db", "u", 1, 2, False, {}, {})
    >>> told = summarise(record, {"conditions": [Condition("Synced", "True", "Opened", "all")]}, 60.0)
    >>> told["observedGeneration"], told["conditions"][0]["lastTransitionTime"]
    (2, '1970-01-01T00:01:00Z')
    """
    said: Condition = status["conditions"][0]
    words = {"type": said.type, "status": said.status, "reason": said.reason, "message": said.message}
    old = find(record.status.get("conditions") or (), said.type) or {}
    same = {name: old.get(name) for name in words} == words
    times = {
        "lastUpdateTime": (old.get("lastUpdateTime") if same else None) or timestamp(now),
        "lastTransitionTime": (old.get("lastTransitionTime") if old.get("status") == said.status else None)
        or timestamp(now),
    }
    return {"conditions": [{**words, **times}], "observedGeneration": record.generation}
