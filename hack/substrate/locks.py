"""One at a time: commands that write to the same place wait for each other, and say so."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from substrate import paths
from substrate.progress import Progress


@contextmanager
def exclusive(name: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of that name alone. It is let go with the process, however that ends."""
    with _file(name) as file:
        with _in_turn(name, progress):
            _take(file, fcntl.LOCK_EX, name, progress)
        yield


@contextmanager
def shared(name: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of that name beside others who share it, and after those who wanted it alone before."""
    with _file(name) as file:
        with _in_turn(name, progress):
            _take(file, fcntl.LOCK_SH, name, progress)
        yield


@contextmanager
def held_by(party: str, name: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of that name together with whoever names the same party, and with nobody else.

    The file says which party has it. Who comes is in turn (`<name> door`) and waits there for the party inside to leave,
    so that the two looks at the file and its lock are one.
    """
    with _file(name) as file:
        with exclusive(f"{name} door", progress):
            if not (_at_once(file, fcntl.LOCK_SH) and _party(file) == party):
                _take(file, fcntl.LOCK_EX, name, progress)
                _write(file, party)
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def first_of(party: str, name: str) -> Iterator[bool]:
    """Whether nobody of the party has come through here yet. Who comes while the first is at it waits, and is not the first;
    unless that one raised, for then it has not come through."""
    with exclusive(f"{name} turn"), _file(name) as file:
        first = _party(file) != party
        yield first
        if first:
            _write(file, party)


@contextmanager
def _in_turn(name: str, progress: Progress | None) -> Iterator[None]:
    """Who waits for the lock keeps those out who come later: else those who share it could hand it to one another for ever,
    and who wants it alone would never have it."""
    with _file(f"{name} queue") as file:
        _take(file, fcntl.LOCK_EX, name, progress)
        yield


def _file(name: str) -> IO[str]:
    path = paths.cache() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+")


def _party(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _write(file: IO[str], party: str) -> None:
    file.truncate(0)
    file.seek(0)
    file.write(party)
    file.flush()


def _at_once(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take(file: IO[str], how: int, name: str, progress: Progress | None) -> None:
    if _at_once(file, how):
        return
    if progress:
        progress.say(f"Another command is at work on the {name}; waiting for it.")
    fcntl.flock(file, how)
