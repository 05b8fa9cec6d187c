"""The Secret that a sealed object makes: how it comes to be what it should, and whose it may be. Pure.

A Secret that is somebody else's is never written, but where it says so itself and its object wants it too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from fairlead.core.actions import Action, Create, Delete, Failure, Patch, Read
from fairlead.core.meta import GROUP, JSON
from fairlead.secrets.envelope import Scope
from fairlead.secrets.fingerprints import fingerprint
from fairlead.secrets.keys import LABEL_SECRET, ROLE_CURRENT, ROLE_UNSEALED
from fairlead.secrets.model import ANNOTATION_ADOPT, FORBIDDEN_TYPES, SEALED_SECRET, SecretMeta

ANNOTATION_APPLIED = f"{GROUP}/applied-names"  # on the Secret: labels and annotations it has from the template
ROLE_ADOPTABLE = "adopt"  # a foreign Secret's LABEL_SECRET: the watch shows it, and its consent, at once


class Output(msgspec.Struct, frozen=True):
    """What a Secret is to be. `kind`, `uid`: of the object that makes it; `body`: as it is written; `data`: what it holds, so it
    never leaves the plan but as a write."""

    kind: str
    uid: str
    body: JSON
    data: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"Output({self.namespace}/{self.name})"

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def type(self) -> str:
        return str(self.body["type"])


class Obstacle(msgspec.Struct, frozen=True):
    """What keeps a Secret from being written, and what to do about it. No value is ever in it."""

    reason: str
    message: str


def body(metadata: JSON, type: str, data: Mapping[str, bytes]) -> JSON:
    """A Secret as it is written.

    >>> body({"name": "db"}, "Opaque", {"password": b"1"})["data"]
    {'password': 'MQ=='}
    """
    encoded = {key: base64.b64encode(value).decode() for key, value in sorted(data.items())}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type, "data": encoded}


def applied_names(labels: Iterable[str], annotations: Iterable[str]) -> str:
    """The value of ANNOTATION_APPLIED.

    >>> applied_names({"team": "blue"}, {})
    '[["team"],[]]'
    """
    return msgspec.json.encode([sorted(labels), sorted(annotations)]).decode()


# ---------------------------------------------------------------- writes


def created(output: Output) -> Create:
    """It, where there is none: the API server has the last word on whether there is."""
    return Create("Secret", output.namespace, output.name, msgspec.json.encode(output.body), output.uid)


def corrected(output: Output, there: SecretMeta) -> Action | None:
    """What is not as it should be put right; None where nothing is. One that is immutable goes, and comes back."""
    if there.deleting:
        return None
    same = there.fingerprint == fingerprint(output.data)
    if there.immutable and not same:
        return Delete("Secret", there.namespace, there.name, there.uid)
    changes = metadata_changes(there, output.body["metadata"])
    patch: JSON = {"metadata": changes} if changes else {}
    if not same:
        patch["data"] = {**dict.fromkeys(set(there.keys) - set(output.data)), **output.body["data"]}
    if output.body.get("immutable") and not there.immutable:
        patch["immutable"] = True
    return guarded(there, patch) if patch else None


def metadata_changes(there: SecretMeta, wanted: JSON) -> JSON:
    """A merge patch of the metadata: what is not as it should be, and what the template had once and has no more."""
    changes: JSON = {}
    for field, has, gone in zip(
        ("labels", "annotations"), (there.labels, there.annotations), _applied(there), strict=True
    ):
        differing = {name: value for name, value in wanted[field].items() if has.get(name) != value}
        dropped = dict.fromkeys(name for name in gone if name not in wanted[field] and name in has)
        if differing or dropped:
            changes[field] = differing | dropped
    references = wanted.get("ownerReferences")
    if there.owner_uid != (references[0]["uid"] if references else "") or lacks(there, references or ()):
        changes["ownerReferences"] = references
    return changes


def lacks(there: SecretMeta, references: Iterable[JSON]) -> bool:
    """Whether one of these owners is not among its owners."""
    return any(one["uid"] not in there.owners for one in references)


def _applied(there: SecretMeta) -> tuple[list[str], list[str]]:
    """Names of labels and annotations that the template gave this Secret when it was last written."""
    try:
        labels, annotations = msgspec.json.decode(
            there.annotations.get(ANNOTATION_APPLIED, "[[],[]]"), type=tuple[list[str], list[str]]
        )
    except msgspec.DecodeError:
        return [], []
    return labels, annotations


def guarded(there: SecretMeta, patch: JSON) -> Patch:
    """Only if it still is what was looked at."""
    only = {**patch, "metadata": {**patch.get("metadata", {}), "uid": there.uid, "resourceVersion": str(there.rv)}}
    return Patch("Secret", there.namespace, there.name, msgspec.json.encode(only))


def refused(failures: Iterable[Failure], writes: Iterable[Action]) -> Failure | None:
    """The refusal of one of these very writes: that a name was taken says nothing of a Secret that agrees by now.

    >>> taken = Failure("create", "Secret", "db", 409, "NameTaken", "", 0.0)
    >>> refused([taken], [Create("Secret", "shop", "db", b"")]) is taken, refused([taken], [Patch("Secret", "shop", "db", b"")])
    (True, None)
    """
    made = {(write.name, isinstance(write, Create)) for write in writes}
    return next((one for one in failures if one.kind == "Secret" and (one.name, one.verb == "create") in made), None)


# ---------------------------------------------------------------- whose it is


class Sight(Protocol):
    """The Secret of a name as far as it is known: as the watch shows it, or as a live read did; and what was refused."""

    @property
    def current(self) -> SecretMeta | None: ...
    @property
    def foreign(self) -> SecretMeta | None: ...
    @property
    def failures(self) -> tuple[Failure, ...]: ...


class Claim(msgspec.Struct, frozen=True):
    """What an object has to say for itself where a Secret of its name is there. `ours`: whether it has made that one; `agreed`:
    whether that one's annotations say that it may be taken over; `wishes`: what the object has yet to say for that."""

    ours: Callable[[SecretMeta], bool]
    agreed: Callable[[Mapping[str, str]], bool]
    wishes: tuple[str, ...] = ()


