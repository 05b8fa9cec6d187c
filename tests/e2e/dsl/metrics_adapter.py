"""The adapter that upstream's library for custom and external metrics comes with: it serves both APIs by that library, as every
adapter that is built on it does, with values that a test writes."""

from typing import Any

from e2e.dsl.aggregated import NAMESPACE, ApiServer
from e2e.dsl.cluster import Cluster

_WRITES = "writes"
ADAPTER = ApiServer(
    "metrics-adapter",
    port=6443,
    args=(),
    apis=("v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"),
    rules=({"apiGroups": [""], "resources": ["*"], "verbs": ["get", "list"]},),
    ports=((_WRITES, 8080),),
)

EXTERNAL, EXTERNAL_VALUE = "other-external-metric", 44
"""An external metric that it has from its start."""

READ: dict[str, Any] = {
    "customMetrics": ["pods/jobs_running", "services/backlog"],
    "externalMetrics": [EXTERNAL],
}
"""Chart values: what the operator may read of it."""


def write(cluster: Cluster, namespace: str, described: str, metric: str, value: int) -> None:
    """described: as `pods/web-1`."""
    adapter = f"/api/v1/namespaces/{NAMESPACE}/services/{ADAPTER.name}:{_WRITES}/proxy"
    path = f"{adapter}/write-metrics/namespaces/{namespace}/{described}/{metric}"
    cluster.kubectl("create", "--raw", path, "--filename=-", stdin=f'"{value}"')
