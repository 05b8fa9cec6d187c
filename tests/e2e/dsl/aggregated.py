"""API servers beside the cluster's own, which serve a group of its APIs. Each is one pod in kube-system."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from e2e.dsl import programs
from e2e.dsl.cluster import Cluster
from support.apiservice import api_service

JSON = dict[str, Any]

NAMESPACE = "kube-system"


@dataclass(frozen=True)
class ApiServer:
    """apis: as VERSION.GROUP, which is what an APIService is called. rules: what it may do besides asking who somebody is and
    what he may do, as every such server does. ports: beside the one that it serves on, by name."""

    name: str
    port: int
    args: tuple[str, ...]
    apis: tuple[str, ...]
    rules: tuple[JSON, ...]
    ports: tuple[tuple[str, int], ...] = ()

    @contextmanager
    def running(self, cluster: Cluster) -> Iterator[None]:
        """It begins, and serves in a while. Afterwards nothing of it is left, however it went: tests that come later count on none, and
        where an API that is announced does not serve, no namespace comes to its end."""
        programs.load(cluster, self.name)
        try:
            cluster.apply(*self._objects(), namespace=NAMESPACE)
            yield
        finally:
            self._remove(cluster)

    def until_serving(self, cluster: Cluster) -> None:
        """Returns when all its APIs do."""
        services = [f"apiservice/{api}" for api in self.apis]
        cluster.kubectl("wait", "--for=condition=Available", *services, "--timeout=120s", timeout=130)

    def _remove(self, cluster: Cluster) -> None:
        cluster.kubectl("delete", "apiservice", *self.apis, "--ignore-not-found")
        delegated = f"{self.name}-delegator"
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", self.name, delegated, "--ignore-not-found")
        cluster.kubectl("delete", "rolebinding", self.name, "-n", NAMESPACE, "--ignore-not-found")
        mine = "pod,service,serviceaccount"
        cluster.kubectl("delete", mine, self.name, "-n", NAMESPACE, "--ignore-not-found", "--now")

    def _objects(self) -> list[JSON]:
        core: JSON = {"apiVersion": "v1", "metadata": {"name": self.name, "labels": {"app": self.name}}}
        ports = [{"name": name, "port": port} for name, port in self.ports]
        served = {"name": "https", "port": 443, "targetPort": self.port}
        rbac: JSON = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": core["metadata"]}
        delegated = {"metadata": {"name": f"{self.name}-delegator"}}
        return [
            core | {"kind": "ServiceAccount"},
            rbac | {"kind": "ClusterRole", "rules": list(self.rules)},
            rbac | self._binding("ClusterRoleBinding", "ClusterRole", self.name),
            rbac | self._binding("ClusterRoleBinding", "ClusterRole", "system:auth-delegator") | delegated,
            rbac | self._binding("RoleBinding", "Role", "extension-apiserver-authentication-reader"),
            core | {"kind": "Service", "spec": {"selector": {"app": self.name}, "ports": [served, *ports]}},
            core | {"kind": "Pod", "spec": self._pod()},
            *(api_service(api, self.name, NAMESPACE) for api in self.apis),
        ]

    def _binding(self, kind: str, role_kind: str, role: str) -> JSON:
        account = {"kind": "ServiceAccount", "name": self.name, "namespace": NAMESPACE}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role}
        return {"kind": kind, "roleRef": reference, "subjects": [account]}

    def _pod(self) -> JSON:
        container = {
            "name": self.name,
            "image": programs.image(self.name),
            "imagePullPolicy": "Never",
            "args": ["--cert-dir=/tmp", f"--secure-port={self.port}", *self.args],
            "readinessProbe": {
                "httpGet": {"path": "/readyz", "port": self.port, "scheme": "HTTPS"},
                "periodSeconds": 2,
            },
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
        volumes = [{"name": "tmp", "emptyDir": {}}]
        return {"serviceAccountName": self.name, "containers": [container], "volumes": volumes}
