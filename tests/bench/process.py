"""Fairlead's operator as it runs in a cluster: its own process, service account, roles and flow schemas from the chart."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from substrate import paths, tools
from substrate.command import run
from substrate.lab import State
from substrate.progress import Failure

_NAMESPACE = "fairlead-system"
_ACCOUNT = "fairlead-workloads"
_CHART = paths.REPOSITORY / "charts" / "fairlead"
_TEMPLATES = ("serviceaccount", "rbac", "flowschema")
_READY_WITHIN = 30.0


@contextmanager
def running(state: State, log: Path, wrapper: Sequence[str] = ()) -> Iterator[int]:
    """Install Fairlead's kinds and rights and run the operator beside the lab; its pid. `wrapper` goes before the
    command (a profiler)."""
    _install(state)
    port = _free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(_kubeconfig(state)),
        "POD_NAME": "bench",
        "POD_NAMESPACE": _NAMESPACE,
        "FAIRLEAD_LEASE_NAME": _ACCOUNT,
        "FAIRLEAD_HEALTH_PORT": str(port),
        "FAIRLEAD_METRICS_PORT": str(_free_port()),
    }
    with log.open("wb") as out:
        process = subprocess.Popen([*wrapper, *_command()], stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_ready(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command() -> list[str]:
    return [sys.executable, "-m", "fairlead", "run", "workloads"]


def _install(state: State) -> None:
    _kubectl(state, "apply", "-f", str(paths.REPOSITORY / "crds"))
    _kubectl(
        state,
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/apps.fairlead.dev",
        "crd/revisions.fairlead.dev",
    )
    _kubectl(state, "create", "namespace", _NAMESPACE)
    shown = [part for name in _TEMPLATES for part in ("--show-only", f"templates/{name}.yaml")]
    manifest = run(
        tools.TOOLS["helm"].link, "template", "fairlead", _CHART, "--namespace", _NAMESPACE,
        "--api-versions", "flowcontrol.apiserver.k8s.io/v1", *shown,
    )  # fmt: skip
    tools.kubectl("--kubeconfig", state.kubeconfig, "apply", "-f", "-", text=manifest)


def _kubeconfig(state: State) -> Path:
    """A kubeconfig of the service account: the operator is held to its roles and waits in its own queues."""
    token = _kubectl(state, "create", "token", _ACCOUNT, "-n", _NAMESPACE).strip()
    config = json.loads(Path(state.kubeconfig).read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    file = Path(state.directory) / "workloads.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    return file


def _kubectl(state: State, *arguments: str) -> str:
    return tools.kubectl("--kubeconfig", state.kubeconfig, *arguments)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while not _ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            how = "ended" if process.poll() is not None else f"was not ready within {_READY_WITHIN:.0f} s"
            raise Failure(f"the operator {how}; its log says:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
