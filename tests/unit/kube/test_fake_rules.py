"""The small rules of the in-memory API server; tests/conformance holds its answers to a real one's."""

from __future__ import annotations

import pytest

from fairlead.core.meta import JSON
from fairlead.kube.errors import Conflict, Invalid
from fairlead.kube.fake import rules
from fairlead.kube.fake.records import Stored, decode, encode
from fairlead.kube.resources import APPS, LEASES, NAMESPACES, PODS, SERVICES


def stored(name: str = "a", namespace: str = "shop", **meta: object) -> Stored:
    obj: JSON = {
        "metadata": {"name": name, "namespace": namespace, "uid": "u1", "resourceVersion": "7", **meta},
        "spec": {},
    }
    return Stored(obj, encode(obj), {}, {})


def pod(phase: str = "Running", **spec: object) -> JSON:
    return {"spec": {"nodeName": "node-1", **spec}, "status": {"phase": phase}}


def test_a_copy_may_be_changed_without_changing_what_is_stored() -> None:
    kept = stored()
    kept.copy()["metadata"]["name"] = "b"
    assert kept.meta["name"] == "a" and decode(kept.data)["metadata"]["name"] == "a"


def test_kinds_without_namespace_are_kept_under_none() -> None:
    assert rules.scope(NAMESPACES, "shop") == ""
    assert rules.scope(PODS, "shop") == "shop"


def test_a_list_is_in_order_of_namespace_and_name_and_of_one_namespace_where_asked() -> None:
    everything = [stored("b", "x"), stored("a", "y"), stored("a", "x")]
    table = {rules.ref(one): one for one in everything}
    assert [rules.ref(one) for one in rules.select(table, None, None)] == [("x", "a"), ("x", "b"), ("y", "a")]
    assert [rules.ref(one) for one in rules.select(table, "y", None)] == [("y", "a")]
    assert rules.select(table, None, lambda obj: obj["metadata"]["name"] == "z") == []


def test_the_status_is_written_through_its_own_subresource_where_there_is_one() -> None:
    assert rules.writes(APPS, "status") == {"status": True, "main": False}
    assert rules.writes(APPS, "") == {"status": False, "main": True}
    assert rules.writes(LEASES, "") == {"status": True, "main": True}


def test_a_write_that_moves_only_what_the_server_counts_is_none() -> None:
    old = stored().copy()
    counted = stored(resourceVersion="8", managedFields=[{"manager": "me"}]).copy()
    labelled = stored(labels={"a": "1"}).copy()
    assert rules.same(old, counted) and not rules.same(old, labelled)
    assert not rules.same(old, {**old, "spec": {"replicas": 1}})


@pytest.mark.parametrize("said", ["", "7"])
def test_a_precondition_that_holds_or_was_not_given_passes(said: str) -> None:
    rules.check_version(PODS, stored(), said)
    rules.check_uid(PODS, stored(), "u1" if said else "")


def test_a_precondition_that_does_not_hold_is_a_conflict_that_names_both() -> None:
    with pytest.raises(Conflict, match="the object has been modified"):
        rules.check_version(PODS, stored(), "6")
    with pytest.raises(Conflict, match="UID in precondition: u2, UID in object meta: u1"):
        rules.check_uid(PODS, stored(), "u2")


def test_what_is_being_deleted_gets_no_new_finalizer_but_may_lose_one() -> None:
    going = stored(deletionTimestamp="2026-11-21T10:00:00Z", finalizers=["a", "b"])
    rules.check_finalizers(APPS, going, {"metadata": {"finalizers": ["b"]}})
    rules.check_finalizers(APPS, stored(), {"metadata": {"finalizers": ["new"]}})
    with pytest.raises(Invalid, match="no new finalizers"):
        rules.check_finalizers(APPS, going, {"metadata": {"finalizers": ["a", "b", "c"]}})


@pytest.mark.parametrize(
    ("propagation", "before", "after"),
    [
        ("Orphan", [], ["orphan"]),
        ("Foreground", ["mine"], ["mine", "foregroundDeletion"]),
        ("Background", ["mine", "orphan"], ["mine"]),
        ("Background", ["foregroundDeletion"], None),
    ],
)
def test_the_way_of_deletion_is_kept_as_a_finalizer(
    propagation: str, before: list[str], after: list[str] | None
) -> None:
    meta: JSON = {"finalizers": before}
    rules.set_finalizers(meta, propagation)
    assert meta.get("finalizers") == after


@pytest.mark.parametrize(
    ("obj", "asked", "seconds"),
    [
        (pod(), None, 30),
        (pod(terminationGracePeriodSeconds=5), None, 5),
        (pod(terminationGracePeriodSeconds=5), 0, 0),
        (pod(nodeName=""), None, 0),
        (pod("Failed"), 60, 0),
    ],
    ids=["the default", "its own", "what was asked", "no node knows it", "it has ended"],
)
def test_a_pod_on_a_node_has_time_to_end(obj: JSON, asked: int | None, seconds: int) -> None:
    assert rules.grace(PODS, obj, asked) == seconds


def test_nothing_but_pods_has_time_to_end() -> None:
    assert rules.grace(SERVICES, {"spec": {}}, 30) == 0
