"""Children we share with others (Services, disruption budgets): how they are kept, and when they must be mended.

We own fields, not the object (server-side apply): a person may add annotations, the cloud its addresses. So a child is
mended when what we applied last is not what we want now (a hash in an annotation: this notices a field that was
removed), or when a field we want is not what stands there (someone edited it).
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core.conditions import Condition
from fairlead.core.meta import (
    API_VERSION,
    JSON,
    LABEL_APP,
    MANAGED_BY,
    controller_of,
    owner_reference,
    stable_hash,
)

APPLIED = "fairlead.dev/applied"
_ATOMIC = {"selector"}  # maps that mean something only as a whole (x-kubernetes-map-type: atomic)


class Child(msgspec.Struct, frozen=True):
    """A shared child as the store keeps it. `owner_uid` is the controlling App's uid, "" for a stranger's object."""

    namespace: str
    name: str
    uid: str
    rv: int
    owner_uid: str
    owner_name: str
    app: str
    metadata: JSON
    spec: JSON
    status: JSON


def owned(live: Child | None, uid: str) -> Child | None:
    """The live child, if it is this App's own and no stranger's of the same name."""
    return live if live and live.owner_uid == uid else None


def refused(type: str, kind: str, name: str, refusal: tuple[str, str], otherwise: str, way_out: str) -> Condition:
    """The condition `type` of a child that the API server, or its owner, would not let us keep. refusal: (reason, words);
    otherwise: the reason where the words say it all; way_out: what to do about another's object of that name.

    >>> refused("Exposed", "Service", "shop", ("NotOwned", "x"), "ServiceRefused", "delete it").message
    "a Service named shop exists and is not this App's: delete it (x)"
    """
    reason, words = refusal
    if reason == "NotOwned":
        words = f"a {kind} named {name} exists and is not this App's: {way_out} ({words})"
        return Condition(type, "False", reason, words)
    if reason == "Contested":
        return Condition(type, "False", reason, f"{kind} {name}: {words}")
    return Condition(type, "False", otherwise, f"the API server refuses the {kind}: {words}")


class _Object(msgspec.Struct):
    metadata: JSON
    spec: JSON = {}
    status: JSON = {}


_decoder = msgspec.json.Decoder(_Object)


def project_child(data: bytes) -> Child:
    """A Service's or budget's JSON to a `Child`."""
    raw = _decoder.decode(data)
    meta: dict[str, Any] = raw.metadata
    meta.pop("managedFields", None)
    owner = controller_of(meta)
    ours = owner is not None and owner.kind == "App" and owner.api_version == API_VERSION
    return Child(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta.get("uid", ""),
        rv=int(meta.get("resourceVersion") or 0),
        owner_uid=owner.uid if owner and ours else "",
        owner_name=owner.name if owner and ours else "",
        app=(meta.get("labels") or {}).get(LABEL_APP, ""),
        metadata=meta,
        spec=raw.spec,
        status=raw.status,
    )


def child_manifest(
    api_version: str,
    kind: str,
    app: str,
    namespace: str,
    owner_uid: str,
    spec: JSON,
    annotations: dict[str, str] | None = None,
    name: str = "",
    labels: dict[str, str] | None = None,
) -> JSON:
    """A child named like its App where it has no name of its own, labelled, owned, and marked with the hash of what it
    says."""
    body: JSON = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name or app,
            "namespace": namespace,
            "labels": {
                LABEL_APP: app,
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/instance": app,
                "app.kubernetes.io/managed-by": MANAGED_BY,
                **(labels or {}),
            },
            "annotations": dict(annotations or {}),
            "ownerReferences": [owner_reference("App", app, owner_uid)],
        },
        "spec": spec,
    }
    body["metadata"]["annotations"][APPLIED] = stable_hash(msgspec.json.encode(body, order="sorted"))
    return body


def must_apply(wanted: JSON, live: Child | None) -> bool:
    """Whether the wanted manifest has to be written over the live child.

    >>> want = child_manifest("v1", "Service", "shop", "default", "u", {"type": "ClusterIP"})
    >>> must_apply(want, None)
    True
    >>> live = project_child(msgspec.json.encode(want | {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1"}}))
    >>> must_apply(want, live)
    False
    >>> edited = project_child(msgspec.json.encode(want | {"spec": {"type": "NodePort"}}))
    >>> must_apply(want, edited)
    True
    """
    if live is None:
        return True
    applied = (live.metadata.get("annotations") or {}).get(APPLIED)
    if applied != wanted["metadata"]["annotations"][APPLIED]:
        return True
    return not (covers(live.spec, wanted["spec"]) and covers(live.metadata, wanted["metadata"]))


def covers(live: Any, wanted: Any) -> bool:
    """Everything wanted stands in live; live may say more. Lists are compared item by item, atomic maps as a whole.

    >>> covers({"a": 1, "b": [{"c": 1, "d": 2}]}, {"b": [{"c": 1}]})
    True
    >>> covers({"b": [1, 2]}, {"b": [1]}), covers({"selector": {"a": "1", "b": "2"}}, {"selector": {"a": "1"}})
    (False, False)
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(_stands(live, key, value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
    return bool(live == wanted)


def _stands(live: JSON, key: str, value: Any) -> bool:
    if key in _ATOMIC:
        return bool(live.get(key) == value)
    return key in live and covers(live[key], value)
