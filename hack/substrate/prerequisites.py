"""What must be installed on the machine: installed here on Debian as root, named exactly everywhere else."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from substrate.command import attempt, environment, run_logged
from substrate.paths import cache
from substrate.progress import Failure, Progress


@dataclass(frozen=True)
class Prerequisite:
    """A command (or a file, where it starts with a slash) and the packages that bring it, by family of distributions.

    A package that ends with a question mark exists in some releases only.
    """

    found_by: tuple[str, ...]
    purpose: str
    debian: tuple[str, ...]
    fedora: tuple[str, ...]
    arch: tuple[str, ...]
    suse: tuple[str, ...]

    def present(self) -> bool:
        path = environment()["PATH"]
        return any(
            Path(name).exists() if name.startswith("/") else shutil.which(name, path=path) for name in self.found_by
        )


def _same(*packages: str) -> dict[str, tuple[str, ...]]:
    return {"debian": packages, "fedora": packages, "arch": packages, "suse": packages}


PREREQUISITES = {
    "go": Prerequisite(
        ("go",), "builds the pinned programs (any version: a newer one is fetched through it)",
        ("golang-go",), ("golang",), ("go",), ("go",),
    ),
    "openssl": Prerequisite(("openssl",), "keys of the bare control plane", **_same("openssl")),
    "docker": Prerequisite(("docker",), "runs the kind nodes", ("docker.io", "docker-cli?"), ("moby-engine",), ("docker",), ("docker",)),
    "dockerd": Prerequisite(
        ("dockerd",), "the Docker daemon",
        ("docker.io", "containerd", "runc", "iptables"), ("moby-engine", "iptables-nft"), ("docker", "iptables"), ("docker", "iptables"),
    ),
    "cc": Prerequisite(("cc", "gcc"), "compiles runc and pause", ("gcc", "libc6-dev"), ("gcc", "glibc-static"), ("gcc",), ("gcc", "glibc-devel-static")),
    "pkg-config": Prerequisite(("pkg-config",), "finds libseccomp", ("pkg-config",), ("pkgconf-pkg-config",), ("pkgconf",), ("pkg-config",)),
    "libseccomp": Prerequisite(
        ("/usr/include/seccomp.h",), "runc's seccomp support",
        ("libseccomp-dev",), ("libseccomp-devel", "libseccomp-static"), ("libseccomp",), ("libseccomp-devel",),
    ),
    "debootstrap": Prerequisite(("debootstrap",), "the node image's file system", **_same("debootstrap")),
    "nft": Prerequisite(("nft",), "kube-proxy's image", **_same("nftables")),
    "ldd": Prerequisite(("ldd",), "kube-proxy's image", ("libc-bin",), ("glibc-common",), ("glibc",), ("glibc",)),
    "busybox": Prerequisite(
        ("/bin/busybox", "/usr/bin/busybox"), "the shell of the small images (a static build)",
        ("busybox-static",), ("busybox",), ("busybox",), ("busybox-static",),
    ),
    "certificates": Prerequisite(("/etc/ssl/certs/ca-certificates.crt",), "the images' certificate authorities", **_same("ca-certificates")),
    "faketime": Prerequisite(
        tuple(f"/usr/lib/{folder}faketime/libfaketime.so.1" for folder in ("x86_64-linux-gnu/", "aarch64-linux-gnu/", "")),
        "clocks that jump, for tests", ("libfaketime",), ("libfaketime",), ("libfaketime",), ("libfaketime",),
    ),
    "pip": Prerequisite(("pip3", "pip"), "collects the wheels of the operator's image", ("python3-pip",), ("python3-pip",), ("python-pip",), ("python3-pip",)),
}  # fmt: skip

_INSTALL = {
    "debian": "apt-get install --yes",
    "fedora": "dnf install",
    "arch": "pacman -S --needed",
    "suse": "zypper install",
}


def ensure(names: Iterable[str], progress: Progress | None = None) -> None:
    """Have everything named, by installing it where we may; otherwise say what to install and stop."""
    missing = [PREREQUISITES[name] for name in names if not PREREQUISITES[name].present()]
    if not missing:
        return
    if family() != "debian" or os.geteuid() != 0:
        raise Failure(advice(missing, family(), os.geteuid() == 0))
    packages = list(dict.fromkeys(package for one in missing for package in one.debian))
    with (progress or Progress()).step(f"packages {' '.join(packages)}") as step:
        _apt(packages)
        step.note = "installed"


def family() -> str:
    """debian, fedora, arch or suse by /etc/os-release; empty where it is something else."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return ""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    words = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").split()
    known = {
        "debian": "debian",
        "ubuntu": "debian",
        "fedora": "fedora",
        "rhel": "fedora",
        "arch": "arch",
        "suse": "suse",
        "opensuse": "suse",
    }
    return next((known[word] for word in words if word in known), "")


def advice(missing: list[Prerequisite], distribution: str, root: bool) -> str:
    """What to install, as a command to paste where the distribution is known."""
    lines = ["This machine lacks what follows:"]
    lines += [f"    {one.found_by[0]:<36} {one.purpose}" for one in missing]
    if distribution in _INSTALL:
        packages = dict.fromkeys(_sure(package for one in missing for package in getattr(one, distribution)))
        lines += [
            "Install it with",
            f"    {'' if root else 'sudo '}{_INSTALL[distribution]} {' '.join(packages)}",
            "and run this again.",
        ]
    else:
        packages = dict.fromkeys(_sure(package for one in missing for package in one.debian))
        lines.append(f"Install it and run this again. On Debian the packages are: {' '.join(packages)}.")
    return "\n".join(lines)


def _sure(packages: Iterable[str]) -> list[str]:
    """The packages that every release has."""
    return [package for package in packages if not package.endswith("?")]


def _apt(packages: list[str]) -> None:
    env = environment(DEBIAN_FRONTEND="noninteractive")
    # An apt that someone else is running holds the lock for a while: wait instead of failing.
    options = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    attempt("apt-get", *options, "update", env=env)  # one source among many that cannot be reached is no reason to stop
    maybe = [package.removesuffix("?") for package in packages if package.endswith("?")]
    known = [package for package in maybe if attempt("apt-cache", "show", package, env=env).returncode == 0]
    log = cache() / "logs" / "apt.log"
    run_logged(
        log, "apt-get", *options, "install", "--yes", "--no-install-recommends", *_sure(packages), *known, env=env
    )
