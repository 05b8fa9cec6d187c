"""The stories of sealed secrets and their keys, and what must hold at every write."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable

import msgspec

from fairlead.core.conditions import find
from fairlead.core.meta import JSON
from fairlead.kube.fake import Commit, Stored, schema
from fairlead.kube.resources import (
    ENCRYPTED_SECRETS,
    EVENTS,
    NAMESPACES,
    REVISIONS,
    SEALED_SECRETS,
    SEALING_KEYS,
    SECRETS,
)
from fairlead.secrets.controller import Terms, controllers
from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.keys import (
    KEY_PRIVATE,
    LABEL_SECRET,
    ROLE_KEY,
    key_secret,
    private_from,
    public_from,
    secret_name,
)
from fairlead.secrets.model import Spec
from fairlead.secrets.sealing import seal
from fairlead.secrets.signing import SigningKey
from fairlead.secrets.suites import PrivateKey, PublicKey, generate
from sim.runner import Body, Scenario
from sim.world import CRDS, NAMESPACE, USER, World

OPS = "fairlead-system"
WHO = "secrets"
DAY = 86400.0
OFFLINE = generate("x")
AUTHOR = SigningKey.generate()
CANARY = "c4n4ry-"  # what every value begins with, to be searched for
STORIES: dict[str, Scenario] = {}


def story(faulted: bool = True, terms: Terms | None = None) -> Callable[[Body], Body]:
    """Registers the function."""
    told = terms or Terms(OPS, recovery=(OFFLINE.public,))

    def stage(world: World) -> None:
        for crd in ("encryptedsecret", "sealingkey"):
            kind = {"encryptedsecret": ENCRYPTED_SECRETS, "sealingkey": SEALING_KEYS}[crd].kind
            world.cluster.schemas[kind] = schema.load(CRDS / f"{crd}.yaml")
        for namespace in {OPS, told.sealed_secrets} - {""}:
            world.cluster.create(NAMESPACES, None, {"metadata": {"name": namespace}})
        world.identity = WHO
        world.controllers = lambda: controllers(told)
        Watchman(world)

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", " ")
        STORIES[name] = Scenario(name, body, settled, counted=False, faulted=faulted, stage=stage, seen=seen)
        return body

    return register


class Watchman:
    """What must hold at every write of the operator."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.cluster.subscribers.append(self.committed)

    def committed(self, commit: Commit) -> None:
        if commit.origin.identity != WHO:
            return
        if commit.resource == SEALING_KEYS and commit.type == "ADDED":
            self._published(commit)
        if commit.resource == SECRETS:
            self._secret(commit)
        else:
            self._discreet(commit)

    def _published(self, commit: Commit) -> None:
        if commit.name not in private_keys(self._world):
            self._wrong(commit, "published without a private key that is stored")

    def _secret(self, commit: Commit) -> None:
        if commit.type == "DELETED" and role(commit.new) == ROLE_KEY:
            self._wrong(commit, "a private key was deleted")
        if commit.old is not None and not ours(commit.old):
            self._wrong(commit, "a Secret of somebody else was written")
        if commit.type == "DELETED" and commit.name in pinned(self._world):
            self._wrong(commit, "a version that a Revision runs with was deleted")

    def _discreet(self, commit: Commit) -> None:
        text = msgspec.json.encode(commit.new.object).decode()
        if any(word in text for word in tell_tales(self._world)):
            self._wrong(commit, "it tells a secret")

    def _wrong(self, commit: Commit, what: str) -> None:
        self._world.monitor.wrong(commit, what)


def tell_tales(world: World) -> list[str]:
    """What must be nowhere but in Secrets: values, as they are and in base64, and private keys."""
    keys = [key.encode() for key in private_keys(world).values()]
    return [CANARY, *(base64.b64encode(b"x" * pad + CANARY.encode()).decode()[4:10] for pad in range(3)), *keys]


def ours(secret: Stored) -> bool:
    """Owned by an EncryptedSecret, or labelled."""
    return LABEL_SECRET in (secret.meta.get("labels") or {}) or bool(secret.meta.get("ownerReferences"))


