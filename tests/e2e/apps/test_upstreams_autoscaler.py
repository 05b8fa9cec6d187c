"""Upstream's HorizontalPodAutoscaler on an App without an autoscaler of its own: first where nobody serves metrics, then with a real
metrics-server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.dsl import Cluster, Given, Scene, Then, apps, loads
from e2e.dsl.metrics_server import METRICS_SERVER
from e2e.dsl.scaling import loaded
from fairlead.core.meta import API_VERSION

pytestmark = pytest.mark.slow

JSON = apps.JSON


def autoscaler(least: int, most: int, utilization: int) -> JSON:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": utilization}}
    target = {"apiVersion": API_VERSION, "kind": "App", "name": "shop"}
    bounds = {"minReplicas": least, "maxReplicas": most}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "shop"},
        "spec": {"scaleTargetRef": target, **bounds, "metrics": [{"type": "Resource", "resource": cpu}]},
    }


def test_an_autoscaler_of_the_cluster_scales_an_app(given: Given, then: Then, scene: Scene) -> None:
    """Upstream's HorizontalPodAutoscaler finds the App's scale and its pods. Without a metrics server it still keeps to its
    bounds, so these are what moves the App here."""
    given.a_ready_app(apps.idle(replicas=1))

    scene.cluster.apply(autoscaler(3, 5, 60), namespace=scene.namespace)
    then.pods_ready(3)
    scene.cluster.apply(autoscaler(1, 2, 60), namespace=scene.namespace)
    then.pods_ready(2)

    status = scene.cluster.until("horizontalpodautoscalers", _measured, 120, namespace=scene.namespace)
    conditions = {one["type"]: one for one in status["conditions"]}
    assert conditions["AbleToScale"]["status"] == "True"
    # It got as far as asking for metrics of the selected pods: the selector was read and understood.
    assert conditions["ScalingActive"]["reason"] == "FailedGetResourceMetric"
    assert status["currentReplicas"] == 2
    fields = scene.get("fapp", "shop", "--show-managed-fields")["metadata"]["managedFields"]
    assert "kube-controller-manager" in {one["manager"] for one in fields if one.get("subresource") == "scale"}


def _measured(found: list[JSON]) -> JSON:
    """Its status once it has tried to measure with the newest bounds."""
    status: JSON = found[0].get("status", {})
    types = {one["type"] for one in status.get("conditions", ())}
    settled = status.get("currentReplicas") == status.get("desiredReplicas") == 2
    return status if settled and "ScalingActive" in types else {}


@pytest.fixture(scope="module")
def _metrics_server(cluster: Cluster) -> Iterator[None]:
    with METRICS_SERVER.running(cluster):
        METRICS_SERVER.until_serving(cluster)
        yield


def test_custom_resource_definition_should_scale_with_a_crd_target_ref(
    _metrics_server: None, given: Given, then: Then, scene: Scene
) -> None:
    given.a_ready_app(loads.working(scene.image, replicas=1))
    scene.cluster.apply(autoscaler(1, 3, 50), namespace=scene.namespace)
    traffic = loaded(scene, rate=60)

    then.pods_ready(3, 300)
    traffic.stop()
    assert scene.app()["spec"]["replicas"] == 3, "where upstream's autoscaler writes it"
