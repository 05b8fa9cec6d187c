"""What spec.config comes to: pins, copies and digests, and what stands against them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.model import (
    ConfigMap,
    Content,
    Entry,
    Pin,
    Sealed,
    Wanted,
    content_hash,
    digest_with,
    project_config_map,
    project_content,
    project_sealed,
    size_of,
)
from fairlead.config.pins import MOST_BYTES, MOST_KEYS, Found, add_config, choose_keys, clashes, copy_name, wanted
from fairlead.core.actions import Read

SETTINGS = ConfigMap("default", "settings", "u", rv=7, created=0.0)
FROM_MAP = Entry("settings", mount_path="/etc/shop", config_map="settings")


def found(there: ConfigMap | None, read: tuple[int, Content | None] | None = None) -> Any:
    def find(name: str) -> Found:
        return there, read

    return find


def comes_to(*entries: Entry, find: Any = found(None), template: dict[str, Any] | None = None) -> Any:
    return wanted("default", "shop", entries, template or {}, find)


def test_inline_content_is_known_at_once() -> None:
    made = comes_to(Entry("flags", env=True, values={"THEME": "dark"}))
    (copy,) = made.copies
    assert made.known and made.pins[0].copy == copy.name and copy.content.data == {"THEME": "dark"}


def test_a_secret_is_pinned_by_its_name_alone() -> None:
    made = comes_to(Entry("db", env=True, secret="shop-db", prefix="DB_"))
    assert made.known and not made.copies and not made.reads
    assert made.pins == (Pin("db", env=True, prefix="DB_", secret="shop-db"),)


def test_another_word_to_reload_a_secret_is_another_revision_and_no_word_is_none() -> None:
    entry = Entry("db", env=True, secret="shop-db")
    before, first, second = (
        digest_with("v1", comes_to(msgspec.structs.replace(entry, reload=word)).pins) for word in ("", "1", "2")
    )
    assert len({before, first, second}) == 3
    assert comes_to(msgspec.structs.replace(entry, reload="2")).pins[0].reload == "2", "the Revision says which it was"


SEALED = Entry("db", env=True, prefix="DB_", encrypted_secret="shop-db")
OPENED = Sealed("default", "shop-db", "u", 3, "shop-db-tslp7k2525", ("password", "user"))


def sealed_as(there: Sealed | None, entry: Entry = SEALED) -> Wanted:
    return wanted("default", "shop", [entry], {}, found(None), lambda name: there if name == "shop-db" else None)


def test_an_encrypted_secret_is_pinned_by_the_version_it_names_and_nothing_is_copied() -> None:
    made = sealed_as(OPENED)

    assert made.known and not made.copies and not made.reads
    assert made.pins == (Pin("db", env=True, prefix="DB_", source="shop-db", secret="shop-db-tslp7k2525"),)


def test_another_version_or_another_choice_of_keys_is_another_revision_and_their_order_is_none() -> None:
    some, others = (msgspec.structs.replace(SEALED, keys=keys) for keys in (("password", "user"), ("user", "password")))
    pins = [
        sealed_as(OPENED),
        sealed_as(msgspec.structs.replace(OPENED, version="shop-db-2")),
        sealed_as(OPENED, some),
        sealed_as(OPENED, others),
    ]
    first, second, chosen, reordered = (digest_with("v1", made.pins) for made in pins)

    assert len({first, second, chosen}) == 3
    assert chosen == reordered


@pytest.mark.parametrize(
    ("there", "reason", "words"),
    [
        (None, "EncryptedSecretMissing", "there is no EncryptedSecret shop-db in namespace default"),
        (
            msgspec.structs.replace(OPENED, problem="password is damaged"),
            "EncryptedSecretNotReady",
            "spec.config[db].encryptedSecret: of EncryptedSecret shop-db no version can be pinned: password is damaged",
        ),
        (
            msgspec.structs.replace(OPENED, keys=("user",)),
            "EncryptedSecretKeyMissing",
            'has no key "password" (it has user)',
        ),
    ],
)
def test_what_keeps_a_version_from_being_pinned_is_told_and_what_runs_stays(
    there: Sealed | None, reason: str, words: str
) -> None:
    made = sealed_as(there, msgspec.structs.replace(SEALED, keys=("password",)))

    assert not made.known and made.pins == ()
    assert made.lacks[0].reason == reason
    assert words in made.lacks[0].message and "what runs is left as it is" in made.lacks[0].message


def test_pods_get_the_whole_version_or_the_keys_that_were_chosen() -> None:
    spec = {"containers": [{"name": "web", "env": [{"name": "DB_user", "value": "mine"}]}]}
    whole = Pin("db", env=True, prefix="DB_", secret="shop-db-1")
    chosen = Pin("db", env=True, prefix="DB_", secret="shop-db-1", items=("password", "user"))
    files = Pin("tls", mount_path="/tls", secret="shop-db-1", items=("tls.key",))

    variables = add_config([whole], spec)["containers"][0]
    assert variables["envFrom"] == [{"secretRef": {"name": "shop-db-1"}, "prefix": "DB_"}]
    some = add_config([chosen], spec)["containers"][0]
    assert "envFrom" not in some
    assert some["env"] == [
        {"name": "DB_password", "valueFrom": {"secretKeyRef": {"name": "shop-db-1", "key": "password"}}},
        {"name": "DB_user", "value": "mine"},
    ]
    volume = add_config([files], spec)["volumes"][0]
    assert volume["secret"] == {"secretName": "shop-db-1", "items": [{"key": "tls.key", "path": "tls.key"}]}


def encrypted_secret(generation: int = 2, **status: Any) -> bytes:
    meta = {"name": "shop-db", "namespace": "default", "uid": "u", "resourceVersion": "3", "generation": generation}
    ready = [{"type": "Ready", "status": "True", "reason": "Opened"}]
    told = {"observedGeneration": 2, "version": "shop-db-1", "keys": ["a"], "conditions": ready, **status}
    return msgspec.json.encode({"metadata": meta, "spec": {"values": {"a": "fl1:x"}}, "status": told})


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (encrypted_secret(), ""),
        (encrypted_secret(3), "it has not been opened yet"),
        (
            encrypted_secret(conditions=[{"type": "Ready", "status": "False", "message": "a is damaged"}]),
            "a is damaged",
        ),
        (encrypted_secret(conditions=[]), "it is not Ready"),
        (encrypted_secret(version=""), "it names no version"),
        (b'{"metadata": {"name": "shop-db", "namespace": "default", "generation": 1}}', "it has not been opened yet"),
    ],
)
def test_of_an_encrypted_secret_only_what_its_newest_spec_came_to_counts(data: bytes, problem: str) -> None:
    made = project_sealed(data)

    assert made.problem.startswith(problem) and bool(made.problem) == bool(problem)
    assert "fl1" not in repr(made)


def test_a_config_map_that_nobody_has_read_yet_is_asked_for_and_nothing_is_known() -> None:
    made = comes_to(FROM_MAP, find=found(SETTINGS))
    assert not made.known and not made.lacks and made.reads == (Read("ConfigMap", "default", "settings", 7),)


def test_while_a_changed_config_map_is_left_alone_what_was_read_before_counts() -> None:
    made = comes_to(FROM_MAP, find=found(SETTINGS, (6, Content({"a": "1"}))))
    assert made.known and made.copies[0].content.data == {"a": "1"} and made.reads


def test_what_was_read_after_the_watch_last_told_is_not_read_again() -> None:
    assert not comes_to(FROM_MAP, find=found(SETTINGS, (8, Content({"a": "1"})))).reads


@pytest.mark.parametrize("find", [found(None), found(None, (7, Content())), found(SETTINGS, (7, None))])
def test_a_missing_config_map_is_named_with_its_field(find: Any) -> None:
    made = comes_to(FROM_MAP, Entry("flags", env=True, values={"A": "1"}), find=find)
    assert not made.known and made.pins == ()
    assert made.lacks[0].reason == "ConfigMapMissing"
    assert "spec.config[settings].configMap: there is no ConfigMap settings" in made.lacks[0].message
    assert len(made.copies) == 1, "the other entry's copy is still wanted, and must not be collected"


def test_the_same_content_has_the_same_copy_wherever_it_comes_from() -> None:
    inline = Entry("settings", mount_path="/etc/shop", files={"a": "1", "b": "2"})
    first, second = comes_to(inline), comes_to(FROM_MAP, find=found(SETTINGS, (7, Content({"b": "2", "a": "1"}))))
    assert first.copies == second.copies
    assert digest_with("v1", first.pins) == digest_with("v1", second.pins)


def test_too_many_keys_and_too_many_bytes_are_refused_with_the_way_out() -> None:
    _, many = choose_keys(FROM_MAP, Content({str(number): "" for number in range(MOST_KEYS + 1)}))
    _, much = choose_keys(Entry("s", files={}), Content({"a": "é" * (MOST_BYTES // 2 + 1)}))
    assert many and many.reason == "ConfigTooLarge" and "under keys" in many.message
    assert much and much.reason == "ConfigTooLarge" and str(MOST_BYTES) in much.message
    assert choose_keys(FROM_MAP, Content({"a": "x" * MOST_BYTES}))[1] is None


def test_only_the_keys_that_are_asked_for_are_copied() -> None:
    entry = msgspec.structs.replace(FROM_MAP, keys=("a", "c"))
    chosen, lack = choose_keys(entry, Content({"a": "1", "b": "2"}, {"c": "AAAA"}))
    assert (chosen.data, chosen.binary, lack) == ({"a": "1"}, {"c": "AAAA"}, None)


def test_two_entries_at_one_place_and_a_taken_volume_name_are_clashes() -> None:
    entries = [Entry("a", mount_path="/etc/x", files={}), Entry("b", mount_path="/etc/x/", files={})]
    assert [lack.reason for lack in clashes(entries, {})] == ["ConfigClash"]
    (lack,) = clashes(entries[:1], {"spec": {"containers": [], "volumes": [{"name": "config-a", "emptyDir": {}}]}})
    assert "spec.config[a].name" in lack.message


# ---------------------------------------------------------------- the digest

texts = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=5), max_size=4)


@given(texts, texts)
def test_a_content_has_one_name_and_another_content_another(first: dict[str, str], second: dict[str, str]) -> None:
    turned = dict(reversed(first.items()))
    assert content_hash(Content(first)) == content_hash(Content(turned))
    assert (content_hash(Content(first)) == content_hash(Content(second))) == (first == second)
    assert (content_hash(Content(first, second)) == content_hash(Content(second, first))) == (first == second)


pins = st.builds(
    Pin,
    name=st.sampled_from("abc"),
    mount_path=st.sampled_from(["/a", "/b"]),
    copy=st.sampled_from(["x", "y"]),
    secret=st.just(""),
)


@given(st.lists(pins, max_size=3, unique_by=lambda pin: pin.name), st.randoms())
def test_the_order_of_mounts_means_nothing_and_what_they_hold_does(given: list[Pin], chance: Any) -> None:
    turned = list(given)
    chance.shuffle(turned)
    assert digest_with("v1", given) == digest_with("v1", turned)
    for number, pin in enumerate(given):
        for change in ({"copy": "z"}, {"mount_path": "/z"}, {"name": "z"}):
            other = [*given[:number], msgspec.structs.replace(pin, **change), *given[number + 1 :]]
            assert digest_with("v1", other) != digest_with("v1", given)


def test_the_order_of_environments_counts_for_the_later_one_wins() -> None:
    one, two = Pin("a", env=True, copy="x"), Pin("b", env=True, copy="y")
    assert digest_with("v1", (one, two)) != digest_with("v1", (two, one))


def test_where_a_content_came_from_is_no_part_of_the_digest() -> None:
    pin = Pin("a", env=True, copy="x")
    told = msgspec.structs.replace(pin, source="settings", by="kubectl-edit", keys={"A": "b"})
    assert digest_with("v1", (pin,)) == digest_with("v1", (told,))


def test_names_of_copies_are_names_also_of_the_longest_apps() -> None:
    name = copy_name("a" * 63, "b" * 50, Content())
    assert len(name) <= 253 and name == copy_name("a" * 63, "b" * 50, Content())


def test_base64_is_counted_as_what_it_stands_for() -> None:
    assert [size_of(Content({}, {"a": value})) for value in ("", "QQ==", "QUE=", "QUFB")] == [0, 1, 2, 3]


# ---------------------------------------------------------------- pods


def test_every_container_gets_it_and_the_templates_own_variables_win() -> None:
    web = {
        "name": "web",
        "envFrom": [{"secretRef": {"name": "own"}}],
        "volumeMounts": [{"name": "x", "mountPath": "/x"}],
    }
    spec = {"initContainers": [{"name": "first"}], "containers": [web], "volumes": [{"name": "x"}]}
    made = add_config([Pin("b", mount_path="/b", secret="s"), Pin("e", env=True, prefix="P_", copy="c")], spec)
    assert made["volumes"] == [{"name": "x"}, {"name": "config-b", "secret": {"secretName": "s"}}]
    for container in (*made["initContainers"], *made["containers"]):
        assert container["volumeMounts"][-1] == {"name": "config-b", "mountPath": "/b", "readOnly": True}
        assert container["envFrom"][0] == {"configMapRef": {"name": "c"}, "prefix": "P_"}
    assert made["containers"][0]["envFrom"][-1] == {"secretRef": {"name": "own"}}
    assert spec["containers"] == [web], "the template is left as it was"


# ---------------------------------------------------------------- ConfigMaps as the API server tells of them


def test_who_wrote_the_content_last_is_told_and_not_who_labelled_it() -> None:
    managed = [
        {"manager": "helm", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}}},
        {"manager": "kubectl-edit", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:data": {"f:a": {}}}},
        {"manager": "labeller", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    body = {"metadata": {"name": "settings", "managedFields": managed}, "data": {"a": "1"}}
    assert project_content(msgspec.json.encode(body)) == Content({"a": "1"}, {}, "kubectl-edit")
    assert project_content(b'{"metadata": {"name": "settings"}}') == Content()


def test_only_an_app_of_ours_is_an_owner() -> None:
    def owner(kind: str, version: str) -> str:
        reference = {"apiVersion": version, "kind": kind, "name": "shop", "uid": "u1", "controller": True}
        body = {"metadata": {"name": "c", "namespace": "n", "resourceVersion": "3", "ownerReferences": [reference]}}
        return project_config_map(msgspec.json.encode(body)).owner_uid

    assert [owner("App", "fairlead.dev/v1alpha1"), owner("App", "x/v1"), owner("Job", "batch/v1")] == ["u1", "", ""]
