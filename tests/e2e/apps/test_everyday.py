"""What everybody does with an App on the first day, in kubectl's words."""

import json
import re

import pytest
import yaml

from e2e.dsl import Given, Operator, Scene, Then, When, apps
from support.commands import REPOSITORY

EXAMPLES = [
    body["metadata"]["name"]
    for path in sorted((REPOSITORY / "examples").glob("*.yaml"))
    for body in yaml.safe_load_all(path.read_text())
    if body["kind"] == "App"
]


def test_every_example_is_applied_and_becomes_ready(scene: Scene) -> None:
    scene.kubectl("apply", "-f", str(REPOSITORY / "examples"))

    scene.kubectl("wait", "--for=condition=Ready", "fapp", "--all", "--timeout=120s")

    # One App may have several: shop-guarded is the next step of shop.
    assert {one["metadata"]["name"] for one in scene.get("fapp")["items"]} == set(EXAMPLES)


def test_kubectl_shows_an_app_in_one_line(given: Given, then: Then, scene: Scene) -> None:
    given.a_ready_app(apps.web(replicas=2))
    then.phases({1: "Active"})

    head, line = scene.kubectl("get", "fapp").splitlines()

    assert head.split() == ["NAME", "DESIRED", "READY", "UPDATED", "AVAILABLE", "REVISION", "STATUS", "AGE"]
    assert line.split()[:7] == ["shop", "2", "2", "2", "2", "1", "Ready"]
    number, phase, replicas = scene.kubectl("get", "frev", "--no-headers").split()[2:5]
    assert (number, phase, replicas) == ("1", "Active", "2")
    assert scene.kubectl("get", "fairlead", "-o", "name").split()[0] == "app.fairlead.dev/shop"


@pytest.mark.parametrize(
    "field", ["maxSurge", "maxUnavailable", "progressDeadlineSeconds", "paused", "undoTo", "restartAt"]
)
def test_kubectl_explains_every_field_of_a_rollout(operator: Operator, field: str) -> None:
    said = operator.cluster.kubectl("explain", f"app.spec.rollout.{field}", "--api-version=fairlead.dev/v1alpha1")

    description = re.sub(r"\s+", " ", said.partition("DESCRIPTION:")[2]).strip()
    assert len(description) > 60, said


def test_kubectl_scales_an_app_to_nothing_and_back(given: Given, when: When, then: Then, scene: Scene) -> None:
    given.a_ready_app(apps.idle(replicas=2))

    when.scaled_to(4)
    then.pods_ready(4)
    when.scaled_to(0)
    then.gone()
    then.ready()
    when.scaled_to(1)
    then.pods_ready(1)

    assert scene.get("fapp", "shop")["status"]["revision"] == 1


def test_an_autoscaler_of_the_cluster_scales_an_app(given: Given, then: Then, scene: Scene) -> None:
    """Upstream's HorizontalPodAutoscaler finds the App's scale and its pods. Without a metrics server it still keeps to its
    bounds, so these are what moves the App here."""
    given.a_ready_app(apps.idle(replicas=1))

    scene.cluster.apply(_autoscaler(3, 5), namespace=scene.namespace)
    then.pods_ready(3)
    scene.cluster.apply(_autoscaler(1, 2), namespace=scene.namespace)
    then.pods_ready(2)

    status = scene.cluster.until("horizontalpodautoscalers", _measured, 120, namespace=scene.namespace)
    conditions = {one["type"]: one for one in status["conditions"]}
    assert conditions["AbleToScale"]["status"] == "True"
    # It got as far as asking for metrics of the selected pods: the selector was read and understood.
    assert conditions["ScalingActive"]["reason"] == "FailedGetResourceMetric"
    assert status["currentReplicas"] == 2
    fields = scene.get("fapp", "shop", "--show-managed-fields")["metadata"]["managedFields"]
    assert "kube-controller-manager" in {one["manager"] for one in fields if one.get("subresource") == "scale"}


def _autoscaler(least: int, most: int) -> apps.JSON:
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    target = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "name": "shop"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "shop"},
        "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, "metrics": [cpu]},
    }


def _measured(found: list[apps.JSON]) -> apps.JSON:
    """Its status once it has tried to measure with the newest bounds."""
    status: apps.JSON = found[0].get("status", {})
    types = {one["type"] for one in status.get("conditions", ())}
    settled = status.get("currentReplicas") == status.get("desiredReplicas") == 2
    return status if settled and "ScalingActive" in types else {}


def test_the_command_line_tells_programs_what_it_tells_people(given: Given, when: When) -> None:
    given.a_ready_app(apps.idle(replicas=2))

    told = when.fairlead("status", "shop", "-o", "json")

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["verdict"] == "Done"
    assert "shop" in when.fairlead("status").stdout
    assert when.fairlead("tree", "shop").stdout.count("Pod/shop-") == 2