def role(secret: Stored) -> str:
    return str((secret.meta.get("labels") or {}).get(LABEL_SECRET, ""))


def private_keys(world: World) -> dict[str, PrivateKey]:
    """By kid, of the Secrets that are named as they must be."""
    found = {}
    for secret in world.cluster.all(SECRETS, OPS):
        if role(secret) == ROLE_KEY and KEY_PRIVATE in (secret.object.get("data") or {}):
            key = private_from(base64.b64decode(secret.object["data"][KEY_PRIVATE]).decode())
            assert secret.meta["name"] == secret_name(key.kid)
            found[key.kid] = key
    return found


def pinned(world: World) -> set[str]:
    return {
        pin.get("secret", "")
        for revision in world.cluster.all(REVISIONS, NAMESPACE)
        for pin in revision.object["spec"].get("config") or ()
    }


def keys(world: World, state: str = "") -> list[Stored]:
    """The SealingKeys, oldest first; of one state where given."""
    found = sorted(world.cluster.all(SEALING_KEYS), key=lambda key: key.object["spec"].get("createdAt", ""))
    return [key for key in found if state in ("", (key.object.get("status") or {}).get("state"))]


def reason(stored: Stored | None) -> str:
    """Why it is or is not ready, or synced."""
    conditions = ((stored.object.get("status") or {}) if stored else {}).get("conditions") or ()
    said = find(conditions, "Ready") or find(conditions, "Synced") or {}
    return str(said.get("reason", ""))


def settled(world: World) -> bool:
    """Every key and every sealed object has a word on its newest spec."""
    objects = [
        *world.cluster.all(SEALING_KEYS),
        *world.cluster.all(ENCRYPTED_SECRETS, NAMESPACE),
        *world.cluster.all(SEALED_SECRETS, NAMESPACE),
    ]
    return all(
        (one.object.get("status") or {}).get("observedGeneration") == one.meta["generation"] and reason(one)
        for one in objects
    )


def wish(world: World, key: Stored, wish: str) -> None:
    world.cluster.patch(SEALING_KEYS, None, key.meta["name"], {"spec": {"wish": wish}}, "merge", USER)


async def active(world: World, number: int = 1, within: float = 120.0) -> PublicKey:
    """The key that new values are sealed to, when there are so many keys."""

    def told() -> bool:
        states = [(key.object.get("status") or {}).get("state") for key in keys(world)]
        return len(states) == number and all(states) and states.count("Active") == 1

    await world.until(told, f"{number} keys", within)
    await asyncio.sleep(5)  # the ages of keys are told in seconds
    spec = keys(world, "Active")[0].object["spec"]
    return public_from(f"{spec['suite']}:{spec['publicKey']}")


def secrets(world: World, namespace: str = NAMESPACE) -> dict[str, JSON]:
    """What the Secrets of a namespace hold, as text."""
    return {
        secret.meta["name"]: {key: base64.b64decode(text).decode() for key, text in secret.object["data"].items()}
        for secret in world.cluster.all(SECRETS, namespace)
        if secret.object.get("data") is not None
    }


def sealed(public: PublicKey, name: str = "db", **values: str) -> dict[str, str]:
    """Envelopes for an EncryptedSecret of that name, under the narrowest scope."""
    return {
        key: seal(public, Place(Scope.STRICT, NAMESPACE, name, key), (CANARY + value).encode(), 0)
        for key, value in values.items()
    }


def apply(world: World, values: dict[str, str], name: str = "db", **spec: object) -> Stored:
    body = {
        "apiVersion": ENCRYPTED_SECRETS.api_version,
        "kind": ENCRYPTED_SECRETS.kind,
        "metadata": {"name": name},
        "spec": {"values": values, **spec},
    }
    return world.cluster.apply(ENCRYPTED_SECRETS, NAMESPACE, name, body, USER, force=True)


# ---------------------------------------------------------------- what is the same at the end of two runs

