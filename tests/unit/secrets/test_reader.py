"""What becomes of a SealedSecret of sealed-secrets: what is written, what is left alone, and what is said."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.core.actions import Create, Delete, Failure, Patch, Plan, Read
from fairlead.core.meta import JSON
from fairlead.secrets.fingerprints import project_secret
from fairlead.secrets.keys import LABEL_SECRET
from fairlead.secrets.model import SecretMeta
from fairlead.secrets.outputs import Bounds, Output
from fairlead.secrets.reader import (
    Keys,
    Outline,
    ReaderObserved,
    SealedSecret,
    newest_first,
    outline,
    output,
    plan,
    project_old_key,
    project_sealed_secret,
    stands,
    summarise,
)
from support.kubeseal import hybrid, key_secret, sealed_secret
from unit.secrets.verdict import message, said

KEY, OTHER = (rsa.generate_private_key(65537, 1024) for _ in range(2))
CANARY = "canary-hunter2"
NOW = 1_800_000_000.0
VALUES = {"password": CANARY, "user": "shop"}
CONTROLLED = {
    "ownerReferences": [
        {
            "apiVersion": "bitnami.com/v1alpha1",
            "kind": "SealedSecret",
            "name": "db",
            "uid": "uid-db",
            "controller": True,
        }
    ]
}


def record(body: JSON | None = None, status: JSON | None = None, generation: int = 1, **metadata: Any) -> SealedSecret:
    body = body or sealed_secret(KEY, VALUES)
    meta = {**body["metadata"], "uid": "uid-db", "resourceVersion": "5", "generation": generation, **metadata}
    return project_sealed_secret(msgspec.json.encode({**body, "metadata": meta, "status": status or {}}))


BOUNDS = Bounds(frozenset(["kube-system"]))
KEYS = Keys("kube-system", (OTHER, KEY))


def seen(of: SealedSecret | None = None, bounds: Bounds = BOUNDS, keys: Keys = KEYS, **more: Any) -> ReaderObserved:
    of = of or record()
    return ReaderObserved(of, output(of, keys, bounds), **more)


def stored(body: JSON, **metadata: Any) -> SecretMeta:
    """A Secret as the API server would give it back."""
    meta = {"uid": "uid-secret", "resourceVersion": "9", "namespace": "shop", "name": "db"}
    return project_secret(msgspec.json.encode({**body, "metadata": {**meta, **body.get("metadata", {}), **metadata}}))


def encoded(values: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def theirs(**metadata: Any) -> SecretMeta:
    """One that holds something else, and that nobody of ours has made."""
    return stored({"type": "Opaque", "data": encoded({"theirs": "1"})}, **metadata)


def made(found: Plan) -> JSON:
    (action,) = found.actions
    assert isinstance(action, Create)
    body: JSON = msgspec.json.decode(action.body)
    return body


def patched(found: Plan) -> JSON:
    (action,) = found.actions
    assert isinstance(action, Patch)
    body: JSON = msgspec.json.decode(action.body)
    return body


def settled(of: SealedSecret | None = None, **more: Any) -> ReaderObserved:
    """After the Secret was written."""
    observed = seen(of, **more)
    return msgspec.structs.replace(observed, current=stored(made(plan(observed, NOW))))


# ---------------------------------------------------------------- what is remembered


def remembered() -> Outline:
    found = output(record(), KEYS, BOUNDS)
    assert isinstance(found, Output)
    return outline(found)


def test_a_secret_that_stands_as_it_should_needs_no_key_to_be_known_for_it() -> None:
    current = settled().current
    assert stands(record(), remembered(), current)
    found = plan(ReaderObserved(record(), remembered(), current=current), NOW)
    assert found == plan(settled(), NOW) and said(found) == ("True", "Opened")


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": b"other"},
        {"type": "x/y"},
        {"labels": {}},
        {"annotations": {}},
        {"deleting": True},
        {"owner_uid": "another"},
        {"owner_uid": "", "owned": False, "labels": {}},
    ],
    ids=str,
)
def test_one_that_does_not_is_opened_again(change: dict[str, Any]) -> None:
    current = settled().current
    assert current is not None
    assert not stands(record(), remembered(), msgspec.structs.replace(current, **change))
    assert not stands(record(), remembered(), None)


def test_what_is_remembered_holds_no_value() -> None:
    assert CANARY not in repr(remembered()) and base64.b64encode(CANARY.encode()).decode() not in repr(remembered())


# ---------------------------------------------------------------- beside the old controller


@pytest.mark.parametrize("current", [None, theirs(), theirs(**CONTROLLED)], ids=["none", "foreign", "its own"])
def test_while_the_old_controller_runs_nothing_is_written_and_what_to_do_is_told(current: SecretMeta | None) -> None:
    found = plan(seen(current=current, beside="it still runs: stop it"), NOW)
    assert found.actions == () and found.reads == ()
    assert found.status is None, "the old controller's word stays, for it is the one that holds"
    assert [(event.type, event.reason) for event in found.events] == [("Warning", "OldControllerRuns")]
    assert found.events[0].message == "it still runs: stop it"


def test_what_is_deleted_beside_it_is_left_to_garbage_collection_without_a_word() -> None:
    assert plan(seen(record(deletionTimestamp="2026-11-22T00:00:00Z"), beside="it still runs"), NOW) == Plan()


# ---------------------------------------------------------------- what is made


def test_the_secret_is_the_one_that_the_old_controller_would_have_made() -> None:
    template = {
        "type": "example.org/login",
        "metadata": {
            "labels": {"team": "blue", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"note": "x", "sealedsecrets.bitnami.com/managed": "true"},
        },
        "data": {"url": 'pg://{{ .user }}:{{ index . "password" }}@db/${X}', "user": "cn={{ .user }}"},
    }
    body = made(plan(seen(record(sealed_secret(KEY, VALUES, template=template))), NOW))

    assert body["data"] == encoded({"password": CANARY, "user": "cn=shop", "url": f"pg://shop:{CANARY}@db/${{X}}"}), (
        "a template's text stands in place of the value of its name"
    )
    meta = body["metadata"]
    assert (body["type"], meta["namespace"], meta["name"]) == ("example.org/login", "shop", "db")
    assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm", "as it says"
    assert meta["labels"]["team"] == "blue" and meta["annotations"]["note"] == "x"
    assert meta["ownerReferences"] == CONTROLLED["ownerReferences"]
    assert "immutable" not in body


@pytest.mark.parametrize(
    ("label", "annotations"),
    [(b"shop/db", {}), (b"shop", {"namespace_wide": "true"}), (b"", {"cluster_wide": "true"})],
    ids=["strict", "namespace-wide", "cluster-wide"],
)
def test_each_scope_opens_what_was_sealed_for_it_and_nothing_else(label: bytes, annotations: dict[str, str]) -> None:
    everywhere = Bounds(cluster_scope=True)
    of = record(sealed_secret(KEY, VALUES, label, **annotations))
    assert made(plan(seen(of, bounds=everywhere), NOW))["data"] == encoded(VALUES)
    for other in {b"shop/db", b"shop", b""} - {label}:
        of = record(sealed_secret(KEY, VALUES, other, **annotations))
        assert said(plan(seen(of, bounds=everywhere), NOW)) == ("False", "CannotOpen")


def test_what_is_immutable_by_its_template_is_made_so_and_made_anew_with_new_values() -> None:
    of = record(sealed_secret(KEY, VALUES, template={"immutable": True}))
    observed = settled(of)
    assert made(plan(seen(of), NOW))["immutable"] is True and said(plan(observed, NOW)) == ("True", "Opened")
    newer = record(sealed_secret(KEY, {"password": "2"}, template={"immutable": True}), generation=2)
    (action,) = plan(seen(newer, current=observed.current), NOW).actions
    assert action == Delete("Secret", "shop", "db", "uid-secret")


def test_without_an_owner_where_the_template_says_so() -> None:
    template = {"metadata": {"annotations": {"sealedsecrets.bitnami.com/skip-set-owner-references": "true"}}}
    observed = settled(record(sealed_secret(KEY, VALUES, template=template)))
    assert observed.current is not None and not observed.current.owned
    assert said(plan(observed, NOW)) == ("True", "Opened")
    again = msgspec.structs.replace(observed, record=record(sealed_secret(KEY, VALUES, template=template), uid="later"))
    assert said(plan(again, NOW)) == ("True", "Opened"), "applied anew after it was deleted"


def test_names_of_ours_in_a_template_do_nothing() -> None:
    forged = {LABEL_SECRET: "sealing-key", "fairlead.dev/encrypted-secret": "mail"}
    template = {"metadata": {"labels": forged, "annotations": {"fairlead.dev/adopt-by": "mail"}}}
    meta = made(plan(seen(record(sealed_secret(KEY, VALUES, template=template))), NOW))["metadata"]
    assert meta["labels"][LABEL_SECRET] == "unsealed" and "fairlead.dev/encrypted-secret" not in meta["labels"]
    assert meta["annotations"]["fairlead.dev/adopt-by"] == "db"


# ---------------------------------------------------------------- what is kept


def test_the_secret_of_the_old_controller_is_taken_as_it_is() -> None:
    there = stored({"type": "Opaque", "data": encoded(VALUES)}, **CONTROLLED)
    change = patched(plan(seen(current=there), NOW))
    assert set(change) == {"metadata"}, "its values and its owner are right"
    assert change["metadata"]["labels"][LABEL_SECRET] == "unsealed" and "ownerReferences" not in change["metadata"]
    assert (change["metadata"]["uid"], change["metadata"]["resourceVersion"]) == ("uid-secret", "9")


def test_drift_is_put_back_and_told() -> None:
    observed = settled()
    status = summarise(observed.record, plan(observed, NOW).status or {}, NOW)
    told = msgspec.structs.replace(observed, record=msgspec.structs.replace(observed.record, status=status))
    assert plan(told, NOW).actions == () and plan(told, NOW).events == ()

    edited = stored({"type": "Opaque", "data": encoded({"password": "x", "more": "y"})}, **CONTROLLED)
    found = plan(msgspec.structs.replace(told, current=edited), NOW)
    assert patched(found)["data"] == {**encoded(VALUES), "more": None}
    assert [event.reason for event in found.events] == ["SecretReverted"]

    found = plan(msgspec.structs.replace(told, current=None), NOW)
    assert made(found)["data"] == encoded(VALUES) and [event.reason for event in found.events] == ["SecretRecreated"]


def test_what_a_template_had_once_goes_and_what_others_added_stays() -> None:
    observed = settled(record(sealed_secret(KEY, VALUES, template={"metadata": {"labels": {"team": "blue"}}})))
    assert observed.current is not None
    labels = {**observed.current.labels, "added": "by hand"}
    current = msgspec.structs.replace(observed.current, labels=labels)
    change = patched(plan(seen(current=current), NOW))
    assert change["metadata"]["labels"] == {"team": None}


def test_while_one_is_deleted_nothing_is_done() -> None:
    assert plan(seen(record(deletionTimestamp="2026-01-01T00:00:00Z")), NOW) == Plan()
    made_before = settled(record(uid="before")).current
    assert plan(seen(current=made_before), NOW) == Plan(), "its predecessor's Secret is about to go"


# ---------------------------------------------------------------- what is left alone


def flipped(text: str) -> str:
    blob = bytearray(base64.b64decode(text))
    blob[-1] ^= 1
    return base64.b64encode(blob).decode()


def broken(value: object) -> SealedSecret:
    body = sealed_secret(KEY, VALUES)
    body["spec"]["encryptedData"]["password"] = value
    return record(body)


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (record(name="mail"), "CannotOpen"),
        (record(namespace="bank"), "CannotOpen"),
        (broken(hybrid(rsa.generate_private_key(65537, 1024), b"x", b"shop/db")), "CannotOpen"),
        (broken(flipped(hybrid(KEY, b"x", b"shop/db"))), "CannotOpen"),
        (broken(hybrid(KEY, b"x", b"shop/db")[:40]), "Malformed"),
        (broken(CANARY), "Malformed"),
        (broken(7), "Malformed"),
        (record({**sealed_secret(KEY, VALUES), "spec": {"encryptedData": ["x"]}}), "Malformed"),
        (record(sealed_secret(KEY, VALUES, template={"data": {"url": "{{ .user | upper }}"}})), "UnsupportedTemplate"),
        (record(sealed_secret(KEY, {"a": "x" * 600_000, "b": "y" * 600_000})), "TooLarge"),
    ],
    ids=[
        "renamed",
        "moved",
        "another key",
        "damaged",
        "cut off",
        "no base64",
        "no text",
        "no mapping",
        "another template",
        "too large",
    ],
)
def test_what_does_not_open_changes_nothing_and_is_named(of: SealedSecret, reason: str) -> None:
    found = plan(seen(of, current=settled().current), NOW)
    assert said(found) == ("False", reason) and found.actions == ()
    assert [event.reason for event in found.events] == [reason]
    assert CANARY not in str(msgspec.to_builtins(found))


def test_without_a_key_it_says_where_one_is_looked_for_and_why_it_cannot_be() -> None:
    found = plan(seen(keys=Keys("kube-system", (), "Forbidden: no")), NOW)
    assert said(found) == ("False", "KeyMissing")
    assert "namespace kube-system" in message(found) and "Forbidden: no" in message(found)


@pytest.mark.parametrize(
    ("of", "word"),
    [
        (record(sealed_secret(KEY, VALUES, b"", cluster_wide="true")), "secrets.clusterScope"),
        (record(sealed_secret(KEY, VALUES, b"kube-system/db"), namespace="kube-system"), "namespace kube-system"),
        (
            record(sealed_secret(KEY, VALUES, template={"type": "kubernetes.io/service-account-token"})),
            "credentials out of nothing",
        ),
    ],
)
def test_what_would_make_credentials_is_not_written(of: SealedSecret, word: str) -> None:
    found = plan(seen(of), NOW)
    assert said(found) == ("False", "Protected") and found.actions == () and word in message(found)


def test_a_secret_of_somebody_else_is_left_alone_until_it_agrees() -> None:
    taken = Failure("create", "Secret", "db", 409, "NameTaken", "exists", NOW)
    assert plan(seen(failures=(taken,)), NOW).reads == (Read("Secret", "shop", "db", 0),)

    found = plan(seen(foreign=theirs(), failures=(taken,)), NOW)
    assert said(found) == ("False", "NotOwned")
    commands = [word for word in message(found).split("`") if word.startswith("kubectl")]
    assert [command.split()[1] for command in commands] == ["annotate", "label", "delete"]
    assert [type(action) for action in found.actions] == [Create], "which fails while it is there"

    for consent in ({"fairlead.dev/adopt-by": "db"}, {"sealedsecrets.bitnami.com/managed": "true"}):
        agreed = theirs(annotations=consent)
        assert said(plan(seen(foreign=agreed), NOW)) == ("False", "NotOwned"), "not before it is watched"
        found = plan(seen(current=agreed, failures=(taken,)), NOW)
        assert found.status is None and found.events == (), "that the name was taken is over"
        change = patched(found)
        assert change["data"] == {"theirs": None, **encoded(VALUES)}
        assert change["metadata"]["ownerReferences"] == CONTROLLED["ownerReferences"]


def test_a_secret_that_something_else_controls_is_left_alone_though_it_agrees() -> None:
    owner = {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "u", "controller": True}
    there = theirs(ownerReferences=[owner], annotations={"fairlead.dev/adopt-by": "db"})
    found = plan(seen(current=there), NOW)
    assert said(found) == ("False", "NotOwned") and found.actions == ()


def test_beside_an_encrypted_secret_of_its_name_it_is_told_to_go() -> None:
    owner = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "EncryptedSecret",
        "name": "db",
        "uid": "other",
        "controller": True,
    }
    there = theirs(ownerReferences=[owner], labels={LABEL_SECRET: "current"})
    found = plan(seen(current=there), NOW)
    assert said(found) == ("False", "NotOwned") and found.actions == ()
    assert "`kubectl delete sealedsecret db --namespace shop`" in message(found)


def test_a_secret_does_not_change_its_type() -> None:
    there = stored({"type": "example.org/other", "data": {}}, **CONTROLLED)
    found = plan(seen(current=there), NOW)
    assert said(found) == ("False", "SecretOfOtherType") and found.actions == ()


def test_a_refusal_of_the_api_server_is_told_and_tried_again() -> None:
    quota = Failure("create", "Secret", "db", 403, "Forbidden", "exceeded quota", NOW)
    found = plan(seen(failures=(quota,)), NOW)
    assert said(found) == ("False", "WriteRefused") and "exceeded quota" in message(found)
    assert made(found)["data"] == encoded(VALUES)


# ---------------------------------------------------------------- keys and status


def test_keys_are_tried_from_the_newest_and_rubbish_is_none() -> None:
    def stored_key(key: rsa.RSAPrivateKey, made_at: str, **data: str) -> bytes:
        body = key_secret(key, "kube-system")
        meta = {**body["metadata"], "creationTimestamp": made_at, "resourceVersion": "1", "uid": made_at}
        return msgspec.json.encode({**body, "metadata": meta, "data": {**body["data"], **data}})

    old, new = stored_key(KEY, "2020-01-01T00:00:00Z"), stored_key(OTHER, "2021-01-01T00:00:00Z")
    rubbish = [stored_key(KEY, "2022-01-01T00:00:00Z", **{"tls.key": text}) for text in ("", "!", "eA==")]
    found = newest_first(project_old_key(body) for body in (old, *rubbish, new))
    assert [key.private_numbers() for key in found] == [OTHER.private_numbers(), KEY.private_numbers()]


def test_times_move_with_what_they_are_of() -> None:
    observed = settled()
    first = summarise(observed.record, plan(observed, NOW).status or {}, 0.0)
    of = msgspec.structs.replace(observed.record, status=first)
    assert summarise(of, plan(observed, NOW).status or {}, 60.0) == first
    later = summarise(of, plan(seen(keys=Keys("kube-system")), NOW).status or {}, 60.0)["conditions"][0]
    assert later["lastTransitionTime"] == later["lastUpdateTime"] == "1970-01-01T00:01:00Z"
    of = msgspec.structs.replace(of, status={"conditions": [later]})
    worse = summarise(of, plan(seen(broken(CANARY)), NOW).status or {}, 120.0)["conditions"][0]
    assert (worse["lastTransitionTime"], worse["lastUpdateTime"]) == ("1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z")


def test_what_the_old_controller_said_is_not_taken_for_our_word() -> None:
    word = {"type": "Synced", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    of = record(status={"conditions": [word], "observedGeneration": 1})
    found = plan(msgspec.structs.replace(seen(of, keys=Keys("kube-system")), current=settled(of).current), NOW)
    assert said(found) == ("False", "KeyMissing") and [event.reason for event in found.events] == ["KeyMissing"]
    assert plan(seen(of), NOW).events == (), "to make a Secret is not to repair it"
