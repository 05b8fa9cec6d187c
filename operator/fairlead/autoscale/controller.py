"""The autoscale room's shell: which App is looked at with what, who looks, and what is remembered of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from fairlead.autoscale.applying import applies
from fairlead.autoscale.model import Standby
from fairlead.autoscale.plan import decide
from fairlead.autoscale.reader import Glance, Place, Reader
from fairlead.autoscale.report import (
    AutoscaleObserved,
    Course,
    Look,
    base,
    called,
    noted,
    plan,
    seen,
    still_good,
    tells,
)
from fairlead.autoscale.rightsizing import advised, due
from fairlead.autoscale.vertical.advice import Advice
from fairlead.core.actions import Failure, Plan
from fairlead.core.meta import JSON, Key
from fairlead.core.podstate import Pod
from fairlead.engine.controller import View
from fairlead.gates.model import Subject
from fairlead.kube.client import Client
from fairlead.rollout.model import App

PodsOf = Callable[[View, App], Iterable[Pod]]
TemplatesOf = Callable[[View, App], Mapping[str, bytes]]  # of its revisions, by their hash
StandbyOf = Callable[[View, App, tuple[Failure, ...]], Standby | None]

_FORGOTTEN = 3600.0  # seconds after which an App that was not looked at again is gone
_SWEPT = 1000  # Apps, at least, before those are looked for


class Memory:
    """The last look at each App: noted by who looks, read by who decides. What it loses with the process is how an App was
    measured in the last seconds; the status has the rest."""

    def __init__(self) -> None:
        self._courses: dict[str, Course] = {}  # by the App's uid
        self._sweep_at = _SWEPT

    def of(self, app: App) -> Course | None:
        return self._courses.get(app.uid)

    def note(self, app: App, before: Course | None, course: Course) -> bool:
        """Whether it counts: `before` is what it began from. A look that nothing is read for may begin and end beside one that still
        reads, and what that one decides then is about an App that was."""
        known = self._courses.get(app.uid)
        if known is not None and known is not before:
            return False
        if len(self._courses) >= self._sweep_at:
            self._courses = {uid: one for uid, one in self._courses.items() if one.at > course.at - _FORGOTTEN}
            self._sweep_at = max(_SWEPT, 2 * len(self._courses))
        self._courses[app.uid] = course
        return True


class AutoscalePart:
    """How many pods an App has, where spec.autoscale decides."""

    name = "autoscale"

    def __init__(self, pods_of: PodsOf, templates_of: TemplatesOf, memory: Memory, standby: StandbyOf) -> None:
        self._pods_of = pods_of
        self._templates_of = templates_of
        self._standby = standby  # the activation room's word on who would hold the App's requests at zero
        self._memory = memory

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> AutoscaleObserved | None:
        """None also where autoscaling neither has nor had a say."""
        app: App | None = view.get("App", key.namespace, key.name)
        if app is None or (app.spec.autoscale is None and "autoscale" not in app.status):
            return None
        if app.spec.autoscale is None:
            return AutoscaleObserved(app, ())
        templates = self._templates_of(view, app) if applies(app.spec.autoscale) else {}
        pods, course = tuple(self._pods_of(view, app)), self._memory.of(app)
        return AutoscaleObserved(app, pods, failures, course, templates, self._standby(view, app, failures))

    def plan(self, observed: AutoscaleObserved, now: float) -> Plan:
        return plan(observed, now)


class Autoscaler:
    """Looks: reads an App's metrics, decides by them, and remembers the decision."""

    def __init__(self, reader: Reader, memory: Memory) -> None:
        self._reader = reader
        self._memory = memory

    async def run(self, task: Look, client: Client) -> Course | None:
        """What was found, where something follows from it that has to be written, or another look was noted meanwhile: the App is
        planned anew. Else None."""
        observed, now = task.observed, task.at
        app, spec = observed.app, observed.app.spec.autoscale
        if spec is None:
            return None
        glance = self._reader.at(_place(observed, now), client)
        readings = still_good(observed)
        if readings is None:
            readings = await glance.read(spec.metrics)
        decision = decide(spec, base(observed, now), msgspec.structs.replace(seen(observed), readings=readings), now)
        advice = await _advised(observed, glance, now)
        course = msgspec.structs.replace(noted(observed, readings, decision, now), advice=advice)
        counts = self._memory.note(app, observed.course, course)
        return None if counts and not tells(observed, course) else course

    def said(self, task: Look, status: JSON, answer: Course, now: float) -> JSON | None:
        return None  # the plan writes the App's status, by what is remembered


async def _advised(observed: AutoscaleObserved, glance: Glance, now: float) -> Advice | None:
    """What its containers should request, anew where it is time for that; as before where what they use cannot be told, or a
    request waits for the first pod."""
    course = observed.course
    before = course.advice if course else None
    if not due(observed, now) or (course is not None and called(observed, course)):
        return before
    used = await glance.used()
    return before if used.error else advised(observed, used, now)


def _place(observed: AutoscaleObserved, now: float) -> Place:
    app = observed.app
    places = {pod.name: pod.node for pod in observed.pods if pod.node and not pod.finished}
    return Place(Subject(app.namespace, app.name, app.uid, "", 0), places, now)
