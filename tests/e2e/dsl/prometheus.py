"""A real Prometheus in the cluster, which reads the pods of one namespace each second."""

import json
from typing import Any

from e2e.dsl import programs
from e2e.dsl.cluster import Cluster

JSON = dict[str, Any]

PORT = 9090
_CONFIG = {
    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
    "scrape_configs": [
        {
            "job_name": "pods",
            "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"own_namespace": True}}],
            "relabel_configs": [
                {"action": "keep", "source_labels": ["__meta_kubernetes_pod_label_fairlead_dev_app"], "regex": ".+"},
                {"source_labels": ["__meta_kubernetes_pod_label_fairlead_dev_revision"], "target_label": "revision"},
            ],
        }
    ],
}


def load(cluster: Cluster) -> None:
    programs.load(cluster, "prometheus")


def start(cluster: Cluster, namespace: str) -> str:
    """Its address, once it is ready."""
    arguments = [
        "--config.file=/config/prometheus.yml",
        "--storage.tsdb.path=/data",
        f"--web.listen-address=:{PORT}",
    ]
    container = {
        "name": "prometheus",
        "image": programs.image("prometheus"),
        "imagePullPolicy": "Never",
        "args": arguments,
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}, {"name": "data", "mountPath": "/data"}],
    }
    meta = {"name": "prometheus", "labels": {"app": "prometheus"}}
    core = {"apiVersion": "v1", "metadata": meta}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": meta}
    subject = {"kind": "ServiceAccount", "name": "prometheus", "namespace": namespace}
    volumes = [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}]
    spec = {"serviceAccountName": "prometheus", "containers": [container], "volumes": volumes}
    cluster.apply(
        core | {"kind": "ServiceAccount"},
        rbac
        | {"kind": "Role", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]},
        rbac | {"kind": "RoleBinding", "roleRef": _ref("Role"), "subjects": [subject]},
        core | {"kind": "ConfigMap", "data": {"prometheus.yml": json.dumps(_CONFIG)}},
        core | {"kind": "Service", "spec": {"selector": meta["labels"], "ports": [{"port": PORT}]}},
        core | {"kind": "Pod", "spec": spec},
        namespace=namespace,
    )
    cluster.kubectl("wait", "--for=condition=Ready", "pod/prometheus", "-n", namespace, "--timeout=120s", timeout=130)
    return f"http://prometheus.{namespace}.svc:{PORT}"


def _ref(kind: str) -> JSON:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "prometheus"}
