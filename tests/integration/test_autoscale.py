"""Apps whose size follows a metric, on a real control plane: what the API server keeps of a size, a real server on a socket, and
upstream's HorizontalPodAutoscaler beside it. KWOK answers for kubelets, so cpu and memory are for the end-to-end tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.core.conditions import find
from support.backend import Backend
from support.crds import install
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.team import JSON, Team, gathered
from support.waiting import eventually

JOBS: JSON = {
    "external": {
        "metric": {"name": "jobs"},
        "averageValue": 10,
        "from": {"prometheus": {"query": 'sum(jobs{app="$(app)"})'}},
    }
}
AT_ONCE: JSON = {"scaleDown": {"stabilizationWindowSeconds": 1}}


@pytest.fixture(scope="module")
def plane(backend: Backend) -> Iterator[Lab]:
    with whole_lab("autoscale", kcm_args="--horizontal-pod-autoscaler-sync-period=2s") as lab:
        install(lab)
        with Operator(lab, gate_allow="127.0.0.0/8", gate_prometheus=backend.address):
            yield lab


@pytest.fixture(scope="module", autouse=True)
def unmeasured(plane: Lab) -> Iterator[Team]:
    """An App by cpu, which nobody serves. That is told half a minute after its first look, so it begins before the others."""
    with gathered(plane) as team:
        team.run(replicas=2, autoscale={"max": 4})
        yield team


@pytest.fixture(autouse=True)
def _well(backend: Backend) -> None:
    backend.value = "5"


def scaled(team: Team, **fields: Any) -> None:
    autoscale = {"min": 1, "max": 6, "metrics": [JOBS], "behavior": AT_ONCE, **fields}
    team.run(replicas=1, autoscale=autoscale)


def comes_to(team: Team, count: int) -> None:
    def there() -> bool:
        status = team.shop()["status"]
        return bool(status.get("autoscale", {}).get("replicas") == count == status.get("readyReplicas"))

    eventually(there)
    assert len(team.pods()) == count


def condition(team: Team, reason: str) -> JSON:
    """The App's, once it has this reason."""

    def found() -> JSON:
        return find(team.shop()["status"].get("conditions", ()), "Autoscaling") or {}

    eventually(lambda: found().get("reason") == reason)
    return found()


def test_a_queue_brings_pods_and_its_end_takes_them(team: Team, backend: Backend) -> None:
    scaled(team)
    backend.value = "38"
    comes_to(team, 4)
    assert team.condition("Autoscaling")["message"] == "jobs 38 of 10 for each pod → 4"
    backend.value = "5"
    comes_to(team, 1)

    app = team.shop()
    assert app["spec"]["replicas"] == 1, "the spec is its author's"
    assert [change["to"] for change in app["status"]["autoscale"]["changes"]] == [1, 4]
    assert "4" in team.kubectl("get", "fapp", "shop", "-o", "jsonpath={.status.autoscale.changes[0].from}")

    def told() -> str:
        found = [event for event in team.get("events")["items"] if event["reason"] == "Autoscaled"]
        return " ".join(event["message"] for event in found)

    eventually(lambda: "Scaled from 1 to 4 pods: jobs 38" in told())
    scale = json.loads(
        team.kubectl("get", "--raw", f"/apis/fairlead.dev/v1alpha1/namespaces/{team.name}/apps/shop/scale")
    )
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (1, 1)


def test_trust_15_a_backend_that_dies_keeps_the_size_and_says_why(team: Team, backend: Backend) -> None:
    scaled(team, min=0)
    backend.value = "25"
    comes_to(team, 3)
    backend.value = None
    said = condition(team, "MetricsUnavailable")

    assert said["status"] == "False"
    assert "jobs: 127.0.0.1:" in said["message"] and "answered 503 (since " in said["message"]
    assert team.shop()["status"]["autoscale"]["replicas"] == 3
    backend.value = "15"
    comes_to(team, 2)


def test_a_scale_by_hand_is_held_for_its_time(team: Team) -> None:
    scaled(team, holdSeconds=600)
    condition(team, "Followed")
    team.kubectl("scale", "fapp/shop", "--replicas=4")
    held = condition(team, "Held")

    assert held["message"].startswith("held at 4 by kubectl, which scaled the App at ")
    assert "; else it would be 1: jobs 5 of 10" in held["message"]
    comes_to(team, 4)
    team.patch({"autoscale": {"holdSeconds": 1}})
    comes_to(team, 1)


def test_trust_25_upstreams_autoscaler_beside_it_changes_nothing_and_is_told(team: Team) -> None:
    scaled(team)
    comes_to(team, 1)
    target = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "name": "shop"}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}
    team.apply(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"}, "spec": spec}
    )
    eventually(lambda: team.shop()["spec"]["replicas"] == 3)
    eventually(lambda: "a HorizontalPodAutoscaler scales this App too" in team.condition("Autoscaling")["message"])

    assert team.shop()["status"]["autoscale"]["replicas"] == 1
    assert len(team.pods()) == 1


def test_an_app_without_a_metrics_server_says_what_to_do(unmeasured: Team) -> None:
    said = condition(unmeasured, "MetricsUnavailable")

    assert "install metrics-server, or let kubelets be read" in said["message"]
    assert len(unmeasured.pods()) == 2
