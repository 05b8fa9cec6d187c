"""spec.autoscale.resources as people write it, and what is recommended. Pure.

Amounts are by resource, in thousandths, as everywhere in this room: 250 is a quarter of a core, 1000 are a byte.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fairlead.core.quantity import milli

Amount = int | float | str  # a Quantity: "500m", 2, "512Mi"
Resource = Literal["cpu", "memory"]
RESOURCES: tuple[Resource, ...] = ("cpu", "memory")
Amounts = dict[str, int]
MEBIBYTE = 1024**2 * 1000  # in thousandths of a byte


class ContainerPolicy(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of spec.autoscale.resources.containers. Names are VerticalPodAutoscaler's (resourcePolicy.containerPolicies)."""

    name: str
    min_allowed: dict[str, Amount] = msgspec.field(default_factory=lambda: {"cpu": "10m", "memory": "32Mi"})
    max_allowed: dict[str, Amount] = {}
    controlled_resources: tuple[Resource, ...] = RESOURCES

    def bounded(self, resource: Resource, amount: int) -> int:
        """The amount, or the nearest that is allowed. A max below the min wins: it is what a person pays.

        >>> policy = ContainerPolicy("web", {"cpu": "50m"}, {"cpu": 1})
        >>> policy.bounded("cpu", 20), policy.bounded("cpu", 500), policy.bounded("cpu", 2000), policy.bounded("memory", 7)
        (50, 500, 1000, 7)
        """
        raised = max(amount, milli(self.min_allowed.get(resource, 0)))
        return min(raised, milli(self.max_allowed[resource])) if resource in self.max_allowed else raised


class Vertical(msgspec.Struct, frozen=True, rename="camel"):
    """spec.autoscale.resources. Recommend: the status says what would be right. Apply: pods request it."""

    mode: Literal["Recommend", "Apply"] = "Recommend"
    containers: tuple[ContainerPolicy, ...] = ()

    def policy(self, container: str) -> ContainerPolicy:
        """A container's own, or that of all that have none."""
        return next((one for one in self.containers if one.name == container), ContainerPolicy(container))


class Estimate(msgspec.Struct, frozen=True):
    """What a container should request. Within `lower` and `upper` (of which each may lack a resource: not known yet) what it
    requests is good enough."""

    target: Amounts
    lower: Amounts
    upper: Amounts


class Applied(msgspec.Struct, frozen=True):
    """What pods are to request in place of what the template says, by container, and since when. A container or a resource that
    is not in it is as the template has it."""

    amounts: dict[str, Amounts] = {}
    at: float = 0.0


def quantities(amounts: Amounts) -> dict[str, str]:
    """Amounts as people write them: cpu in thousandths of a core, memory in mebibytes where they are whole.

    >>> quantities({"cpu": 300, "memory": 2 * MEBIBYTE}), quantities({"memory": 1_500_000})
    ({'cpu': '300m', 'memory': '2Mi'}, {'memory': '1500'})
    """
    return {name: _quantity(name, amount) for name, amount in amounts.items()}


def _quantity(resource: str, amount: int) -> str:
    if resource == "cpu":
        return f"{amount}m"
    return f"{amount // MEBIBYTE}Mi" if amount % MEBIBYTE == 0 else str(amount // 1000)
