"""Health gates with real kubelets: a Service has a pod when the pod itself says so."""

from __future__ import annotations

from typing import Any

from e2e.dsl import Given, Scene, Then, apps

JSON = dict[str, Any]

# Answers /hostname at once, and /warm when there is a file of that name.
_SERVER = "mkdir /www && cd /www && hostname > hostname && exec httpd -f -p 8080"


def served(slices: list[JSON]) -> set[str]:
    """The pods that the Service sends requests to."""
    return {
        endpoint["targetRef"]["name"]
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if endpoint["conditions"].get("ready")
    }


def until_served(scene: Scene, *pods: str) -> None:
    service = f"kubernetes.io/service-name={scene.name}"
    scene.cluster.until(
        "endpointslices", lambda found: served(found) == set(pods), 30, namespace=scene.namespace, labels=service
    )


def test_a_pod_is_in_the_service_when_its_own_answer_says_so_and_no_longer(
    given: Given, then: Then, scene: Scene
) -> None:
    warm = {"name": "warm", "intervalSeconds": 1, "failureThreshold": 2}
    health = {"gates": [warm | {"checks": [{"http": {"port": "http", "path": "/warm"}}]}]}
    made = apps.script(apps.web(replicas=2, health=health), _SERVER)
    apps.container(made)["readinessProbe"]["httpGet"]["path"] = "/hostname"
    given.an_app(made)

    problem = then.problem("HealthGateNotPassed")
    assert problem["message"] == "health gate warm: /warm answered 404"
    one, other = (pod["metadata"]["name"] for pod in scene.pods())
    until_served(scene)

    scene.kubectl("exec", one, "--", "touch", "/www/warm")
    until_served(scene, one)
    scene.kubectl("exec", other, "--", "touch", "/www/warm")
    then.ready()
    until_served(scene, one, other)

    scene.kubectl("exec", one, "--", "rm", "/www/warm")
    until_served(scene, other)
