"""Who looks at an App: what one look asks the cluster for."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from fairlead.autoscale.controller import Autoscaler, Memory
from fairlead.autoscale.model import Metric, ResourceMetric
from fairlead.autoscale.reader import Reader
from fairlead.autoscale.report import AutoscaleObserved, Look
from fairlead.autoscale.testing import autoscale, autoscaled, cpu, decided, reading_of
from fairlead.autoscale.vertical.model import Vertical
from fairlead.core.meta import JSON
from fairlead.gates.guard import Guard
from fairlead.gates.probe import NetworkProber
from fairlead.kube.errors import Unavailable
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.plugins import registry
from fairlead.rollout.testing import make_pods

PODS = make_pods(
    2, resources=b'{"containers":[{"name":"web","resources":{"requests":{"cpu":"500m","memory":"64Mi"}}}]}'
)
MEMORY = Metric(resource=ResourceMetric("memory", average_utilization=60))


class Metrics:
    """A metrics-server. Each time it is asked all pods use a little more."""

    def __init__(self, *, down: bool = False) -> None:
        cluster = FakeCluster(lambda: 0.0)
        cluster.behind["/apis/metrics.k8s.io/"] = self._told
        self.client = FakeClient(cluster, "operator")
        self.asked = 0
        self._down = down

    def _told(self, path: str, query: Mapping[str, str]) -> bytes:
        self.asked += 1
        if self._down:
            raise Unavailable(503, "ServiceUnavailable", "no endpoints")
        return msgspec.json.encode({"items": [self._item(pod.name) for pod in PODS]})

    def _item(self, name: str) -> JSON:
        usage = {"cpu": f"{200 + self.asked}m", "memory": "64Mi"}
        return {"metadata": {"name": name}, "window": "15s", "containers": [{"name": "web", "usage": usage}]}


def autoscaler(memory: Memory) -> Autoscaler:
    return Autoscaler(Reader(registry.load(registry.METRIC_SOURCES), NetworkProber(Guard())), memory)


def advised_app() -> AutoscaleObserved:
    """An App that is scaled by cpu and memory, whose containers have not been advised about yet."""
    spec = autoscale(metrics=(cpu(60), MEMORY), resources=Vertical())
    return AutoscaleObserved(autoscaled(2, spec=spec), PODS)


async def test_a_look_reads_what_pods_use_once_also_where_advice_is_due() -> None:
    metrics, memory, observed = Metrics(), Memory(), advised_app()
    await autoscaler(memory).run(Look(observed, at=100.0), metrics.client)

    course = memory.of(observed.app)
    assert course is not None and course.advice is not None
    assert [reading.error for reading in course.readings] == ["", ""]
    assert list(course.advice.watched.histories) == ["web"]
    assert metrics.asked == 1


@pytest.mark.looptime
async def test_a_look_at_which_nobody_answers_does_not_ask_a_second_time_for_advice() -> None:
    metrics, memory, observed = Metrics(down=True), Memory(), advised_app()
    await autoscaler(memory).run(Look(observed, at=100.0), metrics.client)

    course = memory.of(observed.app)
    assert course is not None and course.advice is None
    assert metrics.asked == 1


async def test_where_the_last_readings_are_still_good_pods_are_read_for_advice_alone() -> None:
    """Somebody has changed the spec: that is decided about without a metric being read."""
    metrics, memory = Metrics(), Memory()
    spec, readings = autoscale(metrics=(cpu(60),), resources=Vertical()), (reading_of((), 0.0),)
    course = decided(2, "", at=99, metrics=spec.metrics, readings=readings)
    observed = AutoscaleObserved(autoscaled(2, spec=spec, generation=2), PODS, course=course)
    await autoscaler(memory).run(Look(observed, at=100.0), metrics.client)

    noted = memory.of(observed.app)
    assert noted is not None and noted.readings == readings and noted.advice is not None
    assert metrics.asked == 1
