"""What differs between kinds on the API server: subresources, generation, defaults, list keys, what may not change.

Only what Fairlead relies on, each rule checked against a real API server by tests/conformance.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fairlead.core.meta import JSON
from fairlead.kube.errors import Invalid, NotFound
from fairlead.kube.resources import Resource

WITH_STATUS = {
    "App",
    "Revision",
    "Pod",
    "PodDisruptionBudget",
    "Service",
    "Namespace",
    "Node",
    "PersistentVolumeClaim",
    "HTTPRoute",
    "EncryptedSecret",
    "SealingKey",
    "SealedSecret",
}
WITH_SCALE = {"App"}
PATCHED = {"", "status", "scale", "resize"}  # subresources that can be patched
CUSTOM = {"App", "Revision", "HTTPRoute", "EncryptedSecret", "SealingKey", "SealedSecret"}
WITH_GENERATION = CUSTOM | {"Pod", "PodDisruptionBudget"}
# Kinds whose PUT must name a resourceVersion (AllowUnconditionalUpdate is false; custom resources always).
CONDITIONAL_UPDATE = CUSTOM | {"Lease", "PodDisruptionBudget"}
# Kinds written too often to keep every writer's fields; server-side apply on one starts from "before-first-apply".
UNTRACKED = {"Pod", "Event", "Lease", "Node", "Namespace"}

_POD_LISTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("containers",): ("name",),
    ("initContainers",): ("name",),
    ("ephemeralContainers",): ("name",),
    ("containers", "ports"): ("containerPort", "protocol"),
    ("containers", "env"): ("name",),
    ("containers", "volumeMounts"): ("mountPath",),
    ("containers", "volumeDevices"): ("devicePath",),
    ("initContainers", "ports"): ("containerPort", "protocol"),
    ("initContainers", "env"): ("name",),
    ("initContainers", "volumeMounts"): ("mountPath",),
    ("volumes",): ("name",),
    ("imagePullSecrets",): ("name",),
    ("hostAliases",): ("ip",),
    ("topologySpreadConstraints",): ("topologyKey", "whenUnsatisfiable"),
    ("resourceClaims",): ("name",),
}

SET = ("*",)  # a list of scalars without order: one field per value

_LISTS: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {
    "": {
        ("metadata", "ownerReferences"): ("uid",),
        ("metadata", "finalizers"): SET,
        ("status", "conditions"): ("type",),
    },
    "Service": {("spec", "ports"): ("port", "protocol")},
    "Pod": {("spec", *path): keys for path, keys in _POD_LISTS.items()},
    "App": {
        ("spec", "expose", "ports"): ("port", "protocol"),
        ("spec", "config"): ("name",),
        **{("spec", "template", "spec", *path): keys for path, keys in _POD_LISTS.items()},
    },
}
# Objects that one writer owns as a whole (x-kubernetes-map-type: atomic), or whose inside has no schema.
_ATOMIC: dict[str, set[tuple[str, ...]]] = {
    "Service": {("spec", "selector")},
    "PodDisruptionBudget": {("spec", "selector")},
    "Revision": {("spec", "template"), ("spec", "config")},
}
DEFAULT_KEYS: JSON = {"protocol": "TCP"}


def list_keys(kind: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The keys of the list at that path (indexes left out), None for a list that is replaced as a whole.

    >>> list_keys("Service", ("spec", "ports")), list_keys("Service", ("spec", "clusterIPs"))
    (('port', 'protocol'), None)
    """
    return _LISTS.get(kind, {}).get(path) or _LISTS[""].get(path)


def atomic_map(kind: str, path: tuple[str, ...]) -> bool:
    return path in _ATOMIC.get(kind, ())


# ---------------------------------------------------------------- validation

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")


def invalid(resource: Resource, name: str, field: str, why: str) -> Invalid:
    """The API server's 422, with the field in the causes."""
    group = f".{resource.group}" if resource.group else ""
    return Invalid(
        422,
        "Invalid",
        f'{resource.kind}{group} "{name}" is invalid: {field}: {why}',
        details={
            "name": name,
            "kind": resource.kind,
            "causes": [{"reason": "FieldValueInvalid", "field": field, "message": why}],
        },
    )


