"""Pins every dependency, direct or not, to what is installed: requirements.lock (image) and requirements-dev.lock."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def closure(wanted: Iterable[str]) -> dict[str, str]:
    """Package name -> installed version, of the wanted requirements and all they need on this platform."""
    pins: dict[str, str] = {}
    followed: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(text) for text in wanted]
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        extras = frozenset(requirement.extras)
        if (name, extras) in followed:
            continue
        followed.add((name, extras))
        package = distribution(requirement.name)
        pins[name] = package.version
        for text in package.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                todo.append(needed)
    return pins


def write(path: Path, what: str, pins: dict[str, str]) -> None:
    lines = [f"# {what}; `make lock` writes it.", *(f"{name}=={version}" for name, version in sorted(pins.items()))]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = project["project"]["dependencies"]
    development = project["project"]["optional-dependencies"]["dev"] + project["build-system"]["requires"]
    write(ROOT / "requirements.lock", "What the operator's image installs", closure(runtime))
    write(ROOT / "requirements-dev.lock", "What development installs", closure(runtime + development))


if __name__ == "__main__":
    main()
