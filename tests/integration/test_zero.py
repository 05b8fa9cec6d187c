"""Apps that go to zero, on a real control plane: our slice beside the one that upstream's controller writes, the activator as a process
of its own with no right but the chart's, and its word on a socket. KWOK answers for kubelets, so nobody answers in a pod: that is for
the end-to-end tests."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chart.test_activator import ON, rights
from fairlead.core.conditions import find
from support.backend import Backend
from support.crds import install
from support.helm import render
from support.lab import Lab, whole_lab
from support.operator import Operator, free_port
from support.team import JSON, Team
from support.waiting import eventually

HOME = "home"
JOBS: JSON = {"external": {"metric": {"name": "jobs"}, "averageValue": 10, "from": {"prometheus": {"query": "jobs"}}}}
PORTS: JSON = {"ports": [{"name": "http", "port": 80, "targetPort": 1}, {"name": "dns", "port": 53, "protocol": "UDP"}]}


class Activator(Operator):
    program = ("-m", "fairlead", "run", "activator")


def own_address() -> str:
    """One of this machine's that is not loopback: an EndpointSlice may not have such a one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def plane(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with whole_lab("zero") as lab:
        install(lab)
        lab.kubectl("create", "namespace", HOME)
        control = free_port()
        reader = as_activator(lab, tmp_path_factory.mktemp("activator"))
        present(lab, control)
        settings = {"gate_allow": "127.0.0.0/8", "gate_prometheus": backend.address}
        with Activator(lab, "activator", kubeconfig=reader, control_address=f":{control}"):
            with Operator(lab, activator_service=f"{HOME}/activator", **settings):
                yield lab


def as_activator(lab: Lab, folder: Path) -> Path:
    """A kubeconfig of an account that has what the chart gives the activator, and nothing else."""
    (allowed,) = rights(render(ON), "fairlead-activator").values()
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)}
        for (group, resource), verbs in allowed.items()
    ]
    kind = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": kind, "kind": "ClusterRole", "metadata": {"name": "activator"}, "rules": rules}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    lab.kubectl("create", "serviceaccount", "activator", "-n", HOME)
    lab.kubectl(
        "create", "clusterrolebinding", "activator", "--clusterrole=activator", f"--serviceaccount={HOME}:activator"
    )
    token = lab.kubectl("create", "token", "activator", "-n", HOME, "--duration=2h").strip()
    config = json.loads(lab.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def present(lab: Lab, control: int) -> None:
    """As upstream's controller would say where the activators are. This one is no pod."""
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "activator", "namespace": HOME, "labels": {"kubernetes.io/service-name": "activator"}},
        "addressType": "IPv4",
        "ports": [{"name": "control", "port": control, "protocol": "TCP"}],
        "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}],
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(body))


def slices(team: Team) -> dict[str, JSON]:
    """Of the App's Service, by who manages them."""
    found = team.get("endpointslices", "-l", "kubernetes.io/service-name=shop")["items"]
    return {one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]: one for one in found}


def ours(team: Team) -> JSON:
    return slices(team).get("activator.fairlead.dev", {})


def ready_pods(team: Team) -> list[str]:
    found = slices(team).get("endpointslice-controller.k8s.io", {}).get("endpoints") or []
    return [each["targetRef"]["name"] for each in found if each["conditions"]["ready"]]


def reason(team: Team) -> str:
    return (find(team.shop()["status"].get("conditions", ()), "Autoscaling") or {}).get("reason", "")


def woken(team: Team) -> bool:
    changes = team.shop()["status"]["autoscale"]["changes"]
    return any(one["reason"] == "Woken" and (one["from"], one["to"]) == (0, 1) for one in changes)


def sleepy(team: Team, **idle: Any) -> None:
    autoscale = {
        "min": 0,
        "max": 3,
        "metrics": [JOBS],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        "idle": {"afterSeconds": 2, "timeoutSeconds": 8, **idle},
    }
    team.run(replicas=1, expose=PORTS, autoscale=autoscale)