_KID = re.compile(r"\b[0-9a-f]{32}\b")
_VERSION = re.compile(r"\b(db|mail)-[a-z0-9]{10}\b")
_HIDDEN = {
    "lastTransitionTime",
    "createdAt",
    "publicKey",
    "sealed",
    "values",
    "signatures",
    "uid",
    "oldestSealedAt",
    KEY_PRIVATE,
}
_HIDDEN |= {"lastUpdateTime", "encryptedData"}
_META = ("name", "namespace", "labels", "ownerReferences")


def seen(world: World) -> JSON:
    """Keys by their age instead of their ids, versions by what they hold instead of their hashes; the rest as it is."""
    ages = {key.meta["name"]: f"key-{number}" for number, key in enumerate(keys(world))}
    found: JSON = {}
    for resource, namespace in (
        (ENCRYPTED_SECRETS, NAMESPACE),
        (SEALED_SECRETS, NAMESPACE),
        (SEALING_KEYS, None),
        (SECRETS, NAMESPACE),
        (SECRETS, OPS),
    ):
        for stored in world.cluster.all(resource, namespace):
            body = {key: value for key, value in stored.object.items() if key != "metadata"}
            body["metadata"] = {key: stored.meta[key] for key in _META if key in stored.meta}
            named = _told(body, ages)
            found[f"{resource.kind} {_text(stored.meta['name'], ages)} {named.get('data', '')}"] = named
    return found


def _told(value: object, ages: dict[str, str]) -> JSON:
    def masked(one: object) -> object:
        if isinstance(one, dict):
            return {_text(str(key), ages): "*" if key in _HIDDEN else masked(inner) for key, inner in one.items()}
        if isinstance(one, list):
            return [masked(inner) for inner in one]
        return _text(one, ages) if isinstance(one, str) else one

    found = masked(value)
    assert isinstance(found, dict)
    return found


def _text(text: str, ages: dict[str, str]) -> str:
    return _VERSION.sub(r"\1-*", _KID.sub(lambda match: ages.get(match[0], "a key"), text))


# ---------------------------------------------------------------- keys


@story()
async def the_first_key_is_minted_at_install(world: World) -> None:
    await active(world)
    assert set(private_keys(world)) == {key.meta["name"] for key in keys(world)}
    assert [entry["kid"] for entry in keys(world)[0].object["spec"]["recovery"]] == [OFFLINE.kid]


@story(faulted=False)
async def two_operators_that_both_think_they_lead_mint_one_first_key(world: World) -> None:
    world.start(identity=WHO)
    await active(world)
    await world.rest()
    assert len(keys(world)) == 1 and len(private_keys(world)) == 1


@story(terms=Terms(OPS, renew=900.0))
async def a_key_is_renewed_by_age_and_what_it_was_minted_by_goes(world: World) -> None:
    first = await active(world)
    second = await active(world, 2, within=1000)
    assert first.kid != second.kid
    assert [key.object["status"]["state"] for key in keys(world)] == ["DecryptOnly", "Active"]
    await world.until(lambda: len(world.cluster.all(SECRETS, OPS)) == 3, "swept", within=700)


@story()
async def a_key_that_is_lost_is_told_and_no_new_one_hides_it(world: World) -> None:
    await active(world)
    await world.until(lambda: len(world.cluster.all(SECRETS, OPS)) == 1, "swept", within=700)
    (backup,) = world.cluster.all(SECRETS, OPS)
    world.cluster.delete(SECRETS, OPS, backup.meta["name"], origin=USER._replace(verb="delete"))
    await world.until(lambda: reason(keys(world)[0]) == "KeyRingIncomplete", "told")
    wish(world, keys(world)[0], "DecryptOnly")  # there is no key to seal to: a reason to mint one
    await world.rest()
    assert len(keys(world)) == 1 and not private_keys(world)
    restore(world, backup)
    await active(world, 2)
    assert [reason(key) for key in keys(world)] == ["InOrder", "InOrder"]


