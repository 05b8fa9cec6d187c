"""The operator's image, from wheels that are gathered on the host. Rebuilding after a change of source takes seconds."""

import hashlib
import json
import platform
import re
import shutil
import sys
import tomllib
from pathlib import Path

from substrate import debian, docker, paths, prerequisites, versions
from substrate.command import attempt, environment, run, run_logged
from substrate.progress import Failure, Progress

OFFICIAL_BASE = f"python:{versions.PYTHON}-slim"
_LABEL = "fairlead.dev/image=operator"
_DEBIAN_PACKAGES = ("python3", "ca-certificates")
_NEWEST_GLIBC = 36  # of the bases above: wheels for an older one run too


def default_tag() -> str:
    """What the chart asks for by itself: fairlead, at the project's version."""
    text = (paths.REPOSITORY / "operator" / "fairlead" / "__init__.py").read_text()
    found = re.search(r'__version__ = "([^"]+)"', text)
    return f"fairlead:{found[1] if found else 'dev'}"


def build(tag: str, base: str, progress: Progress) -> str:
    """Build the image in Docker and return its id. Without a base the official Python image, or one made from Debian."""
    docker.ensure(progress)
    base = base or _base(progress)
    context = paths.REPOSITORY / "build" / "image"
    with progress.step("wheels of the dependencies") as step:
        step.note = _gather_dependencies(context / "dependencies")
    with progress.step("wheel of the project") as step:
        step.note = _build_project(context / "project")
    with progress.step(f"image {tag}") as step:
        before = _id(tag)
        log = paths.cache() / "logs" / "image.log"
        dockerfile = paths.REPOSITORY / "Dockerfile"
        run_logged(
            log,
            "docker",
            "build",
            "--network=none",
            f"--build-arg=BASE={base}",
            f"--tag={tag}",
            f"--file={dockerfile}",
            context,
        )
        # What builds left without a name. Not the fresh ones: among them are the stages that the next build starts from.
        attempt("docker", "image", "prune", "--force", f"--filter=label={_LABEL}", "--filter=until=168h")
        step.note = "unchanged" if _id(tag) == before else "built"
    return _id(tag)


def _id(tag: str) -> str:
    return attempt("docker", "image", "inspect", "--format={{.Id}}", tag).stdout.strip()


def _base(progress: Progress) -> str:
    """Cheapest first: the official image if it is there, ours if it was made before, the official one pulled, ours made."""
    ours = f"fairlead.dev/python:{versions.PYTHON}-{debian.digest(_DEBIAN_PACKAGES)}"
    with progress.step("base image") as step:
        for name in (OFFICIAL_BASE, ours):
            if docker.has(name):
                step.note = "cached"
                return name
        if not debian.path("python", _DEBIAN_PACKAGES).exists() and docker.pull(OFFICIAL_BASE):
            step.note = "pulled"
            return OFFICIAL_BASE
        step.note = "no registry"
    archive = debian.archive("python", _DEBIAN_PACKAGES, progress)
    run("docker", "import", f"--change=LABEL {_LABEL.replace('operator', 'base')}", archive, ours)
    return ours


def _gather_dependencies(target: Path) -> str:
    """Every locked dependency as a wheel for the image's Python, whatever Python runs here; kept by the lock's content."""
    requirements = _requirements()
    digest = hashlib.sha256(json.dumps([requirements, versions.PYTHON, platform.machine()]).encode()).hexdigest()[:10]
    kept = paths.cache() / "wheels" / digest
    note = "cached"
    if not kept.exists():
        half = kept.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        (half / "requirements.lock").write_text("\n".join(requirements) + "\n")
        arguments = ["--only-binary=:all:", "--no-deps", "--implementation=cp", f"--python-version={versions.PYTHON}"]
        arguments += [f"--platform={one}" for one in _platforms(platform.machine())]
        log = paths.cache() / "logs" / "wheels.log"
        run_logged(
            log,
            *_pip(),
            "download",
            f"--dest={half}",
            *arguments,
            f"pip=={versions.PIP}",
            "-r",
            half / "requirements.lock",
        )
        half.rename(kept)
        note = "gathered"
    _mirror(kept, target)
    return note


def _requirements() -> list[str]:
    """What the lock pins; without a lock, what the project asks for."""
    lock = paths.REPOSITORY / "requirements.lock"
    if lock.exists():
        lines = (line.partition("#")[0].strip() for line in lock.read_text().splitlines())
        return [line for line in lines if line]
    raise Failure("requirements.lock is missing; write it with: make lock")


def _platforms(machine: str) -> list[str]:
    return [*(f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST_GLIBC, 4, -1)), f"manylinux2014_{machine}"]


def _build_project(target: Path) -> str:
    """The project's own wheel, anew when anything that goes into it has changed."""
    digest = _source_digest()
    stamp = target / ".digest"
    if stamp.exists() and stamp.read_text() == digest:
        return "cached"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    # The development environment holds the build backend already; elsewhere pip fetches it.
    isolation = ["--no-build-isolation"] if attempt(*_python(), "-c", "import hatchling").returncode == 0 else []
    log = paths.cache() / "logs" / "wheel.log"
    run_logged(log, *_pip(), "wheel", "--no-deps", *isolation, f"--wheel-dir={target}", paths.REPOSITORY)
    stamp.write_text(digest)
    return "built"


def _source_digest() -> str:
    """Of everything that the wheel is made of: the package, what the build includes besides it, and how it is built."""
    project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    digest = hashlib.sha256(json.dumps(project, sort_keys=True, default=str).encode())
    for root in (*wheel["packages"], *wheel.get("force-include", {})):
        for path in _files(paths.REPOSITORY / root):
            digest.update(str(path.relative_to(paths.REPOSITORY)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _mirror(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def _python() -> list[str | Path]:
    development = paths.REPOSITORY / ".venv" / "bin" / "python"
    return [development if development.exists() else sys.executable]


def _pip() -> list[str | Path]:
    for python in (_python(), [sys.executable]):
        if attempt(*python, "-m", "pip", "--version").returncode == 0:
            return [*python, "-m", "pip"]
    prerequisites.ensure(["pip"])
    return [Path(shutil.which("pip3", path=environment()["PATH"]) or "pip3")]
