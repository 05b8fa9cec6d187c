"""The lines of a command that goes on, as they come, for so long and no longer."""

import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from support.commands import environment


class Stream:
    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def lines(self, deadline: float) -> Iterator[str]:
        """Until the command ends or the monotonic clock says `deadline`."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        rest = b""
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([descriptor], [], [], min(left, 3600))[0]:
                continue
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole if line)

    def kill(self) -> None:
        """May be called from another thread: whoever reads comes to the end."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
