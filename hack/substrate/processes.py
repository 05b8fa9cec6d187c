"""Processes that outlive the command that started them, and are never mistaken for others.

A pid alone is no identity: numbers come back. A pid with the moment its process started, in the kernel's ticks, is.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    started: int
    boot: str = ""
    """The kernel's boot id: after a restart of the machine nothing recorded before is alive."""

    def alive(self) -> bool:
        return self.boot == _boot() and _started(self.pid) == self.started

    def stopped(self) -> bool:
        return self.alive() and _stat(self.pid)[0] == "T"

    def send(self, number: signal.Signals) -> bool:
        """Signal this process and no other. False if it is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self, timeout: float = 10) -> None:
        """End it at once and wait until it is gone, so that its port is free."""
        if not self.send(signal.SIGKILL):
            return
        deadline = time.monotonic() + timeout
        while self.alive() and time.monotonic() < deadline:
            _reap(self.pid)
            time.sleep(0.01)


def spawn(argv: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path) -> Process:
    """Start a process in a session of its own, so that neither a terminal's end nor Ctrl-C reaches it."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    child.returncode = 0  # not ours to wait for: keeps Popen from warning that it is still running
    return identify(child.pid)


def identify(pid: int) -> Process:
    return Process(pid, _started(pid), _boot())


def _stat(pid: int) -> tuple[str, int]:
    """State and start time of a process. The command's name before them may hold blanks and brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _started(pid: int) -> int:
    """When a process started; -1 for one that is gone or only waits to be reaped."""
    try:
        state, started = _stat(pid)
    except (OSError, IndexError, ValueError):
        return -1
    return -1 if state in "ZX" else started


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # not our child
        os.waitpid(pid, os.WNOHANG)