def check_metadata(resource: Resource, meta: JSON) -> None:
    """Names and labels, for every kind."""
    name = meta["name"]
    short = resource.kind in ("Service", "Namespace")
    form, limit = (_LABEL, 63) if short else (_SUBDOMAIN, 253)
    if len(name) > limit or not form.match(name):
        raise invalid(resource, name, "metadata.name", f'Invalid value: "{name}": not a valid name')
    for key, value in (meta.get("labels") or {}).items():
        if not _KEY.match(key) or len(key.rpartition("/")[2]) > 63:
            raise invalid(resource, name, "metadata.labels", f'Invalid value: "{key}": not a valid label key')
        if not isinstance(value, str) or len(value) > 63 or not _VALUE.match(value):
            raise invalid(resource, name, "metadata.labels", f'Invalid value: "{value}": not a valid label value')
    for ref in meta.get("ownerReferences") or ():
        if not all(ref.get(field) for field in ("apiVersion", "kind", "name", "uid")):
            raise invalid(
                resource,
                name,
                "metadata.ownerReferences",
                "Invalid value: a reference names apiVersion, kind, name and uid",
            )
    if sum(1 for ref in meta.get("ownerReferences") or () if ref.get("controller")) > 1:
        raise invalid(
            resource,
            name,
            "metadata.ownerReferences",
            "Invalid value: only one reference can have Controller set to true",
        )


def check_pod(resource: Resource, obj: JSON) -> None:
    name, spec = obj["metadata"]["name"], obj.get("spec") or {}
    containers = spec.get("containers") or []
    if not containers:
        raise invalid(resource, name, "spec.containers", "Required value")
    names = [container.get("name") for container in containers]
    if not all(names):
        raise invalid(resource, name, "spec.containers[0].name", "Required value")
    if len(set(names)) != len(names):
        raise invalid(resource, name, "spec.containers[1].name", f'Duplicate value: "{names[-1]}"')


def check_service(resource: Resource, obj: JSON) -> None:
    name, spec = obj["metadata"]["name"], obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None":
        raise invalid(resource, name, "spec.ports", "Required value")
    if len(ports) > 1 and not all(port.get("name") for port in ports):
        raise invalid(resource, name, "spec.ports[0].name", "Required value")
    pairs = [(port.get("port"), port.get("protocol")) for port in ports]
    if len(set(pairs)) != len(pairs):
        raise invalid(resource, name, "spec.ports[1]", "Duplicate value")


def check_budget(resource: Resource, obj: JSON) -> None:
    name, spec = obj["metadata"]["name"], obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        raise invalid(resource, name, "spec", "Invalid value: minAvailable and maxUnavailable cannot be both set")


CHECKS: dict[str, Callable[[Resource, JSON], None]] = {
    "Pod": check_pod,
    "Service": check_service,
    "PodDisruptionBudget": check_budget,
}

# Parts of a pod's spec that may change after creation (kubernetes pkg/apis/core/validation ValidatePodUpdate).
_POD_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def check_update(resource: Resource, old: JSON, new: JSON) -> None:
    """What may not change once it is there."""
    name = new["metadata"]["name"]
    if resource.kind == "Pod" and _frozen_pod(old) != _frozen_pod(new):
        raise Invalid(
            422,
            "Invalid",
            f'Pod "{name}" is invalid: spec: Forbidden: pod updates may not change fields other than the image, tolerations and a few more',
        )
    if resource.kind in ("ConfigMap", "Secret"):
        check_immutable(resource, old, new)
    if resource.kind == "Secret" and old.get("type", "Opaque") != new.get("type", "Opaque"):
        raise invalid(resource, name, "type", f'Invalid value: "{new.get("type")}": field is immutable')
    if resource.kind == "Service":
        before, after = old["spec"], new["spec"]
        if (
            before.get("clusterIP")
            and before.get("type") == after.get("type")
            and before["clusterIP"] != after.get("clusterIP")
        ):
            raise invalid(
                resource,
                name,
                "spec.clusterIPs[0]",
                f'Invalid value: "{after.get("clusterIP")}": may not change once set',
            )


