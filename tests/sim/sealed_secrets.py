"""The stories of sealed-secrets' SealedSecrets, of which `fairlead run secrets` makes the Secrets now."""

from __future__ import annotations

import asyncio
import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.core.meta import JSON
from fairlead.kube.fake import Stored
from fairlead.kube.resources import DEPLOYMENTS, SEALED_SECRETS, SECRETS
from fairlead.secrets.controller import Terms
from fairlead.secrets.keys import LABEL_SECRET
from sim.secrets import CANARY, OPS, STORIES, active, apply, delete, edit, one, opened, reason, sealed, secrets, story
from sim.world import NAMESPACE, USER, World
from support.kubeseal import deployment, key_secret, sealed_secret

__all__ = ["STORIES"]

HOME = "kube-system"  # where the keys of sealed-secrets are
TERMS = Terms(OPS, sealed_secrets=HOME)


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)


def bring_key(world: World) -> None:
    world.cluster.create(SECRETS, HOME, key_secret(key(), HOME))


def seal(world: World, values: dict[str, str], label: bytes = b"shop/db") -> Stored:
    """`kubectl apply` of what kubeseal has made."""
    body = sealed_secret(key(), {name: CANARY + value for name, value in values.items()}, label)
    return world.cluster.apply(SEALED_SECRETS, NAMESPACE, "db", body, USER, force=True)


def sealed_one(world: World) -> Stored:
    return world.cluster.get(SEALED_SECRETS, NAMESPACE, "db")


async def synced(world: World, **values: str) -> None:
    """Until the Secret holds just these values, and the status says so."""
    wanted = {name: CANARY + value for name, value in values.items()}

    def holds() -> bool:
        status = sealed_one(world).object.get("status") or {}
        current = status.get("observedGeneration") == sealed_one(world).meta["generation"]
        return current and reason(sealed_one(world)) == "Opened" and secrets(world).get("db") == wanted

    await world.until(holds, f"db holds {', '.join(values)}", within=400)


async def says(world: World, word: str) -> None:
    await world.until(lambda: reason(sealed_one(world)) == word, word, within=400)


def old_controllers(world: World, owner: Stored, **values: str) -> Stored:
    """The Secret as sealed-secrets' own controller has made it."""
    reference = {
        "apiVersion": SEALED_SECRETS.api_version,
        "kind": SEALED_SECRETS.kind,
        "name": "db",
        "uid": owner.meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    body: JSON = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": "db", "ownerReferences": [reference]},
        "data": {name: base64.b64encode((CANARY + value).encode()).decode() for name, value in values.items()},
    }
    return world.cluster.create(SECRETS, NAMESPACE, body)


@story(terms=TERMS)
async def what_the_old_controller_made_is_taken_as_it_is_and_kept_so(world: World) -> None:
    bring_key(world)
    before = old_controllers(world, seal(world, {"user": "shop", "password": "1"}), user="shop", password="1")
    await synced(world, user="shop", password="1")
    await world.until(
        lambda: LABEL_SECRET in world.cluster.get(SECRETS, NAMESPACE, "db").meta.get("labels", {}), "labelled"
    )
    assert world.cluster.get(SECRETS, NAMESPACE, "db").meta["uid"] == before.meta["uid"]
    edit(world, "db", lambda secret: secret["data"].update(password="eA==", more="eA=="))
    await synced(world, user="shop", password="1")
    delete(world, "db")
    await synced(world, user="shop", password="1")
    edit(world, "db", lambda secret: secret["metadata"].update(labels={}))
    seal(world, {"password": "2"})
    await synced(world, password="2")


@story(terms=TERMS)
async def a_sealed_secret_of_bitnami_is_opened_when_its_definition_and_its_key_have_come(world: World) -> None:
    await active(world)
    world.cluster.kinds.discard(SEALED_SECRETS)
    await asyncio.sleep(30)
    world.cluster.kinds.add(SEALED_SECRETS)
    seal(world, {"password": "1"})
    await world.until(lambda: reason(sealed_one(world)) == "KeyMissing", "told", within=1000)
    bring_key(world)
    await synced(world, password="1")


@story(terms=TERMS)
async def one_value_that_was_sealed_for_another_place_changes_nothing(world: World) -> None:
    bring_key(world)
    seal(world, {"user": "shop", "password": "1"})
    await synced(world, user="shop", password="1")
    seal(world, {"user": "bank", "password": "2"}, b"shop/mail")
    await says(world, "CannotOpen")
    assert secrets(world)["db"] == {"user": CANARY + "shop", "password": CANARY + "1"}
    seal(world, {"password": "2"})
    await synced(world, password="2")


@story(terms=TERMS)
async def a_foreign_secret_is_left_alone_by_a_sealed_secret_too(world: World) -> None:
    bring_key(world)
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"theirs": "eA=="}}
    world.cluster.create(SECRETS, NAMESPACE, body)
    seal(world, {"password": "1"})
    await says(world, "NotOwned")
    assert secrets(world)["db"] == {"theirs": "x"}
    agreed = {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}, "labels": {LABEL_SECRET: "adopt"}}
    edit(world, "db", lambda secret: secret["metadata"].update(agreed))
    await synced(world, password="1")
    world.cluster.delete(SEALED_SECRETS, NAMESPACE, "db", origin=USER._replace(verb="delete"))
    await world.until(lambda: "db" not in secrets(world), "collected")


@story(terms=TERMS)
async def an_encrypted_secret_takes_over_from_a_sealed_secret_and_the_secret_is_there_all_the_time(
    world: World,
) -> None:
    bring_key(world)
    public = await active(world)
    seal(world, {"password": "1"})
    await synced(world, password="1")
    before = world.cluster.get(SECRETS, NAMESPACE, "db").meta["uid"]
    apply(world, sealed(public, password="1"), adopt=True)
    await world.until(lambda: reason(one(world)) == "NotOwned", "told", within=400)
    found = one(world)
    assert found and "--cascade=orphan" in str(found.object["status"]["conditions"])
    world.cluster.delete(SEALED_SECRETS, NAMESPACE, "db", propagation="Orphan", origin=USER._replace(verb="delete"))
    await opened(world, password="1")
    assert world.cluster.get(SECRETS, NAMESPACE, "db").meta["uid"] == before


@story(terms=TERMS)
async def beside_the_old_controller_nothing_is_done_until_it_is_stopped(world: World) -> None:
    bring_key(world)
    world.cluster.create(DEPLOYMENTS, HOME, deployment(HOME))
    before = old_controllers(world, seal(world, {"password": "1"}), password="0")
    await asyncio.sleep(60)
    there = world.cluster.get(SECRETS, NAMESPACE, "db")
    assert there.meta["resourceVersion"] == before.meta["resourceVersion"] and not reason(sealed_one(world))
    scale(world, 0)
    await synced(world, password="1")
    scale(world, 1)  # the way back
    await asyncio.sleep(60)
    ours = world.cluster.get(SECRETS, NAMESPACE, "db").meta["resourceVersion"]
    seal(world, {"password": "2"})
    await asyncio.sleep(60)
    assert world.cluster.get(SECRETS, NAMESPACE, "db").meta["resourceVersion"] == ours
    scale(world, 0)
    await synced(world, password="2")


def scale(world: World, replicas: int) -> None:
    """`kubectl scale`: it is a moment until its pods have come or gone."""
    where = (DEPLOYMENTS, HOME, "sealed-secrets-controller")
    world.cluster.edit(*where, lambda one: one["spec"].update(replicas=replicas), USER)
