"""What the API server gives a Service: addresses and node ports."""

from __future__ import annotations

from fairlead.core.meta import JSON
from fairlead.kube.resources import Resource


class Allocator:
    """Counts addresses and ports up; none is given twice."""

    def __init__(self) -> None:
        self._addresses = 0
        self._ports = 30000

    def fill(self, resource: Resource, obj: JSON, old: JSON | None) -> None:
        """Complete a Service's spec: kept from `old` where it was given before, new where it is wanted."""
        if resource.kind != "Service":
            return
        spec, before = obj["spec"], (old or {}).get("spec", {})
        if not spec.get("clusterIP"):
            spec["clusterIP"] = before.get("clusterIP") or self._address()
        spec["clusterIPs"] = [spec["clusterIP"]]
        self._node_ports(spec, before)

    def _address(self) -> str:
        self._addresses += 1
        return f"10.96.{self._addresses // 250}.{self._addresses % 250 + 1}"

    def _node_ports(self, spec: JSON, before: JSON) -> None:
        given = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports") or ()}
        wanted = spec["type"] == "NodePort" or (
            spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        for port in spec.get("ports") or ():
            if not wanted:
                port.pop("nodePort", None)
            elif not port.get("nodePort"):
                port["nodePort"] = given.get((port.get("port"), port.get("protocol"))) or self._port()

    def _port(self) -> int:
        self._ports += 1
        return self._ports
