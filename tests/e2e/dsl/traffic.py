"""Requests at a steady rate from a pod in the cluster, every one accounted for: hack/tour/client.py."""

import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from e2e.dsl.cluster import Cluster
from support.commands import REPOSITORY, execute
from support.watch import Objects, is_ready

JSON = dict[str, Any]

_CLIENT = REPOSITORY / "hack" / "tour" / "client.py"
_NUMBERS = itertools.count(1)
_STOP = "import os, signal; os.kill(1, signal.SIGTERM)"
_ASK = """
import sys, urllib.request
url, times, header = sys.argv[1:]
request = urllib.request.Request(url, headers=dict([header.split(": ")]))
for _ in range(int(times)):
    with urllib.request.urlopen(request, timeout=10) as answer:
        print(answer.read().decode())
"""


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
        return {_revision(pod) for pod in self.answers}

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

    def __init__(self, cluster: Cluster, namespace: str, image: str) -> None:
        self._cluster, self._namespace, self._image = cluster, namespace, image
        self._name = f"traffic-{next(_NUMBERS)}"  # so that nobody has to wait until another is gone
        self._url = ""

    def start(self, url: str, *, rate: float, kept_rate: float = 0, timeout: float = 10) -> None:
        """Returns when the first requests are answered. timeout: seconds after which one counts as lost."""
        self._url = url
        argv = ["as-pod", f"--name={self._name}", f"--image={self._image}", "--"]
        argv += [f"--rate={rate}", f"--kept-rate={kept_rate}", f"--timeout={timeout}", url]
        manifest = execute([sys.executable, str(_CLIENT), *argv]).stdout
        self._cluster.kubectl("apply", "-n", self._namespace, "-f", "-", stdin=manifest)
        if not self._comes_up():
            self._cluster.kubectl("delete", "pod", self._name, "-n", self._namespace, "--now")
            self._cluster.kubectl("apply", "-n", self._namespace, "-f", "-", stdin=manifest)
            assert self._comes_up(), "the client's container does not start"
        self.until_answered(1)

    def until_answered(self, count: int, within: float = 120) -> None:
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

    def shared(self, wanted: Mapping[str, int], *, requests: int = 350, within: float = 120) -> None:
        """The revisions answer in these per cents: awaited in one second's requests, since whoever shares them takes a moment to
        follow, and then counted in so many of those that come after, to three points. No other revision answers any."""
        counted: Counter[str] = Counter()
        with closing(self._seconds(within)) as seconds:
            while not _near(second := next(seconds), wanted, points=10):
                pass
            while counted.total() < requests:
                counted += next(seconds)
        assert _near(counted, wanted, points=3), (
            f"{dict(counted)} is not {dict(wanted)} per cent, as {dict(second)} was"
        )

    def answered_with(self, header: str, times: int = 20) -> set[str]:
        """The revisions that answer requests with this header ('name: value'), each of which has to be answered."""
        ask = ["python3", "-c", _ASK, self._url, str(times), header]
        said = self._cluster.kubectl("exec", self._name, "-n", self._namespace, "--", *ask)
        return set(map(_revision, said.split()))

    def stop(self) -> Report:
        """Let the last requests come to their end, and count."""
        self._cluster.kubectl("exec", self._name, "-n", self._namespace, "--", "python3", "-c", _STOP)
        self._cluster.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{self._name}", "-n", self._namespace, "--timeout=120s",
            timeout=130,
        )  # fmt: skip
        said: JSON = json.loads(self._log(1))
        assert said.pop("summary"), said
        said["asked_again"] = said.pop("askedAgain")
        said["remarks"] = self.remarks()
        self._cluster.kubectl("delete", "pod", self._name, "-n", self._namespace, "--now", "--wait=false")
        return Report(**said)

    def remarks(self) -> list[JSON]:
        """Each lost or very slow request so far, with its time."""
        return [line for line in map(json.loads, self._log(-1).splitlines()) if "after" in line]

    def _seconds(self, within: float) -> Generator[Counter[str]]:
        """The answers of each second by revision, from the next whole one on. AssertionError after `within` seconds."""
        follow = ["logs", "--follow", "--tail=1", self._name, "-n", self._namespace]
        last: Counter[str] = Counter()
        with self._cluster.stream(*follow) as said:
            told = (line for line in map(json.loads, said.lines(time.monotonic() + within)) if "answered" in line)
            next(told, None)  # of a second before
            for line in told:
                yield (last := Counter(line["by"]))
        raise AssertionError(f"not within {within:.0f} s; at last {dict(last)}:\n{self._log(5)}")

    def _comes_up(self) -> bool:
        """Whether its container is ready, or could not be started: a busy node's runtime may fail at that ("unable to
        freeze"), and says nothing of the App."""

        def decided(pods: Objects) -> str:
            if not pods:
                return ""
            return "ready" if is_ready(pods[0]) else "failed" if pods[0]["status"].get("phase") == "Failed" else ""

        return self._cluster.until("pods", decided, 120, namespace=self._namespace, name=self._name) == "ready"

    def _log(self, lines: int) -> str:
        return self._cluster.kubectl("logs", self._name, "-n", self._namespace, f"--tail={lines}", check=False)


def _revision(pod: str) -> str:
    return pod.rpartition("-")[0]


def _near(counted: Counter[str], wanted: Mapping[str, int], points: int) -> bool:
    """Whether each revision's part of the answers is what is wanted, give or take so many points; none of those that are to
    have nothing.

    >>> _near(Counter(new=12, old=88), {"new": 10, "old": 90}, points=3)
    True
    >>> _near(Counter(new=20, old=80), {"new": 10, "old": 90}, points=3)
    False
    >>> _near(Counter(new=99, old=1), {"new": 100}, points=3), _near(Counter(), {"new": 100}, points=3)
    (False, False)
    """
    total = counted.total()
    if not total or set(counted) != set(wanted):
        return False
    return all(abs(100 * counted[name] / total - part) <= points for name, part in wanted.items())
