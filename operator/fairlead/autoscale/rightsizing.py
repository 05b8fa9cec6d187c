"""When an App's containers are looked at for what they should request, and by what. Pure."""

from __future__ import annotations

import msgspec

from fairlead.autoscale.model import Requests
from fairlead.autoscale.report import AutoscaleObserved
from fairlead.autoscale.requests import asked_for, requests_of
from fairlead.autoscale.usage import Used
from fairlead.autoscale.vertical.advice import Advice, advise, begun
from fairlead.autoscale.vertical.model import Vertical
from fairlead.autoscale.vertical.recommend import CADENCE, Slot
from fairlead.rollout.model import App


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
    return advise(
        (spec.resources if spec else None) or Vertical(),
        _requested(app),
        before,
        used.cpu,
        used.memory,
        {pod.name: asked_for(pod.resources) for pod in pods},
        {Slot(pod.name, pod.starved[0]): pod.starved[1] for pod in pods if pod.starved},
        now,
    )


def _requested(app: App) -> Requests:
    """What the template has its containers request; nothing where that is no amount, and the API server takes no such pod."""
    template = msgspec.json.decode(app.spec.template)
    try:
        return requests_of(template.get("spec") or {})
    except ValueError:
        return Requests()