def ask(team: Team) -> int:
    """The status of a request to where the slice says that the activator listens; 0 where it is closed. KWOK's pods are nowhere, so who
    answers in the end, if anybody, is not said here."""
    (port,) = ours(team)["ports"]
    try:
        with urllib.request.urlopen(f"http://{own_address()}:{port['port']}/", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_its_slice_stands_beside_upstreams_and_takes_its_place_at_zero(team: Team, backend: Backend) -> None:
    backend.value = "15"
    sleepy(team)
    eventually(lambda: len(ready_pods(team)) == 2 and bool(ours(team)))
    said = ours(team)
    assert said.get("endpoints") in (None, []) and [port["name"] for port in said["ports"]] == ["http"]
    assert said["metadata"]["ownerReferences"][0]["name"] == "shop"
    assert slices(team)["endpointslice-controller.k8s.io"]["metadata"]["labels"]["fairlead.dev/activated"] == "true"

    backend.value = "0"
    eventually(lambda: reason(team) == "Idle" and not team.pods())
    assert [each["addresses"] for each in ours(team)["endpoints"]] == [[own_address()]]
    assert "1 activator ready" in team.condition("Autoscaling")["message"]

    with ThreadPoolExecutor() as clients:
        answer = clients.submit(ask, team)
        eventually(lambda: woken(team))
        backend.value = "5"  # or it is at zero again before anybody has looked
        eventually(lambda: len(ready_pods(team)) == 1)
        eventually(lambda: not ours(team).get("endpoints"))
        answer.result()


def test_the_slice_goes_with_the_wish_for_it_and_comes_back_when_somebody_takes_it(
    team: Team, backend: Backend
) -> None:
    backend.value = "15"
    sleepy(team)
    eventually(lambda: bool(ours(team)))
    port = ours(team)["ports"]
    team.kubectl("delete", "endpointslice", "shop-activator")
    eventually(lambda: bool(ours(team)))
    assert ours(team)["ports"] == port, "activators listen there already"
    team.patch({"autoscale": {"idle": None, "min": 1}})
    eventually(lambda: not ours(team))
    labels = team.get("service", "shop")["metadata"]["labels"]
    eventually(lambda: "fairlead.dev/activated" not in team.get("service", "shop")["metadata"]["labels"]), labels


def test_who_goes_to_zero_without_an_activator_is_told(team: Team, backend: Backend) -> None:
    backend.value = "0"
    sleepy(team)
    eventually(lambda: reason(team) == "Idle")
    team.patch({"expose": {"internalTrafficPolicy": "Local"}})
    eventually(lambda: reason(team) == "NoActivator" and len(team.pods()) == 1, 90)
    assert "internalTrafficPolicy" in team.condition("Autoscaling")["message"]


REFUSED: dict[str, tuple[JSON, str]] = {
    "min above 0": ({"autoscale": {"min": 1}}, "autoscale.idle goes to zero; set autoscale.min to 0"),
    "cpu beside it": (
        {"autoscale": {"metrics": [{"resource": {"name": "cpu", "averageValue": "1"}}]}},
        "cpu and memory never come to nothing",
    ),
    "not exposed": ({"expose": None}, "autoscale.idle needs requests to wake it"),
    "headless": ({"expose": {"type": "Headless"}}, "autoscale.idle needs requests to wake it"),
    "UDP alone": ({"expose": {"ports": [{"port": 53, "protocol": "UDP"}]}}, "autoscale.idle needs requests to wake it"),
    "never": ({"autoscale": {"idle": {"afterSeconds": 0}}}, "afterSeconds"),
}


@pytest.mark.parametrize("case", REFUSED, ids=list(REFUSED))
def test_what_cannot_be_is_refused_with_what_to_do(team: Team, backend: Backend, case: str) -> None:
    patch, words = REFUSED[case]
    backend.value = "15"
    sleepy(team)
    said = team.kubectl("patch", "fapp", "shop", "--type=merge", "-p", json.dumps({"spec": patch}), check=False)
    assert "is invalid" in said and words in said, said
