"""A Docker daemon: found, asked of the service manager, or started by hand where there is none."""

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from substrate import paths, prerequisites
from substrate.command import attempt, environment, host_environment, run, tail
from substrate.processes import spawn
from substrate.progress import Failure, Progress

_CONFIGURATION = Path("/etc/docker/daemon.json")
_STARTS_WITHIN = 60.0
_ANSWERS_WITHIN = 25.0  # a registry that has not begun to answer by then is taken for unreachable
_PULLED_WITHIN = 1200.0


def ensure(progress: Progress) -> None:
    """Have a daemon that answers."""
    prerequisites.ensure(["docker"], progress)
    if answers():
        return
    with progress.step("Docker daemon") as step:
        if Path("/run/systemd/system").exists():
            _ask_systemd()
            step.note = "started"
            return
        if os.geteuid() != 0:
            raise Failure(_explain_refusal())
        prerequisites.ensure(["dockerd"], progress)
        _start()
        step.note = "started"


def answers() -> bool:
    return attempt("docker", "version", "--format", "{{.Server.Version}}", timeout=20).returncode == 0


def has(image: str) -> bool:
    return attempt("docker", "image", "inspect", image).returncode == 0


def pull(image: str) -> bool:
    """Pull an image; False where no registry can be reached or has it. Gives up soon unless the pull begins."""
    process = subprocess.Popen(
        ["docker", "pull", image],
        env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    began, heard = time.monotonic(), False
    while process.poll() is None:
        heard = heard or bool(process.stdout.read())
        if time.monotonic() - began > (_PULLED_WITHIN if heard else _ANSWERS_WITHIN):
            process.kill()
            break
        time.sleep(0.1)
    process.wait()
    process.stdout.close()
    return process.returncode == 0


def missing_capabilities() -> bool:
    """Whether our bounding set lacks CAP_SYS_RESOURCE, as in some sandboxes: then privileged containers need help."""
    sys_resource = 24
    status = Path("/proc/self/status")
    if not status.exists():
        return False  # not Linux: the daemon is in a machine of its own
    lines = status.read_text().splitlines()
    bits = next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd:"))
    return not bits >> sys_resource & 1


def _ask_systemd() -> None:
    if os.geteuid() != 0:
        raise Failure(_explain_refusal())
    run("systemctl", "start", "docker")
    _wait(None)


def _explain_refusal() -> str:
    said = attempt("docker", "version", timeout=20).stderr
    if "permission denied" in said:
        return "The Docker daemon runs, but you may not use it. Join its group and log in anew:\n    sudo usermod -aG docker $USER"
    return "No Docker daemon answers. Start it:\n    sudo systemctl start docker      (or your distribution's way; or run this as root)"


def _start() -> None:
    """Run dockerd by hand, with a configuration of our own that respects the machine's."""
    folder = paths.cache() / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    _clear_stale()
    configuration = folder / "daemon.json"
    configuration.write_text(json.dumps(_configuration(folder), indent=2))
    log = folder / "dockerd.log"
    log.unlink(missing_ok=True)
    weigh_containers(Path("/sys/fs/cgroup"))
    process = spawn(["dockerd", f"--config-file={configuration}"], log, host_environment(), Path("/"))
    _wait(log)
    if not process.alive():
        raise Failure(f"dockerd ended:\n{tail(log.read_text(errors='replace'))}")


def weigh_containers(hierarchy: Path) -> None:
    """Give all containers together four times the share of the processor that a session outside has (cgroup v1, or v2).

    The kernel weighs them together like any one session, and each program of a lab is a session of its own: beside a few
    labs a whole cluster got what one etcd gets, and kubelets, endpoints and probes came seconds late.
    """
    if (hierarchy / "cpu" / "cpu.shares").exists():
        folder, file, weight = hierarchy / "cpu" / "docker", "cpu.shares", "4096"
    elif (hierarchy / "cgroup.controllers").exists():
        folder, file, weight = hierarchy / "docker", "cpu.weight", "400"
    else:
        return
    with suppress(OSError):  # in a sandbox that keeps them to itself
        folder.mkdir(exist_ok=True)
        (folder / file).write_text(weight)


def _configuration(folder: Path) -> dict[str, object]:
    given: dict[str, object] = {}
    with suppress(OSError, ValueError):
        given = json.loads(_CONFIGURATION.read_text())
    if not missing_capabilities():
        return given
    runtime = folder / "runc-without-missing-caps"
    shutil.copyfile(paths.FILES / runtime.name, runtime)  # not in place: the daemon outlives a checkout
    runtime.chmod(0o755)
    return {**given, "default-runtime": "trimmed", "runtimes": {"trimmed": {"path": str(runtime)}}}


def _clear_stale() -> None:
    """Remove what a daemon leaves that was killed, or that died with its machine: it would keep the next one from starting."""
    for pid_file, program in (
        ("/var/run/docker.pid", "dockerd"),
        ("/var/run/docker/containerd/containerd.pid", "containerd"),
    ):
        path = Path(pid_file)
        with suppress(OSError, ValueError):
            if _program_of(int(path.read_text())) != program:
                path.unlink()
    containerd = Path("/run/containerd/containerd.sock")
    if containerd.exists() and not _accepts(containerd):
        containerd.unlink()  # dockerd takes the mere file for a running containerd and waits for it


def _program_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _wait(log: Path | None) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while not answers():
        if time.monotonic() > deadline:
            said = tail(log.read_text(errors="replace")) if log else "    see: journalctl -u docker"
            raise Failure(f"The Docker daemon did not answer within {_STARTS_WITHIN:.0f} s:\n{said}")
        time.sleep(0.3)
