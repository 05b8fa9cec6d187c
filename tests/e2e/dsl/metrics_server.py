"""A real metrics-server in the cluster, whose API upstream's HorizontalPodAutoscalers read."""

from e2e.dsl.aggregated import ApiServer

METRICS_SERVER = ApiServer(
    "metrics-server",
    port=10250,
    args=(
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-insecure-tls",  # kind's kubelets have certificates of their own making
        "--metric-resolution=15s",
    ),
    apis=("v1beta1.metrics.k8s.io",),
    rules=(
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ),
)
