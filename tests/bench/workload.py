"""What every contender is asked to run: the same pods, under a Deployment, under an App, or bare."""

import json
from typing import Any

from fairlead.core.meta import API_VERSION
from fairlead.kube.resources import Resource

JSON = dict[str, Any]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
NAMESPACE = "bench"
NAME = "load"
LABEL = "bench"
SELECTOR = f"{LABEL}={NAME}"


def image(version: int) -> str:
    return f"registry.example/load:{version}"


def pod_template(version: int) -> JSON:
    """One container with requests, so that the scheduler has something to add up. A version is another image."""
    container = {
        "name": "load",
        "image": image(version),
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "GREETING", "value": "hello"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {"metadata": {"labels": {LABEL: NAME}}, "spec": {"containers": [container]}}


def deployment(name: str, replicas: int, version: int) -> bytes:
    """With the defaults of its kind: RollingUpdate, 25 % surge, 25 % unavailable."""
    template = pod_template(version)
    template["metadata"]["labels"]["deployment"] = name
    spec = {"replicas": replicas, "selector": {"matchLabels": {"deployment": name}}, "template": template}
    return _encoded("apps/v1", "Deployment", name, spec)


def app(name: str, replicas: int, version: int, spread: str) -> bytes:
    """With the defaults of its kind, which are the same; `spread` is spec.placement.spread."""
    spec: JSON = {"replicas": replicas, "template": pod_template(version)}
    if spread != "Default":
        spec["placement"] = {"spread": spread}
    return _encoded(API_VERSION, "App", name, spec)


def new_image(version: int) -> bytes:
    """A JSON patch: it names the one field, as a merge patch of a list could not."""
    path = "/spec/template/spec/containers/0/image"
    return json.dumps([{"op": "replace", "path": path, "value": image(version)}]).encode()


def new_replicas(replicas: int) -> bytes:
    return json.dumps([{"op": "replace", "path": "/spec/replicas", "value": replicas}]).encode()


def bare_pod(name: str, version: int, node: str) -> bytes:
    """A pod nobody looks after; with a node named it needs no scheduler either."""
    template = pod_template(version)
    if node:
        template["spec"]["nodeName"] = node
    metadata = {**template["metadata"], "name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}).encode()


def _encoded(api_version: str, kind: str, name: str, spec: JSON) -> bytes:
    metadata = {"name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}).encode()
