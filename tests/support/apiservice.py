"""An API that another server serves, as kube-aggregator is told of it."""

from typing import Any

JSON = dict[str, Any]


def api_service(api: str, service: str, namespace: str, port: int = 443) -> JSON:
    """The APIService of an API, VERSION.GROUP, that this Service's pods serve by a certificate of their own making.

    >>> api_service("v1beta1.metrics.k8s.io", "metrics-server", "kube-system")["spec"]["group"]
    'metrics.k8s.io'
    """
    version, _, group = api.partition(".")
    spec = {
        "group": group,
        "version": version,
        "service": {"name": service, "namespace": namespace, "port": port},
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": api}, "spec": spec}
