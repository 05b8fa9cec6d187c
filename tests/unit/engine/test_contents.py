"""When a changed object is read again, and what is kept of it."""

from __future__ import annotations

import pytest

from fairlead.core.actions import Read
from fairlead.engine import contents
from fairlead.engine.contents import PATIENCE, QUIET, Contents


def read(rv: int, name: str = "a") -> Read:
    return Read("ConfigMap", "default", name, rv)


def test_what_was_never_read_is_read_at_once() -> None:
    assert Contents().wait(read(1), 100.0) == 0.0


def test_several_edits_in_a_row_are_read_once_when_they_are_over() -> None:
    known = Contents()
    known.keep(read(1), 1, "old", 3)
    assert known.wait(read(2), 100.0) == QUIET
    assert known.wait(read(2), 101.0) == QUIET - 1, "to ask again is no edit"
    assert known.wait(read(3), 101.5) == QUIET, "another edit is"
    assert known.wait(read(3), 103.5) == 0.0
    known.keep(read(3), 3, "new", 3)
    assert known.get("ConfigMap", "default", "a") == (3, "new")
    assert known.wait(read(4), 200.0) == QUIET, "a later edit waits anew"


def test_what_changes_all_the_time_is_read_all_the_same() -> None:
    known = Contents()
    known.keep(read(0), 0, "old", 3)
    waits = [known.wait(read(number), 100.0 + number) for number in range(1, 12)]
    assert waits[0] == QUIET and waits[int(PATIENCE)] == 0.0


def test_more_than_fits_is_forgotten_the_longest_unused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_BYTES", 10)
    known = Contents()
    known.keep(read(1, "a"), 1, "a", 4)
    known.keep(read(1, "b"), 1, "b", 4)
    assert known.get("ConfigMap", "default", "a")
    known.keep(read(1, "c"), 1, "c", 4)
    assert [known.get("ConfigMap", "default", name) is not None for name in "abc"] == [True, False, True]
    known.keep(read(2, "c"), 2, "c", 6)
    assert known.get("ConfigMap", "default", "a"), "what is read anew takes its own place"


def test_a_restored_etcd_makes_all_of_it_worthless() -> None:
    known = Contents()
    known.keep(read(9), 9, "a", 1)
    known.clear()
    assert known.get("ConfigMap", "default", "a") is None and known.wait(read(3), 0.0) == 0.0
