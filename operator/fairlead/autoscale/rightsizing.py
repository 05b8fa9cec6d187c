"""When an App's containers are looked at for what they should request, by what, and what of it is applied. Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from fairlead.autoscale.applying import applied_of, applies, hindrance, template_of
from fairlead.autoscale.model import Requests
from fairlead.autoscale.report import AutoscaleObserved
from fairlead.autoscale.requests import asked_for, requests_of
from fairlead.autoscale.usage import Used
from fairlead.autoscale.vertical.advice import Advice, advise, begun
from fairlead.autoscale.vertical.model import Applied, Vertical
from fairlead.autoscale.vertical.recommend import CADENCE, Slot
from fairlead.autoscale.vertical.render import requested
from fairlead.autoscale.vertical.settle import settled
from fairlead.autoscale.vertical.stored import kept
from fairlead.core.meta import JSON
from fairlead.rollout.model import App

HUNGRY = 600.0  # seconds after which a container that ran out of memory has nothing more to say (upstream: --evict-after-oom-threshold)


def due(observed: AutoscaleObserved, now: float) -> bool:
    """Once in a minute, and at once when what is allowed has changed.

    >>> from fairlead.autoscale.testing import autoscale, autoscaled
    >>> due(AutoscaleObserved(autoscaled(3), ()), 0), due(AutoscaleObserved(autoscaled(3, spec=autoscale(resources=Vertical())), ()), 0)
    (False, True)
    """
    spec, course = observed.app.spec.autoscale, observed.course
    if spec is None or spec.resources is None:
        return False
    if course is None or course.advice is None or course.generation != observed.app.generation:
        return True
    return now >= course.advice.at + CADENCE


def advised(observed: AutoscaleObserved, used: Used, now: float) -> Advice:
    """By what the pods use that have traffic: an idle canary would have all request what it needs for nothing."""
    app, course = observed.app, observed.course
    spec = app.spec.autoscale
    pods = [pod for pod in observed.pods if pod.active and pod.serving]
    before = course.advice.watched if course and course.advice else begun(app.status.get("autoscale") or {})
    starved = {Slot(pod.name, pod.starved[0]): pod.starved[1] for pod in pods if pod.starved}
    template = template_of(bytes(app.spec.template))
    advice = advise(
        (spec.resources if spec else None) or Vertical(),
        _requested(template),
        before,
        used.cpu,
        used.memory,
        {pod.name: asked_for(pod.resources) for pod in pods},
        starved,
        now,
    )
    hungry = {slot.container for slot, at in starved.items() if at > now - HUNGRY}
    return msgspec.structs.replace(advice, applied=_applied(app, template, advice, hungry, now))


def _requested(template: JSON) -> Requests:
    """What the template has its containers request; nothing where that is no amount, and the API server takes no such pod."""
    try:
        return requests_of(template)
    except ValueError:
        return Requests()


def _applied(app: App, template: JSON, advice: Advice, hungry: Collection[str], now: float) -> Applied:
    """What pods are to request from then on; nothing where the spec does not ask for it, or stands against it."""
    spec = app.spec.autoscale
    if spec is None or not applies(spec) or hindrance(spec, template):
        return Applied()
    before = applied_of(spec, app.status.get("autoscale"))
    estimates = {name: advice.estimates[name] for name in kept(advice.estimates)}
    since = min((advice.watched.histories[name].first or now for name in estimates), default=now)
    return settled(before, requested(template), estimates, since, hungry, now)
