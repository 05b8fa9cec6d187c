"""Which pods the Services behind a route send requests to, by their EndpointSlices. Pure.

A Gateway sends requests to the endpoints of a Service, and these are written by another than who says that a pod is ready: a
moment later as a rule, and seconds later where that controller has much to do. A weight that is written in between leads to
nobody, and what is sent there is lost.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION

_SERVICE = "kubernetes.io/service-name"


class Slice(msgspec.Struct, frozen=True):
    """An EndpointSlice of a Service that has the pods of one revision. `pods`: those that requests are sent to, by uid."""

    namespace: str
    name: str
    uid: str
    rv: int
    app: str
    pods: tuple[str, ...]


class _Endpoint(msgspec.Struct):
    conditions: JSON = {}
    targetRef: JSON = {}


class _Object(msgspec.Struct):
    metadata: JSON
    endpoints: list[_Endpoint] | None = None


_decoder = msgspec.json.Decoder(_Object)


def project_slice(data: bytes) -> Slice | None:
    """An EndpointSlice's JSON to a `Slice`; None for one of another Service. Its labels are its Service's (discovery.k8s.io/v1),
    and an endpoint that says nothing of its readiness is ready.

    >>> ready = {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": "a"}}
    >>> leaves = {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "uid": "b"}}
    >>> labels = {LABEL_APP: "shop", LABEL_REVISION: "v1", _SERVICE: "shop-v1"}
    >>> body = {"metadata": {"name": "shop-v1-x", "labels": labels}, "endpoints": [ready, leaves]}
    >>> project_slice(msgspec.json.encode(body)).pods
    ('a',)
    """
    raw = _decoder.decode(data)
    meta: dict[str, Any] = raw.metadata
    labels = meta.get("labels") or {}
    if not (labels.get(_SERVICE) and labels.get(LABEL_REVISION) and labels.get(LABEL_APP)):
        return None
    return Slice(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta.get("uid", ""),
        rv=int(meta.get("resourceVersion") or 0),
        app=labels[LABEL_APP],
        pods=tuple(
            endpoint.targetRef.get("uid", "")
            for endpoint in raw.endpoints or ()
            if endpoint.conditions.get("ready") is not False
        ),
    )
