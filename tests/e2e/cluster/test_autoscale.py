"""An autoscaled App while its operator is killed, and with a real metrics-server."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Given, Operator, Scene, Then, loads
from e2e.dsl.metrics_server import METRICS_SERVER
from e2e.dsl.operator import KUBELETS, METRICS_API
from e2e.dsl.scaling import CPU, loaded, scaling, size, unloaded

SCALING = scaling(CPU, max=3)


@pytest.fixture(autouse=True)
def _left_as_found(operator: Operator) -> None:
    """Each test begins with both replicas ready."""
    operator.until_ready()


def test_a_killed_operator_keeps_the_size(operator: Operator, given: Given, then: Then, scene: Scene) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=SCALING))
    traffic = loaded(scene, rate=60)
    size(then, 3)

    with then.history() as history:
        operator.kill()
        operator.until_ready()
        traffic.until_answered(600)
        assert scene.app()["status"]["autoscale"]["replicas"] == 3
    report = unloaded(scene, traffic)

    assert history.fewest_ready == 3
    assert not history.new()
    assert report.lost == 0, report
    size(then, 1)


@pytest.fixture(scope="module")
def _by_metrics_server(operator: Operator) -> Iterator[None]:
    with METRICS_SERVER.running(operator.cluster):
        operator.install(resource_metrics=(METRICS_API,))
        METRICS_SERVER.until_serving(operator.cluster)
        yield
        operator.install(resource_metrics=(KUBELETS, METRICS_API))


def test_should_scale_from_1_pod_to_3_pods_by_what_metrics_server_serves(
    _by_metrics_server: None, given: Given, then: Then, scene: Scene
) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=SCALING))
    traffic = loaded(scene, rate=60)
    size(then, 3)
    unloaded(scene, traffic)
    size(then, 1)
