"""What every contender is asked to run: the same pods, under a Deployment, under an App, or bare."""

import json
from dataclasses import dataclass
from typing import Any

from fairlead.core.meta import API_VERSION
from fairlead.kube.resources import Resource

JSON = dict[str, Any]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
NAMESPACE = "bench"
CONTAINER = "load"
LABEL = "bench"
SELECTOR = f"{LABEL}=load"

TARGET = 60  # per cent of what pods request, where their number follows that
_AT_ONCE = {"type": "Percent", "value": 900, "periodSeconds": 15}  # else the wait for the policy would be measured


@dataclass(frozen=True, slots=True)
class Load:
    """So many parents of so many pods each."""

    name: str
    parents: int
    each: int
    nodes: int = 0
    """The parents' templates name a node, so many in turn, and nobody schedules; 0: the scheduler does."""

    @property
    def pods(self) -> int:
        return self.parents * self.each

    def names(self) -> list[str]:
        """
        >>> Load("shop", parents=1, each=1000).names(), Load("shop", parents=2, each=5).names()
        (['shop'], ['shop-0', 'shop-1'])
        """
        return [self.name] if self.parents == 1 else [f"{self.name}-{number}" for number in range(self.parents)]

    def node(self, number: int) -> str:
        return f"node-{number % self.nodes}" if self.nodes else ""


def image(version: int) -> str:
    return f"registry.example/load:{version}"


def pod_template(version: int, node: str = "", cpu: str = "10m") -> JSON:
    """One container with requests, so that the scheduler has something to add up. A version is another image."""
    container = {
        "name": CONTAINER,
        "image": image(version),
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "GREETING", "value": "hello"}],
        "resources": {"requests": {"cpu": cpu, "memory": "16Mi"}},
    }
    spec: JSON = {"containers": [container]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"labels": {LABEL: "load"}}, "spec": spec}


def deployment(name: str, replicas: int, version: int, node: str, cpu: str = "10m") -> bytes:
    """With the defaults of its kind: RollingUpdate, 25 % surge, 25 % unavailable."""
    template = pod_template(version, node, cpu)
    template["metadata"]["labels"]["deployment"] = name
    spec = {"replicas": replicas, "selector": {"matchLabels": {"deployment": name}}, "template": template}
    return _encoded("apps/v1", "Deployment", name, spec)


def app(name: str, replicas: int, version: int, node: str, spread: str = "Default", cpu: str = "10m") -> bytes:
    """With the defaults of its kind, which are the same; `spread` is spec.placement.spread."""
    spec: JSON = {"replicas": replicas, "template": pod_template(version, node, cpu)}
    if spread != "Default":
        spec["placement"] = {"spread": spread}
    return _encoded(API_VERSION, "App", name, spec)


def autoscale(low: int, high: int) -> JSON:
    """spec.autoscale of an App: to TARGET per cent of the cpu that pods request, and in one go, whatever it takes."""
    return {
        "min": low,
        "max": high,
        "metrics": [{"resource": {"name": "cpu", "averageUtilization": TARGET}}],
        "behavior": {"scaleUp": {"policies": [_AT_ONCE]}},
    }


def autoscaler(name: str, low: int, high: int) -> bytes:
    """The same of a Deployment."""
    target = {"type": "Utilization", "averageUtilization": TARGET}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": low,
        "maxReplicas": high,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {"scaleUp": {"policies": [_AT_ONCE]}},
    }
    return _encoded("autoscaling/v2", "HorizontalPodAutoscaler", name, spec)


def new_image(version: int) -> bytes:
    """A JSON patch: it names the one field, as a merge patch of a list could not."""
    path = "/spec/template/spec/containers/0/image"
    return json.dumps([{"op": "replace", "path": path, "value": image(version)}]).encode()


def new_replicas(replicas: int) -> bytes:
    return json.dumps([{"op": "replace", "path": "/spec/replicas", "value": replicas}]).encode()


def bare_pod(name: str, version: int, node: str) -> bytes:
    """A pod nobody looks after; with a node named it needs no scheduler either."""
    template = pod_template(version, node)
    metadata = {**template["metadata"], "name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}).encode()


def _encoded(api_version: str, kind: str, name: str, spec: JSON) -> bytes:
    metadata = {"name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}).encode()
