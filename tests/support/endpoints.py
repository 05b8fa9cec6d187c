"""What kube-controller-manager makes of Services and their pods, on a simulated API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.activation.model import LABEL_ACTIVATED, MANAGED_BY
from fairlead.core.meta import JSON, LABEL_REVISION, controller_of
from fairlead.kube.fake import Commit, FakeCluster, Origin, Stored
from fairlead.kube.fake.selectors import label_selector_match
from fairlead.kube.resources import ENDPOINT_SLICES, PODS, SERVICES

SECONDS = 0.5  # behind the pods: under load it is seconds
_ORIGIN = Origin("update", "endpointslice-controller", "kube-controller-manager")


class Endpoints:
    """A slice for each Service that has the pods of one revision, or that a request can wake; nobody asks for the others' here. A pod's
    address is its uid."""

    def __init__(self, cluster: FakeCluster, pace: Callable[[float], float]):
        self.cluster, self.pace = cluster, pace
        self._due = False
        self._loop = asyncio.get_running_loop()
        cluster.subscribers.append(self._committed)

    def _committed(self, commit: Commit) -> None:
        if not self._due and commit.resource in (PODS, SERVICES) and self._services():
            self._due = True
            self._loop.call_later(self.pace(SECONDS), self._write)

    def _services(self) -> list[Stored]:
        marks = {LABEL_REVISION, LABEL_ACTIVATED}
        return [each for each in self.cluster.all(SERVICES) if marks & (each.meta.get("labels") or {}).keys()]

    def _write(self) -> None:
        self._due = False
        for service in self._services():
            self._write_one(service)

    def _write_one(self, service: Stored) -> None:
        name, namespace = f"{service.meta['name']}-slice", service.meta["namespace"]
        endpoints = self._endpoints(service)
        found = self.cluster.find(ENDPOINT_SLICES, namespace, name)
        if found is None:
            owner = {"apiVersion": "v1", "kind": "Service", "name": service.meta["name"], "uid": service.meta["uid"]}
            labels = service.meta["labels"] | {"kubernetes.io/service-name": service.meta["name"]}
            labels |= {MANAGED_BY: "endpointslice-controller.k8s.io"}
            meta = {"name": name, "labels": labels, "ownerReferences": [owner | {"controller": True}]}
            ports = [{"name": port.get("name", ""), "port": 8080} for port in service.object["spec"].get("ports") or ()]
            body = {"metadata": meta, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}
            self.cluster.create(ENDPOINT_SLICES, namespace, body, _ORIGIN)
        elif found.object["endpoints"] != endpoints:
            self.cluster.edit(ENDPOINT_SLICES, namespace, name, lambda obj: obj.update(endpoints=endpoints), _ORIGIN)

    def _endpoints(self, service: Stored) -> list[JSON]:
        matches = label_selector_match({"matchLabels": service.object["spec"]["selector"]})
        pods = [pod for pod in self.cluster.all(PODS, service.meta["namespace"]) if matches(pod.object)]
        return [
            {
                "addresses": [pod.meta["uid"]],
                "conditions": {"ready": _ready(pod.object) and not pod.meta.get("deletionTimestamp")},
                "targetRef": {"kind": "Pod", "name": pod.meta["name"], "uid": pod.meta["uid"]},
            }
            for pod in pods
            if controller_of(pod.meta)
        ]


def _ready(pod: JSON) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