@story()
async def a_backup_of_the_keys_is_enough_to_go_on_with(world: World) -> None:
    first = await active(world)
    wish(world, keys(world)[0], "DecryptOnly")
    second = await active(world, 2)
    await world.until(lambda: len(world.cluster.all(SECRETS, OPS)) == 2, "swept", within=700)
    backup, published = world.cluster.all(SECRETS, OPS), keys(world)
    for process in world.operators:
        await process.stop()
    for secret in backup:
        world.cluster.delete(SECRETS, OPS, secret.meta["name"], origin=USER._replace(verb="delete"))
    for key in published:
        world.cluster.delete(SEALING_KEYS, None, key.meta["name"], origin=USER._replace(verb="delete"))
    for secret in backup:
        restore(world, secret)
    world.operators[0].start()
    await active(world, 2)
    assert keys(world, "Active")[0].meta["name"] == second.kid and first.kid in private_keys(world)


def restore(world: World, secret: Stored) -> None:
    """`kubectl apply` of what `kubectl get -o yaml` had given."""
    meta = {key: secret.meta[key] for key in ("name", "labels", "annotations")}
    body = {key: value for key, value in secret.object.items() if key != "metadata"}
    world.cluster.apply(SECRETS, OPS, meta["name"], {**body, "metadata": meta}, USER, force=True)


@story()
async def a_compromised_key_gets_a_successor_at_once(world: World) -> None:
    await active(world)
    wish(world, keys(world)[0], "Compromised")
    await active(world, 2)
    assert [reason(key) for key in keys(world)] == ["Compromised", "InOrder"]


@story()
async def a_key_secret_with_rubbish_in_it_spoils_no_other(world: World) -> None:
    await active(world)
    (good,) = keys(world)
    body = restored_rubbish()
    world.cluster.apply(SECRETS, OPS, body["metadata"]["name"], body, USER, force=True)
    await world.rest()
    assert [key.meta["name"] for key in keys(world)] == [good.meta["name"]], "rubbish is not published"
    assert [key.meta["name"] for key in keys(world, "Active")] == [good.meta["name"]]


def restored_rubbish() -> JSON:
    meta = {"name": secret_name("0" * 32), "labels": {LABEL_SECRET: ROLE_KEY, "fairlead.dev/sealing-key": "0" * 32}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "fairlead.dev/sealing-key", "data": {}}


# ---------------------------------------------------------------- EncryptedSecrets


def one(world: World, name: str = "db") -> Stored | None:
    return world.cluster.find(ENCRYPTED_SECRETS, NAMESPACE, name)


def version(world: World, name: str = "db") -> str:
    found = one(world, name)
    return str((found.object.get("status") or {}).get("version", "")) if found else ""


async def opened(world: World, name: str = "db", **values: str) -> None:
    """Until the Secret and its version hold just these values, and the status says so."""
    wanted = {key: CANARY + value for key, value in values.items()}

    def holds() -> bool:
        found, status = secrets(world), (one(world, name) or world.cluster.get(ENCRYPTED_SECRETS, NAMESPACE, name))
        current = status.object.get("status") or {}
        return (
            current.get("observedGeneration") == status.meta["generation"]
            and reason(status) in ("Opened", "KeyCompromised")
            and found.get(name) == wanted == found.get(version(world, name))
        )

    await world.until(holds, f"{name} holds {', '.join(values)}", within=400)


def delete(world: World, name: str) -> None:
    world.cluster.delete(SECRETS, NAMESPACE, name, origin=USER._replace(verb="delete"))


def edit(world: World, name: str, change: Callable[[JSON], None]) -> None:
    world.cluster.edit(SECRETS, NAMESPACE, name, change, USER)


def revision(world: World, name: str, pinned: str) -> None:
    """One that runs with a version of a Secret."""
    template = {"spec": {"containers": [{"name": "web", "image": "shop:1"}]}}
    spec = {
        "app": "web",
        "number": 1,
        "templateHash": "h",
        "template": template,
        "config": [{"name": "db", "env": True, "secret": pinned}],
    }
    body = {"apiVersion": REVISIONS.api_version, "kind": "Revision", "metadata": {"name": name}, "spec": spec}
    world.cluster.create(REVISIONS, NAMESPACE, body)


