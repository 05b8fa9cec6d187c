"""What becomes of an EncryptedSecret: what is written, what is left alone, and what is said."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Create, Delete, Failure, Patch, Plan, Read
from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON, owner_reference
from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.fingerprints import project_secret
from fairlead.secrets.keys import LABEL_SECRET
from fairlead.secrets.model import KIND, EncryptedSecret, SecretMeta, project_encrypted_secret
from fairlead.secrets.opening import Contents, substituted
from fairlead.secrets.pins import PinningRevision, holders
from fairlead.secrets.plan import ANNOTATION_SUPERSEDED, COLLECT_SECONDS, SecretObserved, plan, summarise
from fairlead.secrets.sealing import seal
from fairlead.secrets.signing import SigningKey
from fairlead.secrets.suites import PrivateKey
from unit.secrets.verdict import message, said

OURS, OTHERS = PrivateKey("x", bytes(range(32))), PrivateKey("x", bytes(32))
CANARY = "canary-hunter2"
NOW = 1_800_000_000.0
SEALED_AT = 1_700_000_000


def sealed(key: str, value: str = CANARY, to: PrivateKey = OURS, name: str = "db", scope: Scope = Scope.STRICT) -> str:
    return seal(to.public, Place(scope, "shop", name, key), value.encode(), SEALED_AT)


PASSWORD, USER = sealed("password"), sealed("user", "shop")


def record(status: JSON | None = None, generation: int = 1, **spec: Any) -> EncryptedSecret:
    body = {
        "metadata": {
            "namespace": "shop",
            "name": "db",
            "uid": "uid-db",
            "resourceVersion": "5",
            "generation": generation,
        },
        "spec": {"values": {"password": PASSWORD, "user": USER}, **spec},
        "status": status or {},
    }
    return project_encrypted_secret(msgspec.json.encode(body))


def seen(of: EncryptedSecret | None = None, **more: Any) -> SecretObserved:
    base = SecretObserved(of or record(), {OURS.kid: OURS}, {OURS.kid: "Active"}, None, ())
    return msgspec.structs.replace(base, **more)


def stored(body: JSON, created: float = 0, **metadata: Any) -> SecretMeta:
    """A Secret as the API server would give it back."""
    meta = {"uid": f"uid-{body['metadata']['name']}", "resourceVersion": "9", **body["metadata"], **metadata}
    return project_secret(msgspec.json.encode({**body, "metadata": meta}))


def bodies(found: Plan) -> dict[str, JSON]:
    return {a.name: msgspec.json.decode(a.body) for a in found.actions if isinstance(a, Create)}


def patches(found: Plan) -> dict[str, JSON]:
    return {a.name: msgspec.json.decode(a.body) for a in found.actions if isinstance(a, Patch)}


def deleted(found: Plan) -> list[str]:
    return [a.name for a in found.actions if isinstance(a, Delete)]


def settled(of: EncryptedSecret | None = None, **more: Any) -> SecretObserved:
    """After everything was written."""
    observed = seen(of, **more)
    made = bodies(plan(observed, NOW))
    current = stored(made.pop("db"))
    (version,) = made.values()
    return msgspec.structs.replace(observed, current=current, versions=(stored(version), *observed.versions))


def with_status(observed: SecretObserved) -> SecretObserved:
    """And after the status was, too."""
    status = plan(observed, NOW).status
    assert status is not None
    told = {**status, "observedGeneration": observed.record.generation}
    told["conditions"] = [msgspec.to_builtins(condition) for condition in told["conditions"]]
    return msgspec.structs.replace(observed, record=msgspec.structs.replace(observed.record, status=told))


# ---------------------------------------------------------------- what is made


def test_a_new_one_makes_its_secret_and_an_immutable_version_before_it_says_anything() -> None:
    found = plan(seen(), NOW)

    made = bodies(found)
    version = next(name for name in made if name != "db")
    assert found.status is None
    assert list(made) == [version, "db"]
    assert version.startswith("db-")
    assert made[version]["immutable"] is True
    assert "immutable" not in made["db"]
    for body in made.values():
        assert base64.b64decode(body["data"]["password"]).decode() == CANARY
        assert body["type"] == "Opaque"
        assert body["metadata"]["ownerReferences"] == [owner_reference(KIND, "db", "uid-db")]
        assert body["metadata"]["labels"]["fairlead.dev/encrypted-secret"] == "db"


def test_when_all_is_there_nothing_is_written_and_the_status_names_the_version() -> None:
    observed = settled()
    found = plan(observed, NOW)

    assert found.actions == ()
    assert said(found) == ("True", "Opened")
    assert found.status is not None
    assert found.status["version"] == observed.versions[0].name
    assert found.status["keys"] == ["password", "user"]
    assert found.status["kids"] == [OURS.kid]
    assert found.status["oldestSealedAt"] == "2023-11-14T22:13:20Z"
    assert [event.reason for event in found.events] == ["VersionMade"]
    assert plan(with_status(observed), NOW).events == ()


def test_the_template_gives_type_labels_annotations_and_texts_with_values() -> None:
    template = {
        "type": "kubernetes.io/basic-auth",
        "labels": {"team": "shop"},
        "annotations": {"note": "x"},
        "data": {"url": "postgres://${user}:${password}@db"},
    }
    made = bodies(plan(seen(record(template=template)), NOW))
    current, version = made.pop("db"), next(iter(made.values()))

    assert base64.b64decode(current["data"]["url"]).decode() == f"postgres://shop:{CANARY}@db"
    assert current["type"] == version["type"] == "kubernetes.io/basic-auth"
    assert current["metadata"]["labels"]["team"] == "shop"
    assert current["metadata"]["annotations"]["note"] == "x"
    assert "team" not in version["metadata"]["labels"]


def test_a_name_in_a_template_that_no_value_has_is_a_problem_and_bytes_of_any_kind_are_none() -> None:
    found = plan(seen(record(template={"data": {"url": "${pass}"}})), NOW)

    assert said(found) == ("False", "TemplateKeyMissing")
    assert "${pass}" in message(found)
    assert substituted("a${b}c", {"b": b"\xff\x00"}) == b"a\xff\x00c"


def test_what_is_sealed_anew_is_a_new_version_and_labels_are_not() -> None:
    first = settled().versions[0].name
    again = settled(record(values={"password": sealed("password"), "user": USER})).versions[0].name
    labelled = settled(record(template={"labels": {"a": "b"}})).versions[0].name
    data = settled(record(template={"data": {"x": "y"}})).versions[0].name

    assert first == settled().versions[0].name == labelled
    assert len({first, again, data}) == 3


def test_a_cluster_takes_the_first_envelope_that_it_has_a_key_for() -> None:
    theirs = sealed("password", "not for here", OTHERS)
    spec = {
        "values": {"password": theirs, "user": USER},
        "recipients": [
            {"name": "other", "values": {"password": theirs}},
            {"name": "here", "values": {"password": PASSWORD}},
        ],
    }

    made = bodies(plan(seen(record(**spec)), NOW))

    assert base64.b64decode(made["db"]["data"]["password"]).decode() == CANARY


# ---------------------------------------------------------------- what does not open


def test_trust_54_an_unknown_key_is_named_nothing_is_written_and_it_goes_on_when_the_key_arrives() -> None:
    observed = with_status(settled())
    theirs = msgspec.structs.replace(
        record(values={"password": sealed("password", to=OTHERS), "user": USER}), status=observed.record.status
    )
    found = plan(msgspec.structs.replace(observed, record=theirs), NOW)

    assert found.actions == ()
    assert said(found) == ("False", "KeyUnknown")
    assert OTHERS.kid in message(found)
    assert found.status is not None
    assert found.status["version"] == observed.versions[0].name, "the last good one stays"
    assert [event.reason for event in found.events] == ["KeyUnknown"]
    arrived = msgspec.structs.replace(observed, record=theirs, keys={OTHERS.kid: OTHERS, OURS.kid: OURS})
    assert "db" in patches(plan(arrived, NOW))


@pytest.mark.parametrize(
    ("state", "reason"), [("Retired", "KeyRetired"), ("DecryptOnly", "KeyMissing"), (None, "KeyUnknown")]
)
def test_why_there_is_no_key_is_told_apart(state: str | None, reason: str) -> None:
    states = {OURS.kid: state} if state else {}

    assert said(plan(seen(keys={}, states=states), NOW)) == ("False", reason)


def test_trust_55_what_was_moved_does_not_open_and_sealed_for_tells_whence() -> None:
    moved = record(
        values={"password": sealed("password", name="orders")}, sealedFor={"namespace": "shop", "name": "orders"}
    )
    found = plan(seen(moved), NOW)

    assert found.actions == ()
    assert said(found) == ("False", "CannotOpen")
    assert "sealed for shop/orders" in message(found)
    for values in ({"password": USER, "user": PASSWORD}, {"other": PASSWORD}):
        assert said(plan(seen(record(values=values)), NOW)) == ("False", "CannotOpen")
    for scope in ("Namespace", "Cluster"):
        assert said(plan(seen(record(scope=scope)), NOW)) == ("False", "CannotOpen")


def test_trust_56_a_damaged_value_is_named_by_its_data_key_alone() -> None:
    found = plan(seen(record(values={"password": PASSWORD[:-3], "user": USER})), NOW)

    assert said(found) == ("False", "Malformed")
    assert message(found).startswith("password is damaged")
    assert PASSWORD[-40:-10] not in message(found)


def test_trust_57_one_bad_value_of_ten_changes_nothing_and_all_bad_ones_are_listed() -> None:
    good = {f"k{n}": sealed(f"k{n}") for n in range(10)}
    observed = with_status(settled(record(values=good)))
    bad = record(
        observed.record.status, 2, values={**good, "k3": "fl1:x:oops", "k7": good["k1"], "k5": sealed("k5", "new")}
    )
    found = plan(msgspec.structs.replace(observed, record=bad), NOW)

    assert found.actions == ()
    assert found.status is not None
    assert found.status["version"] == observed.versions[0].name
    assert [(one["key"], one["reason"]) for one in found.status["problems"]] == [
        ("k3", "Malformed"),
        ("k7", "CannotOpen"),
    ]
    assert message(found).startswith("k3 is damaged")
    assert "k7 has a problem too" in message(found)


def test_trust_58_a_newer_envelope_says_to_upgrade_the_operator() -> None:
    found = plan(seen(record(values={"password": "fl2:new:x"})), NOW)

    assert said(found) == ("False", "UnsupportedEnvelope")
    assert "upgrade the operator" in message(found)


def test_an_old_value_is_refused_after_not_before() -> None:
    found = plan(seen(record(notBefore="2023-11-15T00:00:00Z")), NOW)

    assert said(found) == ("False", "SealedTooEarly")
    assert "2023-11-14T22:13:20Z" in message(found)
    assert said(plan(settled(record(notBefore="2023-11-14T22:13:20Z")), NOW)) == ("True", "Opened")


def test_trust_67_more_than_a_secret_holds_is_told_before_it_is_tried() -> None:
    found = plan(seen(record(values={"a": sealed("a", "x" * 700_000), "b": sealed("b", "x" * 700_000)})), NOW)

    assert found.actions == ()
    assert said(found) == ("False", "TooLarge")


def test_trust_63_a_compromised_key_still_opens_and_says_what_is_to_be_done() -> None:
    observed = settled(states={OURS.kid: "Compromised"})
    found = plan(observed, NOW)

    assert found.actions == ()
    assert said(found) == ("True", "KeyCompromised")
    assert "replace them at their source" in message(found)
    assert [event.reason for event in found.events] == ["KeyCompromised", "VersionMade"]


def test_trust_65_where_nothing_may_be_written_nothing_is() -> None:
    found = plan(seen(protected="no Secret is written in the namespace kube-system"), NOW)

    assert found.actions == ()
    assert said(found) == ("False", "Protected")


def test_where_signers_are_named_only_what_one_of_them_has_signed_is_opened_and_what_is_there_stays() -> None:
    mine = SigningKey(bytes(32))
    plain = record()
    signed = msgspec.structs.replace(plain.spec, signatures=(mine.sign(plain.spec, "shop", "db"),))
    vouched = msgspec.structs.replace(plain, spec=signed)
    there = settled(plain)

    unsigned = plan(msgspec.structs.replace(there, signers=(mine.signer,)), NOW)
    assert (unsigned.actions, said(unsigned)) == ((), ("False", "Unsigned"))
    assert list(bodies(plan(seen(vouched, signers=(mine.signer,)), NOW)))[-1] == "db"
    theirs = sealed("password", "mine")  # whoever may write manifests can seal, too
    changed = msgspec.structs.replace(vouched, spec=msgspec.structs.replace(signed, values={"password": theirs}))
    found = plan(msgspec.structs.replace(there, record=changed, signers=(mine.signer,)), NOW)
    assert (found.actions, said(found)) == ((), ("False", "SignatureInvalid"))


def test_a_spec_that_cannot_be_read_is_told_in_fixed_words() -> None:
    broken = project_encrypted_secret(
        msgspec.json.encode({"metadata": {"namespace": "shop", "name": "db"}, "spec": {"values": {"a": [CANARY]}}})
    )
    found = plan(seen(broken), NOW)

    assert said(found) == ("False", "SpecInvalid")
    assert CANARY not in message(found)


# ---------------------------------------------------------------- whose Secret it is

FOREIGN: JSON = {
    "metadata": {"namespace": "shop", "name": "db", "uid": "theirs"},
    "type": "Opaque",
    "data": {"a": "Yg=="},
}
TAKEN = Failure("create", "Secret", "db", 409, "NameTaken", "it exists", 0)


def foreign(**changes: Any) -> SecretMeta:
    annotations = changes.pop("annotations", {})
    return stored({**FOREIGN, **changes, "metadata": {**FOREIGN["metadata"], "annotations": annotations}})


AGREES = {"fairlead.dev/adopt-by": "db"}


def test_trust_59_a_name_that_is_taken_is_looked_at_before_anything_is_said() -> None:
    found = plan(seen(failures=(TAKEN,)), NOW)

    assert found.reads == (Read("Secret", "shop", "db", 0),)


@pytest.mark.parametrize(
    ("there", "spec", "reason", "words"),
    [
        (foreign(), {}, "NotOwned", "kubectl annotate secret db --namespace shop fairlead.dev/adopt-by=db"),
        (foreign(), {"adopt": True}, "NotOwned", "kubectl label secret db --namespace shop fairlead.dev/secret=adopt"),
        (foreign(annotations=AGREES), {}, "NotOwned", "set spec.adopt to true"),
        (foreign(annotations={"fairlead.dev/adopt-by": "other"}), {"adopt": True}, "NotOwned", "kubectl annotate"),
        (
            foreign(annotations=AGREES, immutable=True),
            {"adopt": True},
            "SecretImmutable",
            "kubectl delete secret db --namespace shop",
        ),
        (
            foreign(annotations=AGREES, type="x/y"),
            {"adopt": True},
            "SecretOfOtherType",
            "kubectl delete secret db --namespace shop",
        ),
    ],
)
def test_trust_59_a_secret_that_is_not_ours_is_left_alone_with_the_next_command(
    there: SecretMeta, spec: JSON, reason: str, words: str
) -> None:
    for where in ({"foreign": there}, {"current": there}):
        found = plan(seen(record(**spec), failures=(TAKEN,), **where), NOW)

        # One that is not watched is found to be gone by a create that goes through; others are waited for.
        assert (
            list(bodies(found)) == (["db"] if "foreign" in where else []) and not patches(found) and not deleted(found)
        )
        assert said(found) == ("False", reason)
        assert words in message(found)


def test_trust_59_a_secret_that_agrees_is_taken_over_only_as_it_is_watched() -> None:
    found = plan(seen(record(adopt=True), foreign=foreign(annotations=AGREES), failures=(TAKEN,)), NOW)

    assert not patches(found)
    assert "kubectl label secret db --namespace shop fairlead.dev/secret=adopt" in message(found)


def test_trust_59_a_secret_that_something_else_controls_is_never_taken_over() -> None:
    owner = {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "o", "controller": True}
    there = stored({**FOREIGN, "metadata": {**FOREIGN["metadata"], "annotations": AGREES, "ownerReferences": [owner]}})

    found = plan(seen(record(adopt=True), current=there), NOW)

    assert (found.actions, said(found)) == ((), ("False", "NotOwned"))


def test_both_have_to_agree_and_then_a_secret_is_taken_over_with_a_precondition() -> None:
    patch = patches(plan(seen(record(adopt=True), current=foreign(annotations=AGREES)), NOW))["db"]

    assert (patch["metadata"]["uid"], patch["metadata"]["resourceVersion"]) == ("theirs", "9")
    assert patch["metadata"]["ownerReferences"] == [owner_reference(KIND, "db", "uid-db")]
    assert patch["metadata"]["labels"][LABEL_SECRET] == "current"
    assert patch["data"]["a"] is None
    assert base64.b64decode(patch["data"]["password"]).decode() == CANARY


def test_trust_69_retained_secrets_have_no_owner_and_one_of_the_same_name_takes_them_over_again() -> None:
    observed = settled(record(deletionPolicy="Retain"))
    assert observed.current is not None
    assert not observed.current.owned
    assert plan(observed, NOW).actions == ()

    anew = msgspec.structs.replace(record(), uid="another")
    taken = patches(plan(msgspec.structs.replace(observed, record=anew), NOW))

    assert taken.keys() == {"db", observed.versions[0].name}
    assert [patch["metadata"]["ownerReferences"][0]["uid"] for patch in taken.values()] == ["another"] * 2
    assert all("data" not in patch for patch in taken.values())


def test_what_a_deleted_one_of_the_same_name_left_to_garbage_collection_is_waited_for() -> None:
    observed = settled()
    anew = msgspec.structs.replace(record(), uid="another")
    assert plan(msgspec.structs.replace(observed, record=anew), NOW) == Plan()


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_trust_69_a_change_of_the_policy_changes_who_owns_the_secrets(policy: str) -> None:
    before = settled(record(deletionPolicy="Retain" if policy == "Delete" else "Delete"))

    found = plan(msgspec.structs.replace(before, record=record(deletionPolicy=policy)), NOW)

    references = [owner_reference(KIND, "db", "uid-db")] if policy == "Delete" else None
    assert len(patches(found)) == 2
    assert all(patch["metadata"]["ownerReferences"] == references for patch in patches(found).values())


def test_what_is_being_deleted_is_left_to_garbage_collection() -> None:
    assert plan(seen(msgspec.structs.replace(record(), deleting=True)), NOW) == Plan()


# ---------------------------------------------------------------- drift


def test_trust_60_a_secret_that_was_deleted_is_made_again_and_told() -> None:
    observed = with_status(settled())
    found = plan(msgspec.structs.replace(observed, current=None), NOW)

    assert list(bodies(found)) == ["db"]
    assert [event.reason for event in found.events] == ["SecretRecreated"]


def test_trust_60_a_secret_that_was_edited_is_put_back_without_what_was_added() -> None:
    observed = with_status(settled())
    assert observed.current is not None
    edited = stored(
        {
            **FOREIGN,
            "metadata": {
                **FOREIGN["metadata"],
                "annotations": observed.current.annotations,
                "labels": {**observed.current.labels, "mine": "kept"},
                "ownerReferences": [owner_reference(KIND, "db", "uid-db")],
            },
            "data": {"password": "Yg==", "added": "Yg=="},
        }
    )
    found = plan(msgspec.structs.replace(observed, current=edited), NOW)

    patch = patches(found)["db"]
    assert patch["data"]["added"] is None
    assert base64.b64decode(patch["data"]["password"]).decode() == CANARY
    assert "labels" not in patch["metadata"]
    assert [event.reason for event in found.events] == ["SecretReverted"]
    assert CANARY not in repr(found.events)


def test_trust_60_one_that_somebody_made_immutable_with_other_values_is_made_anew() -> None:
    observed = settled()
    assert observed.current is not None
    frozen = msgspec.structs.replace(observed.current, immutable=True, fingerprint=b"other")

    assert deleted(plan(msgspec.structs.replace(observed, current=frozen), NOW)) == ["db"]
    assert (
        plan(
            msgspec.structs.replace(observed, current=msgspec.structs.replace(observed.current, immutable=True)), NOW
        ).actions
        == ()
    )


def test_a_version_with_other_values_than_its_name_says_goes_and_comes_back() -> None:
    observed = settled()
    (version,) = observed.versions
    forged = msgspec.structs.replace(version, fingerprint=b"other")

    assert deleted(plan(msgspec.structs.replace(observed, versions=(forged,)), NOW)) == [version.name]
    assert list(bodies(plan(msgspec.structs.replace(observed, versions=()), NOW))) == [version.name]


def test_a_version_of_a_strangers_is_told_and_left_alone() -> None:
    observed = settled()
    (version,) = observed.versions
    theirs = msgspec.structs.replace(version, owner_uid="", owned=False, annotations={})

    found = plan(msgspec.structs.replace(observed, versions=(theirs,)), NOW)

    assert (found.actions, said(found)) == ((), ("False", "NotOwned"))


def test_a_label_that_the_template_has_no_more_is_taken_away_and_others_stay() -> None:
    before = settled(record(template={"labels": {"team": "shop"}}))
    assert before.current is not None
    current = msgspec.structs.replace(before.current, labels={**before.current.labels, "mine": "kept"})

    patch = patches(plan(msgspec.structs.replace(before, record=record(), current=current), NOW))["db"]

    assert patch["metadata"]["labels"] == {"team": None}


# ---------------------------------------------------------------- versions that are not current


def superseded(ago: float | None) -> SecretObserved:
    """A first version, and the second that is current."""
    (old,) = settled().versions
    if ago is not None:
        old = msgspec.structs.replace(old, annotations={**old.annotations, ANNOTATION_SUPERSEDED: timestamp(NOW - ago)})
    new = settled(record(values={"password": sealed("password", "new"), "user": USER}))
    return msgspec.structs.replace(new, versions=(*new.versions, old))


def test_a_version_that_is_not_current_any_more_is_marked_first() -> None:
    observed = superseded(None)

    assert patches(plan(observed, NOW))[observed.versions[1].name]["metadata"]["annotations"] == {
        ANNOTATION_SUPERSEDED: timestamp(NOW)
    }


def test_it_is_deleted_when_it_has_been_so_for_long_enough_and_no_revision_runs_with_it() -> None:
    observed = superseded(COLLECT_SECONDS)
    old = observed.versions[1].name

    assert deleted(plan(observed, NOW)) == [old]
    assert plan(superseded(COLLECT_SECONDS - 30), NOW).requeue_after == 30
    assert plan(superseded(COLLECT_SECONDS - 30), NOW).actions == ()
    assert not deleted(plan(msgspec.structs.replace(observed, pinned=running(old)), NOW))


def running(version: str) -> dict[str, tuple[PinningRevision, ...]]:
    """One Revision runs with it."""
    return holders([PinningRevision("shop", "web-1", "uid-web", 1, (version,))])


@pytest.mark.parametrize("which", [0, 1], ids=["current", "superseded"])
def test_a_version_goes_with_the_last_of_its_encrypted_secret_and_the_revisions_that_run_with_it(which: int) -> None:
    observed = superseded(COLLECT_SECONDS)
    version = observed.versions[which]
    run = msgspec.structs.replace(observed, pinned=running(version.name))

    owners = patches(plan(run, NOW))[version.name]["metadata"]["ownerReferences"]
    assert [(one["kind"], one["uid"], one.get("controller")) for one in owners] == [
        ("EncryptedSecret", "uid-db", True),
        ("Revision", "uid-web", None),
    ]
    held = msgspec.structs.replace(version, owners=frozenset({"uid-db", "uid-web"}))
    versions = (held, observed.versions[1]) if which == 0 else (observed.versions[0], held)
    assert version.name not in patches(plan(msgspec.structs.replace(run, versions=versions), NOW))


def test_a_version_that_is_to_be_retained_goes_with_nobody() -> None:
    observed = settled(record(deletionPolicy="Retain"))
    run = msgspec.structs.replace(observed, pinned=running(observed.versions[0].name))
    assert plan(run, NOW).actions == ()


def test_a_version_that_is_current_again_is_kept_for_good() -> None:
    observed = superseded(COLLECT_SECONDS)
    (again, old) = observed.versions[1], observed.versions[0]
    back = settled()

    found = plan(msgspec.structs.replace(back, versions=(again, old)), NOW)

    assert patches(found)[again.name]["metadata"]["annotations"] == {ANNOTATION_SUPERSEDED: None}
    assert again.name not in deleted(found)


# ---------------------------------------------------------------- what is said


def test_a_refused_write_is_told_in_the_api_servers_words_and_tried_again() -> None:
    refusal = Failure("create", "Secret", "db", 403, "Forbidden", "exceeded quota: secrets=10", 0)
    found = plan(seen(failures=(refusal,)), NOW)

    assert said(found) == ("False", "WriteRefused")
    assert "exceeded quota" in message(found)
    assert len(found.actions) == 2


def test_the_status_is_one_that_kstatus_understands() -> None:
    good = settled()
    status = summarise(good.record, plan(good, NOW).status or {}, NOW)
    bad = seen(keys={})
    stuck = summarise(bad.record, plan(bad, NOW).status or {}, NOW)

    assert status["summary"] == "Ready"
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [("Ready", "True")]
    assert status["observedGeneration"] == 1
    assert [(c["type"], c["status"]) for c in stuck["conditions"]] == [("Ready", "False"), ("Stalled", "True")]
    assert stuck["summary"] == "KeyMissing"


def test_no_value_is_in_what_a_plan_says_or_shows_of_itself() -> None:
    shown = [repr(seen()), repr(settled())]
    for observed in (settled(), with_status(settled()), seen(record(values={"password": CANARY}))):
        found = plan(observed, NOW)
        shown += [repr(found.status), repr(found.events)]
    shown.append(repr(Contents("db-1", {"password": CANARY.encode()}, (), 0)))

    hidden = (CANARY, base64.b64encode(CANARY.encode()).decode())
    assert not [text for text in shown for word in hidden if word in text.replace(f"'password': '{CANARY}'", "")]
