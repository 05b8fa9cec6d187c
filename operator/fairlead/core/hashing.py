"""When are two pod templates the same? By what they mean, not by how they were written.

A change that means nothing must not roll pods: an empty list against an absent one, a default written out, the order
of lists that are maps or sets to Kubernetes. What order means something (containers, env, envFrom) is kept.
"""

from __future__ import annotations

import msgspec

from fairlead.core.meta import JSON, stable_hash

# Lists whose order means nothing, and what identifies an item.
_UNORDERED: dict[str, tuple[str, ...]] = {
    "ports": ("containerPort", "protocol"),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "tolerations": ("key", "operator", "value", "effect"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "readinessGates": ("conditionType",),
}
# Objects that mean nothing when they are empty. Others do: an empty selector selects everything, `emptyDir: {}` is a volume,
# and `valueFrom: {}` is a mistake whose removal must make new pods.
_EMPTY_IS_ABSENT = {
    "metadata",
    "labels",
    "annotations",
    "securityContext",
    "capabilities",
    "resources",
    "requests",
    "limits",
    "nodeSelector",
    "affinity",
    "nodeAffinity",
    "podAffinity",
    "podAntiAffinity",
    "lifecycle",
    "dnsConfig",
    "overhead",
}
# Defaults that the API server (or our schema) writes out, by the field that holds them. (An init container with
# restartPolicy Always is a sidecar.)
_DEFAULTS: dict[tuple[str, str], object] = {("ports", "protocol"): "TCP", ("spec", "restartPolicy"): "Always"}


def canonical(template: JSON) -> bytes:
    """The template's meaning as bytes: equal exactly for templates that make the same pods.

    >>> a = {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 2}, {"containerPort": 1}], "env": []}]}}
    >>> b = {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1, "protocol": "TCP"}, {"containerPort": 2}]}]}}
    >>> canonical(a) == canonical(b)
    True
    """
    return msgspec.json.encode(_normal(template, ""), order="sorted")


def template_hash(template: JSON) -> str:
    """The name-safe hash of a template's meaning, ten characters."""
    return stable_hash(canonical(template))


def _normal(value: object, field: str) -> object:
    if isinstance(value, dict):
        return _normal_object(value, field)
    if isinstance(value, list):
        items = [_normal(item, field) for item in value]
        keys = _UNORDERED.get(field)
        if keys and all(isinstance(item, dict) for item in items):
            items.sort(key=lambda item: [str(item.get(key, "")) for key in keys])  # type: ignore[attr-defined]
        return items
    return value


def _normal_object(value: JSON, field: str) -> JSON:
    pairs = ((key, _normal(inner, key)) for key, inner in value.items() if _DEFAULTS.get((field, key)) != inner)
    return {
        key: inner
        for key, inner in pairs
        if inner is not None and inner != [] and not (inner == {} and key in _EMPTY_IS_ABSENT)
    }
