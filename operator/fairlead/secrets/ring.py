"""The ring of sealing keys: when a key is minted, what each is good for, and what is wrong with it. Pure.

A key comes into the world in three writes, each of which anybody can repeat after a crash: a Secret of a name that all who would
mint now share (so one of them is first, and the others go on with its key), the Secret of the key's own name, the SealingKey.
Nobody can seal to a key before the last one, so at no moment is there a published key whose private part is not stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from fairlead.core.actions import Action, Create, Delete, Event, Plan, merge_requeue
from fairlead.core.conditions import Condition, find
from fairlead.core.meta import JSON
from fairlead.secrets.keys import key_secret, next_secret, sealing_key, secret_name
from fairlead.secrets.model import KeyState, SealingKey
from fairlead.secrets.stored import KeySecret
from fairlead.secrets.suites import PrivateKey
from fairlead.secrets.written import written

# The Secret by which a key was minted outlives every request that may still be under way, sent by one who had not seen the key.
MINTING_SECONDS = 600.0
_NAMED = 5  # users of a key that a message names


class Named(Protocol):
    """What a message names."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


class Known(msgspec.Struct, frozen=True):
    """One published key, as far as it is known here. `held`: its private part is here and can be read, else `problem` says
    why not; `was`: its state until now; `users`: the EncryptedSecrets that have a value sealed to it."""

    kid: str
    created: float
    wish: str = ""
    was: str = ""
    held: bool = True
    problem: str = ""
    users: tuple[Named, ...] = ()


# ---------------------------------------------------------------- states


def states(keys: Sequence[Known]) -> dict[str, KeyState]:
    """What each key is good for: the newest that nobody wished anything of seals, all but the retired open.

    >>> from fairlead.core.meta import Key
    >>> old, new = Known("a", created=1), Known("b", created=2)
    >>> states([old, new])
    {'a': 'DecryptOnly', 'b': 'Active'}
    >>> states([old, msgspec.structs.replace(new, wish="Compromised")])
    {'a': 'Active', 'b': 'Compromised'}
    >>> states([old, msgspec.structs.replace(new, held=False)])  # nobody could open what is sealed to it
    {'a': 'Active', 'b': 'DecryptOnly'}
    >>> used = msgspec.structs.replace(old, wish="Retired", was="DecryptOnly", users=(Key("shop", "db"),))
    >>> states([used, new]), states([msgspec.structs.replace(used, users=()), new])["a"]
    ({'a': 'DecryptOnly', 'b': 'Active'}, 'Retired')
    """
    able = [key for key in keys if not key.wish and key.held]
    newest = max(able, key=_age, default=None)
    return {key.kid: _state(key, newest) for key in keys}


def _age(key: Known) -> tuple[float, str]:
    return key.created, key.kid


def _state(key: Known, newest: Known | None) -> KeyState:
    match key.wish:
        case "Retired" if not key.users or key.was == "Retired":
            return "Retired"  # for good: what is sealed to it later finds no key any more
        case "Retired":
            return "Compromised" if key.was == "Compromised" else "DecryptOnly"
        case "Compromised":
            return "Compromised"
        case "DecryptOnly":
            return "DecryptOnly"
    return "Active" if key is newest else "DecryptOnly"


# ---------------------------------------------------------------- minting


class Unpublished(msgspec.Struct, frozen=True):
    """A private key that no SealingKey publishes: minted by one who died before that, or brought back from a backup.
    `recovery`: it, sealed to the recovery keys."""

    secret: KeySecret
    recovery: tuple[JSON, ...] = ()


class RingObserved(msgspec.Struct, frozen=True):
    """All that decides about the ring. `stored`: the kids of which there is a Secret, readable or not; `spare`: a key that
    nobody has seen yet; `renew`: seconds after which the newest key gets a successor, 0 for never."""

    namespace: str
    keys: tuple[Known, ...]
    minting: tuple[KeySecret, ...]
    stored: frozenset[str]
    unpublished: tuple[Unpublished, ...]
    spare: PrivateKey
    renew: float


