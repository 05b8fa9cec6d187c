"""Run other programs: quietly while they succeed, with the end of what they said when they fail."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from substrate import paths
from substrate.progress import Failure

_TAIL = 20


def environment(**changes: str) -> dict[str, str]:
    """The environment of our children: our programs come first on PATH, so that versions agree wherever they are run."""
    path = os.pathsep.join([str(paths.programs()), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return {**os.environ, "PATH": path, **changes}


def host_environment() -> dict[str, str]:
    """The environment for what belongs to the machine, such as its Docker daemon: none of our programs on PATH."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    ours = str(paths.programs())
    return {**os.environ, "PATH": os.pathsep.join([*(f for f in folders if f != ours), "/usr/sbin", "/sbin"])}


def tail(text: str, lines: int = _TAIL) -> str:
    return "\n".join("    " + line for line in text.rstrip().splitlines()[-lines:])


def run(
    *argv: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run to the end and return stdout. A Failure carries the command and the last lines of its output."""
    done = attempt(*argv, env=env, cwd=cwd, text=text, timeout=timeout)
    if done.returncode == 0:
        return done.stdout
    said = tail(done.stderr) or tail(done.stdout)
    raise Failure(f"{_shown(argv)} ended with {done.returncode}:\n{said}")


def attempt(
    *argv: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run to the end and return what happened, for callers to whom a failure is an answer."""
    try:
        return subprocess.run(
            [str(arg) for arg in argv],
            env=dict(env) if env is not None else environment(),
            cwd=cwd,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(list(argv), 127, "", f"{argv[0]}: not found")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(argv), 124, "", f"no answer in {timeout} s")


def run_logged(log: Path, *argv: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run something long, with its output in a file that a failure names."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        done = subprocess.run(
            [str(arg) for arg in argv],
            env=dict(env) if env is not None else environment(),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        said = tail(log.read_text(errors="replace"))
        raise Failure(f"{_shown(argv)} ended with {done.returncode}; all of it is in {log}:\n{said}")


def _shown(argv: Sequence[str | Path]) -> str:
    text = shlex.join(str(arg) for arg in argv)
    return text if len(text) <= 160 else text[:157] + "..."
