"""What pods use: a load that is shared by those that get traffic, as every node's kubelet exposes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from fairlead.core.meta import LABEL_SERVING
from fairlead.kube.errors import Unavailable
from fairlead.kube.fake import Commit, FakeCluster, Stored
from fairlead.kube.resources import PODS
from sim.machines import Machine, is_ready

IDLE = 0.001  # cores a pod uses that has nothing to do
NODES_PATH = "/api/v1/nodes/"


class _Spent(NamedTuple):
    """A pod's cpu seconds up to a time."""

    seconds: float
    at: float


class Usage(Machine):
    """`load`: cores that the App's requests take in all. `down`: no kubelet answers."""

    def __init__(self, cluster: FakeCluster, pace: Callable[[float], float]):
        super().__init__(cluster, pace)
        self.load = 0.0
        self.down = False
        self._spent: dict[str, _Spent] = {}  # by the pod's uid
        cluster.behind[NODES_PATH] = self._expose

    def committed(self, commit: Commit) -> None:
        if commit.resource == PODS:
            self._advance()

    def now(self, cores: float) -> None:
        """From now on the load is so high."""
        self._advance()
        self.load = cores

    def _advance(self) -> None:
        """What was used since the last time, by those who were there."""
        now = math.floor(self.cluster.clock() * 1000) / 1000  # a kubelet tells milliseconds
        running = [pod for pod in self.cluster.all(PODS) if pod.object["status"].get("phase") == "Running"]
        carrying = [pod for pod in running if _carries(pod)]
        for pod in running:
            share = self.load / len(carrying) if _carries(pod) else 0.0
            before = self._spent.get(pod.meta["uid"], _Spent(0.0, now))
            spent = before.seconds + (share + IDLE) * (now - before.at)
            self._spent[pod.meta["uid"]] = _Spent(spent, now)

    def _expose(self, path: str, query: Mapping[str, str]) -> bytes:
        if self.down:
            raise Unavailable(503, "ServiceUnavailable", "dial tcp: connection refused")
        node = path.removeprefix(NODES_PATH).partition("/")[0]
        self._advance()
        lines = []
        for pod in self.cluster.all(PODS, field_selector=f"spec.nodeName={node}"):
            spent = self._spent.get(pod.meta["uid"])
            if spent is None or pod.object["status"].get("phase") != "Running":
                continue
            for container in pod.object["spec"]["containers"]:
                labels = f'container="{container["name"]}",namespace="{pod.meta["namespace"]}",pod="{pod.meta["name"]}"'
                at = round(spent.at * 1000)
                lines += [
                    f"container_cpu_usage_seconds_total{{{labels}}} {spent.seconds!r} {at}",
                    f"container_memory_working_set_bytes{{{labels}}} {64 * 1024**2} {at}",
                ]
        return ("\n".join(lines) + "\n").encode()


def _carries(pod: Stored) -> bool:
    going = pod.meta.get("deletionTimestamp")
    return is_ready(pod.object) and pod.meta.get("labels", {}).get(LABEL_SERVING) == "true" and not going
