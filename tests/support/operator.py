"""The operator as a process of its own, against a lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from substrate import ports
from support.commands import REPOSITORY, environment
from support.lab import Lab
from support.waiting import eventually

LOGS = REPOSITORY / "build" / "operator-logs"
_ANSWERS_WITHIN = 30.0  # seconds, of a process that has to wait for the machine
_promised: set[int] = set()  # ports that this process has given out


class Operator:
    """`fairlead run workloads`, as the image runs it. Ends with the test; its log is kept under build/."""

    program: Sequence[str] = ("-m", "fairlead", "run", "workloads")

    def __init__(
        self,
        lab: Lab,
        name: str = "operator",
        *,
        kubeconfig: Path | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self._kubeconfig = kubeconfig or lab.kubeconfig
        self._port, metrics = free_port(), free_port()
        self._settings = {
            "FAIRLEAD_KUBECONFIG": str(self._kubeconfig),
            "FAIRLEAD_HEALTH_ADDRESS": f"127.0.0.1:{self._port}",
            "FAIRLEAD_METRICS_ADDRESS": f"127.0.0.1:{metrics}",
            "FAIRLEAD_LEADER_ELECTION": "false",
            **{f"FAIRLEAD_{key.upper()}": value for key, value in settings.items()},
            **(environ or {}),
        }
        self.metrics = f"http://127.0.0.1:{metrics}/metrics"
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{lab.name}-{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Returns when its caches are filled."""
        self.spawn()
        eventually(self.ready)
        return self

    def spawn(self) -> None:
        """Returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.program],
                env=environment(self._settings) | {"PYTHONPATH": str(REPOSITORY / "operator")},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=_ANSWERS_WITHIN) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def healthy(self) -> bool:
        """Whether a kubelet would leave it alone."""
        return self.probe().startswith("ok")

    def probe(self) -> str:
        """What /healthz says; nothing where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/healthz", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of that metric's series with these labels."""
        return sum(self._series(name, labels))

    def count(self, name: str, **labels: str) -> int:
        """How many series of that metric have these labels."""
        return len(self._series(name, labels))

    def _series(self, name: str, labels: dict[str, str]) -> list[float]:
        with urllib.request.urlopen(self.metrics, timeout=_ANSWERS_WITHIN) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return [sample.value for sample in samples if labels.items() <= sample.labels.items()]

    def ends(self, within: float) -> int:
        """Its exit status, once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(timeout=within)

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM and its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL: nothing is cleaned up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=30)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def free_port() -> int:
    """One that no connection takes until it is listened on, and that is given out once."""
    (port,) = ports.free(1, _promised)
    _promised.add(port)
    return port
