"""Pods with readinessGates of ours: what is read of them, and what they say is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.gated import Standing
from fairlead.core.meta import API_VERSION
from fairlead.core.podstate import Pod, project_pod

OWNED = {"apiVersion": API_VERSION, "kind": "App", "name": "shop", "uid": "u1", "controller": True}
WARM = "gates.fairlead.dev/warm"
NO = {"type": WARM, "status": "False", "reason": "CheckFailed", "message": "/warm answered 503"}


def project(*conditions: dict[str, Any], gates: tuple[str, ...] = (WARM,), spec: dict[str, Any] | None = None) -> Pod:
    ports = [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]
    body = {
        "metadata": {"name": "shop-v1-a", "namespace": "default", "uid": "p1", "ownerReferences": [OWNED]},
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "web", "ports": ports}],
            **({"readinessGates": [{"conditionType": gate} for gate in gates]} if gates else {}),
            **(spec or {}),
        },
        "status": {"phase": "Running", "podIP": "10.0.0.7", "conditions": list(conditions)},
    }
    pod = project_pod(msgspec.json.encode(body))
    assert pod is not None
    return pod


def containers(ready: bool) -> dict[str, str]:
    return {"type": "ContainersReady", "status": "True" if ready else "False"}


@pytest.mark.parametrize("gates", [(), ("target-health.elbv2.k8s.aws/shop",)], ids=["none", "another's"])
def test_a_pod_without_a_gate_of_ours_carries_nothing_of_all_this(gates: tuple[str, ...]) -> None:
    assert project(containers(True), gates=gates).gated is None


def test_a_pod_is_asked_at_its_address_and_by_its_ports_names() -> None:
    gated = project(containers(True)).gated
    assert gated is not None

    assert (gated.address, gated.ports, gated.host_network, gated.containers_ready) == (
        "10.0.0.7",
        {"http": 8080},
        False,
        True,
    )
    assert gated.standing == {"warm": Standing()}


def test_what_stands_is_read_with_its_times() -> None:
    times = {"lastTransitionTime": "1970-01-01T00:01:00Z", "lastProbeTime": "1970-01-01T00:02:00Z"}
    gated = project(NO | times).gated
    assert gated is not None

    assert gated.standing["warm"] == Standing("False", "CheckFailed", "/warm answered 503", since=60.0, told=120.0)


SAYS: dict[str, tuple[tuple[dict[str, str], ...], str, str]] = {
    "one that failed its check": (
        (containers(True), NO),
        "HealthGateNotPassed",
        "health gate warm: /warm answered 503",
    ),
    "one that cannot be asked": (
        (containers(True), NO | {"reason": "CheckError", "message": "/warm: no answer within 5 s"}),
        "HealthGateError",
        "health gate warm: /warm: no answer within 5 s",
    ),
    "one that was not asked yet": ((containers(True),), "", ""),
    "one whose containers are not ready, which is their own probe's to tell": ((containers(False), NO), "", ""),
    "one that passed": ((containers(True), NO | {"status": "True"}), "", ""),
}


@pytest.mark.parametrize("case", SAYS)
def test_a_pod_says_what_its_gate_found(case: str) -> None:
    conditions, reason, message = SAYS[case]
    pod = project(*conditions)

    assert (pod.problem, pod.message) == (reason, message)


def test_what_the_kubelet_says_of_its_containers_comes_first() -> None:
    body = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}

    assert project(containers(True), NO, body).problem == "Unschedulable"
