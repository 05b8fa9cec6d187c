"""Run kubectl, helm and the project's own commands for tests."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class CommandFailed(AssertionError):
    """A command that a test relies on ended badly. Its message is what one wants to read in the test's report."""

    def __init__(self, argv: list[str], code: int, output: str) -> None:
        super().__init__(f"{shlex.join(argv)} ended with {code}:\n{output.strip()}")
        self.code = code
        self.output = output


def cache() -> Path:
    chosen = os.environ.get("FAIRLEAD_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairlead"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The pinned kubectl and helm come first on PATH."""
    path = os.pathsep.join([str(cache() / "bin"), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **(extra or {})}


def execute(
    argv: list[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 120,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run to the end. With `check`, anything but success is a CommandFailed."""
    done = subprocess.run(argv, env=environment(env), input=stdin, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise CommandFailed(argv, done.returncode, done.stdout + done.stderr)
    return done
