"""Requests at a steady rate from a pod in the cluster, every one accounted for: hack/tour/client.py."""

import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from e2e.dsl.cluster import Cluster
from support.commands import REPOSITORY, execute
from support.watch import Objects, is_ready

JSON = dict[str, Any]

_CLIENT = REPOSITORY / "hack" / "tour" / "client.py"
_STOP = "import os, signal; os.kill(1, signal.SIGTERM)"


@dataclass(frozen=True)
class Report:
    """What became of the requests. Times are milliseconds."""

    sent: int
    answered: int
    lost: int
    asked_again: int
    seconds: float
    errors: dict[str, int]
    answers: dict[str, int]
    """Answers by pod name."""
    lanes: dict[str, dict[str, float]]
    remarks: list[JSON]
    """The lost and the very slow ones, one by one."""

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    @property
    def revisions(self) -> set[str]:
        """The revisions whose pods answered, by name."""
        return {pod.rpartition("-")[0] for pod in self.answers}

    def __str__(self) -> str:
        lanes = "; ".join(
            f"{lane}: {figures['count']:.0f} requests, p50 {figures['p50']} ms, p99 {figures['p99']} ms, max {figures['max']} ms"
            for lane, figures in self.lanes.items()
        )
        again = f", {self.asked_again} asked again on a closed connection" if self.asked_again else ""
        why = f" {self.errors}" if self.errors else ""
        remarks = "".join(f"\n  {remark}" for remark in self.remarks[:20])
        return (
            f"{self.sent} sent in {self.seconds} s ({self.rate:.0f}/s), {self.lost} lost{again}; {lanes}{why}{remarks}"
        )


class Traffic:
    """A client pod: sends from `start` to `stop`."""

    def __init__(self, cluster: Cluster, namespace: str, image: str, name: str = "traffic") -> None:
        self._cluster, self._namespace, self._image, self._name = cluster, namespace, image, name

    def start(self, url: str, *, rate: float, kept_rate: float = 0) -> None:
        """Returns when the first requests are answered."""
        argv = ["as-pod", f"--name={self._name}", f"--image={self._image}", "--"]
        argv += [f"--rate={rate}", f"--kept-rate={kept_rate}", url]
        manifest = execute([sys.executable, str(_CLIENT), *argv]).stdout
        self._cluster.kubectl("apply", "-n", self._namespace, "-f", "-", stdin=manifest)
        if not self._comes_up():
            self._cluster.kubectl("delete", "pod", self._name, "-n", self._namespace, "--now")
            self._cluster.kubectl("apply", "-n", self._namespace, "-f", "-", stdin=manifest)
            assert self._comes_up(), "the client's container does not start"
        self.until_answered(1)

    def until_answered(self, count: int, within: float = 30) -> None:
        """Until this many more requests were answered: a while, measured in what users see."""
        follow = ["logs", "--follow", "--tail=1", self._name, "-n", self._namespace]
        first = None
        with self._cluster.stream(*follow) as said:
            for line in map(json.loads, said.lines(time.monotonic() + within)):
                answered = line.get("answered", 0)
                first = answered if first is None else first
                if answered - first >= count:
                    return
        raise AssertionError(f"no {count} answers in {within:.0f} s:\n{self._log(5)}")

    def stop(self) -> Report:
        """Let the last requests come to their end, and count."""
        self._cluster.kubectl("exec", self._name, "-n", self._namespace, "--", "python3", "-c", _STOP)
        self._cluster.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{self._name}", "-n", self._namespace, "--timeout=60s",
            timeout=70,
        )  # fmt: skip
        said: JSON = json.loads(self._log(1))
        assert said.pop("summary"), said
        said["asked_again"] = said.pop("askedAgain")
        said["remarks"] = self.remarks()
        self._cluster.kubectl("delete", "pod", self._name, "-n", self._namespace, "--now")
        return Report(**said)

    def remarks(self) -> list[JSON]:
        """Each lost or very slow request so far, with its time."""
        return [line for line in map(json.loads, self._log(-1).splitlines()) if "after" in line]

    def _comes_up(self) -> bool:
        """Whether its container is ready, or could not be started: a busy node's runtime may fail at that ("unable to
        freeze"), and says nothing of the App."""

        def decided(pods: Objects) -> str:
            if not pods:
                return ""
            return "ready" if is_ready(pods[0]) else "failed" if pods[0]["status"].get("phase") == "Failed" else ""

        return self._cluster.until("pods", decided, 60, namespace=self._namespace, name=self._name) == "ready"

    def _log(self, lines: int) -> str:
        return self._cluster.kubectl("logs", self._name, "-n", self._namespace, f"--tail={lines}", check=False)
