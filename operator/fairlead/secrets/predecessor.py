"""The controller of sealed-secrets where it still runs: whoever takes its place waits until it was stopped. Pure.

It runs where its keys are, as a Deployment. A program of the same kind under another name goes unnoticed (docs/limits.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_NAME = "sealed-secrets"  # app.kubernetes.io/name by its chart
_PROGRAM = "sealed-secrets-controller"  # container by its manifest, image by both


class OldController(msgspec.Struct, frozen=True):
    """A Deployment of sealed-secrets' controller. `running`: it has pods, or is to have some."""

    namespace: str
    name: str
    uid: str
    rv: int
    running: bool


class _Container(msgspec.Struct):
    name: str = ""
    image: str = ""


class _PodSpec(msgspec.Struct):
    containers: list[_Container] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _Spec(msgspec.Struct):
    replicas: int = 1
    template: _Template = msgspec.field(default_factory=_Template)


class _Status(msgspec.Struct):
    replicas: int = 0


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    labels: dict[str, str] | None = None


class _Deployment(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_deployment = msgspec.json.Decoder(_Deployment)


def project_old_controller(data: bytes) -> OldController | None:
    """A Deployment's JSON; None for one that is not sealed-secrets' controller."""
    raw = _deployment.decode(data)
    meta, spec = raw.metadata, raw.spec
    labelled = (meta.labels or {}).get("app.kubernetes.io/name") == _NAME
    if not labelled and not any(map(_is_program, spec.template.spec.containers)):
        return None
    running = max(spec.replicas, raw.status.replicas) > 0
    return OldController(meta.namespace, meta.name, meta.uid, int(meta.resource_version), running)


def _is_program(container: _Container) -> bool:
    """By its name, or by its image's, from whatever registry.

    >>> _is_program(_Container(image="registry.example:5000/mirror/sealed-secrets-controller:0.27.1@sha256:0f"))
    True
    >>> _is_program(_Container("sealed-secrets-web", "bakito/sealed-secrets-web:3"))
    False
    """
    image = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return _PROGRAM in (container.name, image)


def still_runs(found: Iterable[OldController]) -> str:
    """Why SealedSecrets are left alone, with the command that changes it; "" where nothing of the kind runs.

    >>> old = OldController("kube-system", "sealed-secrets-controller", "u", 1, running=True)
    >>> still_runs([old]).partition(":")[0]
    'the controller of sealed-secrets still runs (Deployment kube-system/sealed-secrets-controller), and two would fight over one Secret'
    >>> still_runs([msgspec.structs.replace(old, running=False)])
    ''
    """
    for one in found:
        if one.running:
            stop = f"`kubectl scale deployment {one.name} --namespace {one.namespace} --replicas 0`"
            return (
                f"the controller of sealed-secrets still runs (Deployment {one.namespace}/{one.name}), and two would fight over one Secret: "
                f"nothing is done about SealedSecrets until it is stopped, by {stop}; then it goes on by itself"
            )
    return ""
