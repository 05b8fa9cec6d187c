"""What kube-controller-manager does behind every owner: garbage collection, orphaning, and emptying namespaces."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.core.meta import JSON
from fairlead.kube.errors import ApiError
from fairlead.kube.fake.cluster import FakeCluster
from fairlead.kube.fake.records import Origin, Stored
from fairlead.kube.resources import BY_KIND, NAMESPACES, Resource

GC = Origin("update", "generic-garbage-collector", "kube-controller-manager")


def collect(cluster: FakeCluster) -> bool:
    """One pass over everything; True where it changed something, so that it is called again."""
    before = cluster.rv
    for resource in sorted(cluster.kinds):
        for stored in list(cluster.table(resource).values()):
            _visit(cluster, resource, stored)
    for namespace in list(cluster.table(NAMESPACES).values()):
        if namespace.meta.get("deletionTimestamp"):
            _empty(cluster, namespace.meta["name"])
    return cluster.rv != before


def needs_collection(cluster: FakeCluster, stored: Stored, type: str) -> bool:
    """Whether a commit can have given the collector work: something went, is going, or came with an owner."""
    return type == "DELETED" or bool(
        stored.meta.get("deletionTimestamp") or (type == "ADDED" and stored.meta.get("ownerReferences"))
    )


def _visit(cluster: FakeCluster, resource: Resource, stored: Stored) -> None:
    meta = stored.meta
    finalizers = meta.get("finalizers") or ()
    if meta.get("deletionTimestamp"):
        if "orphan" in finalizers:
            _orphan_dependents(cluster, meta["uid"])
            _drop_finalizer(cluster, resource, stored, "orphan")
        elif "foregroundDeletion" in finalizers and not _delete_dependents(cluster, meta["uid"]):
            _drop_finalizer(cluster, resource, stored, "foregroundDeletion")
        return
    refs = meta.get("ownerReferences") or ()
    alive = [ref["uid"] for ref in refs if _owner(cluster, meta.get("namespace"), ref)]
    if refs and not alive:
        _delete(cluster, resource, stored)
    elif len(alive) < len(refs):
        cluster.edit(resource, meta.get("namespace"), meta["name"], _keeping(alive), GC)


def _owner(cluster: FakeCluster, namespace: str | None, ref: JSON) -> Stored | None:
    resource = BY_KIND.get(ref["kind"])
    owner = cluster.find(resource, namespace, ref["name"]) if resource else None
    return owner if owner and owner.meta["uid"] == ref["uid"] else None


def _dependents(cluster: FakeCluster, uid: str) -> list[tuple[Resource, Stored, JSON]]:
    return [
        (resource, stored, ref)
        for resource in sorted(cluster.kinds)
        for stored in list(cluster.table(resource).values())
        for ref in stored.meta.get("ownerReferences") or ()
        if ref["uid"] == uid
    ]


def _keeping(uids: list[str]) -> Callable[[JSON], None]:
    """What is left of the references to owners (upstream: attemptToDeleteItem, which drops those that are gone)."""

    def keep(obj: JSON) -> None:
        obj["metadata"]["ownerReferences"] = [ref for ref in obj["metadata"]["ownerReferences"] if ref["uid"] in uids]

    return keep


def _orphan_dependents(cluster: FakeCluster, uid: str) -> None:
    def disown(obj: JSON) -> None:
        obj["metadata"]["ownerReferences"] = [ref for ref in obj["metadata"]["ownerReferences"] if ref["uid"] != uid]

    for resource, stored, _ref in _dependents(cluster, uid):
        cluster.edit(resource, stored.meta.get("namespace"), stored.meta["name"], disown, GC)


def _delete_dependents(cluster: FakeCluster, uid: str) -> bool:
    """Delete what the owner owns; True while something that blocks its deletion is still there."""
    for resource, stored, _ref in _dependents(cluster, uid):
        others = [
            ref["uid"]
            for ref in stored.meta["ownerReferences"]
            if ref["uid"] != uid and _owner(cluster, stored.meta.get("namespace"), ref)
        ]
        if others:
            cluster.edit(resource, stored.meta.get("namespace"), stored.meta["name"], _keeping(others), GC)
        elif not stored.meta.get("deletionTimestamp"):
            _delete(cluster, resource, stored)
    return any(ref.get("blockOwnerDeletion") for _resource, _stored, ref in _dependents(cluster, uid))


def _delete(cluster: FakeCluster, resource: Resource, stored: Stored) -> None:
    cluster.delete(
        resource,
        stored.meta.get("namespace"),
        stored.meta["name"],
        uid=stored.meta["uid"],
        origin=GC._replace(verb="delete"),
    )


def _drop_finalizer(cluster: FakeCluster, resource: Resource, stored: Stored, name: str) -> None:
    def drop(obj: JSON) -> None:
        obj["metadata"]["finalizers"] = [finalizer for finalizer in obj["metadata"]["finalizers"] if finalizer != name]

    cluster.edit(resource, stored.meta.get("namespace"), stored.meta["name"], drop, GC)


def _empty(cluster: FakeCluster, namespace: str) -> None:
    """Delete what is in the namespace, then the namespace."""
    left = False
    for resource in sorted(cluster.kinds):
        if not resource.namespaced:
            continue
        for stored in cluster.all(resource, namespace):
            if not stored.meta.get("deletionTimestamp"):
                try:
                    _delete(cluster, resource, stored)
                except ApiError:
                    left = True
        left = left or bool(cluster.all(resource, namespace))
    if not left:
        cluster.remove(NAMESPACES, None, namespace)
