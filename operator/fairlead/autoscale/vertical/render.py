"""A pod's spec with the requests that are applied, and limits in the same proportion. Pure.

Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/utils/vpa/limit_and_request_scaling.go (controlledValues RequestsAndLimits).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.autoscale.vertical.model import Amounts, Applied, quantities
from fairlead.core.meta import JSON
from fairlead.core.quantity import milli

_LASTING = ("containers", "initContainers")


def with_requests(applied: Applied, spec: JSON) -> JSON:
    """The pod's spec, its containers and sidecars with what is applied to them.

    What may use twice of what it requests may do so still:
    >>> web = {"name": "web", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": 1, "memory": "1Gi"}}}
    >>> with_requests(Applied({"web": {"cpu": 300}}), {"containers": [web]})["containers"][0]["resources"]
    {'requests': {'cpu': '300m'}, 'limits': {'cpu': '600m', 'memory': '1Gi'}}
    """
    if not applied.amounts:
        return spec
    return spec | {field: [_sized(applied, field, one) for one in spec[field]] for field in _LASTING if spec.get(field)}


def lasting(spec: JSON) -> Iterator[JSON]:
    """The containers that run as long as the pod does.

    >>> [one["name"] for one in lasting({"containers": [{"name": "web"}], "initContainers": [{"name": "setup"}]})]
    ['web']
    """
    for field in _LASTING:
        yield from (one for one in spec.get(field) or () if _lasts(field, one))


def _lasts(field: str, container: JSON) -> bool:
    return field == "containers" or container.get("restartPolicy") == "Always"


def _sized(applied: Applied, field: str, container: JSON) -> JSON:
    amounts = applied.amounts.get(str(container.get("name")))
    if not amounts or not _lasts(field, container):
        return container
    resources: JSON = container.get("resources") or {}
    try:
        limits = _limits(resources, amounts)
    except ValueError:
        return container  # no amount, and the API server will say so
    sized = resources | {"requests": (resources.get("requests") or {}) | quantities(amounts)}
    return container | {"resources": sized | ({"limits": resources["limits"] | limits} if limits else {})}


def _limits(resources: JSON, amounts: Amounts) -> dict[str, str]:
    """Of those resources that have one."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found = {name: (milli(limits[name]), milli(requests.get(name, limits[name]))) for name in amounts if name in limits}
    return quantities({name: proportional(*pair, amounts[name]) for name, pair in found.items() if pair[0]})


def proportional(limit: int, request: int, applied: int) -> int:
    """The limit beside another request. Where no request stood beside it, the two were the same (the API server makes them so).

    >>> proportional(1000, 500, 300), proportional(1000, 0, 300), proportional(1000, 1000, 300)
    (600, 300, 300)
    """
    return limit * applied // request if request else applied


def requested(spec: JSON) -> dict[str, Amounts]:
    """What a template has its containers request of what can be applied; a limit that stands alone is a request as well. ValueError
    where that is no amount.

    >>> requested({"containers": [{"name": "web", "resources": {"requests": {"cpu": 1}, "limits": {"memory": 2}}}]})
    {'web': {'memory': 2000, 'cpu': 1000}}
    """
    return {str(one.get("name")): _asked(one.get("resources") or {}) for one in lasting(spec)}


def _asked(resources: dict[str, Any]) -> Amounts:
    said = (resources.get("limits") or {}) | (resources.get("requests") or {})
    return {name: milli(amount) for name, amount in said.items()}
