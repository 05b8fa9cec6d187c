"""Apps whose size follows what their pods use, by real kubelets. The names of upstream's scenarios
(test/e2e/autoscaling/horizontal_pod_autoscaling*.go) are those of the tests here."""

from __future__ import annotations

import pytest

from e2e.dsl import Given, Scene, Then, When, loads
from e2e.dsl.scaling import CPU, autoscaling, loaded, scaling, size, unloaded

pytestmark = pytest.mark.slow


def test_should_scale_from_1_pod_to_5_pods_and_back_to_1_by_pod_cpu(given: Given, then: Then, scene: Scene) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=scaling(CPU)))
    size(then, 1)

    traffic = loaded(scene, rate=60)  # 480m and more, where each pod is to have 100m
    size(then, 5)
    assert "cpu " in autoscaling(scene)
    traffic.until_answered(600)
    report = unloaded(scene, traffic)
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


def test_a_scale_by_hand_holds_whatever_the_load(given: Given, when: When, then: Then, scene: Scene) -> None:
    given.a_ready_app(loads.working(scene.image, autoscale=scaling(CPU, holdSeconds=600)))
    then.condition("Autoscaling", "True")

    when.scaled_to(3)
    held = then.condition("Autoscaling", "False", "Held")
    assert "held at 3 by kubectl" in held["message"]
    size(then, 3)
    why = when.fairlead("why", "shop")
    assert "held at 3 by kubectl" in why.stdout
    scene.kubectl("patch", "fapp", scene.name, "--type=merge", "-p", '{"spec": {"autoscale": {"holdSeconds": 1}}}')
    size(then, 1)
