"""Upstream's e2e scenarios (test/e2e/autoscaling/horizontal_pod_autoscaling*.go), restated by name in virtual time: a load, pods
that share it, and a look every five seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fairlead.autoscale.history import State
from fairlead.autoscale.model import (
    Autoscale,
    Behavior,
    ContainerResourceMetric,
    ExternalMetric,
    Identifier,
    Load,
    Metric,
    PodsMetric,
    Policy,
    Reading,
    Requests,
    ResourceMetric,
    Rules,
    Sample,
    Seen,
)
from fairlead.autoscale.plan import decide
from fairlead.autoscale.testing import cpu

START, PERIOD = 1_000_000.0, 5
AT_ONCE = Rules(0)
REQUESTS = Requests({"app": {"cpu": 500, "memory": 500_000}, "sidecar": {"cpu": 500, "memory": 500_000}})


@dataclass
class World:
    """An App whose pods share a load evenly; `source` says what a metric's source does of it. New pods take `boot` seconds."""

    spec: Autoscale
    size: int
    load: float  # in thousandths, of whatever is measured
    boot: int = 0
    broken: bool = False
    now: float = START
    state: State = field(default_factory=State)
    born: list[float] = field(default_factory=list)
    source: Callable[[World, Metric, tuple[Load, ...]], Reading] | None = None

    def __post_init__(self) -> None:
        self.born = [START - 10_000] * self.size
        self.state = State(self.size)

    def look(self) -> int:
        """One decision; the pods follow."""
        pods = tuple(self._pod(f"p{number}", born) for number, born in enumerate(self.born))
        readings = tuple(self._reading(metric, pods) for metric in self.spec.metrics)
        told = decide(self.spec, self.state, Seen(self.size, self.size, 1, pods, readings), self.now)
        self.state, self.size = told.state, told.replicas
        self.born = [*self.born[: self.size], *[self.now] * (self.size - len(self.born))]
        self.now += PERIOD
        return self.size

    def until(self, seconds: float) -> Iterator[tuple[float, int]]:
        """Looks, and each size there was, for so long."""
        end = self.now + seconds
        while self.now < end:
            began = self.now
            yield began - START, self.look()

    def run(self, seconds: float) -> list[int]:
        return [size for _, size in self.until(seconds)]

    def _pod(self, name: str, born: float) -> Load:
        ready = self.now >= born + self.boot
        phase, changed = ("Running", born + self.boot) if ready else ("Pending", born)
        return Load(name, phase, "True" if ready else "False", changed, born, requests=REQUESTS)

    def _reading(self, metric: Metric, pods: tuple[Load, ...]) -> Reading:
        if self.broken:
            return Reading(error="no answer")
        if self.source:
            return self.source(self, metric, pods)
        if metric.beyond_pods:
            return Reading(values=(self.load,))
        running = [pod for pod in pods if pod.phase == "Running"]
        return Reading({pod.name: Sample(self.load / len(running), self.now, 5.0) for pod in running})


def changes(world: World, seconds: float) -> list[tuple[float, int]]:
    """The sizes one after the other, each with the seconds since the start at which it came."""
    found: list[tuple[float, int]] = []
    before = world.size
    for at, size in world.until(seconds):
        if size != before:
            found.append((at, size))
        before = size
    return found


def limits(**fields: Any) -> Autoscale:
    said: dict[str, Any] = {"max": 5, "metrics": (cpu(20),), "behavior": Behavior(scale_down=AT_ONCE)}
    return Autoscale(**(said | fields))


# ---------------------------------------------------------------- horizontal_pod_autoscaling.go

BY_METRIC = [
    pytest.param(cpu(20), id="pod cpu, utilization"),
    pytest.param(Metric(resource=ResourceMetric("cpu", average_value="200m")), id="pod cpu, average value"),
    pytest.param(Metric(resource=ResourceMetric("memory", average_value="200")), id="pod memory, average value"),
    pytest.param(
        Metric(container_resource=ContainerResourceMetric("cpu", average_utilization=40, container="app")),
        id="container cpu",
    ),
]


