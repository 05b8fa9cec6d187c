"""An autoscaled App while its operator is killed, and with a real metrics-server."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Given, Operator, Scene, Then, loads
from e2e.dsl.metrics_server import METRICS_SERVER
from e2e.dsl.operator import KUBELETS, METRICS_API
from e2e.dsl.scaling import CPU, loaded, scaling, size
from fairlead.core.meta import API_VERSION

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
    report = traffic.stop()

    assert history.fewest_ready == 3
    assert not history.new()
    assert report.lost == 0, report
    size(then, 1)


@pytest.fixture(scope="module")
def _by_metrics_server(operator: Operator) -> Iterator[None]:
    METRICS_SERVER.start(operator.cluster)
    operator.install(resource_metrics=(METRICS_API,))
    yield
    operator.install(resource_metrics=(KUBELETS, METRICS_API))
    METRICS_SERVER.remove(operator.cluster)


def test_should_scale_from_1_pod_to_3_pods_by_what_metrics_server_serves(
    _by_metrics_server: None, given: Given, then: Then, scene: Scene
) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=SCALING))
    traffic = loaded(scene, rate=60)
    size(then, 3)
    traffic.stop()
    size(then, 1)


def test_custom_resource_definition_should_scale_with_a_crd_target_ref(
    _by_metrics_server: None, given: Given, then: Then, scene: Scene
) -> None:
    """Upstream's own autoscaler, on an App without one."""
    given.a_ready_app(loads.working(scene.image, replicas=1))
    target = {"apiVersion": API_VERSION, "kind": "App", "name": scene.name}
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    upstreams = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": scene.name},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": resource}]},
    }
    scene.cluster.apply(upstreams, namespace=scene.namespace)
    traffic = loaded(scene, rate=60)

    then.pods_ready(3, 300)
    traffic.stop()
    assert scene.app()["spec"]["replicas"] == 3, "where upstream's autoscaler writes it"
