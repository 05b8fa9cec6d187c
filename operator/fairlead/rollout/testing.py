"""Builders of Apps, Revisions and pods for worked examples and tests: say what matters, the rest is plain."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.rollout.model import App, Asked, Revision, Rollout, Spec

TEMPLATE: JSON = {"spec": {"containers": [{"name": "web", "image": "shop:1"}]}}


def make_app(
    *,
    replicas: int = 1,
    digest: str = "v1",
    status: JSON | None = None,
    template: JSON | None = None,
    invalid: str = "",
    deleting: bool = False,
    generation: int = 1,
    name: str = "shop",
    asked: Asked = Asked(),
    after: tuple[str, ...] = (),
    **rollout: Any,
) -> App:
    """An App `shop`; keyword arguments beyond the named ones are fields of spec.rollout."""
    spec = Spec(
        template=msgspec.Raw(msgspec.json.encode(template or TEMPLATE)),
        replicas=replicas,
        rollout=Rollout(**rollout),
        after=after,
    )
    return App(
        "default",
        name,
        "app-uid",
        1,
        generation,
        deleting,
        {},
        "",
        "kubectl",
        spec,
        digest,
        status or {},
        invalid,
        asked,
    )


def make_revision(
    *, number: int = 1, hash: str = "v1", name: str = "", created: float = 0.0, **fields: Any
) -> Revision:
    """A Revision owned by `shop`; its hash is its digest too."""
    defaults: dict[str, Any] = {
        "namespace": "default",
        "uid": f"uid-{hash}",
        "rv": 1,
        "generation": 1,
        "deleting": False,
        "owner_uid": "app-uid",
        "owner_name": "shop",
        "app": "shop",
        "digest": hash,
        "template": msgspec.Raw(msgspec.json.encode(TEMPLATE)),
        "images": ("shop:1",),
        "cause": "",
        "status": {},
    }
    return Revision(name=name or f"shop-{hash}", created=created, number=number, hash=hash, **(defaults | fields))


def make_pods(count: int, hash: str = "v1", *, ready: bool = True, prefix: str = "", **fields: Any) -> tuple[Pod, ...]:
    """`count` running pods of a revision, ready since long ago unless said otherwise."""
    made = []
    for index in range(count):
        name = f"shop-{prefix or hash}-{index}"
        defaults: dict[str, Any] = {
            "namespace": "default",
            "uid": f"uid-{name}",
            "rv": 1,
            "created": 0.0,
            "phase": "Running",
            "node": f"node-{index % 3}",
            "ready": ready,
            "owner_kind": "App",
            "owner_name": "shop",
            "owner_uid": "app-uid",
            "app": "shop",
            "revision": hash,
            "serving": True,
        }
        made.append(Pod(name=name, **(defaults | fields)))
    return tuple(made)
