"""The secrets room's shell: what `fairlead run secrets` watches, and how it becomes what the plans look at.

Secrets are watched only where they carry our label; of theirs the store keeps no value but the private keys of the operator's
own namespace. Everything else about a Secret that is not ours is read live, one by one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from fairlead.core.actions import Event, Failure, Plan
from fairlead.core.meta import JSON, Key
from fairlead.engine.controller import Controller, Source, View
from fairlead.engine.listeners import Listeners
from fairlead.kube.resources import DEPLOYMENTS, ENCRYPTED_SECRETS, REVISIONS, SEALED_SECRETS, SEALING_KEYS, SECRETS
from fairlead.secrets import reader, ring
from fairlead.secrets.farewell import farewell
from fairlead.secrets.fingerprints import project_secret
from fairlead.secrets.keys import LABEL_SECRET, wrapped
from fairlead.secrets.kubeseal import LABEL_KEY
from fairlead.secrets.model import (
    KIND,
    LABEL_ENCRYPTED_SECRET,
    EncryptedSecret,
    SealingKey,
    SecretMeta,
    project_encrypted_secret,
    project_sealing_key,
)
from fairlead.secrets.outputs import Bounds, Obstacle, Output, protected
from fairlead.secrets.pins import encrypted_secrets, holders, project_revision
from fairlead.secrets.plan import SecretObserved, plan, summarise
from fairlead.secrets.predecessor import OldController, project_old_controller, still_runs
from fairlead.secrets.reader import (
    Keys,
    OldKey,
    Outline,
    ReaderObserved,
    SealedSecret,
    newest_first,
    outline,
    output,
    project_old_key,
    project_sealed_secret,
    stands,
)
from fairlead.secrets.ring import KeyObserved, Known, RingObserved, Unpublished
from fairlead.secrets.signing import Signer
from fairlead.secrets.stored import KeySecret, project
from fairlead.secrets.suites import PrivateKey, PublicKey, default_suite, generate

log = logging.getLogger(__name__)

ALL = "all"  # index: every record of the kind
KEYS = "keys"  # index: Secrets of private keys, by namespace
MADE = "made"  # index: Secrets that EncryptedSecrets made, by (namespace, LABEL_ENCRYPTED_SECRET)
OLD_KEYS = "SealedSecretsKey"  # what the store calls Secrets with the keys of sealed-secrets
PINNING = "pinning"  # index: Revisions, by the EncryptedSecrets whose versions they may run with
SEALED_TO = "sealed-to"  # index: EncryptedSecrets, by the keys that values of theirs are sealed to
_RING = Key("", "ring")


class Ring(msgspec.Struct, frozen=True):
    """The parent that always stands: all keys together."""

    namespace: str = _RING.namespace
    name: str = _RING.name
    uid: str = ""
    rv: int = 0


@dataclass(frozen=True)
class Terms:
    """What the room is told. `namespace`: the operator's own, where private keys are; `renew`: seconds, 0 for never;
    `recovery`: what each new key is sealed to; `cluster_scope`: whether values may be sealed for every namespace; `protected`:
    namespaces where no Secret is written, besides those of private keys; `sealed_secrets`: where the keys of sealed-secrets are,
    "" where SealedSecrets are none of our business; `signers`: of whom one has to have signed an EncryptedSecret, none where
    no signature is asked for."""

    namespace: str
    renew: float = 30 * 86400.0
    recovery: tuple[PublicKey, ...] = ()
    cluster_scope: bool = False
    protected: tuple[str, ...] = ("kube-system",)
    sealed_secrets: str = ""
    signers: tuple[Signer, ...] = ()

    def bounds(self) -> Bounds:
        """What no Secret is made for."""
        return Bounds(frozenset((self.namespace, self.sealed_secrets, *self.protected)), self.cluster_scope)


def controllers(terms: Terms) -> list[Controller]:
    """All that `fairlead run secrets` runs."""
    known = KeyRing(terms.namespace)
    encrypted = EncryptedSecretPart(terms, known)
    minting = RingPart(terms, known)
    reading = [_reader(terms)] if terms.sealed_secrets else []
    return [
        *reading,
        Controller(
            name="ring",
            parent=SEALING_KEYS,
            sources=(
                _encrypted_secrets(lambda record: ()),
                _sealing_keys(lambda record: (_RING,)),
                _secrets(lambda record: (_RING,) if isinstance(record, KeySecret) else ()),
            ),
            parts=(minting,),
            status_of=lambda record: {},
            summarise=lambda record, status, now: status,
            generation_of=lambda record: 0,
            standing=Ring(),
        ),
        Controller(
            name="sealingkey",
            parent=SEALING_KEYS,
            sources=(
                # Each says of itself what it is among all of them, so each is looked at when one changes.
                _sealing_keys(known.all_of),
                _secrets(lambda record: known.all_of(record) if isinstance(record, KeySecret) else ()),
                _encrypted_secrets(lambda record: [Key("", kid) for kid in sorted(record.kids)]),
            ),
            parts=(SealingKeyPart(known),),
            status_of=lambda record: record.status,
            summarise=ring.summarise,
            generation_of=lambda record: record.generation,
        ),
        Controller(
            name="encryptedsecret",
            parent=ENCRYPTED_SECRETS,
            sources=(
                _encrypted_secrets(lambda record: (record.key,)),
                _sealing_keys(lambda record: encrypted.sealed_to(record.kid)),
                _secrets(encrypted.concerned),
                Source(
                    resource=REVISIONS,
                    project=project_revision,
                    keys=encrypted_secrets,
                    indexes={PINNING: lambda revision: frozenset(encrypted_secrets(revision))},
                ),
            ),
            parts=(encrypted,),
            status_of=lambda record: record.status,
            summarise=summarise,
            generation_of=lambda record: record.generation,
            farewell=encrypted.farewell,
        ),
    ]


def _reader(terms: Terms) -> Controller:
    """What takes the place of sealed-secrets' controller. Its definition may go, and come back: then there are no SealedSecrets."""
    reading = SealedSecretPart(terms)
    return Controller(
        name="sealedsecret",
        parent=SEALED_SECRETS,
        sources=(
            Source(
                resource=SEALED_SECRETS,
                project=project_sealed_secret,
                keys=lambda record: (record.key,),
                optional=True,
            ),
            Source(
                resource=SECRETS,
                project=project_old_key,
                keys=reading.waiting,
                indexes={ALL: lambda record: ALL},
                label_selector=f"{LABEL_KEY}=active",
                optional=True,
                within=terms.sealed_secrets,
                known_as=OLD_KEYS,
            ),
            Source(
                resource=DEPLOYMENTS,
                project=project_old_controller,
                keys=reading.waiting,
                indexes={ALL: lambda record: ALL},
                optional=True,
                within=terms.sealed_secrets,
            ),
            _secrets(lambda secret: (Key(secret.namespace, secret.name),)),
        ),
        parts=(reading,),
        status_of=lambda record: record.status,
        summarise=reader.summarise,
        generation_of=lambda record: record.generation,
    )