def in_the_way(output: Output, seen: Sight, claim: Claim) -> tuple[Obstacle | None, tuple[Read, ...]]:
    """A Secret of the name that is not what can be made of it, and what is to be done about it; and what has to be read before
    that can be told."""
    there = seen.current or seen.foreign
    if there is None:
        taken = any(failure.reason == "NameTaken" and failure.name == output.name for failure in seen.failures)
        return None, (Read("Secret", output.namespace, output.name, 0),) if taken else ()
    if claim.ours(there):
        return (_other_type(output, there) if there.type != output.type else None), ()
    agrees = claim.agreed(there.annotations)
    return _foreign(output, there, agrees, claim.wishes, watched=seen.current is not None), ()


def _foreign(
    output: Output, there: SecretMeta, agrees: bool, wishes: Sequence[str], *, watched: bool
) -> Obstacle | None:
    """What stands against taking a Secret over that somebody else has made; None where nothing does. Both have to agree: the
    Secret by an annotation (`agrees`), and the object (`wishes`: what it has yet to say). And the Secret's label has to bring
    it before our eyes (`watched`), for what was read of another a while ago may be past."""
    name, namespace = output.name, output.namespace
    label = f"`kubectl label secret {name} --namespace {namespace} {LABEL_SECRET}={ROLE_ADOPTABLE}`"
    delete = f"`kubectl delete secret {name} --namespace {namespace}`"
    if there.owned:
        return Obstacle("NotOwned", _controlled(output, there))
    if wishes or not agrees:
        annotate = f"`kubectl annotate secret {name} --namespace {namespace} {ANNOTATION_ADOPT}={name}`"
        steps = [*(() if agrees else (annotate, label)), *wishes]
        words = f"a Secret named {name} exists and is not this {output.kind}'s. To take it over: {', and '.join(steps)}; or remove it: {delete}"
        return Obstacle("NotOwned", f"{words}; it is left as it is")
    if there.immutable:
        words = f"the Secret {name} is immutable and cannot be taken over: {delete} has it made anew, with the values of this {output.kind}"
        return Obstacle("SecretImmutable", f"{words}; it is left as it is")
    if there.type != output.type:
        return _other_type(output, there)
    if not watched:
        return Obstacle("NotOwned", f"the Secret {name} is taken over as soon as it can be watched: {label}")
    return None


def _controlled(output: Output, there: SecretMeta) -> str:
    """A Secret that something else controls, and the way out where that is the other of the sealed kinds."""
    name = output.name
    if output.kind == SEALED_SECRET and there.labels.get(LABEL_SECRET) == ROLE_CURRENT:
        way = f"`kubectl delete sealedsecret {name} --namespace {output.namespace}`"
        return f"the EncryptedSecret of that name makes the Secret {name}, so this {output.kind} is not needed any more: {way}"
    if there.labels.get(LABEL_SECRET) == ROLE_UNSEALED:
        way = f"`kubectl delete sealedsecret {name} --namespace {output.namespace} --cascade=orphan` leaves it to this {output.kind}"
        return f"a Secret named {name} exists, and the SealedSecret of that name controls it: {way}; until then it is left as it is"
    words = f"a Secret named {name} exists, and something else controls it: rename this {output.kind}, or delete what made that Secret"
    return f"{words}; it is left as it is"


def _other_type(output: Output, there: SecretMeta) -> Obstacle:
    """Kubernetes has no Secret change its type."""
    name, namespace = output.name, output.namespace
    words = f"the Secret {name} is of type {there.type}, which cannot become {output.type}: `kubectl delete secret {name} --namespace {namespace}`"
    return Obstacle("SecretOfOtherType", f"{words} has it made anew; it is left as it is")


# ---------------------------------------------------------------- where none is written


class Bounds(msgspec.Struct, frozen=True):
    """What no Secret is made for. `namespaces`: where none is written; `cluster_scope`: whether values that were sealed for
    every namespace are opened."""

    namespaces: frozenset[str] = frozenset()
    cluster_scope: bool = False


def protected(bounds: Bounds, kind: str, namespace: str, type: str, scope: Scope) -> str:
    """Why no Secret is written for an object of that kind and place, "" where one may be.

    >>> protected(Bounds(), "SealedSecret", "shop", "Opaque", Scope.CLUSTER).partition(",")[0]
    'values of scope Cluster are not opened here'
    >>> protected(Bounds(), "SealedSecret", "shop", "Opaque", Scope.STRICT)
    ''
    """
    if namespace in bounds.namespaces:
        return (
            f"no Secret is written in the namespace {namespace}, which could be a credential of the cluster or of Fairlead "
            f"itself; put the {kind} into a namespace of its own"
        )
    if type in FORBIDDEN_TYPES:  # a schema may refuse it too, but an object may be older
        return (
            f"no Secret of type {type} is written, for it would make credentials out of nothing; choose another "
            "template.type"
        )
    if scope == Scope.CLUSTER and not bounds.cluster_scope:
        return (
            f"values of scope Cluster are not opened here, because everybody who may make one of kind {kind} anywhere could read them; "
            "seal them for a narrower scope, or have the operator's owner set secrets.clusterScope in the chart's values"
        )
    return ""