def resized(resource: Resource, old: JSON, new: JSON) -> JSON:
    """The pod with other requests and limits, which must leave its class of service what it was (kubernetes
    pkg/registry/core/pod/strategy.go, podResizeStrategy)."""
    name = old["metadata"]["name"]
    if resource.kind != "Pod":
        raise NotFound(404, "NotFound", "the server could not find the requested resource")
    spec = dict(old["spec"])
    for group in ("containers", "initContainers"):
        sizes = {one["name"]: one.get("resources") for one in new["spec"].get(group) or ()}
        if group in spec:
            spec[group] = [
                {key: value for key, value in one.items() if key != "resources"}
                | ({"resources": sizes[one["name"]]} if sizes.get(one["name"]) else {})
                for one in spec[group]
            ]
    pod = {**old, "metadata": dict(old["metadata"]), "spec": spec}
    if service_class(pod) != service_class(old):
        why = "Pod QOS Class may not change as a result of resizing"
        raise Invalid(422, "Invalid", f'Pod "{name}" is invalid: spec: Invalid value: "{service_class(old)}": {why}')
    return pod


def service_class(pod: JSON) -> str:
    """Guaranteed, Burstable or BestEffort, as far as the tests' pods need it told."""
    sizes = [one.get("resources") or {} for one in pod["spec"]["containers"]]
    if not any(size.get("requests") or size.get("limits") for size in sizes):
        return "BestEffort"
    whole = [size for size in sizes if {"cpu", "memory"} <= (size.get("limits") or {}).keys()]
    same = all(size.get("requests") in (None, size["limits"]) for size in whole)
    return "Guaranteed" if same and len(whole) == len(sizes) else "Burstable"


def check_immutable(resource: Resource, old: JSON, new: JSON) -> None:
    """kubernetes pkg/apis/core/validation ValidateConfigMapUpdate, ValidateSecretUpdate."""
    if not old.get("immutable"):
        return
    name = new["metadata"]["name"]
    if not new.get("immutable"):
        raise invalid(resource, name, "immutable", "Forbidden: field is immutable when `immutable` is set")
    for field in ("data", "binaryData"):
        if (old.get(field) or {}) != (new.get(field) or {}):
            raise invalid(resource, name, field, "Forbidden: field is immutable when `immutable` is set")


def _frozen_pod(obj: JSON) -> JSON:
    spec = {key: value for key, value in obj["spec"].items() if key not in _POD_MUTABLE}
    for group in ("containers", "initContainers"):
        if group in spec:
            spec[group] = [{key: value for key, value in c.items() if key != "image"} for c in spec[group]]
    return spec


# ---------------------------------------------------------------- defaults


def default_pod(obj: JSON) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("enableServiceLinks", True)
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")


def default_service(obj: JSON) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if not spec.get("ports"):
        spec.pop("ports", None)  # `omitempty`: an empty list is not stored
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def default_secret(obj: JSON) -> None:
    obj.setdefault("type", "Opaque")


DEFAULTS: dict[str, Callable[[JSON], None]] = {
    "Pod": default_pod,
    "Service": default_service,
    "Secret": default_secret,
}

FIRST_STATUS: dict[str, JSON | None] = {
    "Pod": {"phase": "Pending", "qosClass": "BestEffort"},
    "Service": {"loadBalancer": {}},
    "PodDisruptionBudget": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    "Namespace": {"phase": "Active"},
}


def without(obj: JSON, *keys: str) -> JSON:
    return {key: value for key, value in obj.items() if key not in keys}


def desired_part(resource: Resource, obj: JSON) -> Any:
    """What moves metadata.generation when it changes."""
    return without(obj, "metadata", "status") if resource.kind in CUSTOM else obj.get("spec")
