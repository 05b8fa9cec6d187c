"""Fairlead's operator as it runs in a cluster: its own process, service account, roles and flow schemas from the chart."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from fairlead.kube.resources import APPS
from substrate import paths, ports, tools
from substrate.api import Api
from substrate.command import run
from substrate.lab import State
from substrate.progress import Failure

HOME = "fairlead-system"
"""Fairlead's own namespace."""
_CHART = paths.REPOSITORY / "charts" / "fairlead"
_TEMPLATES = ("serviceaccount", "rbac", "flowschema")
_READY_WITHIN = 120.0  # seconds: a busy machine takes its time to start a Python


class Operator:
    """One operator process after another, each started with what a kubeconfig lets it do."""

    def __init__(self, kubeconfig: Path, log: Path, process: str = "workloads") -> None:
        """`process`: what `fairlead run` is told: workloads, secrets or activator."""
        self._kubeconfig = kubeconfig
        self._log = log
        self._name = process
        self._port = 0
        self._metrics = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: Mapping[str, str] = MappingProxyType({})) -> int:
        """Its pid, at once: `wait_ready` waits. `settings`: environment variables of its own."""
        self._port, self._metrics = ports.free(2, ())
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._kubeconfig),
            "POD_NAME": "bench",
            "POD_NAMESPACE": HOME,
            "FAIRLEAD_LEASE_NAME": _account(self._name),
            "FAIRLEAD_HEALTH_ADDRESS": f"127.0.0.1:{self._port}",
            "FAIRLEAD_METRICS_ADDRESS": f"127.0.0.1:{self._metrics}",
            **settings,
        }
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                _command(self._name), stdout=out, stderr=subprocess.STDOUT, env=environment
            )
        return self._process.pid

    def wait_ready(self) -> None:
        assert self._process
        _wait_ready(self._process, self._port, self._log)

    def metrics(self) -> bytes:
        """What it exposes to Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=10) as answer:
            page: bytes = answer.read()
            return page

    def stop(self) -> None:
        """As Kubernetes stops a pod: the Lease is released."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def installed(state: State, log: Path, process: str = "workloads", values: Sequence[str] = ()) -> Iterator[Operator]:
    """Fairlead's kinds and rights in a lab, and an operator that is yet to be started; it ends with the context. `values`: what
    the chart is told besides."""
    _install(state, values)
    with prepared(state, log, process) as operator:
        yield operator


@contextmanager
def prepared(state: State, log: Path, process: str) -> Iterator[Operator]:
    """One of its processes where Fairlead is installed, likewise."""
    log.write_bytes(b"")
    operator = Operator(_kubeconfig(state, process), log, process)
    try:
        yield operator
    finally:
        operator.stop()


@contextmanager
def running(state: State, log: Path, profiler: Sequence[str] = ()) -> Iterator[int]:
    """Install Fairlead's kinds and rights and run the operator beside the lab; its pid. `profiler` is run beside it,
    with the pid as its last argument."""
    with installed(state, log) as operator:
        pid = operator.start()
        operator.wait_ready()
        with _beside(profiler, pid):
            yield pid


@contextmanager
def _beside(profiler: Sequence[str], pid: int) -> Iterator[None]:
    if not profiler:
        yield
        return
    with subprocess.Popen([*profiler, str(pid)]) as running:
        yield
        running.send_signal(signal.SIGINT)  # what a person at its terminal would send: it writes what it has


def _command(process: str) -> list[str]:
    return [sys.executable, "-m", "fairlead", "run", process]


def _account(process: str) -> str:
    """The chart's service account, and Lease."""
    return f"fairlead-{process}"


def _install(state: State, values: Sequence[str]) -> None:
    _kubectl(state, "apply", "-f", str(paths.REPOSITORY / "crds"))
    _kubectl(state, "create", "namespace", HOME)
    shown = [part for name in _TEMPLATES for part in ("--show-only", f"templates/{name}.yaml")]
    manifest = run(
        tools.TOOLS["helm"].link, "template", "fairlead", _CHART, "--namespace", HOME,
        "--set", ",".join(("secrets.enabled=true", "secrets.sealedSecrets.enabled=true", *values)), "--api-versions", "flowcontrol.apiserver.k8s.io/v1", *shown,
    )  # fmt: skip
    tools.kubectl("--kubeconfig", state.kubeconfig, "apply", "-f", "-", text=manifest)
    _wait_served(state)


def _wait_served(state: State) -> None:
    """Until Apps can be listed. (`kubectl wait` for Established fails on a CRD that has no conditions at all yet.)"""
    api = Api(state.url, state.token, Path(state.ca))
    deadline = time.monotonic() + _READY_WITHIN
    while (answer := api.request("GET", APPS.path()))[0] != 200:
        if time.monotonic() > deadline:
            raise Failure(f"Apps are not served: {answer[0]} {answer[1].decode(errors='replace')[:300]}")
        time.sleep(0.05)
    api.close()


def _kubeconfig(state: State, process: str) -> Path:
    """A kubeconfig of the service account: the operator is held to its roles and waits in its own queues."""
    token = _kubectl(state, "create", "token", _account(process), "-n", HOME).strip()
    config = json.loads(Path(state.kubeconfig).read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    file = Path(state.directory) / f"{process}.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    return file


def _kubectl(state: State, *arguments: str) -> str:
    return tools.kubectl("--kubeconfig", state.kubeconfig, *arguments)


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
