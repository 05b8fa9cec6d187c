"""The tree's nodes and their states."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.podstate import Pod
from fairlead.view.model import App, Revision, read
from fairlead.view.tree import Around, Node, pod_nodes, pod_state, tree

NOW = 10_000.0
APP = {
    "metadata": {"name": "shop", "uid": "u", "generation": 1},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 1, "activeRevision": "shop-v1", "readyReplicas": 2, "summary": "Ready"},
}
REVISION = {
    "metadata": {"name": "shop-v1", "labels": {"fairlead.dev/revision": "v1"}},
    "spec": {"number": 1},
    "status": {"replicas": 2, "readyReplicas": 2},
}


def pod(name: str = "p", **fields: Any) -> Pod:
    made = Pod("d", name, name, 1, NOW - 60, phase="Running", revision="v1", owner_uid="u", serving=True)
    return msgspec.structs.replace(made, **fields)


@pytest.mark.parametrize(
    ("sentence", "fields", "want"),
    [
        ("ready", {"ready": True}, ("Ready", "good")),
        ("ending, whatever else", {"ready": True, "deleting": NOW, "problem": "X"}, ("Terminating", "quiet")),
        ("not well", {"problem": "OOMKilled"}, ("OOMKilled", "bad")),
        ("up, and its probe fails", {}, ("Running, not ready", "busy")),
        ("not placed yet", {"phase": "Pending"}, ("Pending", "busy")),
        ("over", {"phase": "Succeeded"}, ("Succeeded", "quiet")),
    ],
)
def test_a_pods_state(sentence: str, fields: dict[str, Any], want: tuple[str, str]) -> None:
    assert pod_state(pod(**fields)) == want, sentence


def test_pods_with_a_problem_come_first_and_what_is_too_much_is_counted() -> None:
    found = [pod("a", ready=True), pod("b", ready=True), pod("c"), pod("d", problem="X")]
    nodes = pod_nodes(found, 2, NOW)
    assert [(node.name, node.state) for node in nodes] == [
        ("d", "X"),
        ("c", "Running, not ready"),
        ("2 more", "2 ready"),
    ]


def shown(around: Around, app: dict[str, Any] = APP, revisions: tuple[dict[str, Any], ...] = (REVISION,)) -> Node:
    return tree(read(app, App), [read(raw, Revision) for raw in revisions], around, NOW)


def test_pods_of_a_revision_that_is_gone_are_not_forgotten() -> None:
    root = shown(Around(pods=(pod("a"), pod("b", revision="v0"))))
    assert [(child.name, child.state) for child in root.children] == [("shop-v1", "1 active"), ("v0", "gone")]


def test_what_a_revision_said_a_moment_ago_is_not_shown_beside_what_its_app_says_now() -> None:
    told = {**APP["status"], "replicas": 2, "updatedReplicas": 2}
    ago = {"replicas": 1, "readyReplicas": 1}
    old = {**REVISION, "metadata": {"name": "shop-v0"}, "spec": {"number": 0}, "status": ago}
    root = shown(Around(), app={**APP, "status": told}, revisions=({**REVISION, "status": ago}, old))
    assert [(child.name, child.detail[0]) for child in root.children] == [
        ("shop-v1", "2/2 ready"),
        ("1 more", "no pods, to go back to"),
    ]


def test_pods_of_another_owner_are_not_shown() -> None:
    root = shown(Around(pods=(pod("a", owner_uid="other"),)))
    assert root.children[0].children == ()


def test_revisions_without_pods_are_one_line() -> None:
    kept = tuple({"metadata": {"name": f"r{n}"}, "spec": {"number": n}} for n in (7, 8))
    root = shown(Around(), revisions=(REVISION, *kept))
    assert [child.name for child in root.children] == ["shop-v1", "2 more"]


def exposed(**service: Any) -> Node:
    app = {**APP, "spec": {**APP["spec"], "expose": {"ports": []}}}
    return shown(Around(**service), app=app).children[-1]


@pytest.mark.parametrize(
    ("sentence", "spec", "status", "want"),
    [
        ("plain", {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}, {}, ("ClusterIP", "10.0.0.1", "80")),
        ("both families", {"clusterIPs": ["10.0.0.1", "fd00::1"]}, {}, ("ClusterIP", "10.0.0.1", "fd00::1")),
        ("headless", {"clusterIP": "None"}, {}, ("Headless",)),
        ("no address yet", {"type": "LoadBalancer"}, {}, ("LoadBalancer", "no external address yet")),
        (
            "an address",
            {"type": "LoadBalancer"},
            {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "x.example"}]}},
            ("LoadBalancer", "1.2.3.4", "x.example"),
        ),
    ],
)
def test_a_services_addresses(
    sentence: str, spec: dict[str, Any], status: dict[str, Any], want: tuple[str, ...]
) -> None:
    assert exposed(service={"spec": spec, "status": status}, slices=None).detail == want, sentence


def test_endpoints_are_counted_by_pod_over_both_families() -> None:
    two = {"endpoints": [{"targetRef": {"uid": uid}, "conditions": {}} for uid in ("1", "2")]}
    assert exposed(service={}, slices=(two, two)).state == "2 endpoints"
    none = {"endpoints": [{"targetRef": {"uid": "1"}, "conditions": {"ready": False}}]}
    assert (exposed(service={}, slices=(none,)).state, exposed(service={}, slices=(none,)).tone) == (
        "no endpoints",
        "bad",
    )


def test_a_budget_that_allows_nothing_stands_out() -> None:
    app = {**APP, "spec": {**APP["spec"], "disruption": {"minAvailable": 2}}}
    budget = {
        "spec": {"minAvailable": 2},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2},
    }
    node = shown(Around(budget=budget), app=app).children[-1]
    assert (node.state, node.tone, node.detail) == (
        "no eviction allowed",
        "held",
        ("minAvailable 2", "2 healthy of 2 needed"),
    )
