"""A real implementation of Gateway API in the cluster: Traefik, for the Gateway of one namespace (ADR 23)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e.dsl import programs
from e2e.dsl.cluster import Cluster
from substrate import versions
from substrate.golang import module_folder

JSON = dict[str, Any]

NAME = "web"
_PORT = 8000
_ADMIN = 8080
_KINDS = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies")
_API = "gateway.networking.k8s.io"
_READ = ["get", "list", "watch"]


def load(cluster: Cluster) -> None:
    """Gateway API's definitions in the cluster, as far as Traefik watches them, and its image on every node. The
    definitions stay: Fairlead looks for them each half minute only, and nobody minds them."""
    folder = module_folder("sigs.k8s.io/gateway-api", versions.GATEWAY_API) / "config" / "crd" / "standard"
    files = [f"--filename={folder / f'{_API}_{kind}.yaml'}" for kind in _KINDS]
    cluster.kubectl("apply", "--server-side", *files)
    programs.load(cluster, "traefik")


@contextmanager
def running(cluster: Cluster, namespace: str) -> Iterator[str]:
    """The address that the namespace's Gateway answers at, inside the cluster, once it is programmed."""
    cluster.apply(*_cluster_wide(namespace))
    try:
        cluster.apply(*_namespaced(namespace), namespace=namespace)
        for what in ("condition=Ready pod/traefik", f"condition=Programmed gateway/{NAME}"):
            condition, subject = what.split()
            cluster.kubectl("wait", f"--for={condition}", subject, "-n", namespace, "--timeout=120s", timeout=130)
        yield f"http://traefik.{namespace}.svc"
    finally:
        cluster.kubectl("delete", "gatewayclass,clusterrole,clusterrolebinding", namespace)


def _cluster_wide(namespace: str) -> list[JSON]:
    """What has no namespace is called like the one that it is for."""
    meta = {"name": namespace}
    rules = [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": _READ},
        {"apiGroups": [_API], "resources": ["gatewayclasses"], "verbs": _READ},
        {"apiGroups": [_API], "resources": ["gatewayclasses/status"], "verbs": ["update"]},
    ]
    spec = {"controllerName": "traefik.io/gateway-controller"}
    return [
        {"apiVersion": f"{_API}/v1", "kind": "GatewayClass", "metadata": meta, "spec": spec},
        _rbac("ClusterRole", namespace) | {"rules": rules},
        _rbac("ClusterRoleBinding", namespace) | _bound("ClusterRole", namespace, namespace),
    ]


def _namespaced(namespace: str) -> list[JSON]:
    name, labels = "traefik", {"app": "traefik"}
    kinds = ["gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "secrets", "configmaps"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": [_API], "resources": kinds, "verbs": _READ},
        {"apiGroups": [_API], "resources": [f"{kind}/status" for kind in kinds], "verbs": ["update"]},
    ]
    listener = {"name": "http", "protocol": "HTTP", "port": _PORT}
    gateway = {"gatewayClassName": namespace, "listeners": [listener]}
    core = {"apiVersion": "v1", "metadata": {"name": name, "labels": labels}}
    return [
        core | {"kind": "ServiceAccount"},
        _rbac("Role", name) | {"rules": rules},
        _rbac("RoleBinding", name) | _bound("Role", name, namespace),
        core | {"kind": "Service", "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": _PORT}]}},
        core | {"kind": "Pod", "spec": {"serviceAccountName": name, "containers": [_container(namespace)]}},
        {"apiVersion": f"{_API}/v1", "kind": "Gateway", "metadata": {"name": NAME}, "spec": gateway},
    ]


def _container(namespace: str) -> JSON:
    """Traefik finds a listener's entry point by its port. All else is as it comes: it gathers changes for two seconds."""
    arguments = [
        f"--entryPoints.web.address=:{_PORT}",
        f"--entryPoints.traefik.address=:{_ADMIN}",
        "--ping=true",
        "--providers.kubernetesGateway=true",
        f"--providers.kubernetesGateway.namespaces={namespace}",
        "--global.checkNewVersion=false",
    ]
    return {
        "name": "traefik",
        "image": programs.image("traefik"),
        "imagePullPolicy": "Never",
        "args": arguments,
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": _ADMIN}, "periodSeconds": 1},
    }


def _rbac(kind: str, name: str) -> JSON:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}}


def _bound(role: str, name: str, namespace: str) -> JSON:
    subject = {"kind": "ServiceAccount", "name": "traefik", "namespace": namespace}
    return {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name}, "subjects": [subject]}
