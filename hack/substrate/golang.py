"""Find a Go that is new enough, or fetch one through any older Go: the toolchain itself is published as a module."""

import functools
import json
import platform
import re
import shutil
from pathlib import Path

from substrate import paths, prerequisites, trees, versions
from substrate.command import attempt, environment, run
from substrate.progress import Failure

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def architecture() -> str:
    """The machine's architecture in the words of Go and of container images."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def go_environment(**changes: str) -> dict[str, str]:
    """Builds must not depend on what a person has set for their own work."""
    return environment(GOFLAGS="-mod=mod", GOTOOLCHAIN="local", GOWORK="off", **changes)


@functools.cache
def go() -> Path:
    """A Go that can build Kubernetes. Fetches one where the machine's own is too old; installs one on Debian as root."""
    fetched = paths.cache() / "tools" / "go" / versions.GO
    candidates = [shutil.which("go"), "/usr/local/go/bin/go", str(fetched / "bin" / "go")]
    found = [Path(candidate) for candidate in candidates if candidate and Path(candidate).exists()]
    for candidate in found:
        if _version(candidate) >= versions.GO_MINIMUM:
            return candidate
    if not found:
        prerequisites.ensure(["go"])
        found = [Path(shutil.which("go") or "/usr/bin/go")]
    return _fetch(found[0], fetched)


def _version(program: Path) -> tuple[int, ...]:
    """'go version go1.26.8 linux/amd64' -> (1, 26)."""
    said = attempt(program, "version", env=go_environment()).stdout
    match = re.search(r"go(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _fetch(older: Path, target: Path) -> Path:
    """Let an older Go download a newer one as a module, checked against the checksum database like any other."""
    name = f"golang.org/toolchain@v0.0.1-go{versions.GO}.{platform.system().lower()}-{architecture()}"
    answer = attempt(
        older,
        "mod",
        "download",
        "-json",
        name,
        env=environment(GO111MODULE="on", GOFLAGS="", GOTOOLCHAIN="local"),
        cwd=Path("/"),
    )
    folder = json.loads(answer.stdout or "{}").get("Dir")
    if answer.returncode or not folder:
        raise Failure(
            f"Go {'.'.join(map(str, versions.GO_MINIMUM))} or newer is needed, and {older} could not fetch it:\n{answer.stderr}\n{answer.stdout}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    trees.copy(Path(folder), target, executable=lambda path: "bin" in path.parts or path.parts[:2] == ("pkg", "tool"))
    return target / "bin" / "go"


def module_folder(module: str, version: str) -> Path:
    """The unpacked source of a module, downloaded if it is not there."""
    answer = run(go(), "mod", "download", "-json", f"{module}@{version}", env=go_environment(), cwd=Path("/"))
    return Path(json.loads(answer)["Dir"])


def module_file(module: str, version: str) -> Path:
    """A module's go.mod, downloaded if it is not there."""
    answer = run(go(), "mod", "download", "-json", f"{module}@{version}", env=go_environment(), cwd=Path("/"))
    return Path(json.loads(answer)["GoMod"])
