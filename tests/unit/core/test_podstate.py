"""Projection, diagnosis and ranking of pods."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from fairlead.core.meta import API_VERSION
from fairlead.core.podstate import Pod, Resizing, deletion_order, project_pod

OWNED = {"apiVersion": API_VERSION, "kind": "App", "name": "shop", "uid": "u1", "controller": True}


def pod_json(
    *,
    meta: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    node: str = "n1",
    spec: dict[str, Any] | None = None,
) -> bytes:
    base = {
        "name": "shop-v1-a",
        "namespace": "default",
        "uid": "p1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-11-21T10:00:00Z",
        "ownerReferences": [OWNED],
        "labels": {"fairlead.dev/app": "shop", "fairlead.dev/revision": "v1", "fairlead.dev/serving": "true"},
    }
    return msgspec.json.encode(
        {
            "metadata": base | (meta or {}),
            "spec": {"nodeName": node} | (spec or {}),
            "status": status or {"phase": "Running"},
        }
    )


def project(**fields: Any) -> Pod:
    pod = project_pod(pod_json(**fields))
    assert pod is not None
    return pod


def test_a_pod_that_is_none_of_our_business_is_dropped() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "u2", "controller": True}
    assert project_pod(pod_json(meta={"labels": {}, "ownerReferences": [deployment]})) is None
    assert project_pod(pod_json(meta={"labels": {}, "ownerReferences": None})) is None


def test_an_app_of_another_group_is_not_ours() -> None:
    argo = {"apiVersion": "argoproj.io/v1alpha1", "kind": "App", "name": "shop", "uid": "u2", "controller": True}
    assert project_pod(pod_json(meta={"labels": {}, "ownerReferences": [argo]})) is None


def test_an_owned_pod_without_our_label_is_kept_so_that_it_can_be_released() -> None:
    assert project(meta={"labels": {}}).app == ""


def test_ready_and_since_when() -> None:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T10:01:00Z"}
    pod = project(status={"phase": "Running", "conditions": [ready]})
    assert pod.ready and pod.ready_since - pod.created == 60


def waiting(why: str, words: str = "", **last: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "web", "state": {"waiting": {"reason": why, "message": words}}}
    if last:
        container["lastState"] = {"terminated": last}
    return {"phase": "Pending", "containerStatuses": [container]}


DIAGNOSES = {
    "a normal start is no problem": (waiting("ContainerCreating"), ("", "")),
    "an image that cannot be pulled": (waiting("ImagePullBackOff", "not found"), ("ImagePullBackOff", "not found")),
    "a missing ConfigMap": (
        waiting("CreateContainerConfigError", 'configmap "x" not found'),
        ("ConfigMapMissing", 'configmap "x" not found'),
    ),
    "a missing Secret": (
        waiting("CreateContainerConfigError", 'secret "x" not found'),
        ("SecretMissing", 'secret "x" not found'),
    ),
    "a missing key": (
        waiting("CreateContainerConfigError", "couldn't find key url in Secret shop/db"),
        ("CreateContainerConfigError", "couldn't find key url in Secret shop/db"),
    ),
    "a crash loop is told by its last log line, not by the back-off": (
        waiting(
            "CrashLoopBackOff", "back-off 5m0s", exitCode=3, reason="Error", message="starting\ncannot open /etc/shop"
        ),
        ("CrashLoopBackOff", "exit code 3 (Error): cannot open /etc/shop"),
    ),
    "an unschedulable pod has the scheduler's words": (
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
            ],
        },
        ("Unschedulable", "0/3 nodes"),
    ),
    "an evicted pod has the kubelet's": (
        {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
        ("Evicted", "low on memory"),
    ),
    "an init container's trouble comes first": (
        {
            "phase": "Pending",
            "initContainerStatuses": [
                {"name": "init", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
            ],
            "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "PodInitializing"}}}],
        },
        ("ErrImagePull", "no"),
    ),
    "killed for memory": (
        {
            "phase": "Running",
            "containerStatuses": [{"name": "web", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}],
        },
        ("OOMKilled", "exit code 137 (OOMKilled)"),
    ),
}


@pytest.mark.parametrize("case", DIAGNOSES, ids=list(DIAGNOSES))
def test_diagnosis(case: str) -> None:
    status, want = DIAGNOSES[case]
    pod = project(status=status)
    assert (pod.problem, pod.message) == want


@pytest.mark.parametrize("text", ["", "many", "1e3", "0x10"])
def test_a_deletion_cost_that_is_no_number_counts_as_zero(text: str) -> None:
    assert project(meta={"annotations": {"controller.kubernetes.io/pod-deletion-cost": text}}).cost == 0


def make(name: str, **fields: Any) -> Pod:
    plain: dict[str, Any] = {"created": 0.0, "phase": "Running", "node": "n1", "ready": True, "ready_since": 0.0}
    return Pod("default", name, fields.pop("uid", name), 1, **(plain | fields))


RANKING = {
    "unassigned before assigned": (make("a", node=""), make("b", phase="Pending")),
    "pending before running": (make("a", phase="Pending"), make("b", ready=False)),
    "not ready before ready": (make("a", ready=False), make("b")),
    "lower deletion cost first": (make("a", cost=-5), make("b")),
    "ready for less time first": (make("a", ready_since=9000), make("b")),
    "more restarts first": (make("a", restarts=3), make("b")),
    "newer first": (make("a", created=9000.0), make("b")),
    "ties by uid": (make("z", uid="1"), make("a", uid="2")),
}


@pytest.mark.parametrize("case", RANKING, ids=list(RANKING))
def test_deletion_ranking(case: str) -> None:
    first, second = RANKING[case]
    assert deletion_order([second, first], [first, second], now=10_000.0)[0] == first


def test_the_most_crowded_node_loses_first_counting_all_revisions() -> None:
    lonely, crowded, sibling = make("a", node="n1"), make("b", node="n2"), make("c", node="n2")
    assert deletion_order([lonely, crowded], [lonely, crowded, sibling], now=10_000.0)[0] == crowded


def test_a_pod_in_the_store_stays_small() -> None:
    pod = project()
    assert sys.getsizeof(pod) < 300 and not msgspec.structs.asdict(pod)["problem"]


def test_what_a_pod_asks_for_is_one_object_for_all_that_ask_alike() -> None:
    web = {"name": "web", "image": "shop:1", "resources": {"requests": {"cpu": "250m"}}}
    proxy = {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}}
    spec = {"containers": [web], "initContainers": [proxy]}

    one, other = (project(meta={"name": name}, spec=spec) for name in ("a", "b"))
    assert one.resources is other.resources
    assert msgspec.json.decode(one.resources) == {
        "containers": [{"name": "web", "resources": {"requests": {"cpu": "250m"}}}],
        "initContainers": [proxy],
    }


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_a_pods_readiness_and_its_start_are_kept_as_they_are_said(status: str) -> None:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": "1970-01-01T00:01:00Z"}
    pod = project(status={"phase": "Running", "startTime": "1970-01-01T00:00:30Z", "conditions": [ready]})

    assert (pod.readiness, pod.ready_since, pod.started, pod.ready) == (status, 60.0, 30.0, status == "True")


def test_a_container_that_ran_out_of_memory_is_known_by_its_last_end_and_when_that_was() -> None:
    def ended(reason: str, at: str) -> dict[str, Any]:
        return {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": f"1970-01-01T00:0{at}:00Z"}}

    proxy = {"name": "proxy", "restartCount": 1, "lastState": ended("Error", "9")}
    web = {"name": "web", "restartCount": 2, "state": {"running": {}}, "lastState": ended("OOMKilled", "2")}
    app = {"name": "app", "restartCount": 0, "state": ended("OOMKilled", "1")}

    assert project(status={"phase": "Running", "containerStatuses": [proxy, web, app]}).starved == ("web", 120.0)
    assert project(status={"phase": "Running", "containerStatuses": [proxy]}).starved is None


def asked(*conditions: tuple[str, str, str], observed: int = 2) -> Resizing | None:
    told = [
        {
            "type": type,
            "status": status,
            "reason": reason,
            "message": "so",
            "lastTransitionTime": "1970-01-01T00:01:00Z",
        }
        for type, status, reason in conditions
    ]
    return project(
        meta={"generation": 2}, status={"phase": "Running", "observedGeneration": observed, "conditions": told}
    ).resizing


def test_a_resize_is_what_the_kubelet_says_of_it() -> None:
    assert asked(("Ready", "True", "")) is None
    assert asked(("PodResizeInProgress", "True", "")) == Resizing("InProgress", 60.0, "so")
    assert asked(("PodResizeInProgress", "True", "Error")) == Resizing("Error", 60.0, "so")
    assert asked(("PodResizePending", "True", "Deferred")) == Resizing("Deferred", 60.0, "so")
    assert asked(("PodResizePending", "False", "Deferred")) is None


def test_what_waits_stands_before_what_is_under_way() -> None:
    told = asked(("PodResizePending", "True", "Infeasible"), ("PodResizeInProgress", "True", ""))
    assert told is not None and told.reason == "Infeasible"


def test_a_resize_that_the_kubelet_has_not_seen_is_one_as_far_as_it_tells() -> None:
    assert asked(observed=1) == Resizing()
    assert asked(observed=0) is None, "an older kubelet does not tell"


def test_a_pod_that_gives_way_says_so() -> None:
    assert project(meta={"annotations": {"fairlead.dev/gives-way": "resources"}}).gives_way
    assert not project().gives_way
