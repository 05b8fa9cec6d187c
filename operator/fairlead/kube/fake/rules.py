"""Small rules every write obeys: preconditions, finalizers, grace, what counts as a change."""

from __future__ import annotations

from fairlead.core.meta import JSON
from fairlead.kube.errors import Conflict, NotFound
from fairlead.kube.fake import kinds
from fairlead.kube.fake.records import Ref, Stored, Table
from fairlead.kube.fake.selectors import Match
from fairlead.kube.resources import Resource


def scope(resource: Resource, namespace: str | None) -> str:
    return (namespace or "") if resource.namespaced else ""


def ref(stored: Stored) -> Ref:
    return stored.meta.get("namespace", ""), stored.meta["name"]


def select(table: Table, namespace: str | None, match: Match | None) -> list[Stored]:
    return [
        table[ref]
        for ref in sorted(table)
        if (not namespace or ref[0] == namespace) and (match is None or match(table[ref].object))
    ]


def plural(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def not_found(resource: Resource, name: str) -> NotFound:
    return NotFound(
        404,
        "NotFound",
        f'{plural(resource)} "{name}" not found',
        details={"name": name, "group": resource.group, "kind": resource.plural},
    )


def writes(resource: Resource, subresource: str) -> dict[str, bool]:
    """Which half of the object a request to this subresource writes."""
    if resource.kind not in kinds.WITH_STATUS:
        return {"status": True, "main": True}
    return {"status": subresource == "status", "main": subresource != "status"}


def same(old: JSON, new: JSON) -> bool:
    """Equal but for what the server counts itself."""
    if kinds.without(old, "metadata", "kind", "apiVersion") != kinds.without(new, "metadata", "kind", "apiVersion"):
        return False
    return kinds.without(old["metadata"], "resourceVersion", "managedFields") == kinds.without(
        new["metadata"], "resourceVersion", "managedFields"
    )


def check_version(resource: Resource, old: Stored, rv: str) -> None:
    if rv and rv != old.meta["resourceVersion"]:
        raise Conflict(
            409,
            "Conflict",
            f"{cannot(resource, old)}the object has been modified; please apply your changes to the latest version and try again",
        )


def check_uid(resource: Resource, old: Stored, uid: str) -> None:
    if uid and uid != old.meta["uid"]:
        raise Conflict(
            409,
            "Conflict",
            f"{cannot(resource, old)}Precondition failed: UID in precondition: {uid}, UID in object meta: {old.meta['uid']}",
        )


def cannot(resource: Resource, old: Stored) -> str:
    return f'Operation cannot be fulfilled on {plural(resource)} "{old.meta["name"]}": '


def check_finalizers(resource: Resource, old: Stored, obj: JSON) -> None:
    if not old.meta.get("deletionTimestamp"):
        return
    added = set(obj["metadata"].get("finalizers") or ()) - set(old.meta.get("finalizers") or ())
    if added:
        why = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {sorted(added)}"
        raise kinds.invalid(resource, old.meta["name"], "metadata.finalizers", why)


def set_finalizers(meta: JSON, propagation: str) -> None:
    """The finalizers by which the garbage collector knows what was asked."""
    finalizers = [name for name in meta.get("finalizers") or () if name not in ("orphan", "foregroundDeletion")]
    finalizers += {"Orphan": ["orphan"], "Foreground": ["foregroundDeletion"]}.get(propagation, [])
    meta["finalizers"] = finalizers
    if not finalizers:
        del meta["finalizers"]


def grace(resource: Resource, obj: JSON, asked: int | None) -> int:
    """Seconds until a deleted object goes: only a pod that runs on a node has any (pod strategy CheckGracefulDelete)."""
    if resource.kind != "Pod":
        return 0
    spec = obj["spec"]
    if not spec.get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", 30)) if asked is None else asked
