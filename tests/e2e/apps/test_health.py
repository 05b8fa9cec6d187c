"""Health gates with real kubelets: a Service has a pod when the pod itself says so."""

from __future__ import annotations

from e2e.dsl import Given, Scene, Then, apps

# Answers /hostname at once, and /warm when there is a file of that name.
_SERVER = "mkdir /www && cd /www && hostname > hostname && exec httpd -f -p 8080"


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
    then.served()

    scene.kubectl("exec", one, "--", "touch", "/www/warm")
    then.served(one)
    scene.kubectl("exec", other, "--", "touch", "/www/warm")
    then.ready()
    then.served(one, other)

    scene.kubectl("exec", one, "--", "rm", "/www/warm")
    then.served(other)
