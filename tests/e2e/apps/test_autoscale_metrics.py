"""Apps whose size follows what their pods, a server, a real Prometheus or an adapter of the metrics APIs tell."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.dsl import Cluster, Given, Scene, Then, When, loads, metrics_adapter, prometheus
from e2e.dsl.metrics_adapter import ADAPTER
from e2e.dsl.scaling import WITHIN, autoscaling, loaded, scaling, size, unloaded
from fairlead.core.conditions import find

pytestmark = pytest.mark.slow


def test_the_pods_own_metrics_decide_by_requests_a_second(given: Given, then: Then, scene: Scene) -> None:
    metric = {
        "pods": {"metric": {"name": "shop_requests_total"}, "averageValue": 10, "from": {"scrape": {"port": "http"}}}
    }
    given.a_ready_app(loads.working(scene.image, env={"BUSY": "0"}, autoscale=scaling(metric, max=4)))

    traffic = loaded(scene, rate=30)
    size(then, 3)
    unloaded(scene, traffic)
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
    # The pod that comes says another number: what counts is what was said with the decision.
    told = then.status(lambda status: status if status["autoscale"]["replicas"] == 2 else None, WITHIN)
    said = find(told["conditions"], "Autoscaling")
    assert said and "jobs 15 of 10 for each pod → 2" in said["message"]


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
    with ADAPTER.running(cluster):
        ADAPTER.until_serving(cluster)
        yield


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