@pytest.mark.parametrize("metric", BY_METRIC)
def test_should_scale_from_1_pod_to_3_pods_and_then_from_3_pods_to_5_pods(metric: Metric) -> None:
    unit = 1000 if metric.resource and metric.resource.name == "memory" else 1
    world = World(limits(metrics=(metric,)), 1, 500 * unit)
    assert world.run(60)[-1] == 3
    world.load = 1400 * unit
    assert world.run(60)[-1] == 5


@pytest.mark.parametrize("metric", BY_METRIC)
def test_should_scale_from_5_pods_to_3_pods_and_then_from_3_pods_to_1_pod(metric: Metric) -> None:
    unit = 1000 if metric.resource and metric.resource.name == "memory" else 1
    world = World(limits(metrics=(metric,)), 5, 550 * unit)
    assert world.run(60)[-1] == 3
    world.load = 20 * unit
    assert world.run(60)[-1] == 1


def test_should_scale_up_with_pods_that_take_long_to_start_and_not_beyond() -> None:
    """A minute to start: the load is spread over them before it is measured, so none is asked for twice."""
    world = World(limits(max=50), 1, 900, boot=60)
    assert max(world.run(600)) == 5


def sidecar(world: World, metric: Metric, pods: tuple[Load, ...]) -> Reading:
    """The app's container has the load, and the sidecar next to none."""
    share = world.load / len(pods)
    used = share if metric.container_resource else share + 1
    return Reading({pod.name: Sample(used, world.now, 5.0) for pod in pods})


def test_should_scale_up_from_1_pod_to_3_pods_on_a_busy_application_with_an_idle_sidecar_container() -> None:
    by_container = Metric(container_resource=ContainerResourceMetric("cpu", average_utilization=20, container="app"))
    assert World(limits(metrics=(by_container,)), 1, 250, source=sidecar).run(60)[-1] == 3
    assert World(limits(metrics=(cpu(20),)), 1, 250, source=sidecar).run(60)[-1] == 2  # which is what the sidecar hides


def test_should_not_scale_up_on_a_busy_sidecar_with_an_idle_application() -> None:
    by_container = Metric(container_resource=ContainerResourceMetric("cpu", average_utilization=20, container="app"))
    world = World(
        limits(metrics=(by_container,)),
        1,
        900,
        source=lambda world, metric, pods: Reading({pod.name: Sample(1.0, world.now, 5.0) for pod in pods}),
    )
    assert set(world.run(60)) == {1}


# ---------------------------------------------------------------- horizontal_pod_autoscaling_behavior.go


def test_with_short_downscale_stabilization_window_should_scale_down_soon_after_the_stabilization_period() -> None:
    world = World(limits(behavior=Behavior(AT_ONCE, Rules(60))), 3, 600)
    assert set(world.run(30)) == {3}
    world.load = 200
    # the last look that wanted three was 25 seconds after the start
    assert changes(world, 300) == [(25 + 60, 1)]


def test_with_long_upscale_stabilization_window_should_scale_up_only_after_the_stabilization_period() -> None:
    world = World(limits(behavior=Behavior(Rules(180), AT_ONCE)), 2, 400)
    assert set(world.run(30)) == {2}
    world.load = 800
    assert changes(world, 300) == [(25 + 180, 4)]


def test_with_autoscaling_disabled_shouldnt_scale_up() -> None:
    world = World(limits(behavior=Behavior(scale_up=Rules(select_policy="Disabled"))), 1, 5000)
    assert set(world.run(600)) == {1}


def test_with_autoscaling_disabled_shouldnt_scale_down() -> None:
    world = World(limits(behavior=Behavior(scale_down=Rules(select_policy="Disabled"))), 3, 10)
    assert set(world.run(1200)) == {3}


def test_with_scale_limited_by_number_of_pods_rate_should_scale_up_no_more_than_given_number_of_pods_per_minute() -> (
    None
):
    limited = Behavior(scale_up=Rules(policies=(Policy("Pods", 1, 60),)))
    assert changes(World(limits(behavior=limited), 1, 1000), 300) == [(0, 2), (60, 3), (120, 4), (180, 5)]


