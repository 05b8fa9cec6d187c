"""What a pod's containers request and may use at most, and the class of service that follows from it. Pure.

Source: kubernetes pkg/apis/core/v1/helper/qos (ComputePodQOS).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from fairlead.autoscale.vertical.model import RESOURCES, Amounts, Applied
from fairlead.autoscale.vertical.render import lasting, with_requests
from fairlead.core.meta import JSON
from fairlead.core.quantity import milli


class Size(NamedTuple):
    """One container's cpu and memory."""

    requests: Amounts
    limits: Amounts


Sizes = dict[str, Size]  # by container


class Wanted(msgspec.Struct, frozen=True):
    """What a revision's pods are to have. sizes: of what is applied; body: its containers as a patch has them; restarts: those
    that a resize in place would start anew (resizePolicy), by resource."""

    sizes: Sizes
    body: JSON
    service: str
    restarts: frozenset[tuple[str, str]] = frozenset()


def wanted(applied: Applied, template: JSON) -> Wanted:
    """Of a template's pod spec. ValueError where it has what is no amount.

    >>> web = {"name": "web", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 1}}}
    >>> told = wanted(Applied({"web": {"cpu": 300}}), {"containers": [web]})
    >>> told.sizes["web"], told.service
    (Size(requests={'cpu': 300}, limits={'cpu': 600}), 'Burstable')
    >>> told.body
    {'containers': [{'name': 'web', 'resources': {'requests': {'cpu': '300m'}, 'limits': {'cpu': '600m'}}}]}
    """
    spec = with_requests(applied, template)
    sizes: Sizes = {}
    body: JSON = {}
    for field in ("containers", "initContainers"):
        ours = [one for one in lasting({field: spec.get(field)}) if one.get("name") in applied.amounts]
        parts = [(str(one["name"]), _only(one.get("resources") or {}, applied.amounts[one["name"]])) for one in ours]
        sizes |= {name: _size(part) for name, part in parts}
        if parts:
            body[field] = [{"name": name, "resources": part} for name, part in parts]
    restarts = frozenset(
        (str(one["name"]), str(rule.get("resourceName")))
        for one in lasting(spec)
        for rule in one.get("resizePolicy") or ()
        if rule.get("restartPolicy") == "RestartContainer"
    )
    return Wanted(sizes, body, service(spec), restarts)


def _only(resources: JSON, amounts: Amounts) -> JSON:
    """Without what is not applied."""
    parts = {
        part: {name: said[name] for name in amounts if name in said}
        for part in ("requests", "limits")
        if (said := resources.get(part) or {})
    }
    return {part: said for part, said in parts.items() if said}


@lru_cache(maxsize=4096)
def had(data: bytes) -> Sizes:
    """Of what a pod is known by (`core.podstate.Pod.resources`): a revision's pods have the same.

    >>> had(b'{"containers":[{"name":"web","resources":{"requests":{"cpu":"300m"}}}]}')
    {'web': Size(requests={'cpu': 300}, limits={})}
    """
    return {str(one["name"]): _size(one.get("resources") or {}) for one in lasting(msgspec.json.decode(data))}


@lru_cache(maxsize=4096)
def served(data: bytes) -> str:
    """The class of service of a pod that is known by it."""
    return service(msgspec.json.decode(data))


def _size(resources: dict[str, Any]) -> Size:
    return Size(_milli(resources.get("requests") or {}), _milli(resources.get("limits") or {}))


def _milli(amounts: JSON) -> Amounts:
    return {name: milli(amount) for name, amount in amounts.items() if name in RESOURCES}


def fits(has: Sizes, wants: Sizes) -> bool:
    """It has what is wanted of it; what is not wanted of it does not count.

    >>> fits({"web": Size({"cpu": 300, "memory": 7}, {})}, {"web": Size({"cpu": 300}, {})})
    True
    >>> fits({"web": Size({"cpu": 300}, {})}, {"web": Size({"cpu": 300}, {"cpu": 600})})
    False
    """
    return not differing(has, wants)


def differing(has: Sizes, wants: Sizes) -> frozenset[tuple[str, str]]:
    """The resources, by container, of which it has another request or limit than is wanted."""
    nothing = Size({}, {})
    return frozenset(
        (name, resource)
        for name, size in wants.items()
        for part in (0, 1)
        for resource, amount in size[part].items()
        if has.get(name, nothing)[part].get(resource) != amount
    )


def service(spec: JSON) -> str:
    """Guaranteed, Burstable or BestEffort. A resize must not change it.

    >>> service({"containers": [{"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}), service({"containers": [{}]})
    ('Guaranteed', 'BestEffort')
    """
    sizes = [
        _size(one.get("resources") or {})
        for one in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    ]
    if not any(amount for size in sizes for part in size for amount in part.values()):
        return "BestEffort"
    guaranteed = all(
        size.limits.get(resource) and size.requests.get(resource, size.limits[resource]) == size.limits[resource]
        for size in sizes
        for resource in RESOURCES
    )
    return "Guaranteed" if guaranteed else "Burstable"
