"""Pod subresources that are verbs: eviction under a disruption budget, and binding to a node."""

from __future__ import annotations

from typing import Any

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.kube.errors import Conflict, TooManyRequests, Unavailable
from fairlead.kube.fake.cluster import FakeCluster
from fairlead.kube.fake.records import Origin, Stored
from fairlead.kube.fake.selectors import label_selector_match
from fairlead.kube.resources import BUDGETS, Resource

SUCCESS: JSON = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def evict(cluster: FakeCluster, resource: Resource, namespace: str, name: str, body: JSON, origin: Origin) -> JSON:
    """POST pods/eviction (kubernetes pkg/registry/core/pod/storage/eviction.go): a budget may say no with 429."""
    pod = cluster.get(resource, namespace, name)
    options = body.get("deleteOptions") or {}
    wanted_uid = (options.get("preconditions") or {}).get("uid", "")
    running = (pod.object.get("status") or {}).get("phase") == "Running"
    if running and not pod.meta.get("deletionTimestamp"):
        _ask_budget(cluster, namespace, pod)
    cluster.delete(
        resource,
        namespace,
        name,
        uid=wanted_uid,
        grace_period_seconds=options.get("gracePeriodSeconds"),
        origin=origin._replace(verb="delete"),
    )
    return SUCCESS


def _ask_budget(cluster: FakeCluster, namespace: str, pod: Stored) -> None:
    budgets = [
        budget
        for budget in cluster.all(BUDGETS, namespace)
        if label_selector_match(budget.object["spec"].get("selector"))(pod.object)
    ]
    if len(budgets) > 1:
        raise Unavailable(
            500,
            "InternalError",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
    if not budgets:
        return
    budget, status = budgets[0], budgets[0].object.get("status") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod.object["status"].get("conditions") or ())
    if not ready and _unhealthy_may_go(budget.object["spec"], status):
        return
    if status.get("observedGeneration", 0) < budget.meta["generation"] or status.get("disruptionsAllowed", 0) <= 0:
        raise _held_back(budget, status)

    def count(obj: JSON) -> None:
        obj["status"]["disruptionsAllowed"] -= 1
        obj["status"].setdefault("disruptedPods", {})[pod.meta["name"]] = timestamp(cluster.clock())

    cluster.edit(BUDGETS, namespace, budget.meta["name"], count, Origin("update", "apiserver", "apiserver", "status"))


def _unhealthy_may_go(spec: JSON, status: JSON) -> bool:
    if spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    return bool(
        status.get("desiredHealthy", 0) > 0 and status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0)
    )


def _held_back(budget: Stored, status: JSON) -> TooManyRequests:
    name, need, have = budget.meta["name"], status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    cause = {
        "reason": "DisruptionBudget",
        "message": f"The disruption budget {name} needs {need} healthy pods and has {have} currently",
    }
    return TooManyRequests(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        details={"causes": [cause]},
        retry_after=10.0,
    )


def bind(cluster: FakeCluster, resource: Resource, namespace: str, name: str, body: Any, origin: Origin) -> JSON:
    """POST pods/binding: the scheduler's write."""
    pod = cluster.get(resource, namespace, name)
    if pod.meta.get("deletionTimestamp"):
        raise Conflict(409, "Conflict", f"pod {name} is being deleted, cannot be assigned to a host")
    if pod.object["spec"].get("nodeName"):
        raise Conflict(409, "Conflict", f"pod {name} is already assigned to node {pod.object['spec']['nodeName']!r}")
    cluster.assign(namespace, name, body["target"]["name"], origin)
    return SUCCESS
