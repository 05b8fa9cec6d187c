"""Locks between processes: one alone, several who share, and several of one party."""

from __future__ import annotations

import fcntl
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from substrate import locks, paths
from support.commands import REPOSITORY
from support.waiting import PATIENCE, eventually

_HOLD = "import sys; from substrate import locks\nwith {how}: print('held', flush=True); sys.stdin.readline()"


class Other:
    """Another process that holds a lock from when it says so until it is told to let go."""

    def __init__(self, how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLD.format(how=how)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY / "hack",
            text=True,
        )

    def holds(self) -> None:
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE)[0], "it waits for somebody"
        assert self._process.stdout.readline() == "held\n"

    def said_so_within(self, seconds: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def lets_go(self) -> None:
        if self._process.poll() is None:
            self._process.communicate("\n", timeout=PATIENCE)


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path))
    with ExitStack() as stack:
        yield stack


def other(others: ExitStack, how: str) -> Other:
    made = Other(how)
    others.callback(made.lets_go)
    return made


def free(how: int = fcntl.LOCK_EX, name: str = "kind") -> bool:
    """Whether somebody who comes now would get it."""
    with (paths.cache() / "locks" / name).open() as file:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def party() -> str:
    return (paths.cache() / "locks" / "kind").read_text()


def test_who_holds_alone_keeps_everybody_out(others: ExitStack) -> None:
    other(others, "locks.exclusive('kind')").holds()
    assert not free() and not free(fcntl.LOCK_SH)


def test_those_who_share_keep_out_only_who_wants_it_alone(others: ExitStack) -> None:
    other(others, "locks.shared('kind')").holds()
    with locks.shared("kind"):
        assert not free()


def test_who_wants_it_alone_waits_for_nobody_who_came_later(others: ExitStack) -> None:
    sharing = other(others, "locks.shared('kind')")
    sharing.holds()
    alone = other(others, "locks.exclusive('kind')")
    eventually(lambda: not free(name="kind queue"))
    late = other(others, "locks.shared('kind')")
    assert not late.said_so_within(0.5)
    sharing.lets_go()
    alone.holds()
    assert not late.said_so_within(0.3)
    alone.lets_go()
    late.holds()


def test_a_party_is_inside_until_the_last_of_it_has_left(others: ExitStack) -> None:
    first, second = (other(others, "locks.held_by('ours', 'kind')") for _ in range(2))
    first.holds()
    second.holds()
    first.lets_go()
    assert not free()
    second.lets_go()
    assert free()


def test_another_party_comes_in_when_the_first_has_left(others: ExitStack) -> None:
    first = other(others, "locks.held_by('ours', 'kind')")
    first.holds()
    second = other(others, "locks.held_by('theirs', 'kind')")
    assert party() == "ours"
    first.lets_go()
    second.holds()
    assert party() == "theirs"


def test_of_a_party_one_comes_through_first(others: ExitStack) -> None:
    def first(party: str) -> bool:
        with locks.first_of(party, "kind") as first:
            return first

    assert [first("a"), first("a"), first("b"), first("b")] == [True, False, True, False]


def test_who_raised_has_not_come_through(others: ExitStack) -> None:
    with suppress(KeyError), locks.first_of("a", "kind"):
        raise KeyError
    with locks.first_of("a", "kind") as first:
        assert first


def test_who_comes_while_the_first_is_at_it_waits_and_is_not_the_first(others: ExitStack) -> None:
    doing = other(others, "locks.first_of('a', 'kind')")
    doing.holds()
    late = other(others, "locks.first_of('a', 'kind')")
    assert not late.said_so_within(0.3)
    doing.lets_go()
    late.holds()
    late.lets_go()
    assert party() == "a"
