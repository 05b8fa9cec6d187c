"""What of spec.autoscale.resources pods are to have, why they cannot, and how far that is. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec

from fairlead.autoscale.model import Autoscale, Metric
from fairlead.autoscale.vertical import words
from fairlead.autoscale.vertical.model import RESOURCES, Applied, Resource
from fairlead.autoscale.vertical.render import requested
from fairlead.autoscale.vertical.resize import PATIENCE, Case, Look, Turn, turn
from fairlead.autoscale.vertical.sizes import Wanted, wanted
from fairlead.autoscale.vertical.stored import stored_of
from fairlead.core.actions import Failure
from fairlead.core.conditions import Condition, timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod

CONDITION = "RequestsApplied"


def applies(spec: Autoscale | None) -> bool:
    """Pods are to request what is recommended."""
    return spec is not None and spec.resources is not None and spec.resources.mode == "Apply"


def applied_of(spec: Autoscale | None, autoscale: JSON | None) -> Applied:
    """What new pods are to request in place of what the template says. autoscale: status.autoscale.

    >>> from fairlead.autoscale.testing import autoscale
    >>> from fairlead.autoscale.vertical.model import Vertical
    >>> stored = {"resources": {"containers": [{"name": "web", "applied": {"cpu": "300m"}}]}}
    >>> applied_of(autoscale(resources=Vertical("Apply")), stored).amounts, applied_of(autoscale(resources=Vertical()), stored).amounts
    ({'web': {'cpu': 300}}, {})
    """
    return stored_of(autoscale or {}).applied if applies(spec) else Applied()


def hindrance(spec: Autoscale, template: JSON) -> Condition | None:
    """Why nothing can be applied to an App, and the way out; None too where nothing is to be. The API server refuses most of it before
    (a rule on spec.autoscale).

    >>> from fairlead.autoscale.testing import autoscale, cpu
    >>> from fairlead.autoscale.vertical.model import Vertical
    >>> apply, template = Vertical("Apply"), {"containers": [{"name": "web"}]}
    >>> hindrance(autoscale(metrics=(cpu(60),), resources=apply), template).reason
    'FeedsBack'
    >>> hindrance(autoscale(min=3, max=3, resources=apply), template) is None
    True
    """
    if spec.resources is None or not applies(spec):
        return None
    if template.get("resources"):
        return _hindered("PodLevelResources", words.POD_LEVEL)
    try:
        names = requested(template).keys()
    except ValueError as error:
        return _hindered(
            "NoAmount", f"spec.template: a container requests what is no amount; write 500m or 512Mi: {error}"
        )
    if spec.min == spec.max and not spec.schedules:
        return None  # a size that does not move feeds nothing
    for resource in RESOURCES:
        controlled = {name for name in names if resource in spec.resources.policy(name).controlled_resources}
        if any(_is_share_of(metric, resource, controlled) for metric in spec.metrics):
            return _hindered("FeedsBack", words.feeds_back(resource))
    return None


def _hindered(reason: str, message: str) -> Condition:
    return Condition(CONDITION, "False", reason, message)


def _is_share_of(metric: Metric, resource: Resource, controlled: Collection[str]) -> bool:
    """Its target is per cent of what a container requests whose request may change."""
    one = metric.container_resource
    if one is not None:
        return one.container in controlled and one.name == resource and one.average_utilization is not None
    whole = metric.resource
    return bool(controlled) and whole is not None and whole.name == resource and whole.average_utilization is not None


@lru_cache(maxsize=1024)
def template_of(data: bytes) -> JSON:
    """A template's pod spec. Nobody may change it: the same comes again with each pass."""
    spec: JSON = msgspec.json.decode(data).get("spec") or {}
    return spec


# ---------------------------------------------------------------- how far it is


class Standing(msgspec.Struct, frozen=True):
    """What is to be applied to an App, and to whom. templates: of its revisions, by their hash; at_once: how many pods it can do
    without; steady: no release is under way, and no pod is missing."""

    spec: Autoscale
    template: bytes
    applied: Applied
    pods: Sequence[Pod]
    templates: Mapping[str, bytes]
    failures: Sequence[Failure] = ()
    at_once: int = 1
    steady: bool = True


def proceed(standing: Standing, now: float) -> Turn | None:
    """What is done about the pods that are there; None where nothing is applied."""
    if not standing.applied.amounts or hindrance(standing.spec, template_of(standing.template)):
        return None
    wanted = {pod.revision: wants for pod in standing.pods if (wants := _wanted(standing, pod.revision)) is not None}
    pods = [pod for pod in standing.pods if pod.active]
    return turn(Case(pods, wanted, standing.applied.at, standing.failures, standing.at_once, standing.steady), now)


def _wanted(standing: Standing, revision: str) -> Wanted | None:
    """None for a revision that nobody keeps, or whose template has what is no amount."""
    template = standing.templates.get(revision)
    if template is None:
        return None
    try:
        return wanted(standing.applied, template_of(template))
    except ValueError:
        return None


def told(standing: Standing, made: Turn | None) -> Condition:
    """The condition of an App whose pods are to request what is recommended."""
    if hindered := hindrance(standing.spec, template_of(standing.template)):
        return hindered
    if made is None:
        return Condition(CONDITION, "True", "AsTemplate", words.AS_TEMPLATE)
    goal = f"{words.applied(standing.applied)} since {timestamp(standing.applied.at)}"
    said = f"{goal}; {len(made.of('Has'))} of {len(made.looks)} pods have it"
    if made.refused:
        return Condition(CONDITION, "False", "ResizeRefused", f"{said}; {words.refused(made.refused)}")
    awaited = made.of("Stuck") or made.of("Leaving", "Deferred") or made.of("Asked") or made.of("Due", "Kept")
    if not awaited:
        return Condition(CONDITION, "True", "Applied", said)
    return Condition(CONDITION, "False", "Following", f"{said}; {_awaited(awaited[0])}")


def _awaited(look: Look) -> str:
    if look.state == "Stuck":
        return f"{look.pod.name}: {look.why}: another pod takes its place in its turn"
    if look.state == "Deferred":
        return f"{look.pod.name}: {look.why}; if that lasts for {PATIENCE:.0f} s another pod takes its place"
    return f"{look.pod.name}: {look.why or 'to be resized in its turn'}"