@story()
async def a_sealed_secret_is_opened_and_what_becomes_of_it_is_kept_as_it_is(world: World) -> None:
    public = await active(world)
    apply(world, sealed(public, user="shop", password="1"))
    await opened(world, user="shop", password="1")
    delete(world, "db")
    await opened(world, user="shop", password="1")
    edit(world, "db", lambda secret: secret["data"].update(password="eA==", more="eA=="))
    await opened(world, user="shop", password="1")
    edit(world, "db", lambda secret: secret["metadata"].update(labels={}))
    await world.until(
        lambda: LABEL_SECRET in world.cluster.get(SECRETS, NAMESPACE, "db").meta.get("labels", {}), "labelled"
    )
    delete(world, version(world))
    await opened(world, user="shop", password="1")


@story()
async def a_new_value_is_a_new_version_and_the_old_one_stays_while_a_revision_runs_with_it(world: World) -> None:
    public = await active(world)
    apply(world, sealed(public, password="1"))
    await opened(world, password="1")
    first = version(world)
    revision(world, "web-1", first)
    apply(world, sealed(public, password="2"))
    await opened(world, password="2")
    assert version(world) != first
    await asyncio.sleep(1000)
    assert secrets(world)[first] == {"password": CANARY + "1"}
    world.cluster.delete(REVISIONS, NAMESPACE, "web-1", origin=USER._replace(verb="delete"))
    await world.until(lambda: first not in secrets(world), "collected", within=800)


@story()
async def one_bad_value_changes_nothing(world: World) -> None:
    public = await active(world)
    apply(world, sealed(public, user="shop", password="1"))
    await opened(world, user="shop", password="1")
    good = version(world)
    apply(world, {**sealed(public, user="bank"), **sealed(public, "mail", password="2")})
    await world.until(lambda: reason(one(world)) == "CannotOpen", "told")
    assert secrets(world)["db"] == {"user": CANARY + "shop", "password": CANARY + "1"}
    assert version(world) == good
    apply(world, sealed(public, user="bank", password="2"))
    await opened(world, user="bank", password="2")


@story()
async def a_value_is_opened_as_soon_as_its_key_is_there(world: World) -> None:
    await active(world)
    foreign = generate("x")
    apply(world, sealed(foreign.public, password="1"))
    await world.until(lambda: reason(one(world)) == "KeyUnknown", "told")
    body = key_secret(foreign, OPS, world.clock() - DAY)
    world.cluster.apply(SECRETS, OPS, body["metadata"]["name"], body, USER, force=True)
    await opened(world, password="1")


@story()
async def a_secret_of_somebody_else_is_left_alone_until_it_is_gone_or_agrees(world: World) -> None:
    public = await active(world)
    for name in ("db", "mail"):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"theirs": "eA=="}}
        world.cluster.create(SECRETS, NAMESPACE, body)
        apply(world, sealed(public, name, password="1"), name, adopt=True)
    await world.until(lambda: reason(one(world)) == reason(one(world, "mail")) == "NotOwned", "told")
    assert secrets(world)["db"] == secrets(world)["mail"] == {"theirs": "x"}
    delete(world, "db")
    await opened(world, password="1")
    agreed = {"annotations": {"fairlead.dev/adopt-by": "mail"}, "labels": {LABEL_SECRET: "adopt"}}
    edit(world, "mail", lambda secret: secret["metadata"].update(agreed))
    await opened(world, "mail", password="1")


@story()
async def what_was_deleted_comes_back_with_its_envelopes(world: World) -> None:
    public = await active(world)
    values = sealed(public, password="1")
    for policy in ("Delete", "Retain"):
        apply(world, values, deletionPolicy=policy)
        await opened(world, password="1")
        world.cluster.delete(ENCRYPTED_SECRETS, NAMESPACE, "db", origin=USER._replace(verb="delete"))
        await asyncio.sleep(30)
        assert ("db" in secrets(world)) is (policy == "Retain")
    apply(world, values)
    await opened(world, password="1")


