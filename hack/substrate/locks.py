"""One builder at a time: commands that write to the same place wait for each other, and say so."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from substrate import paths
from substrate.progress import Progress


@contextmanager
def exclusive(name: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the lock of that name. It is let go with the process, however that ends."""
    path = paths.cache() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress.say(f"Another command is at work on the {name}; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
