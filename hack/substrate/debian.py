"""A Debian file system as an archive, made by debootstrap: the ground of images where no registry can be reached."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from substrate import paths, prerequisites, versions
from substrate.command import environment, run, run_logged
from substrate.progress import Failure, Progress

# Useless in a container, and a third of the size.
_LEFT_OUT = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*", "./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*", "./proc/*", "./sys/*", "./dev/*")  # fmt: skip


def digest(packages: Iterable[str]) -> str:
    """Names a set of packages of the release."""
    return hashlib.sha256(" ".join([versions.DEBIAN, *sorted(packages)]).encode()).hexdigest()[:10]


def path(name: str, packages: Iterable[str]) -> Path:
    return paths.cache() / "images" / f"debian-{versions.DEBIAN}-{name}-{digest(packages)}.tar"


def archive(name: str, packages: Iterable[str], progress: Progress) -> Path:
    """A minimal Debian with these packages, as a tar file in the cache."""
    packages = sorted(packages)
    target = path(name, packages)
    with progress.step(f"Debian {versions.DEBIAN} for the {name}") as step:
        if target.exists():
            step.note = "cached"
            return target
        if os.geteuid() != 0:
            raise Failure(
                "Only root can make a Debian file system (debootstrap). Run this as root, or where images can be pulled."
            )
        prerequisites.ensure(["debootstrap"], progress)
        _bootstrap(name, packages, target)
        step.note = "built"
    return target


def _bootstrap(name: str, packages: list[str], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    downloads = paths.cache() / "debian-packages"
    downloads.mkdir(parents=True, exist_ok=True)
    root = paths.cache() / f"debian-{name}.half"
    shutil.rmtree(root, ignore_errors=True)
    mirror = os.environ.get("FAIRLEAD_DEBIAN_MIRROR")
    run_logged(
        paths.cache() / "logs" / f"debootstrap-{name}.log",
        "debootstrap", "--variant=minbase", f"--cache-dir={downloads}", f"--include={','.join(packages)}",
        versions.DEBIAN, root, *([mirror] if mirror else []),
        env=environment(DEBIAN_FRONTEND="noninteractive"),
    )  # fmt: skip
    half = target.with_suffix(".half")
    run(
        "tar",
        "--create",
        "--file",
        half,
        "--numeric-owner",
        *(f"--exclude={path}" for path in _LEFT_OUT),
        "--directory",
        root,
        ".",
    )
    half.rename(target)
    shutil.rmtree(root)