def _encrypted_secrets(keys: Callable[[EncryptedSecret], Iterable[Key]]) -> Source:
    return Source(
        resource=ENCRYPTED_SECRETS,
        project=project_encrypted_secret,
        keys=keys,
        indexes={SEALED_TO: lambda record: record.kids},
    )


def _sealing_keys(keys: Callable[[SealingKey], Iterable[Key]]) -> Source:
    return Source(resource=SEALING_KEYS, project=project_sealing_key, keys=keys, indexes={ALL: lambda record: ALL})


def _secrets(keys: Callable[[SecretMeta | KeySecret], Iterable[Key]]) -> Source:
    return Source(
        resource=SECRETS,
        project=project,
        keys=keys,
        indexes={KEYS: _holds_key, MADE: _made_of},
        label_selector=LABEL_SECRET,
        content=project_secret,
    )


def _holds_key(secret: SecretMeta | KeySecret) -> str | None:
    return secret.namespace if isinstance(secret, KeySecret) else None


def _made_of(secret: SecretMeta | KeySecret) -> tuple[str, str] | None:
    """The namespace, and the label that names the EncryptedSecret it was made of."""
    if isinstance(secret, KeySecret):
        return None
    label = secret.labels.get(LABEL_ENCRYPTED_SECRET)
    return (secret.namespace, label) if label else None