def plan(observed: RingObserved, now: float) -> Plan:
    """The next write that a key needs to come into the world, and when to look again.

    >>> from fairlead.secrets.suites import generate
    >>> ring = RingObserved("ops", (), (), frozenset(), (), generate("x"), renew=100.0)
    >>> [action.name for action in plan(ring, 0.0).actions]
    ['fairlead-sealing-next-0']
    >>> ring = msgspec.structs.replace(ring, keys=(Known("a", created=0.0),), stored=frozenset("a"))
    >>> plan(ring, 30.0).actions, plan(ring, 30.0).requeue_after
    ((), 70.0)
    >>> [action.name for action in plan(ring, 100.0).actions]
    ['fairlead-sealing-next-1']
    >>> lost = msgspec.structs.replace(ring, keys=(Known("a", created=0.0, held=False),))
    >>> plan(lost, 100.0).actions  # a new key would hide that this one was lost
    ()
    """
    begun = begin(observed)
    swept, later = sweep(observed, now)
    if begun:
        return Plan(actions=(*begun, *swept), requeue_after=later)
    due = until_due(observed.keys, observed.renew, now)
    name = minting_name(observed.keys)
    if due != 0.0 or any(secret.name == name for secret in observed.minting):
        return Plan(actions=tuple(swept), requeue_after=merge_requeue(due or None, later))
    body = msgspec.json.encode(next_secret(name, observed.spare, observed.namespace, now))
    return Plan(actions=(Create("Secret", observed.namespace, name, body), *swept), requeue_after=later)


def begin(observed: RingObserved) -> list[Action]:
    """Take each key that was begun one write further: its own Secret, and when that is there the SealingKey."""
    published = {key.kid for key in observed.keys}
    actions: list[Action] = []
    for secret in observed.minting:
        if secret.private is not None and secret.kid not in observed.stored:
            body = key_secret(secret.private, observed.namespace, secret.minted)
            actions.append(Create("Secret", observed.namespace, secret_name(secret.kid), msgspec.json.encode(body)))
    for one in observed.unpublished:
        if one.secret.private is not None and one.secret.kid not in published:
            body = sealing_key(one.secret.private.public, one.secret.minted, one.recovery)
            actions.append(Create("SealingKey", "", one.secret.kid, msgspec.json.encode(body)))
    return actions


def sweep(observed: RingObserved, now: float) -> tuple[list[Delete], float | None]:
    """The Secrets by which keys were minted that have served, and when the next one will have. One that holds no key serves
    nobody, and the next key could not be minted because of its name."""
    done = {key.kid for key in observed.keys if key.held}
    served = [secret for secret in observed.minting if secret.kid in done or secret.private is None]
    waits = {one.uid: one.created + MINTING_SECONDS - now if one.private else 0.0 for one in served}
    gone = [Delete("Secret", one.namespace, one.name, one.uid) for one in served if waits[one.uid] <= 0]
    return gone, merge_requeue(*(wait for wait in waits.values() if wait > 0))


def minting_name(keys: Sequence[Known]) -> str:
    """The name under which the next key is minted: the same for all who see the same keys.

    >>> minting_name([]), minting_name([Known("a", 0)])
    ('fairlead-sealing-next-0', 'fairlead-sealing-next-1')
    """
    return f"fairlead-sealing-next-{len(keys)}"


def until_due(keys: Sequence[Known], renew: float, now: float) -> float | None:
    """Seconds until a key is to be minted, 0 for now, None for not by time alone.

    >>> key = Known("a", created=0.0)
    >>> until_due([key], 60.0, 10.0), until_due([key], 60.0, 61.0), until_due([key], 0.0, 61.0), until_due([], 0.0, 0.0)
    (50.0, 0.0, None, 0.0)
    >>> until_due([msgspec.structs.replace(key, wish="Compromised")], 60.0, 10.0)
    0.0
    >>> until_due([key, Known("b", created=5.0, held=False)], 60.0, 100.0) is None
    True
    """
    if lost(keys):
        return None
    by_kid = states(keys)
    active = next((key for key in keys if by_kid[key.kid] == "Active"), None)
    if active is None:
        return 0.0
    return max(0.0, active.created + renew - now) if renew else None


def lost(keys: Iterable[Known]) -> list[Known]:
    """The keys that were published, that nobody wished to retire, and whose private part is not here."""
    return [key for key in keys if not key.held and key.wish != "Retired"]


# ---------------------------------------------------------------- what a SealingKey says


class KeyObserved(msgspec.Struct, frozen=True):
    """One SealingKey among all of them; `namespace`: where the private keys are."""

    record: SealingKey
    keys: tuple[Known, ...]
    namespace: str

    @property
    def known(self) -> Known:
        return next(key for key in self.keys if key.kid == self.record.kid)


def plan_key(observed: KeyObserved, now: float) -> Plan:
    """What a SealingKey says of itself: its state, how many still need it, and what a person has to do."""
    if observed.record.deleting:
        return Plan()
    key, state = observed.known, states(observed.keys)[observed.record.kid]
    said = condition(observed, state)
    status = {"state": state, "objects": len(key.users), "conditions": [said]}
    return Plan(status=status, events=tuple(told(key, state, said, observed.record.status)))


