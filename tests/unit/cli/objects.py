"""Apps, Revisions and pods as the operator leaves them: say what matters, the rest is plain."""

from __future__ import annotations

from typing import Any

from fairlead.core.conditions import timestamp
from fairlead.core.meta import API_VERSION, JSON


def template(image: str = "registry.example/shop:1") -> JSON:
    return {
        "spec": {"containers": [{"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]}
    }


def app(name: str = "shop", *, replicas: int = 3, image: str = "registry.example/shop:1", **spec: Any) -> JSON:
    return {
        "apiVersion": API_VERSION,
        "kind": "App",
        "metadata": {"name": name, "labels": {"team": "blue"}},
        "spec": {"replicas": replicas, "template": template(image), **spec},
    }


def condition(type: str, status: str, reason: str, message: str = "", since: float = 0) -> JSON:
    return {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(since),
    }


def done(replicas: int = 3, *, generation: int = 1, revision: int = 1, hash: str = "v1", **more: Any) -> JSON:
    """The status of an App whose rollout is complete."""
    return {
        "observedGeneration": generation,
        "conditions": [
            condition("Ready", "True", "RolledOut"),
            condition("Progressing", "True", "NewRevisionAvailable"),
        ],
        "replicas": replicas,
        "readyReplicas": replicas,
        "updatedReplicas": replicas,
        "availableReplicas": replicas,
        "revision": revision,
        "activeRevision": f"shop-{hash}",
        "stableRevision": f"shop-{hash}",
        "summary": "Ready",
        **more,
    }


def moving(*, updated: int = 1, ready: int = 3, generation: int = 2, **more: Any) -> JSON:
    """The status of an App of three on its way from v1 to v2."""
    return {
        "observedGeneration": generation,
        "conditions": [
            condition("Ready", "False", "RevisionUpdating"),
            condition("Reconciling", "True", "RevisionUpdating"),
            condition("Progressing", "True", "RevisionUpdating"),
        ],
        "replicas": 3 + updated,
        "readyReplicas": ready,
        "updatedReplicas": updated,
        "availableReplicas": ready,
        "revision": 2,
        "activeRevision": "shop-v2",
        "stableRevision": "shop-v1",
        "summary": f"Rolling {updated}/3",
        "rollout": {"waitingFor": f"{3 - updated} of 3 updated pods to be created"},
        **more,
    }


def stuck(**more: Any) -> JSON:
    """The same, after its deadline, with an image that is not there."""
    problem = {
        "reason": "ImagePullBackOff",
        "message": 'Back-off pulling image "shop:2"',
        "count": 1,
        "samplePod": "shop-v2-aaaaa",
        "container": "web",
        "revision": "shop-v2",
        "since": timestamp(0),
    }
    words = "no progress for 60 s, waiting for 1 of 3 updated pods to become available: 1 × ImagePullBackOff (…)"
    conditions = [
        condition("Ready", "False", "ProgressDeadlineExceeded", words),
        condition("Stalled", "True", "ProgressDeadlineExceeded", words),
        condition("Progressing", "False", "ProgressDeadlineExceeded", words),
    ]
    return moving() | {"conditions": conditions, "problems": [problem], "summary": "Stuck: ImagePullBackOff"} | more


def revision(number: int, hash: str, *, uid: str, app: str = "shop", image: str = "", **status: Any) -> JSON:
    """A Revision the App of that uid owns."""
    image = image or f"registry.example/shop:{number}"
    return {
        "apiVersion": API_VERSION,
        "kind": "Revision",
        "metadata": {
            "name": f"{app}-{hash}",
            "labels": {"fairlead.dev/app": app, "fairlead.dev/revision": hash},
            "ownerReferences": [owner(uid, app)],
        },
        "spec": {
            "app": app,
            "number": number,
            "templateHash": hash,
            "template": template(image),
            "images": [image],
            "cause": f"release {number}",
            "createdBy": "kubectl-client-side-apply",
        },
        "status": status,
    }


def pod(name: str, hash: str, *, uid: str, app: str = "shop", ready: bool = True, **status: Any) -> JSON:
    """A running pod of a revision."""
    labels = {"fairlead.dev/app": app, "fairlead.dev/revision": hash, "fairlead.dev/serving": "true"}
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(0)}]
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner(uid, app)]},
        "spec": {"nodeName": "node-1", "containers": [{"name": "web", "image": "shop:1"}]},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def owner(uid: str, app: str = "shop") -> JSON:
    return {"apiVersion": API_VERSION, "kind": "App", "name": app, "uid": uid, "controller": True}
