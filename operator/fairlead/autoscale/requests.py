"""What a pod requests, as utilization is taken of it. Pure.

Source: kubernetes pkg/controller/podautoscaler/replica_calculator.go (calculateRequests) and k8s.io/component-helpers/resource
(PodRequests).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from fairlead.autoscale.model import Amount, Requests
from fairlead.core.meta import JSON
from fairlead.core.quantity import milli


@lru_cache(maxsize=4096)
def asked_for(data: bytes) -> Requests:
    """Of what a pod is known by (`core.podstate.Pod.resources`): a revision's pods ask alike.

    >>> asked_for(b'{"containers":[{"name":"web"}]}')
    Requests(containers={'web': {}}, pod=None)
    """
    return requests_of(msgspec.json.decode(data))


def requests_of(spec: JSON) -> Requests:
    """Of a pod's spec: each container's and each sidecar's (a restartable init container's), and the pod's where it says so.

    >>> requests_of({"containers": [{"name": "web", "resources": {"requests": {"cpu": "250m"}}}]})
    Requests(containers={'web': {'cpu': 250}}, pod=None)
    """
    initial = spec.get("initContainers") or []
    lasting = [*(spec.get("containers") or []), *(one for one in initial if _is_sidecar(one))]
    containers = {str(one["name"]): _amounts(one) for one in lasting}
    return Requests(containers, _of_the_pod(spec, containers.values(), initial))


def _of_the_pod(spec: JSON, lasting: Iterable[Mapping[str, int]], initial: Iterable[JSON]) -> dict[str, int] | None:
    """spec.resources of those resources that a pod may have for itself; else what its containers need together, or while it
    starts, whichever is more; and its overhead. None where the pod says nothing for itself."""
    own = {
        name: amount
        for name, amount in _amounts(spec).items()
        if name in ("cpu", "memory") or name.startswith("hugepages-")
    }
    if not own:
        return None
    total = _sum(lasting)
    beside: Counter[str] = Counter()
    for one in initial:
        if _is_sidecar(one):
            beside.update(_amounts(one))
        total = {**total, **_highest(total, beside if _is_sidecar(one) else _sum([_amounts(one), beside]))}
    return _sum([total | own, _milli(spec.get("overhead") or {})])


def _is_sidecar(container: JSON) -> bool:
    return container.get("restartPolicy") == "Always"


def _amounts(holder: JSON) -> dict[str, int]:
    return _milli((holder.get("resources") or {}).get("requests") or {})


def _milli(amounts: Mapping[str, Amount]) -> dict[str, int]:
    return {name: milli(amount) for name, amount in amounts.items()}


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _highest(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), amount) for name, amount in other.items()}
