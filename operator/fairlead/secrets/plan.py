"""From an EncryptedSecret to the Secrets that come of it: the one of its name, and an immutable copy of each version. Pure.

Three things hold whatever happens. Nothing is written while one value does not open: what opened last stays. A Secret that is
not ours is never written, but where it says so itself. A version that a Revision runs with is never deleted, and stays when its
EncryptedSecret goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fairlead.core.actions import Action, Create, Delete, Event, Failure, Plan, Read, merge_requeue
from fairlead.core.conditions import Condition, find, parse_time, timestamp
from fairlead.core.meta import API_VERSION, GROUP, JSON, MANAGED_BY, owner_reference
from fairlead.secrets.fingerprints import fingerprint
from fairlead.secrets.keys import LABEL_SECRET, ROLE_CURRENT, ROLE_VERSION
from fairlead.secrets.model import (
    ANNOTATION_ADOPT,
    KIND,
    LABEL_ENCRYPTED_SECRET,
    EncryptedSecret,
    SecretMeta,
)
from fairlead.secrets.opening import Contents, Problem, contents
from fairlead.secrets.outputs import (
    ANNOTATION_APPLIED,
    Claim,
    Output,
    applied_names,
    body,
    corrected,
    created,
    guarded,
    in_the_way,
    lacks,
    metadata_changes,
    refused,
)
from fairlead.secrets.pins import PinningRevision
from fairlead.secrets.signing import Signer, unsigned
from fairlead.secrets.suites import PrivateKey
from fairlead.secrets.written import written

ANNOTATION_OF = f"{GROUP}/encrypted-secret-uid"  # on our Secrets: whose they are, also where nobody owns them (Retain)
ANNOTATION_VERSION = f"{GROUP}/secret-version"  # on the Secret `name`: the version it has
ANNOTATION_SUPERSEDED = f"{GROUP}/superseded-at"  # on a version: since when it is not the current one
MOST_PROBLEMS = 32  # in a status
# A version is kept for so long after the next one came: a Revision that names it may be on its way through a watch that lags.
COLLECT_SECONDS = 600.0


class SecretObserved(msgspec.Struct, frozen=True):
    """All that decides about one EncryptedSecret.

    keys: what opens values, by kid. states: of all SealingKeys, by kid. current: the Secret of its name, as far as the watch
    shows it; foreign: as a live read showed it, where the watch does not. versions: the immutable ones that carry its label.
    pinned: versions that Revisions run with, by name, with these. protected: why nothing is written at all (""). signers:
    of whom one has to have signed it, none where no signature is asked for.
    """

    record: EncryptedSecret
    keys: Mapping[str, PrivateKey]
    states: Mapping[str, str]
    current: SecretMeta | None
    versions: tuple[SecretMeta, ...]
    pinned: Mapping[str, tuple[PinningRevision, ...]] = {}
    foreign: SecretMeta | None = None
    failures: tuple[Failure, ...] = ()
    protected: str = ""
    signers: tuple[Signer, ...] = ()


def plan(observed: SecretObserved, now: float) -> Plan:
    """Open everything, or leave everything as it is; then make the version, bring the Secret in line with it, collect what
    nobody runs with, and say how it stands."""
    record = observed.record
    if record.deleting:
        return Plan()  # garbage collection takes what it owns; with deletionPolicy Retain nobody owns it
    if record.invalid:
        return _told(observed, Condition("Ready", "False", "SpecInvalid", record.invalid))
    if observed.protected:
        return _told(observed, Condition("Ready", "False", "Protected", observed.protected))
    lack = unsigned(record.spec, record.namespace, record.name, observed.signers)
    if lack is not None:
        return _told(observed, Condition("Ready", "False", lack.reason, lack.message))
    found = contents(record, observed.keys, observed.states)
    if not isinstance(found, Contents):
        return _told(observed, failed(found), problems=found)
    if any(_predecessors(record, one) for one in (observed.current, *observed.versions) if one is not None):
        return Plan()  # garbage collection is about to take them, and the watch will tell
    stranger = strangers(observed, found.version)
    if stranger is not None:
        return _told(observed, stranger)
    wanted = output(record, found)
    obstacle, reads = in_the_way(wanted, observed, claim(record))
    if obstacle is not None:
        # A Secret that is not watched: only a create that goes through will tell that it is gone. It is held back ever longer.
        tried = (created(wanted),) if observed.current is None else ()
        said = Condition("Ready", "False", obstacle.reason, obstacle.message)
        return msgspec.structs.replace(_told(observed, said), reads=reads, actions=tried)
    writes = (*_version(observed, found), *_current(observed, found))
    collected, due = collect(observed, found.version, now)
    refusal = refused(observed.failures, (*writes, *collected))
    if refusal is not None:
        said = Condition(
            "Ready",
            "False",
            "WriteRefused",
            f"the API server refuses the Secret {refusal.name}: {refusal.message}; it is tried again by itself",
        )
        return msgspec.structs.replace(
            _told(observed, said, reads=reads), actions=(*writes, *collected), requeue_after=due
        )
    if writes:  # told of when the watch shows them: a version that Apps are to pin must be there
        return Plan(actions=(*writes, *collected), events=tuple(_repaired(observed, found)), requeue_after=due)
    made = _told(observed, ready(observed, found), made=found)
    return msgspec.structs.replace(made, actions=collected, requeue_after=due)


# ---------------------------------------------------------------- versions


def _version(observed: SecretObserved, found: Contents) -> Iterable[Action]:
    """The version's Secret, where it is not there; one that was tampered with goes, and comes back in the next pass."""
    record = observed.record
    there = next((one for one in observed.versions if one.name == found.version), None)
    wanted = manifest(record, found, ROLE_VERSION, owners(record, observed.pinned.get(found.version, ())))
    if there is None:
        yield Create(
            "Secret",
            record.namespace,
            found.version,
            msgspec.json.encode(wanted),
            record.uid,
        )
        return
    if there.deleting:
        return
    if there.fingerprint != fingerprint(found.data) or there.type != record.spec.template.type:
        yield Delete("Secret", there.namespace, there.name, there.uid)
        return
    changes = metadata_changes(there, wanted["metadata"])
    if ANNOTATION_SUPERSEDED in there.annotations:
        changes.setdefault("annotations", {})[ANNOTATION_SUPERSEDED] = None
    if changes:
        yield guarded(there, {"metadata": changes})


