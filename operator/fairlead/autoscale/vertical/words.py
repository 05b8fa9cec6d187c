"""A recommendation in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.autoscale.calculator import spelled
from fairlead.autoscale.vertical.model import Amounts, Estimate

LEARNING = "nothing was measured of its containers yet"


def recommended(requested: Mapping[str, Amounts], estimates: Mapping[str, Estimate]) -> str:
    """What containers should request beside what they do. requested: by the template.

    >>> recommended({"web": {"cpu": 500}}, {"web": Estimate({"cpu": 298}, {}, {})})
    'web should request cpu 298m, and requests 500m'
    """
    return (
        "; ".join(_of(name, requested.get(name, {}), told.target) for name, told in sorted(estimates.items()))
        or LEARNING
    )


def _of(name: str, requested: Amounts, target: Amounts) -> str:
    should = " and ".join(f"{resource} {spelled(amount, resource)}" for resource, amount in target.items())
    does = " and ".join(told(resource, requested.get(resource, 0)) for resource in target)
    return f"{name} should request {should}, and requests {does}"


def told(resource: str, amount: int) -> str:
    """
    >>> told("cpu", 250), told("cpu", 0)
    ('250m', 'no cpu')
    """
    return spelled(amount, resource) if amount else f"no {resource}"
