"""The /scale subresource of kinds that have a replica count."""

from __future__ import annotations

from typing import Any

from fairlead.core.meta import JSON
from fairlead.kube.errors import NotFound
from fairlead.kube.fake import kinds, patches
from fairlead.kube.fake.cluster import FakeCluster
from fairlead.kube.fake.records import Origin
from fairlead.kube.resources import Resource


def of(resource: Resource, obj: JSON) -> JSON:
    """The object as autoscaling/v1 Scale."""
    if resource.kind not in kinds.WITH_SCALE:
        raise NotFound(404, "NotFound", "the server could not find the requested resource")
    meta, status = obj["metadata"], obj.get("status") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")},
        "spec": {"replicas": (obj.get("spec") or {}).get("replicas", 0)},
        "status": {
            "replicas": status.get("replicas", 0),
            **({"selector": status["selector"]} if "selector" in status else {}),
        },
    }


def replace(
    cluster: FakeCluster, resource: Resource, namespace: str | None, name: str, scale: JSON, origin: Origin
) -> JSON:
    wish = {"metadata": {}, "spec": {"replicas": (scale.get("spec") or {}).get("replicas", 0)}}
    for precondition in ("uid", "resourceVersion"):
        if (scale.get("metadata") or {}).get(precondition):
            wish["metadata"][precondition] = scale["metadata"][precondition]
    return of(resource, cluster.patch(resource, namespace, name, wish, "merge", origin).object)


def patch(
    cluster: FakeCluster, resource: Resource, namespace: str | None, name: str, body: Any, type: str, origin: Origin
) -> JSON:
    current = of(resource, cluster.get(resource, namespace, name).object)
    changed = patches.json_patch(current, body) if type == "json" else patches.merge_patch(current, body)
    return replace(cluster, resource, namespace, name, changed, origin)