def collect(observed: SecretObserved, version: str, now: float) -> tuple[tuple[Action, ...], float | None]:
    """Versions that are not current: marked when they cease to be, deleted when they have been so for long enough and no
    Revision runs with them. With the seconds until the next is due."""
    actions: list[Action] = []
    due: float | None = None
    for one in observed.versions:
        if one.name == version or one.deleting or not _ours(observed.record, one):
            continue
        since = parse_time(one.annotations.get(ANNOTATION_SUPERSEDED))
        holders = owners(observed.record, observed.pinned.get(one.name, ()))
        changes: JSON = {"ownerReferences": holders} if lacks(one, holders) else {}
        if since is None:
            changes["annotations"] = {ANNOTATION_SUPERSEDED: timestamp(now)}
        if changes:
            actions.append(guarded(one, {"metadata": changes}))
        if since is None or one.name in observed.pinned:
            continue
        if now - since >= COLLECT_SECONDS:
            actions.append(Delete("Secret", one.namespace, one.name, one.uid))
        else:
            due = merge_requeue(due, since + COLLECT_SECONDS - now)
    return tuple(actions), due


# ---------------------------------------------------------------- the Secret of its name


def _current(observed: SecretObserved, found: Contents) -> Iterable[Action]:
    """The Secret `name`: made, put right, or taken over."""
    wanted = output(observed.record, found)
    action = created(wanted) if observed.current is None else corrected(wanted, observed.current)
    return (action,) if action else ()


def owners(record: EncryptedSecret, revisions: Iterable[PinningRevision] = ()) -> list[JSON]:
    """Whom a Secret goes with: the EncryptedSecret, and of a version each Revision that runs with it. Garbage collection deletes
    what has lost its last owner, so a version that runs outlives an EncryptedSecret that somebody deletes. Nobody where it is to
    be retained.

    >>> from fairlead.secrets.model import Spec
    >>> record = EncryptedSecret("shop", "db", "u", 1, 1, False, Spec(), {})
    >>> [one["name"] for one in owners(record, [PinningRevision("shop", "web-1", "r", 1, ("db-fhwxjrm5kp",))])]
    ['db', 'web-1']
    """
    if record.spec.deletion_policy == "Retain":
        return []
    running = [{"apiVersion": API_VERSION, "kind": "Revision", "name": one.name, "uid": one.uid} for one in revisions]
    return [owner_reference(KIND, record.name, record.uid), *running]


def output(record: EncryptedSecret, found: Contents) -> Output:
    """What the Secret `name` is to be."""
    return Output(KIND, record.uid, manifest(record, found, ROLE_CURRENT, owners(record)), found.data)


def manifest(record: EncryptedSecret, found: Contents, role: str, owners: list[JSON]) -> JSON:
    """The Secret of its name (role `current`), or the version's."""
    template = record.spec.template
    labels = {LABEL_SECRET: role, LABEL_ENCRYPTED_SECRET: record.label, "app.kubernetes.io/managed-by": MANAGED_BY}
    annotations = {ANNOTATION_OF: record.uid}
    metadata: JSON = {"namespace": record.namespace}
    if role == ROLE_CURRENT:
        metadata["name"] = record.name
        annotations |= {
            ANNOTATION_VERSION: found.version,
            ANNOTATION_APPLIED: applied_names(template.labels, template.annotations),
        }
        labels, annotations = {**template.labels, **labels}, {**template.annotations, **annotations}
    else:
        metadata["name"] = found.version
    metadata |= {"labels": labels, "annotations": annotations}
    if owners:
        metadata["ownerReferences"] = owners
    made = body(metadata, template.type, found.data)
    return made | {"immutable": True} if role == ROLE_VERSION else made


