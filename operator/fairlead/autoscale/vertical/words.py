"""A recommendation in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.autoscale.calculator import spelled
from fairlead.autoscale.vertical.model import Amounts, Applied, Estimate

LEARNING = "nothing was measured of its containers yet"
AS_TEMPLATE = "pods request what the template says: nothing else was found to be right yet"
POD_LEVEL = (
    "spec.template.spec.resources bounds pods as a whole, and nothing is applied to their containers: take it away, or set "
    "autoscale.resources.mode to Recommend"
)


def feeds_back(resource: str) -> str:
    """
    >>> feeds_back("cpu")[:60]
    'autoscale.metrics has averageUtilization of cpu, which is ta'
    """
    return (
        f"autoscale.metrics has averageUtilization of {resource}, which is taken of the very requests that autoscale.resources would "
        f"change: give averageValue, or take {resource} from controlledResources; until then nothing is applied"
    )


def refused(why: str) -> str:
    """
    >>> refused("no")
    'the API server resizes no pod: no; pods that are there keep what they have until they are replaced'
    """
    return f"the API server resizes no pod: {why}; pods that are there keep what they have until they are replaced"


def applied(amounts: Applied) -> str:
    """
    >>> applied(Applied({"web": {"cpu": 298, "memory": 1024**2 * 1000}}))
    'web requests cpu 298m and memory 1Mi'
    """
    return "; ".join(f"{name} requests {_amounts(asked)}" for name, asked in sorted(amounts.amounts.items()))


def _amounts(amounts: Amounts) -> str:
    return " and ".join(f"{resource} {spelled(amount, resource)}" for resource, amount in amounts.items())


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
    does = " and ".join(told(resource, requested.get(resource, 0)) for resource in target)
    return f"{name} should request {_amounts(target)}, and requests {does}"


def told(resource: str, amount: int) -> str:
    """
    >>> told("cpu", 250), told("cpu", 0)
    ('250m', 'no cpu')
    """
    return spelled(amount, resource) if amount else f"no {resource}"
