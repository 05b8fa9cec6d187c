"""The kinds Fairlead talks to, and where the API server keeps them."""

from __future__ import annotations

from typing import NamedTuple

from fairlead.core.meta import GROUP, VERSION


class Resource(NamedTuple):
    """One kind: group ("" for core), version, plural, kind, and whether it lives in namespaces."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path: of the collection without `name`, across namespaces without `namespace`.

        >>> PODS.path("shop", "web-1", "eviction")
        '/api/v1/namespaces/shop/pods/web-1/eviction'
        >>> APPS.path()
        '/apis/fairlead.dev/v1alpha1/apps'
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"


PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
EVENTS = Resource("", "v1", "events", "Event")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
APPS = Resource(GROUP, VERSION, "apps", "App")
REVISIONS = Resource(GROUP, VERSION, "revisions", "Revision")
GATES = Resource(GROUP, VERSION, "gates", "Gate")
ENCRYPTED_SECRETS = Resource(GROUP, VERSION, "encryptedsecrets", "EncryptedSecret")
SEALING_KEYS = Resource(GROUP, VERSION, "sealingkeys", "SealingKey", namespaced=False)
SEALED_SECRETS = Resource("bitnami.com", "v1alpha1", "sealedsecrets", "SealedSecret")

BY_KIND: dict[str, Resource] = {
    resource.kind: resource
    for resource in (
        PODS,
        NODES,
        NAMESPACES,
        SERVICES,
        CONFIG_MAPS,
        SECRETS,
        CLAIMS,
        SERVICE_ACCOUNTS,
        EVENTS,
        ENDPOINT_SLICES,
        HTTP_ROUTES,
        BUDGETS,
        DEPLOYMENTS,
        LEASES,
        APPS,
        REVISIONS,
        GATES,
        ENCRYPTED_SECRETS,
        SEALING_KEYS,
        SEALED_SECRETS,
    )
}