def condition(observed: KeyObserved, state: KeyState) -> Condition:
    """Ready: True while nothing is to be done about the key.

    >>> from fairlead.core.meta import Key
    >>> record = SealingKey("a", "u", 1, 1, 0.0, False, spec=None, status={})
    >>> seen = KeyObserved(record, (Known("a", 0.0, wish="Retired", users=(Key("shop", "db"),)),), "ops")
    >>> said = condition(seen, "DecryptOnly")
    >>> said.reason, said.message
    ('StillUsed', 'it is not retired yet, because 1 EncryptedSecret has values sealed to it: shop/db; seal them anew with `fairlead reseal` and apply the files')
    """
    key = observed.known
    if observed.record.invalid:
        return Condition("Ready", "False", "KeyInvalid", observed.record.invalid)
    if not key.held and state != "Retired":
        return missing(key, observed.namespace)
    if key.wish == "Retired" and state != "Retired":
        why = f"it is not retired yet, because {using(key.users)}; {_ANEW}"
        return Condition("Ready", "False", "StillUsed", why)
    if state == "Compromised":
        return Condition("Ready", "False", "Compromised", exposed(key))
    return Condition("Ready", "True", "InOrder", _MEANING[state])


_ANEW = "seal them anew with `fairlead reseal` and apply the files"
_MEANING: Mapping[str, str] = {
    "Active": "new values are sealed to this key",
    "DecryptOnly": "what was sealed to this key is opened; nothing new is sealed to it",
    "Retired": "nothing is opened with this key any more; its private Secret can be deleted",
}


def missing(key: Known, namespace: str) -> Condition:
    """The private key is not there, or cannot be read: what is stored stays, nothing new is minted."""
    name = secret_name(key.kid)
    way = (
        f"bring the Secret back from your backup (`kubectl apply`), or with a recovery key by `fairlead keys recover`; "
        f"if it is lost for good, delete this SealingKey, seal the values anew, and apply the files. "
        f"Until then no new key is made, and the Secrets that were made stay; {using(key.users)}"
    )
    if key.problem:
        return Condition(
            "Ready",
            "False",
            "KeyCorrupt",
            f"Secret {namespace}/{name} is no private key: {key.problem}; delete it, and {way}",
        )
    return Condition(
        "Ready", "False", "KeyRingIncomplete", f"Secret {namespace}/{name}, the private key, is not there; {way}"
    )


def exposed(key: Known) -> str:
    """What is left to do about a key that others know."""
    if not key.users:
        return "others know this key, and nothing uses it any more: retire it with `fairlead keys retire`"
    return (
        f"others know this key: {using(key.users)}. Replace these secrets at their source, seal the new ones with `fairlead seal`, apply the "
        "files, and then retire the key with `fairlead keys retire`. To seal the same values anew is not enough: who has the key has read them"
    )


def using(users: Sequence[Named]) -> str:
    """How many have values sealed to a key, and who, a few by name.

    >>> from fairlead.core.meta import Key
    >>> using(()), using((Key("shop", "db"), Key("shop", "mail")))
    ('no EncryptedSecret uses it', '2 EncryptedSecrets have values sealed to it: shop/db, shop/mail')
    """
    if not users:
        return "no EncryptedSecret uses it"
    named = ", ".join(f"{user.namespace}/{user.name}" for user in users[:_NAMED]) + (
        ", …" if len(users) > _NAMED else ""
    )
    one = len(users) == 1
    return f"{len(users)} EncryptedSecret{'' if one else 's'} {'has' if one else 'have'} values sealed to it: {named}"


def told(key: Known, state: KeyState, said: Condition, before: JSON) -> Iterable[Event]:
    """What is news: another state, or something to be done."""
    old = find(before.get("conditions") or (), "Ready") or {}
    if said.status == "False" and old.get("reason") != said.reason:
        yield Event("Warning", said.reason, said.message)
    elif said.status == "True" and key.was != state:
        yield Event("Normal", "StateChanged", f"{state}: {said.message}")


def summarise(record: SealingKey, status: JSON, now: float) -> JSON:
    """The status as it is written: conditions with their times, and all in a few words."""
    said: Condition = status["conditions"][0]
    summary = status["state"] if said.status == "True" else f"{status['state']}: {said.reason}"
    return written(record, status, summary, now)