@story(terms=Terms(OPS, signers=(AUTHOR.signer,)))
async def what_nobody_who_counts_has_signed_is_not_opened_and_changes_nothing(world: World) -> None:
    values = sealed(await active(world), password="1")
    apply(world, values)
    await world.until(lambda: reason(one(world)) == "Unsigned", "told")
    assert "db" not in secrets(world)
    apply(world, values, signatures=[signature(values)])
    await opened(world, password="1")
    swapped = sealed(await active(world), password="2")
    apply(world, swapped, signatures=[signature(values)])
    await world.until(lambda: reason(one(world)) == "SignatureInvalid", "told")
    assert secrets(world)["db"] == {"password": CANARY + "1"}
    apply(world, swapped, signatures=[signature(swapped)])
    await opened(world, password="2")


def signature(values: dict[str, str]) -> str:
    return AUTHOR.sign(Spec(values=values), NAMESPACE, "db")


@story()
async def a_version_that_runs_outlives_its_encrypted_secret_and_goes_with_the_last_revision(world: World) -> None:
    apply(world, sealed(await active(world), password="1"))
    await opened(world, password="1")
    running = version(world)
    revision(world, "web-1", running)
    await world.until(lambda: len(owners(world, running)) == 2, "held")
    world.cluster.delete(ENCRYPTED_SECRETS, NAMESPACE, "db", origin=USER._replace(verb="delete"))
    await world.until(lambda: "db" not in secrets(world), "collected")
    await world.until(lambda: owners(world, running) == ["Revision"], "kept")
    world.cluster.delete(REVISIONS, NAMESPACE, "web-1", origin=USER._replace(verb="delete"))
    await world.until(lambda: running not in secrets(world), "collected")


def owners(world: World, name: str) -> list[str]:
    return [one["kind"] for one in world.cluster.get(SECRETS, NAMESPACE, name).meta.get("ownerReferences") or ()]


@story(faulted=False)
async def of_one_that_is_deleted_it_is_told_what_becomes_of_its_secrets_and_who_runs_with_them(world: World) -> None:
    values = sealed(await active(world), password="1")
    apply(world, values)
    await opened(world, password="1")
    revision(world, "web-1", version(world))
    await asyncio.sleep(5)
    for policy, propagation in (("Delete", "Background"), ("Delete", "Orphan"), ("Retain", "Background")):
        apply(world, values, deletionPolicy=policy)
        await opened(world, password="1")
        origin = USER._replace(verb="delete")
        world.cluster.delete(ENCRYPTED_SECRETS, NAMESPACE, "db", propagation=propagation, origin=origin)
        await asyncio.sleep(30)
        assert ("db" in secrets(world)) is ((policy, propagation) != ("Delete", "Background"))
    told = [event.object for event in world.cluster.all(EVENTS, NAMESPACE) if "Secrets" in event.object["reason"]]
    assert sorted((event["type"], event["reason"], event.get("count")) for event in told) == [
        ("Normal", "SecretsRetained", 1),
        ("Normal", "SecretsRetained", 1),
        ("Warning", "SecretsDeleted", 1),
    ]
    assert any("the Revision web-1 runs with one of them" in event["message"] for event in told)


@story()
async def a_key_is_retired_when_nothing_uses_it_and_not_before(world: World) -> None:
    first = await active(world)
    apply(world, sealed(first, password="1"))
    await opened(world, password="1")
    old = keys(world)[0]
    wish(world, old, "Compromised")
    second = await active(world, 2)
    await world.until(lambda: "shop/db" in str(keys(world)[0].object["status"]["conditions"]), "listed")
    wish(world, old, "Retired")
    await world.until(lambda: reason(keys(world)[0]) == "StillUsed", "refused")
    await opened(world, password="1")
    apply(world, sealed(second, password="2"))
    await opened(world, password="2")
    await world.until(lambda: len(keys(world, "Retired")) == 1, "retired")
    apply(world, sealed(first, password="3"))
    await world.until(lambda: reason(one(world)) == "KeyRetired", "not opened any more")
    assert secrets(world)["db"] == {"password": CANARY + "2"}
