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


def test_the_command_line_tells_programs_what_it_tells_people(given: Given, when: When) -> None:
    given.a_ready_app(apps.idle(replicas=2))

    told = when.fairlead("status", "shop", "-o", "json")

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["verdict"] == "Done"
    assert "shop" in when.fairlead("status").stdout
    assert when.fairlead("tree", "shop").stdout.count("Pod/shop-") == 2
