"""The lab itself: what every other integration test takes for granted."""

from support.lab import Lab, LabFactory
from support.waiting import eventually


def test_a_service_account_is_held_to_its_roles(lab: Lab, namespace: str) -> None:
    lab.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    token = lab.service_account_token(namespace, "reader")

    answer = lab.kubectl("--token", token, "get", "pods", "-n", namespace, check=False)

    assert "forbidden" in answer


def test_pods_run_on_fake_nodes_next_to_another_lab(lab: Lab, lab_factory: LabFactory) -> None:
    other = lab_factory(controllers=True, scheduler=True, kwok=True, nodes=3, qps="unthrottled")

    other.kubectl("create", "deployment", "web", "--image=web", "--replicas=6")
    other.kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=120)

    assert other.url != lab.url
    assert "No resources found" in lab.kubectl("get", "nodes", check=False)


def test_an_api_server_comes_back_with_its_data_after_a_crash(lab_factory: LabFactory) -> None:
    lab = lab_factory()
    lab.kubectl("create", "namespace", "kept")

    lab.kill("apiserver")
    assert "refused" in lab.kubectl("get", "namespaces", check=False)
    lab.start("apiserver")

    assert lab.get("namespace", "kept")["metadata"]["name"] == "kept"


def test_a_paused_api_server_answers_again_once_resumed(lab_factory: LabFactory) -> None:
    lab = lab_factory()

    lab.pause("apiserver")
    silent = lab.kubectl("get", "namespaces", "--request-timeout=1s", check=False)
    lab.resume("apiserver")

    assert "default" not in silent.split()
    eventually(lambda: "default" in lab.kubectl("get", "namespaces", check=False))
