"""The adapter that upstream's library for custom and external metrics comes with: it serves both APIs by that library, as every
adapter that is built on it does, with values that a test writes."""

from typing import Any

from e2e.dsl.aggregated import NAMESPACE, ApiServer
from e2e.dsl.scene import Scene

_PORT = 8080  # where values are written
ADAPTER = ApiServer(
    "metrics-adapter",
    port=6443,
    args=(),
    apis=("v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"),
    rules=({"apiGroups": [""], "resources": ["*"], "verbs": ["get", "list"]},),
    ports=(("writes", _PORT),),
)

EXTERNAL, EXTERNAL_VALUE = "other-external-metric", 44
"""An external metric that it has from its start."""

READ: dict[str, Any] = {
    "customMetrics": ["pods/jobs_running", "services/backlog"],
    "externalMetrics": [EXTERNAL],
}
"""Chart values: what the operator may read of it."""


# Whoever runs this has Python; the API server's proxy says nothing of what kind a body is, and the adapter asks for that.
_WRITE = """
import sys, urllib.request
url, value = sys.argv[1:]
headers = {"Content-Type": "application/json"}
urllib.request.urlopen(urllib.request.Request(url, f'"{value}"'.encode(), headers), timeout=50)
"""


def write(scene: Scene, described: str, metric: str, value: int) -> None:
    """By one of the App's pods. described: as `pods/web-1`."""
    path = f"write-metrics/namespaces/{scene.namespace}/{described}/{metric}"
    url = f"http://{ADAPTER.name}.{NAMESPACE}.svc:{_PORT}/{path}"
    scene.kubectl("exec", scene.pods()[0]["metadata"]["name"], "--", "python3", "-c", _WRITE, url, str(value))
