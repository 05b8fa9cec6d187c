"""When a key is minted, what each key is good for, and what a SealingKey says of itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Create, Delete, Plan
from fairlead.core.meta import JSON, Key
from fairlead.secrets.keys import key_secret, next_secret, unwrapped, wrapped
from fairlead.secrets.model import SealingKey, project_sealing_key
from fairlead.secrets.ring import (
    MINTING_SECONDS,
    KeyObserved,
    Known,
    RingObserved,
    Unpublished,
    condition,
    plan,
    plan_key,
    states,
    summarise,
)
from fairlead.secrets.stored import KeySecret, project
from fairlead.secrets.suites import PrivateKey, generate

OPS = "fairlead-system"
DAY = 86400.0
SHOP = (Key("shop", "db"), Key("shop", "mail"))


def ring(*keys: Known, **more: Any) -> RingObserved:
    stored = frozenset(key.kid for key in keys if key.held)
    seen = RingObserved(OPS, keys, (), stored, (), generate("x"), renew=30 * DAY)
    return msgspec.structs.replace(seen, **more)


def stored(body: JSON, uid: str = "u", created: str = "1970-01-01T00:00:00Z") -> KeySecret:
    """As the API server would give it back."""
    meta = {**body["metadata"], "uid": uid, "resourceVersion": "7", "creationTimestamp": created}
    secret = project(msgspec.json.encode({**body, "metadata": meta}))
    assert isinstance(secret, KeySecret)
    return secret


def made(found: Plan) -> list[tuple[str, str]]:
    return [(action.kind, action.name) for action in found.actions if isinstance(action, Create)]


def body_of(found: Plan) -> JSON:
    (action,) = [action for action in found.actions if isinstance(action, Create)]
    decoded: JSON = msgspec.json.decode(action.body)
    return decoded


# ---------------------------------------------------------------- minting


def test_the_first_key_comes_into_the_world_in_three_writes_each_of_which_can_be_repeated() -> None:
    seen = ring()
    first = plan(seen, 100.0)
    assert made(first) == made(plan(seen, 100.0)) == [("Secret", "fairlead-sealing-next-0")]
    begun = stored(body_of(first))
    assert begun.minting and begun.private is not None and begun.kid == seen.spare.kid

    second = plan(ring(minting=(begun,)), 101.0)
    assert made(second) == [("Secret", f"fairlead-sealing-{begun.kid}")]
    own = stored(body_of(second))
    assert (own.kid, own.minted, own.problem) == (begun.kid, 100.0, "")

    third = plan(ring(minting=(begun,), stored=frozenset({own.kid}), unpublished=(Unpublished(own),)), 102.0)
    assert made(third) == [("SealingKey", begun.kid)]
    assert project_sealing_key(msgspec.json.encode(body_of(third))).created == 100.0


def test_two_who_would_mint_the_first_key_ask_for_the_same_name_and_go_on_with_one_key() -> None:
    one, two = ring(), ring()
    assert one.spare.kid != two.spare.kid
    assert made(plan(one, 0.0)) == made(plan(two, 0.0))
    begun = stored(body_of(plan(one, 0.0)))  # the API server takes one of them
    assert made(plan(msgspec.structs.replace(two, minting=(begun,)), 0.0)) == [
        ("Secret", f"fairlead-sealing-{one.spare.kid}")
    ]


def test_no_key_is_published_whose_private_part_is_not_stored() -> None:
    begun = stored(next_secret("fairlead-sealing-next-0", generate("x"), OPS, 0.0))
    assert [kind for kind, _ in made(plan(ring(minting=(begun,)), 0.0))] == ["Secret"]


def test_what_a_key_was_minted_by_stays_while_a_late_request_could_still_be_under_way() -> None:
    private = generate("x")
    begun = stored(next_secret("fairlead-sealing-next-0", private, OPS, 0.0))
    seen = ring(Known(private.kid, created=0.0), minting=(begun,))
    young, old = plan(seen, 1.0), plan(seen, MINTING_SECONDS)
    assert (young.actions, young.requeue_after) == ((), MINTING_SECONDS - 1.0)
    assert old.actions == (Delete("Secret", OPS, begun.name, "u"),)
    unpublished = msgspec.structs.replace(seen, keys=(), stored=frozenset())
    assert not [a for a in plan(unpublished, MINTING_SECONDS).actions if isinstance(a, Delete)], "it is all there is"


def test_a_key_is_renewed_when_it_is_old_and_the_old_one_still_opens() -> None:
    seen = ring(Known("a", created=0.0))
    assert plan(seen, 29 * DAY).requeue_after == DAY
    assert made(plan(seen, 30 * DAY)) == [("Secret", "fairlead-sealing-next-1")]
    assert made(plan(msgspec.structs.replace(seen, renew=0.0), 999 * DAY)) == []
    assert states([Known("a", 0.0), Known("b", 30 * DAY)]) == {"a": "DecryptOnly", "b": "Active"}


def test_a_key_that_is_brought_back_from_a_backup_is_published_with_its_own_age() -> None:
    private = generate("x")
    restored = stored(key_secret(private, OPS, 5 * DAY), created="1970-02-01T00:00:00Z")
    found = plan(ring(Known("a", created=9 * DAY), unpublished=(Unpublished(restored),)), 31 * DAY)
    assert made(found) == [("SealingKey", private.kid)]
    assert body_of(found)["spec"]["createdAt"] == "1970-01-06T00:00:00Z"
    assert states([Known("a", 9 * DAY), Known(private.kid, 5 * DAY)])["a"] == "Active"


def test_a_new_key_is_sealed_to_every_recovery_key_at_birth() -> None:
    offline, private = [generate("x"), generate("x")], generate("x")
    recovery = tuple(wrapped(private, [key.public for key in offline], 0.0))
    own = Unpublished(stored(key_secret(private, OPS, 0.0)), recovery)
    body = body_of(plan(ring(unpublished=(own,)), 0.0))
    assert [unwrapped(key, body).encode() for key in offline] == [private.encode()] * 2


# ---------------------------------------------------------------- bad input


def test_trust_61_where_a_known_key_is_lost_nothing_is_minted_and_the_way_back_is_said() -> None:
    lost = Known("a" * 32, created=0.0, held=False, users=SHOP)
    assert made(plan(ring(lost), 999 * DAY)) == []
    assert made(plan(ring(lost, Known("b", created=1.0, wish="Compromised")), 999 * DAY)) == []
    said = condition(observed(lost), "DecryptOnly")
    assert said.reason == "KeyRingIncomplete"
    for words in (f"{OPS}/fairlead-sealing-{'a' * 32}", "backup", "fairlead keys recover", "shop/db", "no new key"):
        assert words in said.message
    retired = msgspec.structs.replace(lost, wish="Retired", users=())
    assert made(plan(ring(retired), 0.0)) == [("Secret", "fairlead-sealing-next-1")], "who retires it, gives it up"


@pytest.mark.parametrize(
    ("data", "type", "words"),
    [
        ({"private-key": "eA=="}, "fairlead.dev/sealing-key", "SUITE:BASE64"),
        ({"private-key": "eDpBQUE9"}, "fairlead.dev/sealing-key", "has 2 bytes instead of 32"),
        ({"private-key": "eno6QUFB"}, "fairlead.dev/sealing-key", "the suite is not one of"),
        ({"private-key": "/w=="}, "fairlead.dev/sealing-key", "is no text"),
        ({}, "fairlead.dev/sealing-key", "no data key private-key"),
        ({"private-key": "eA=="}, "Opaque", "its type is Opaque"),
        (None, "fairlead.dev/sealing-key", "it holds another key"),
    ],
)
def test_trust_62_a_corrupt_key_secret_is_passed_over_and_said_and_the_others_work(
    data: dict[str, str] | None, type: str, words: str
) -> None:
    body = key_secret(generate("x"), OPS, 0.0)
    other = key_secret(generate("x"), OPS, 0.0)
    broken = stored({**body, "type": type, "data": data if data is not None else other["data"]})
    assert broken.private is None and words in broken.problem
    known = Known(broken.kid, 0.0, held=False, problem=broken.problem)
    said = condition(observed(known), "DecryptOnly")
    assert said.reason == "KeyCorrupt" and words in said.message and broken.name in said.message
    for value in (data or {}).values():
        assert value not in said.message
    assert states([known, Known("b", 1.0)])["b"] == "Active"


def test_a_secret_by_which_keys_are_minted_that_holds_none_gives_way() -> None:
    body = next_secret("fairlead-sealing-next-0", generate("x"), OPS, 0.0)
    broken = stored({**body, "data": {}})
    found = plan(ring(minting=(broken,)), 0.0)
    assert Delete("Secret", OPS, broken.name, "u") in found.actions


def test_trust_63_a_compromised_key_gets_a_successor_at_once_and_its_users_are_listed() -> None:
    old = Known("a", created=0.0, wish="Compromised", users=SHOP)
    assert made(plan(ring(old), 1.0)) == [("Secret", "fairlead-sealing-next-1")]
    found = states([old, Known("b", created=1.0)])
    assert found == {"a": "Compromised", "b": "Active"}
    said = condition(observed(old), "Compromised")
    assert (said.status, said.reason) == ("False", "Compromised")
    assert "shop/db, shop/mail" in said.message and "at their source" in said.message


# ---------------------------------------------------------------- a SealingKey's status


def record(kid: str, **status: Any) -> SealingKey:
    body = {"metadata": {"name": kid, "uid": "u", "generation": 3}, "spec": {}, "status": status}
    return project_sealing_key(msgspec.json.encode(body))


def observed(key: Known, *others: Known, **status: Any) -> KeyObserved:
    return KeyObserved(record(key.kid, **status), (key, *others), OPS)


def test_a_key_that_is_still_used_is_not_retired_and_says_by_whom() -> None:
    key = Known("a", created=0.0, wish="Retired", was="DecryptOnly", users=SHOP)
    status = plan_key(observed(key, Known("b", 1.0), state="DecryptOnly"), 0.0).status
    assert status is not None
    assert (status["state"], status["objects"]) == ("DecryptOnly", 2)
    assert status["conditions"][0].reason == "StillUsed" and "shop/db, shop/mail" in status["conditions"][0].message


def test_a_retired_key_stays_retired_whatever_is_sealed_to_it_later() -> None:
    key = Known("a", created=0.0, wish="Retired", was="Retired", users=SHOP)
    assert states([key])["a"] == "Retired"


def test_a_compromised_key_that_is_used_is_not_made_harmless_by_a_wish_to_retire_it() -> None:
    key = Known("a", created=0.0, wish="Retired", was="Compromised", users=SHOP)
    assert states([key])["a"] == "Compromised"


@pytest.mark.parametrize(
    ("key", "ready", "summary"),
    [
        (Known("a", 0.0), "True", "Active"),
        (Known("a", 0.0, wish="DecryptOnly"), "True", "DecryptOnly"),
        (Known("a", 0.0, wish="Retired"), "True", "Retired"),
        (Known("a", 0.0, wish="Compromised"), "False", "Compromised: Compromised"),
        (Known("a", 0.0, held=False), "False", "DecryptOnly: KeyRingIncomplete"),
    ],
)
def test_the_status_is_what_kstatus_understands(key: Known, ready: str, summary: str) -> None:
    said = plan_key(observed(key), 0.0).status
    assert said is not None
    status = summarise(record("a"), said, 0.0)
    types = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert types == ({"Ready": "True"} if ready == "True" else {"Ready": "False", "Stalled": "True"})
    assert (status["summary"], status["observedGeneration"]) == (summary, 3)


def test_another_state_is_told_once() -> None:
    def events(key: Known, **status: Any) -> list[tuple[str, str]]:
        return [(event.type, event.reason) for event in plan_key(observed(key, **status), 0.0).events]

    assert events(Known("a", 0.0)) == [("Normal", "StateChanged")]
    assert events(Known("a", 0.0, was="Active")) == []
    told = [{"type": "Ready", "status": "False", "reason": "KeyRingIncomplete"}]
    assert events(Known("a", 0.0, held=False)) == [("Warning", "KeyRingIncomplete")]
    assert events(Known("a", 0.0, held=False), conditions=told) == []


def test_no_text_of_a_private_key_is_in_what_is_shown_of_it() -> None:
    private = generate("x")
    secret = stored(key_secret(private, OPS, 0.0))
    seen = ring(minting=(secret,), unpublished=(Unpublished(secret),), spare=private)
    assert isinstance(secret.private, PrivateKey)
    assert private.encode() not in f"{secret!r} {seen!r}"
