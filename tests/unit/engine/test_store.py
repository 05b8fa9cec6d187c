"""The store keeps the newest of everything, tells each change once, and finds records by their indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from fairlead.engine.controller import Source
from fairlead.engine.store import Store, Table
from fairlead.kube.resources import PODS


class Item(msgspec.Struct, frozen=True):
    name: str
    rv: int
    uid: str = "u"
    node: str | None = None
    namespace: str = "shop"


def project(body: bytes) -> Item | None:
    raw = msgspec.json.decode(body)
    meta = raw["metadata"]
    if raw.get("foreign"):
        return None
    return Item(meta["name"], int(meta["resourceVersion"]), meta["uid"], None, meta["namespace"])


@pytest.fixture
def table() -> Table:
    return Table(Source(PODS, project, keys=lambda item: (), indexes={"node": lambda item: item.node}))


@pytest.fixture
def changes(table: Table) -> Iterator[list[tuple[Any, Any]]]:
    told: list[tuple[Any, Any]] = []
    table.listener = lambda old, new: told.append((old, new))
    yield told


def test_an_older_record_never_replaces_a_newer_one(table: Table, changes: list[Any]) -> None:
    table.put(Item("a", rv=5))
    table.put(Item("a", rv=4))
    assert table.get("shop", "a") == Item("a", rv=5)
    assert len(changes) == 1


def test_the_same_record_twice_is_told_once(table: Table, changes: list[Any]) -> None:
    table.put(Item("a", rv=5))
    table.put(Item("a", rv=5))
    assert len(changes) == 1


def test_another_uid_under_the_same_name_is_told_as_gone_and_come(table: Table, changes: list[Any]) -> None:
    old, new = Item("a", rv=5, uid="old"), Item("a", rv=9, uid="new")
    table.put(old)
    table.put(new)
    assert changes == [(None, old), (old, None), (None, new)]


def test_a_late_line_about_a_predecessor_does_not_replace_its_successor(table: Table) -> None:
    table.put(Item("a", rv=9, uid="new"))
    table.put(Item("a", rv=7, uid="old"))
    table.remove("shop", "a", "old", 8)
    assert table.get("shop", "a") == Item("a", rv=9, uid="new")


def test_a_late_line_does_not_bring_back_what_a_live_read_found_gone(table: Table) -> None:
    table.put(Item("a", rv=5))
    table.remove("shop", "a", "u")
    table.put(Item("a", rv=6))
    assert table.get("shop", "a") is None


def test_an_object_that_stopped_to_match_a_selector_may_match_again(table: Table) -> None:
    table.put(Item("a", rv=5))
    table.remove("shop", "a", "u", 6)
    table.put(Item("a", rv=7))
    assert table.get("shop", "a") == Item("a", rv=7)


def test_an_object_that_stopped_to_match_a_selector_may_be_read_live(table: Table) -> None:
    """Its last change is what took it out of the watch, so the watch told of its end with the very same resourceVersion."""
    table.put(Item("a", rv=5))
    table.remove("shop", "a", "u", 6)
    table.put(Item("a", rv=5))
    assert table.get("shop", "a") is None
    table.put(Item("a", rv=6))
    assert table.get("shop", "a") == Item("a", rv=6)


def test_an_object_that_is_no_longer_ours_may_become_so_again(table: Table) -> None:
    table.put(Item("a", rv=5))
    table.forget("shop", "a", "u")
    table.put(Item("a", rv=6))
    assert table.get("shop", "a") == Item("a", rv=6)


def test_a_live_read_is_taken_in_or_let_go(table: Table) -> None:
    meta = {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "5"}
    table.learn(msgspec.json.encode({"metadata": meta}))
    assert table.get("shop", "a") == Item("a", rv=5)
    table.learn(msgspec.json.encode({"metadata": meta | {"resourceVersion": "6"}, "foreign": True}))
    assert table.get("shop", "a") is None


def test_an_index_follows_its_records(table: Table) -> None:
    table.put(Item("a", rv=1, node="n1"))
    table.put(Item("a", rv=2, node="n2"))
    assert table.by("node", "n1") == ()
    assert table.by("node", "n2") == (Item("a", rv=2, node="n2"),)
    table.put(Item("a", rv=3))
    assert table.by("node", "n2") == ()


def test_a_record_may_have_several_values_in_an_index() -> None:
    nodes = Source(PODS, project, keys=lambda item: (), indexes={"node": lambda item: frozenset(item.node or "")})
    table = Table(nodes)
    for name, node in (("a", "xy"), ("b", "y")):
        table.put(Item(name, rv=1, uid=name, node=node))
    assert [[item.name for item in table.by("node", value)] for value in "xyz"] == [["a"], ["a", "b"], []]
    table.put(Item("a", rv=2, uid="a", node="yz"))
    assert [[item.rv for item in table.by("node", value)] for value in "xyz"] == [[], [2, 1], [2]]
    table.put(Item("a", rv=3, uid="a"))
    table.remove("shop", "b", "b")
    assert [table.by("node", value) for value in "xyz"] == [(), (), ()]


def test_an_index_reads_in_the_order_of_names_however_they_came(table: Table) -> None:
    for rv, name in enumerate(["c", "a", "d", "b"], start=1):
        table.put(Item(name, rv, uid=name, node="n"))
    table.put(Item("c", 9, uid="c", node="n"))
    table.remove("shop", "a", "a")
    assert [item.name for item in table.by("node", "n")] == ["b", "c", "d"]


def test_what_was_read_stays_as_it_was(table: Table) -> None:
    table.put(Item("a", rv=1, node="n"))
    before = table.by("node", "n")
    table.put(Item("a", rv=2, node="n"))
    assert before == (Item("a", rv=1, node="n"),)


def test_an_index_nobody_declared_is_an_error(table: Table) -> None:
    with pytest.raises(KeyError):
        table.by("owner", "x")


def test_a_list_misses_what_is_gone_but_not_what_is_newer_than_it(table: Table) -> None:
    table.put(Item("gone", rv=5, uid="1"))
    table.put(Item("newer", rv=20, uid="2"))
    table.put(Item("elsewhere", rv=5, uid="3", namespace="other"))
    assert [item.name for item in table.absent("shop", set(), 10)] == ["gone"]
    assert [item.name for item in table.absent("", {("shop", "gone")}, 10)] == ["elsewhere"]


def test_after_etcd_was_restored_older_records_and_old_uids_count(table: Table) -> None:
    table.open_scope("")
    table.advance("", 100)
    table.put(Item("a", rv=100))
    table.put(Item("b", rv=90, uid="b"))
    table.remove("shop", "b", "b")
    table.rewind("", 50)
    table.overwrite(Item("a", rv=40))
    table.overwrite(Item("b", rv=30, uid="b"))
    assert table.get("shop", "a") == Item("a", rv=40)
    assert table.get("shop", "b") == Item("b", rv=30, uid="b")
    assert table.reached("") == 50


def test_each_namespace_has_its_own_high_water_mark(table: Table) -> None:
    table.open_scope("shop")
    table.open_scope("other")
    table.advance("shop", 10)
    assert table.has_seen("shop", 10)
    assert not table.has_seen("other", 10)
    table.mark_synced("shop")
    assert not table.synced
    table.mark_synced("other")
    assert table.synced


def test_a_store_is_synced_when_all_its_tables_are() -> None:
    store = Store()
    table = store.open(Source(PODS, project, keys=lambda item: ()))
    table.open_scope("")
    assert not store.synced
    table.mark_synced("")
    assert store.synced
    with pytest.raises(ValueError, match="already has a table"):
        store.open(Source(PODS, project, keys=lambda item: ()))