# ---------------------------------------------------------------- whose Secret it is


def _ours(record: EncryptedSecret, secret: SecretMeta) -> bool:
    """Owned by this very EncryptedSecret, or by nobody and marked as what one of this name has made (deletionPolicy Retain)."""
    if secret.owned:
        return secret.owner_uid == record.uid
    return ANNOTATION_OF in secret.annotations and secret.labels.get(LABEL_ENCRYPTED_SECRET) == record.label


def _predecessors(record: EncryptedSecret, secret: SecretMeta) -> bool:
    """Whether it is of a deleted EncryptedSecret of the same name."""
    named = secret.labels.get(LABEL_ENCRYPTED_SECRET) == record.label
    return named and secret.owner_uid not in ("", record.uid)


def strangers(observed: SecretObserved, version: str) -> Condition | None:
    """A Secret that has a version's name and is not ours."""
    record = observed.record
    for one in observed.versions:
        if one.name == version and not _ours(record, one):
            words = f"a Secret named {one.name} exists and is not this EncryptedSecret's: `kubectl delete secret {one.name} --namespace {record.namespace}`"
            return Condition("Ready", "False", "NotOwned", f"{words} has it made anew")
    return None


def claim(record: EncryptedSecret) -> Claim:
    """A Secret of somebody else is taken over where both sides say so."""
    return Claim(
        ours=lambda there: _ours(record, there),
        agreed=lambda annotations: annotations.get(ANNOTATION_ADOPT) == record.name,
        wishes=() if record.spec.adopt else ("set spec.adopt to true",),
    )


# ---------------------------------------------------------------- words


def failed(problems: tuple[Problem, ...]) -> Condition:
    """All bad data keys by name, the first with its words. Nothing was written.

    >>> failed((Problem("a", "Malformed", "is damaged"), Problem("b", "CannotOpen", "cannot be opened"))).message
    'a is damaged; b has a problem too (status.problems); the Secret stays as it was'
    """
    first = problems[0]
    others = [problem.key for problem in problems[1:]]
    more = (
        f"; {', '.join(others)} {'has a problem' if len(others) == 1 else 'have problems'} too (status.problems)"
        if others
        else ""
    )
    return Condition("Ready", "False", first.reason, f"{first.key} {first.message}{more}; the Secret stays as it was")


def ready(observed: SecretObserved, found: Contents) -> Condition:
    """Everything is as it should be; and whether a key that others know has to be replaced all the same."""
    known = [kid for kid in found.kids if observed.states.get(kid) == "Compromised"]
    if known:
        words = f"the Secret is in order, but its values are sealed to {', '.join(known)}, which others know: replace them at their source, and seal the new ones"
        return Condition("Ready", "True", "KeyCompromised", words)
    return Condition(
        "Ready", "True", "Opened", f"all {len(found.data)} data keys are in the Secret, as version {found.version}"
    )


def _repaired(observed: SecretObserved, found: Contents) -> Iterable[Event]:
    """What somebody did to a Secret of ours, and that it was undone."""
    record, there = observed.record, observed.current
    if record.status.get("version") != found.version or record.status.get("observedGeneration") != record.generation:
        return  # it is the spec that changed
    if there is None:
        yield Event("Warning", "SecretRecreated", f"the Secret {record.name} was gone, and was made again")
    elif _ours(record, there) and there.fingerprint != fingerprint(found.data):
        yield Event(
            "Warning",
            "SecretReverted",
            f"the content of the Secret {record.name} was changed by somebody, and was put back",
        )


def _told(
    observed: SecretObserved,
    said: Condition,
    made: Contents | None = None,
    problems: tuple[Problem, ...] = (),
    reads: tuple[Read, ...] = (),
) -> Plan:
    """The status, with what was made last where nothing is made now."""
    before = observed.record.status
    kept: JSON = {name: before[name] for name in ("version", "keys", "kids", "oldestSealedAt") if name in before}
    if made is not None:
        kept = {
            "version": made.version,
            "keys": sorted(made.data),
            "kids": list(made.kids),
            "oldestSealedAt": timestamp(made.oldest),
        }
    status: JSON = {**kept, "conditions": [said]}
    if problems:
        status["problems"] = [msgspec.to_builtins(problem) for problem in problems[:MOST_PROBLEMS]]
    return Plan(status=status, events=tuple(_news(before, said, made)), reads=reads)


def _news(before: JSON, said: Condition, made: Contents | None) -> Iterable[Event]:
    old = find(before.get("conditions") or (), "Ready") or {}
    if said.reason != old.get("reason") and (said.status == "False" or said.reason == "KeyCompromised"):
        yield Event("Warning", said.reason, said.message)
    if made is not None and made.version != before.get("version"):
        yield Event("Normal", "VersionMade", f"the values are in the Secret, as version {made.version}")


def summarise(record: EncryptedSecret, status: JSON, now: float) -> JSON:
    """The status as it is written: conditions with their times, and all in a few words."""
    said: Condition = status["conditions"][0]
    return written(record, status, "Ready" if said.reason == "Opened" else said.reason, now)
