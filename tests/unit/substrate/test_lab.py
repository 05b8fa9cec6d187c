"""How a lab's components are started."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from substrate import lab, ports
from substrate.lab import Component, State
from substrate.progress import Failure

# Ends at its first start, as KWOK sometimes does, and listens when it is started anew.
_SECOND_TIME = """
import pathlib, socket, sys, time
before = pathlib.Path("begun")
if not before.exists():
    before.touch()
    sys.exit("fatal error: concurrent map writes")
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    time.sleep(120)
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[list[State]]:
    """States, whose processes end with the test."""
    states: list[State] = []
    yield states
    for state in states:
        lab._kill(state)


def with_kwok(folder: Path, program: str) -> State:
    (port,) = ports.free(1, ())
    kwok = Component((sys.executable, "-c", program, str(port)), str(folder / "kwok.log"))
    where = {"directory": str(folder), "url": "", "token": "", "ca": "", "kubeconfig": ""}
    return State(name="test", ports={"kwok": port}, options={}, components={"kwok": kwok}, **where)


def test_a_kwok_that_ends_at_its_start_is_started_anew(tmp_path: Path, made: list[State]) -> None:
    made.append(lab._start(with_kwok(tmp_path, _SECOND_TIME), "kwok"))
    assert made[0].components["kwok"].state() == "running"
    assert "concurrent map writes" in (tmp_path / "kwok.log").read_text()


def test_a_kwok_that_never_starts_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no such flag"):
        lab._start(with_kwok(tmp_path, "import sys; sys.exit('no such flag')"), "kwok")
