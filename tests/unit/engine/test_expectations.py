"""A key waits for the echo of its own writes, and not for ever."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.meta import Key
from fairlead.engine.controller import Source
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.store import Table
from fairlead.kube.resources import PODS

A, B = Key("shop", "a"), Key("shop", "b")


class Item(msgspec.Struct, frozen=True):
    name: str
    uid: str
    rv: int = 1
    namespace: str = "shop"
    deleting: float | None = None


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def expectations(time: Time) -> Expectations:
    return Expectations(300, time)


def test_a_create_is_awaited_by_its_name(expectations: Expectations) -> None:
    expectations.expect_create(A, "Pod", "shop", "a-1")
    expectations.saw("Pod", None, Item("a-2", "u2"))
    assert expectations.wait(A) == 300
    assert expectations.wait(B) is None
    expectations.saw("Pod", None, Item("a-1", "u1"))
    assert expectations.wait(A) is None


def test_a_delete_is_awaited_by_its_uid(expectations: Expectations) -> None:
    expectations.expect_delete(A, "Pod", "u1")
    expectations.saw("Pod", Item("a-1", "other"), None)
    assert expectations.wait(A) is not None
    expectations.saw("Pod", Item("a-1", "u1"), None)
    assert expectations.wait(A) is None


def test_a_delete_is_settled_when_the_pod_begins_to_go(expectations: Expectations) -> None:
    """Its grace period may be an hour; it does not count from now on."""
    expectations.expect_delete(A, "Pod", "u1")
    expectations.saw("Pod", Item("a-1", "u1"), Item("a-1", "u1", 2, deleting=130.0))
    assert expectations.wait(A) is None


def test_an_echo_that_never_comes_is_given_up_after_five_minutes(expectations: Expectations, time: Time) -> None:
    expectations.expect_create(A, "Pod", "shop", "a-1")
    time.now += 200
    expectations.expect_create(A, "Pod", "shop", "a-2")
    assert expectations.wait(A) == 100
    time.now += 100
    assert expectations.wait(A) == 200, "the second one is younger"
    assert expectations.expired == 1
    time.now += 200
    assert expectations.wait(A) is None


def test_a_complete_list_settles_what_was_answered_before_it_began(expectations: Expectations, time: Time) -> None:
    table = Table(Source(PODS, lambda body: None, keys=lambda item: ()))
    table.put(Item("b-1", "still-there"))
    expectations.expect_create(A, "Pod", "shop", "made-and-gone")
    expectations.answered_create("Pod", "shop", "made-and-gone")
    expectations.expect_delete(B, "Pod", "still-there")
    expectations.answered_delete("still-there")
    time.now += 1
    expectations.expect_create(A, "Pod", "shop", "not-answered")
    assert expectations.listed("Pod", table, time.now) == [A]
    assert expectations.wait(A) is not None, "one create has no answer yet"
    assert expectations.wait(B) is not None, "one delete is not seen yet"


def test_a_forgotten_key_expects_nothing(expectations: Expectations) -> None:
    expectations.expect_create(A, "Pod", "shop", "a-1")
    expectations.forget(A)
    assert expectations.wait(A) is None
    expectations.saw("Pod", None, Item("a-1", "u1"))


class TestOwnWrites:
    @pytest.fixture
    def table(self) -> Table:
        table = Table(Source(PODS, lambda body: None, keys=lambda item: ()))
        table.open_scope("")
        return table

    def test_the_key_waits_until_the_watch_has_come_to_its_last_write(self, time: Time, table: Table) -> None:
        own = OwnWrites(30, time)
        own.note(A, "Pod", 50)
        own.note(A, "Pod", 40)
        table.advance("", 45)
        assert own.wait(A, {"Pod": table}) == 30
        table.advance("", 50)
        assert own.wait(A, {"Pod": table}) is None

    def test_it_goes_on_after_half_a_minute(self, time: Time, table: Table) -> None:
        own = OwnWrites(30, time)
        own.note(A, "Pod", 50)
        time.now += 30
        assert own.wait(A, {"Pod": table}) is None
        assert own.timeouts == 1

    def test_writes_to_kinds_that_nobody_watches_are_not_waited_for(self, time: Time) -> None:
        own = OwnWrites(30, time)
        own.note(A, "ConfigMap", 50)
        assert own.wait(A, {}) is None

    def test_resource_versions_that_began_anew_are_not_waited_for(self, time: Time, table: Table) -> None:
        own = OwnWrites(30, time)
        own.note(A, "Pod", 50)
        own.forget_kind("Pod")
        assert own.wait(A, {"Pod": table}) is None