class KeyRing:
    """The keys as the store shows them. Those of another namespace than the operator's own are nobody's: who may write Secrets
    elsewhere must not be able to bring a key in."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._kids: set[str] = set()

    def known(self, view: View) -> tuple[Known, ...]:
        """Every published key."""
        held = {secret.kid: secret for secret in self.secrets(view) if not secret.minting}
        found = tuple(
            _known(record, held.get(record.kid), tuple(view.by("EncryptedSecret", SEALED_TO, record.kid)))
            for record in view.by("SealingKey", ALL, ALL)
        )
        self._kids = {key.kid for key in found}
        return found

    def secrets(self, view: View) -> tuple[KeySecret, ...]:
        return tuple(view.by("Secret", KEYS, self.namespace))

    def private(self, view: View) -> dict[str, PrivateKey]:
        """What opens values, by kid: all but the keys that are retired."""
        found = {one.kid: one.private for one in self.secrets(view) if one.private is not None and not one.minting}
        retired = {record.kid for record in view.by("SealingKey", ALL, ALL) if record.status.get("state") == "Retired"}
        return {kid: key for kid, key in found.items() if kid not in retired}

    def all_of(self, record: SealingKey | KeySecret) -> Iterable[Key]:
        """All keys that are known, and this one."""
        return [Key("", kid) for kid in sorted(self._kids | {record.kid}) if kid]


def _known(record: SealingKey, secret: KeySecret | None, users: tuple[EncryptedSecret, ...]) -> Known:
    return Known(
        kid=record.kid,
        created=record.created,
        wish=record.spec.wish,
        was=str(record.status.get("state") or ""),
        held=secret is not None and secret.private is not None,
        problem=secret.problem if secret else "",
        users=users,
    )


class RingPart:
    """Mints keys, and publishes those that nobody has published yet."""

    name = "ring"

    def __init__(self, terms: Terms, known: KeyRing) -> None:
        self._terms = terms
        self._known = known
        self._spare = generate(default_suite())
        self._told: set[str] = set()  # uids of Secrets that hold no key: no SealingKey may be there to say it
        self._wrapped: dict[str, tuple[JSON, ...]] = {}  # by kid: sealing gives another text each time

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> RingObserved:
        secrets, keys = self._known.secrets(view), self._known.known(view)
        if any(secret.kid == self._spare.kid for secret in secrets):
            self._spare = generate(default_suite())
        published = {known.kid for known in keys}
        own = [secret for secret in secrets if not secret.minting]
        self._tell(secrets)
        return RingObserved(
            namespace=self._terms.namespace,
            keys=keys,
            minting=tuple(secret for secret in secrets if secret.minting),
            stored=frozenset(secret.kid for secret in own),
            unpublished=tuple(
                Unpublished(secret, self._recovery(secret))
                for secret in own
                if secret.private is not None and secret.kid not in published
            ),
            spare=self._spare,
            renew=self._terms.renew,
        )

    def plan(self, observed: RingObserved, now: float) -> Plan:
        return ring.plan(observed, now)

    def _tell(self, secrets: Iterable[KeySecret]) -> None:
        for secret in secrets:
            if secret.problem and secret.uid not in self._told:
                self._told.add(secret.uid)
                log.warning("Secret %s/%s is no private key: %s", secret.namespace, secret.name, secret.problem)

    def _recovery(self, secret: KeySecret) -> tuple[JSON, ...]:
        if secret.private is not None and secret.kid not in self._wrapped:
            self._wrapped[secret.kid] = tuple(wrapped(secret.private, self._terms.recovery, secret.minted))
        return self._wrapped.get(secret.kid, ())


class SealingKeyPart:
    """What each SealingKey says of itself."""

    name = "sealingkey"

    def __init__(self, known: KeyRing) -> None:
        self._known = known

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> KeyObserved | None:
        record: SealingKey | None = view.get("SealingKey", key.namespace, key.name)
        if record is None:
            return None
        return KeyObserved(record, self._known.known(view), self._known.namespace)

    def plan(self, observed: KeyObserved, now: float) -> Plan:
        return ring.plan_key(observed, now)


class EncryptedSecretPart:
    """The Secrets that EncryptedSecrets make."""

    name = "secrets"

    def __init__(self, terms: Terms, known: KeyRing) -> None:
        self._bounds = terms.bounds()
        self._signers = terms.signers
        self._known = known
        self._sealed = Listeners[str]()  # who is sealed to which key: a key knows none of them

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> SecretObserved | None:
        record: EncryptedSecret | None = view.get("EncryptedSecret", key.namespace, key.name)
        self._sealed.says(key, record.kids if record else ())
        if record is None:
            return None
        live = view.content("Secret", key.namespace, key.name)
        return SecretObserved(
            record=record,
            keys=self._known.private(view),
            states={one.kid: str(one.status.get("state") or "") for one in view.by("SealingKey", ALL, ALL)},
            current=_made(view.get("Secret", key.namespace, key.name)),
            versions=tuple(
                secret for secret in view.by("Secret", MADE, (key.namespace, record.label)) if secret.name != key.name
            ),
            pinned=holders(view.by("Revision", PINNING, key)),
            foreign=live[1] if live else None,
            failures=failures,
            protected=protected(self._bounds, KIND, record.namespace, record.spec.template.type, record.spec.scope),
            signers=self._signers,
        )

    def plan(self, observed: SecretObserved, now: float) -> Plan:
        return plan(observed, now)

    def farewell(self, record: EncryptedSecret, view: View) -> Iterable[Event]:
        """What is told of one that was deleted; its Secrets may be there still."""
        made = {secret.name for secret in view.by("Secret", MADE, (record.namespace, record.label))}
        versions = made | {record.status.get("version")}
        pinning = view.by("Revision", PINNING, record.key)
        return farewell(record, [revision.name for revision in pinning if not versions.isdisjoint(revision.secrets)])

    def sealed_to(self, kid: str) -> Iterable[Key]:
        """The EncryptedSecrets that have a value sealed to a key."""
        return self._sealed.of(kid)

    def concerned(self, secret: SecretMeta | KeySecret) -> Iterable[Key]:
        """Who looks at a Secret: for a key all that are sealed to it, else the EncryptedSecret whose name it has, or has but
        for the hash."""
        if isinstance(secret, KeySecret):
            return self.sealed_to(secret.kid) if secret.namespace == self._known.namespace else ()
        names = {secret.name, secret.name.rpartition("-")[0]} - {""}
        return [Key(secret.namespace, name) for name in sorted(names)]


class SealedSecretPart:
    """The Secrets that SealedSecrets make."""

    name = "unsealing"

    def __init__(self, terms: Terms) -> None:
        self._home = terms.sealed_secrets
        self._bounds = terms.bounds()
        self._seen: set[Key] = set()
        self._told = ""  # of the old controller
        # What each came to when it was last opened, with what was opened and by which keys. To lose it costs time alone.
        self._known: dict[Key, tuple[tuple[Any, ...], Outline]] = {}

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> ReaderObserved | None:
        record: SealedSecret | None = view.get(SEALED_SECRETS.kind, key.namespace, key.name)
        if record is None:
            self._known.pop(key, None)
            return None
        self._seen.add(key)
        beside = still_runs(view.by(DEPLOYMENTS.kind, ALL, ALL))
        self._tell(beside)
        live = view.content("Secret", key.namespace, key.name)
        current = _made(view.get("Secret", key.namespace, key.name))
        return ReaderObserved(
            record=record,
            found=self._found(view, record, current),
            beside=beside,
            current=current,
            foreign=live[1] if live else None,
            failures=failures,
        )

    def _found(self, view: View, record: SealedSecret, current: SecretMeta | None) -> Output | Obstacle | Outline:
        keys: tuple[OldKey, ...] = tuple(view.by(OLD_KEYS, ALL, ALL))
        of = (record.uid, record.content, [(key.uid, key.rv) for key in keys])
        before, known = self._known.get(record.key, (None, None))
        if known is not None and before == of and stands(record, known, current):
            return known
        found = output(record, Keys(self._home, newest_first(keys), view.unavailable(OLD_KEYS)), self._bounds)
        if isinstance(found, Output):
            self._known[record.key] = of, outline(found)
        return found

    def plan(self, observed: ReaderObserved, now: float) -> Plan:
        return reader.plan(observed, now)

    def waiting(self, whatever: OldKey | OldController) -> Iterable[Key]:
        """Every SealedSecret: none says which key it is sealed to. Those that are gone are not seen again."""
        found, self._seen = self._seen, set()
        return sorted(found)

    def _tell(self, beside: str) -> None:
        if beside != self._told:
            self._told = beside
            log.warning(
                "%s", beside or "the controller of sealed-secrets runs no more: its SealedSecrets are opened here"
            )


def _made(secret: SecretMeta | KeySecret | None) -> SecretMeta | None:
    return secret if isinstance(secret, SecretMeta) else None