def test_with_scale_limited_by_number_of_pods_rate_should_scale_down_no_more_than_given_number_of_pods_per_minute() -> (
    None
):
    limited = Behavior(scale_down=Rules(0, policies=(Policy("Pods", 1, 60),)))
    assert changes(World(limits(behavior=limited, min=2), 5, 100), 300) == [(0, 4), (60, 3), (120, 2)]


def test_with_scale_limited_by_percentage_should_scale_up_no_more_than_given_percentage_per_minute() -> None:
    limited = Behavior(scale_up=Rules(policies=(Policy("Percent", 50, 60),)))
    assert changes(World(limits(max=9, behavior=limited), 2, 9000), 300) == [(0, 3), (60, 5), (120, 8), (180, 9)]


def test_with_scale_limited_by_percentage_should_scale_down_no_more_than_given_percentage_per_minute() -> None:
    limited = Behavior(scale_down=Rules(0, policies=(Policy("Percent", 25, 60),)))
    assert changes(World(limits(max=9, behavior=limited), 7, 10), 300)[:2] == [(0, 5), (60, 3)]


def test_with_both_scale_up_and_down_controls_configured_should_keep_recommendation_within_the_range_over_two_windows() -> (
    None
):
    """Up waits 60 s, down 120 s. A dip of less than that is not followed, and a peak is not, either."""
    world = World(limits(behavior=Behavior(Rules(60), Rules(120))), 3, 600)
    assert set(world.run(130)) == {3}
    world.load = 200
    assert set(world.run(90)) == {3}
    world.load = 1000
    assert set(world.run(50)) == {3}
    world.load = 600
    assert set(world.run(300)) == {3}


def test_with_both_controls_configured_should_keep_recommendation_within_the_range_with_window_and_pod_limit() -> None:
    both = Behavior(Rules(policies=(Policy("Pods", 1, 60),)), Rules(60))
    world = World(limits(behavior=both), 2, 900)
    assert world.run(30)[-1] == 3  # one more, though five are wanted
    world.load = 300
    assert [size for _, size in changes(world, 120)] == [2]


# ---------------------------------------------------------------- custom_metrics_stackdriver_autoscaling.go, autoscaling_utils.go


def external(**fields: Any) -> Metric:
    return Metric(external=ExternalMetric(Identifier("queue_length"), **fields))


def test_should_scale_down_to_0_and_up_again() -> None:
    world = World(limits(min=0, metrics=(external(average_value=10),)), 3, 0)
    assert world.run(30)[-1] == 0
    assert world.state.to_zero
    world.load = 25_000
    assert world.run(30)[-1] == 3


def test_should_not_scale_down_when_one_metric_is_missing() -> None:
    metrics = (cpu(20), external(average_value=10))
    world = World(limits(metrics=metrics), 3, 10)
    world.source = lambda world, metric, pods: (
        Reading(error="no such metric")
        if metric.beyond_pods
        else Reading({pod.name: Sample(3, world.now, 5) for pod in pods})
    )
    assert set(world.run(600)) == {3}


def test_should_scale_up_when_one_metric_is_missing() -> None:
    metrics = (cpu(20), external(average_value=10))
    world = World(limits(metrics=metrics), 1, 10)
    world.source = lambda world, metric, pods: (
        Reading(error="no such metric")
        if metric.beyond_pods
        else Reading({pod.name: Sample(300, world.now, 5) for pod in pods})
    )
    assert world.run(600)[-1] == 5


def test_should_scale_by_the_value_of_the_pods() -> None:
    world = World(limits(metrics=(Metric(pods=PodsMetric(Identifier("hits"), 10)),)), 1, 45_000)
    assert world.run(60)[-1] == 5


def test_trust_15_a_dead_source_keeps_the_size_for_as_long_as_it_is_dead() -> None:
    world = World(limits(), 4, 800)
    assert set(world.run(60)) == {4}
    world.broken, world.load = True, 0
    assert set(world.run(3600)) == {4}
    world.broken = False
    assert world.run(60)[-1] == 1
