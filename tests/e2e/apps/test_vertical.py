"""What containers should request, by what real kubelets measure, and how real kubelets have them request it.

An App's requests are looked at once in a minute. So the three of them begin together, in one namespace, and each test looks at its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from e2e.dsl import Given, Operator, Scene, Then, When, apps
from fairlead.core.quantity import milli

pytestmark = pytest.mark.slow

JSON = dict[str, Any]

_SERVE = "mkdir /www && cd /www && hostname > hostname && exec httpd -f -p 8080"
# One process that uses all the cpu it is let, beside the server.
_BUSY = "(while :; do :; done) & " + _SERVE


def app(name: str, script: str, resources: JSON, **requests: Any) -> JSON:
    """One pod. requests: what spec.autoscale.resources says."""
    made = apps.script(apps.web(name, replicas=1, autoscale={"min": 1, "max": 1, "resources": requests}), script)
    container = apps.container(made)
    container.pop("readinessProbe")  # at its limit it has nothing left to answer in time with
    container["resources"] = resources
    return made


def applying(name: str, script: str, resources: JSON, **allowed: JSON) -> JSON:
    """One pod that is to request what is recommended within these bounds."""
    return app(name, script, resources, mode="Apply", containers=[{"name": "web", **allowed}])


BUSY = app(
    "busy",
    _BUSY,
    {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
)
RESIZED = applying(
    "resized",
    _BUSY,
    {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
    maxAllowed={"cpu": "120m"},
)
TOO_BIG = applying("too-big", _SERVE, {"requests": {"cpu": "50m", "memory": "64Mi"}}, minAllowed={"cpu": 1000})


# What the kernel lets a container have, by either version of control groups: cpu in microseconds of 100 ms, and bytes.
_BOUNDS = (
    "cd /sys/fs/cgroup; if test -f cpu.max; then cut -d' ' -f1 cpu.max; cat memory.max; "
    "else cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes; fi"
)


def bounds(scene: Scene, pod: JSON) -> list[int]:
    """As the container itself sees them."""
    said = scene.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", _BOUNDS)
    return [int(line) for line in said.split()]


class First(NamedTuple):
    """How it begins: each App's pod, by its name, as a uid; and the bounds of the one that is to be resized."""

    pods: dict[str, str]
    bounds: list[int]


@pytest.fixture(scope="module")
def namespace(shared_namespace: str) -> str:
    return shared_namespace


@pytest.fixture(scope="module")
def first(operator: Operator, namespace: str) -> First:
    scenes = {}
    for made in (RESIZED, BUSY, TOO_BIG):
        scene = scenes[made["metadata"]["name"]] = Scene(operator.cluster, namespace, operator.image)
        Given(scene).an_app(made)
    pods = {name: Then(scene).pods_ready(1)[0] for name, scene in scenes.items()}
    uids = {name: pod["metadata"]["uid"] for name, pod in pods.items()}
    return First(uids, bounds(scenes["resized"], pods["resized"]))


def target(status: JSON) -> JSON:
    """What the first container should request, by status.autoscale.resources."""
    containers = (status.get("autoscale") or {}).get("resources", {}).get("containers") or [{}]
    found: JSON = containers[0].get("target") or {}
    return found


def test_what_a_busy_container_uses_is_recommended_for_it(first: First, when: When, then: Then, scene: Scene) -> None:
    """It may use a fifth of a core, and does: with the margin of 15 % and the end of the bucket some 240 thousandths. Of memory it has
    the server's alone, which is less than the least that is recommended."""
    scene.manifest = BUSY

    told = then.status(
        lambda status: found if milli((found := target(status)).get("cpu", 0)) > 150 and "memory" in found else None,
        180,
    )
    assert milli(told["cpu"]) < 400
    assert told["memory"] == "32Mi"
    assert "should request cpu" in when.fairlead("why", scene.name).stdout


def test_a_running_container_gets_what_is_recommended_without_a_restart(first: First, then: Then, scene: Scene) -> None:
    """It requests less memory than the least that is recommended, so it is settled at the first look; of cpu it may use twice of what it
    requests, before and after."""
    scene.manifest = RESIZED
    assert first.bounds == [10_000, 64 * 2**20]

    then.condition("RequestsApplied", "True", "Applied", within=240)
    (after,) = scene.pods()
    assert after["metadata"]["uid"] == first.pods[scene.name]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    limits = after["spec"]["containers"][0]["resources"]["limits"]
    assert milli(limits["cpu"]) > 100
    assert bounds(scene, after) == [milli(limits["cpu"]) * 100, milli(limits["memory"]) // 1000]
    assert scene.app()["status"]["revision"] == 1


def test_what_no_node_has_takes_no_pod_away(first: First, then: Then, scene: Scene) -> None:
    """Its kubelet says Infeasible, another pod is to take its place first, and there is no room for that one either: what serves stays."""
    scene.manifest = TOO_BIG

    said = then.condition("RequestsApplied", "False", "Following", within=240)["message"]
    assert "web requests cpu 1000" in said
    then.problem("Unschedulable", within=240)
    assert first.pods[scene.name] in {pod["metadata"]["uid"] for pod in scene.pods()}
    assert "0/" in then.problem("Unschedulable")["message"]
