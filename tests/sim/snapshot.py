"""What is left at the end of a run, without what may differ between two good runs: uids, versions, times, names of pods."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from fairlead.core.meta import ANNOTATION_RESTARTED_AT, JSON
from fairlead.kube.fake import FakeCluster, Stored
from fairlead.kube.resources import APPS, BUDGETS, CONFIG_MAPS, HTTP_ROUTES, PODS, REVISIONS, SERVICES
from sim.machines import is_ready

_TIMES = {
    "lastTransitionTime",
    "since",
    "startedAt",
    "lastProgressAt",
    "pausedAt",
    "stepAt",
    "heldAt",
    "at",
    "measuredAt",
    "restartAt",
    "retiredAt",
    "beganAt",
    "completedAt",
    ANNOTATION_RESTARTED_AT,
    "samplePod",
}
_SYSTEM = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "deletionTimestamp"}
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # in words, such as until when a step waits
_POD_NAME = re.compile(r"\b([a-z0-9-]+-[a-z0-9]{10,})-[a-z0-9]{5}\b")


def snapshot(cluster: FakeCluster, namespace: str) -> JSON:
    """Everything the operator looks after, ready to be compared."""
    found: JSON = {}
    # Gateway API is not on every server.
    for resource in sorted({APPS, REVISIONS, SERVICES, BUDGETS, CONFIG_MAPS, HTTP_ROUTES} & cluster.kinds):
        for stored in cluster.all(resource, namespace):
            found[f"{resource.kind} {stored.meta['name']}"] = _masked(_without_system(stored))
    pods = Counter(json.dumps(_pod(pod), sort_keys=True) for pod in cluster.all(PODS, namespace))
    found["pods"] = sorted(f"{count} x {text}" for text, count in pods.items())
    return found


def _pod(pod: Stored) -> JSON:
    body = _masked(_without_system(pod))
    spec = {key: value for key, value in body["spec"].items() if key != "nodeName"}
    meta = {key: value for key, value in body["metadata"].items() if key != "name"}
    return {"metadata": meta, "spec": spec, "phase": body["status"]["phase"], "ready": is_ready(pod.object)}


def _without_system(stored: Stored) -> JSON:
    obj = stored.copy()
    obj["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in _SYSTEM}
    for ref in obj["metadata"].get("ownerReferences") or ():
        ref.pop("uid", None)
    if stored.object["kind"] == "Service":
        for field in ("clusterIP", "clusterIPs"):
            if obj["spec"].get(field) not in ("None", ["None"]):
                obj["spec"].pop(field, None)
        for port in obj["spec"].get("ports") or ():
            port.pop("nodePort", None)
    if stored.object["kind"] == "PodDisruptionBudget":
        obj.pop("status", None)
    return obj


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        # An empty time is as good as none: it may have been set and taken back, or never have been told.
        return {
            key: "*" if key in _TIMES else _masked(inner)
            for key, inner in value.items()
            if inner != "" or key not in _TIMES
        }
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return _MOMENT.sub("*", _POD_NAME.sub(r"\1-*", value)) if isinstance(value, str) else value


def differences(wanted: JSON, found: JSON) -> list[str]:
    """Where two snapshots differ, one line each.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    ['a.c: 2 -> 3']
    """
    return list(_compare("", wanted, found))


def _compare(path: str, wanted: Any, found: Any) -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted({*wanted, *found})
        return [
            line
            for key in keys
            for line in _compare(
                f"{path}.{key}" if path else key, wanted.get(key, "(nothing)"), found.get(key, "(nothing)")
            )
        ]
    return [] if wanted == found else [f"{path}: {wanted} -> {found}"]
