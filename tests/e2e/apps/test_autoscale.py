"""Apps whose size follows what their pods really do, by real kubelets and a real Prometheus. The names of upstream's scenarios
(test/e2e/autoscaling/horizontal_pod_autoscaling*.go) are those of the tests here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.dsl import Cluster, Given, Scene, Then, When, loads, metrics_adapter, prometheus
from e2e.dsl.metrics_adapter import ADAPTER
from e2e.dsl.traffic import Traffic
from support import figures

JSON = dict[str, Any]

SOON: JSON = {"scaleDown": {"stabilizationWindowSeconds": 15}}
CPU: JSON = {"resource": {"name": "cpu", "averageUtilization": 50}}  # 100m for each pod
WITHIN = 300.0


def scaling(*metrics: JSON, **fields: Any) -> JSON:
    return {"min": 1, "max": 5, "metrics": list(metrics), "behavior": SOON, **fields}


def size(then: Then, count: int, within: float = WITHIN) -> None:
    """The App has come to so many pods, and they are ready."""
    began = time.monotonic()
    then.status(lambda status: status.get("autoscale", {}).get("replicas") == count, within)
    decided = time.monotonic() - began
    then.pods_ready(count, within)
    figures.tell(f"autoscale to {count}: decided after {decided:.1f} s, ready after {time.monotonic() - began:.1f} s")


def autoscaling(scene: Scene) -> str:
    conditions = scene.app()["status"]["conditions"]
    return next(str(one["message"]) for one in conditions if one["type"] == "Autoscaling")


def loaded(scene: Scene, rate: float) -> Traffic:
    traffic = Traffic(scene.cluster, scene.namespace, scene.image)
    traffic.start(scene.url, rate=rate)
    return traffic


def test_should_scale_from_1_pod_to_5_pods_and_back_to_1_by_pod_cpu(given: Given, then: Then, scene: Scene) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=scaling(CPU)))
    size(then, 1)

    traffic = loaded(scene, rate=60)  # 480m and more, where each pod is to have 100m
    size(then, 5)
    assert "cpu " in autoscaling(scene)
    traffic.until_answered(600)
    report = traffic.stop()
    size(then, 1)

    assert report.lost == 0, report
    assert len(report.answers) == 5, "all of them had work"
    app = scene.app()
    assert app["spec"]["replicas"] == 1, "the spec is the user's"
    assert app["status"]["autoscale"]["changes"][0]["to"] == 1
    assert then.event("Autoscaled")


def test_should_scale_from_1_pod_to_3_pods_by_container_cpu(given: Given, then: Then, scene: Scene) -> None:
    metric = {"containerResource": {"name": "cpu", "container": "web", "averageUtilization": 50}}
    given.a_ready_app(loads.working(scene.image, autoscale=scaling(metric, max=3)))

    loaded(scene, rate=60)
    size(then, 3)


def test_should_not_scale_up_on_a_busy_sidecar_with_an_idle_application(given: Given, then: Then, scene: Scene) -> None:
    metric = {"containerResource": {"name": "cpu", "container": "web", "averageUtilization": 50}}
    app = loads.working(scene.image, autoscale=scaling(metric))
    given.a_ready_app(loads.with_sidecar(app, {"PORT": "8081", "ALWAYS": "0.3"}))

    # The sidecar uses more than half of what both request: as a metric of the pods it would scale.
    then.condition("Autoscaling", "True", "Followed")
    assert autoscaling(scene).startswith("cpu of container web ")
    assert scene.app()["status"]["autoscale"]["replicas"] == 1


def test_should_scale_from_1_pod_to_3_pods_by_memory(given: Given, then: Then, scene: Scene) -> None:
    """A pod that holds 100 Mi and may have 50: there is no size at which that ends but max."""
    metric = {"resource": {"name": "memory", "averageValue": "50Mi"}}
    given.an_app(loads.working(scene.image, env={"HOLD": "100"}, autoscale=scaling(metric, max=3)))

    size(then, 3)


def test_the_pods_own_metrics_decide_by_requests_a_second(given: Given, then: Then, scene: Scene) -> None:
    metric = {
        "pods": {"metric": {"name": "shop_requests_total"}, "averageValue": 10, "from": {"scrape": {"port": "http"}}}
    }
    given.a_ready_app(loads.working(scene.image, env={"BUSY": "0"}, autoscale=scaling(metric, max=4)))

    traffic = loaded(scene, rate=30)
    size(then, 3)
    traffic.stop()
    size(then, 1)


def test_a_queue_whose_length_a_server_answers_decides(given: Given, when: When, then: Then, scene: Scene) -> None:
    external = {
        "metric": {"name": "jobs"},
        "averageValue": 10,
        "from": {"http": {"path": "/jobs", "pointer": "/waiting"}},
    }
    given.a_ready_app(loads.working(scene.image, autoscale=scaling({"external": external})))
    then.condition("Autoscaling", "True")

    # Its own Service answers, so all its pods have to say the same.
    told = 'import urllib.request as u; u.urlopen(u.Request("http://localhost:8080/jobs/{}", method="PUT"))'
    for pod in scene.pods():
        scene.kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", told.format(15))
    then.status(lambda status: status["autoscale"]["replicas"] == 2, WITHIN)
    assert "jobs 15 of 10 for each pod → 2" in autoscaling(scene)


@pytest.fixture(scope="module")
def _image(cluster: Cluster) -> None:
    prometheus.load(cluster)


def test_a_prometheus_query_decides_and_its_death_holds_the_size(
    given: Given, then: Then, scene: Scene, _image: None
) -> None:
    address = prometheus.start(scene.cluster, scene.namespace)
    asked = {"query": "sum(rate(shop_requests_total[10s]))", "address": address}
    external = {"metric": {"name": "requests"}, "averageValue": 10, "from": {"prometheus": asked}}
    given.a_ready_app(loads.working(scene.image, env={"BUSY": "0"}, autoscale=scaling({"external": external}, max=4)))

    traffic = loaded(scene, rate=25)
    size(then, 3)
    scene.kubectl("delete", "pod/prometheus", "--now")
    said = then.condition("Autoscaling", "False", "MetricsUnavailable")
    traffic.stop()

    assert "requests: prometheus." in said["message"]
    assert scene.app()["status"]["autoscale"]["replicas"] == 3
    assert len(scene.pods()) == 3, "and never fewer for it"


@pytest.fixture(scope="module")
def _adapter(cluster: Cluster) -> Iterator[None]:
    ADAPTER.start(cluster)
    yield
    ADAPTER.remove(cluster)


def test_custom_and_external_metrics_of_an_adapter_decide(
    _adapter: None, given: Given, when: When, then: Then, scene: Scene
) -> None:
    """One App after the other by metrics of pods, of an object, and of neither."""
    by_pods = {"pods": {"metric": {"name": "jobs_running"}, "averageValue": 10}}
    shop = {"apiVersion": "v1", "kind": "Service", "name": "shop"}
    by_object = {"object": {"describedObject": shop, "metric": {"name": "backlog"}, "averageValue": 10}}
    external = {"external": {"metric": {"name": metrics_adapter.EXTERNAL}, "averageValue": 20}}
    given.a_ready_app(loads.working(scene.image, autoscale=scaling(by_pods)))

    (pod,) = scene.pods()
    metrics_adapter.write(scene, f"pods/{pod['metadata']['name']}", "jobs_running", 25)
    size(then, 3)
    assert "jobs_running 25 of 10" in autoscaling(scene)

    metrics_adapter.write(scene, "services/shop", "backlog", 35)
    when.applied(loads.working(scene.image, autoscale=scaling(by_object)))
    size(then, 4)
    assert "backlog of Service/shop 35 of 10 for each pod → 4" in autoscaling(scene)

    when.applied(loads.working(scene.image, autoscale=scaling(external)))
    size(then, 3)
    assert f"{metrics_adapter.EXTERNAL} {metrics_adapter.EXTERNAL_VALUE} of 20 for each pod → 3" in autoscaling(scene)


def test_a_scale_by_hand_holds_whatever_the_load(given: Given, when: When, then: Then, scene: Scene) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=scaling(CPU, holdSeconds=30)))
    then.condition("Autoscaling", "True")

    when.scaled_to(3)
    held = then.condition("Autoscaling", "False", "Held")
    assert "held at 3 by kubectl" in held["message"]
    size(then, 3)
    why = when.fairlead("why", "shop")
    assert "held at 3 by kubectl" in why.stdout
    size(then, 1)


def test_a_canary_without_traffic_does_not_dilute_the_average(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    rollout = {
        "strategy": "Canary",
        "maxSurge": 2,
        "maxUnavailable": 0,
        "steps": [{"scale": {"replicas": 2}}, {"pause": {}}],
    }
    metric = {
        "pods": {"metric": {"name": "shop_requests_total"}, "averageValue": 10, "from": {"scrape": {"port": "http"}}}
    }
    given.a_ready_app(loads.working(scene.image, env={"BUSY": "0"}, rollout=rollout, autoscale=scaling(metric, max=4)))
    traffic = loaded(scene, rate=25)
    size(then, 3)

    changed = json.loads(json.dumps(scene.manifest))
    changed["spec"]["template"]["metadata"] = {"annotations": {"release": "2"}}
    when.applied(changed)
    then.pods_ready(5)  # three that serve, two that do not
    then.status(lambda status: status["rollout"].get("heldAt"))
    traffic.until_answered(500)
    assert scene.app()["status"]["autoscale"]["replicas"] == 3
    when.fairlead("promote", "shop")
    then.phases({1: "Retired", 2: "Active"}, WITHIN)
    traffic.stop()
