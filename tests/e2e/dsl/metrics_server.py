"""A real metrics-server in the cluster, whose API upstream's HorizontalPodAutoscalers read."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from e2e.dsl.cluster import Cluster
from substrate import tools
from substrate.progress import Progress
from support.commands import execute

JSON = dict[str, Any]

NAME, NAMESPACE, PORT = "metrics-server", "kube-system", 10250
IMAGE = f"fairlead-metrics-server:{tools.TOOLS[NAME].version}"
_API = "v1beta1.metrics.k8s.io"


def start(cluster: Cluster) -> None:
    """Returns when its API serves."""
    _load(cluster)
    cluster.apply(*_objects(), namespace=NAMESPACE)
    cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{_API}", "--timeout=120s", timeout=130)


def remove(cluster: Cluster) -> None:
    """All of it: tests that come later count on none."""
    cluster.kubectl("delete", "apiservice", _API, "--ignore-not-found")
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", NAME, f"{NAME}-delegator", "--ignore-not-found")
    cluster.kubectl("delete", "rolebinding", NAME, "-n", NAMESPACE, "--ignore-not-found")
    cluster.kubectl("delete", "pod,service,serviceaccount", NAME, "-n", NAMESPACE, "--ignore-not-found", "--now")


def _load(cluster: Cluster) -> None:
    tools.ensure([NAME], Progress())
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        shutil.copy2(tools.TOOLS[NAME].program, here / NAME)
        (here / "Dockerfile").write_text(f'FROM scratch\nCOPY {NAME} /{NAME}\nENTRYPOINT ["/{NAME}"]\n')
        execute(["docker", "build", "--quiet", f"--tag={IMAGE}", folder], timeout=300)
    cluster.load(IMAGE)


def _objects() -> list[JSON]:
    meta: JSON = {"name": NAME, "labels": {"k8s-app": NAME}}
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": [
            "--cert-dir=/tmp",
            f"--secure-port={PORT}",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-insecure-tls",  # kind's kubelets have certificates of their own making
            "--metric-resolution=15s",
        ],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": PORT, "scheme": "HTTPS"}, "periodSeconds": 2},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        rbac | {"kind": "ClusterRole", "metadata": meta, "rules": rules},
        rbac
        | {
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": _role("ClusterRole", NAME),
            "subjects": [account],
        },
        rbac
        | {
            "kind": "ClusterRoleBinding",
            "metadata": meta | {"name": f"{NAME}-delegator"},
            "roleRef": _role("ClusterRole", "system:auth-delegator"),
            "subjects": [account],
        },
        rbac
        | {
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": _role("Role", "extension-apiserver-authentication-reader"),
            "subjects": [account],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": meta["labels"], "ports": [{"port": 443, "targetPort": PORT}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": {
                "serviceAccountName": NAME,
                "containers": [container],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _API},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "service": {"name": NAME, "namespace": NAMESPACE},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]


def _role(kind: str, name: str) -> JSON:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
