"""What an App says of its autoscaling, and when it is looked at again. Pure.

A look is an errand: it reads the metrics and decides (`plan.decide`), and its decision is kept in memory. From there it comes into
the status: at once where the size changes, and the pods follow when it stands there; in its turn where it is news; not at all
where it says what was said before.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.autoscale import applying, history, words
from fairlead.autoscale.applying import Standing, applied_of, applies
from fairlead.autoscale.history import State
from fairlead.autoscale.model import Autoscale, HandScaled, Load, Metric, Reading, Ready, Seen, Standby
from fairlead.autoscale.plan import CONDITION, Decision
from fairlead.autoscale.requests import asked_for
from fairlead.autoscale.sources.model import named
from fairlead.autoscale.vertical import words as vertical
from fairlead.autoscale.vertical.advice import Advice, status_of
from fairlead.autoscale.vertical.resize import Turn
from fairlead.core.actions import Errand, Event, Failure, Plan
from fairlead.core.budget import evictions
from fairlead.core.conditions import Condition, find, timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.rollout.model import App

PERIOD = 5.0  # seconds between two looks
REFRESH = 60.0  # seconds after which new numbers in the same words are worth a write
WARM_UP = 30.0  # seconds in which an operator that begins says nothing of metrics that it cannot tell yet
KNOWN = "autoscale known"  # looks that nothing is read for
KEPT = 5  # changes of the size that the status tells

_FOLLOWING = ("Followed", "Limited", "OutOfBounds", "Held", "NoActivator")


class Course(msgspec.Struct, frozen=True):
    """What is in memory of an App's looks. decision: the last one, None while nothing was measured; at: when it was; message: the
    words that the status is to have; `said` when they were chosen; began: the first look of this process; generation, hand: what
    the App was by then; metrics, readings: what was asked for and read; advice: what its containers should request, where that is
    asked for."""

    at: float
    began: float
    generation: int
    hand: HandScaled | None = None
    decision: Decision | None = None
    message: str = ""
    said: float = 0.0
    metrics: tuple[Metric, ...] = ()
    readings: tuple[Reading, ...] = ()
    advice: Advice | None = None


class AutoscaleObserved(msgspec.Struct, frozen=True):
    """All that decides about an App's size besides the readings. pods: those it owns; templates: of its revisions, by their hash, where
    its pods are to request what is recommended; standby: who would hold its requests at zero."""

    app: App
    pods: tuple[Pod, ...]
    failures: tuple[Failure, ...] = ()
    course: Course | None = None
    templates: Mapping[str, bytes] = {}
    standby: Standby | None = None


class Look(msgspec.Struct, frozen=True):
    """The errand: the App as it was when it was decided to look, at `at`."""

    observed: AutoscaleObserved
    at: float


def plan(observed: AutoscaleObserved, now: float) -> Plan:
    """What the status is to say by now, and the next look.

    An App that has been decided about comes to 8 pods: that is stored first, and told.
    >>> from fairlead.autoscale.testing import autoscaled, decided
    >>> observed = AutoscaleObserved(autoscaled(6), (), course=decided(8, "cpu 83 % of 60 %", at=100))
    >>> made = plan(observed, 101)
    >>> made.status["autoscale"]["replicas"], made.status_first, made.events[0].message
    (8, True, 'Scaled from 6 to 8 pods: cpu 83 % of 60 %')

    While it is not stored, there is no other look:
    >>> len(made.errands), made.requeue_after
    (0, 5.0)
    """
    app, course = observed.app, observed.course
    stored = app.status.get("autoscale")
    if app.deleting or app.invalid:
        return Plan(status={"autoscale": stored}) if stored else Plan()
    if app.spec.autoscale is None:
        return _taken_away(app)
    said, events, pending = _as_before(app), tuple[Event, ...](), False
    if course is not None and (decision := _current(app, course)) is not None:
        said = _told(app, course, decision)
        events = _happened(app, decision, said)
        pending = decision.state.replicas != history.state_of(app.status).replicas or _settled_anew(app, said)
    due = 0.0 if course is None or called(observed, course) else due_at(app, course)
    look = not pending and due <= now
    standing = _standing(observed, said)
    turn = applying.proceed(standing, now) if standing else None
    return Plan(
        actions=turn.actions if turn and not pending else (),
        status=_with_requests(said, standing, turn),
        events=events,
        errands=(_errand(observed, app.spec.autoscale, now),) if look else (),
        requeue_after=PERIOD if look or pending else max(0.0, due - now),
        status_first=pending,
    )


def _settled_anew(app: App, said: JSON) -> bool:
    """What pods are to request is not what the status says: that is stored before any pod is made with it."""
    spec = app.spec.autoscale
    return applied_of(spec, said["autoscale"]).amounts != applied_of(spec, app.status.get("autoscale")).amounts


def _current(app: App, course: Course) -> Decision | None:
    """The decision that was made of the App as it is now."""
    return None if _changed_since(app, course) else course.decision


def _changed_since(app: App, course: Course) -> bool:
    """The spec, or who set a size beside it, is not what it was at the last look."""
    return (app.generation, app.hand_scaled) != (course.generation, course.hand)


def due_at(app: App, course: Course) -> float:
    """When the App is looked at again: at once where its spec has changed, or somebody has set a size, or a restraint or a window
    has come to its end; else when it is time.

    >>> from fairlead.autoscale.testing import autoscaled, decided
    >>> due_at(autoscaled(6), decided(6, "", at=100)), due_at(autoscaled(6, generation=2), decided(6, "", at=100))
    (105.0, 0.0)
    """
    if _changed_since(app, course):
        return 0.0
    until = course.decision.until if course.decision else None
    return course.at + PERIOD if until is None else max(course.at + 1, min(course.at + PERIOD, until))


def called(observed: AutoscaleObserved, course: Course) -> bool:
    """A request has begun to wait for an App at zero since the last look: it waits for nothing else.

    >>> from fairlead.autoscale.testing import autoscaled, decided
    >>> waits = AutoscaleObserved(autoscaled(0), (), standby=Standby(ready=1, waiting=103.0))
    >>> called(waits, decided(0, "", at=100)), called(waits, decided(0, "", at=104))
    (True, False)
    """
    waiting = observed.standby.waiting if observed.standby else None
    return waiting is not None and observed.app.replicas == 0 and course.at <= waiting


def _errand(observed: AutoscaleObserved, spec: Autoscale, now: float) -> Errand:
    """So many are done at a time of each kind: Apps whose sources do not answer hold up no others. Nor do they hold up a look at the
    App itself that needs nothing read: it begins beside the one that still reads."""
    app = observed.app
    kind, slot = " ".join(["autoscale", *sorted({named(metric)[0] for metric in spec.metrics})]), (app.uid, "autoscale")
    if still_good(observed) is not None:
        kind, slot = KNOWN, (app.uid, KNOWN)
    return Errand(kind, app.namespace, "", app.uid, slot, Look(observed, now))


def still_good(observed: AutoscaleObserved) -> tuple[Reading, ...] | None:
    """The last readings, where it is not for the time that the App is looked at: whoever has scaled it, or asks for its first pod,
    does not wait for a server that does not answer. None: the metrics are to be read.

    >>> from fairlead.autoscale.testing import autoscaled, decided
    >>> course = decided(6, "", at=100, readings=(Reading(values=(1.0,)),), metrics=autoscaled(6).spec.autoscale.metrics)
    >>> still_good(AutoscaleObserved(autoscaled(6, generation=2), (), course=course))[0].values
    (1.0,)
    >>> still_good(AutoscaleObserved(autoscaled(6), (), course=course)) is None
    True
    """
    app, course = observed.app, observed.course
    if app.spec.replicas == 0:
        return ()
    if course is None or course.metrics != (app.spec.autoscale.metrics if app.spec.autoscale else ()):
        return None
    return (course.readings or None) if _changed_since(app, course) or called(observed, course) else None


# ---------------------------------------------------------------- what is seen


def seen(observed: AutoscaleObserved) -> Seen:
    """What a decision looks at, without the readings."""
    app = observed.app
    active = [pod for pod in observed.pods if pod.active]
    return Seen(
        size=app.replicas,
        active=len(active),
        asked=app.spec.replicas,
        pods=tuple(map(load, observed.pods)),
        readings=(),
        hand_scaled=app.hand_scaled,
        releasing=len(active) > app.replicas and len({pod.revision for pod in active}) > 1,
        refused=next((f.message for f in observed.failures if (f.verb, f.kind) == ("create", "Pod")), ""),
        available=_available(app),
        standby=observed.standby,
        released=app.status.get("activeRevision") == app.status.get("stableRevision"),
    )


def load(pod: Pod) -> Load:
    """
    >>> from fairlead.rollout.testing import make_pods
    >>> (pod,) = make_pods(1, resources=b'{"containers":[{"name":"web","resources":{"requests":{"cpu":"250m"}}}]}')
    >>> load(pod).requests.containers, load(pod).idle
    ({'web': {'cpu': 250}}, False)
    """
    return Load(
        name=pod.name,
        phase=pod.phase,
        ready="True" if pod.ready else _UNREADY.get(pod.readiness, ""),
        ready_changed=pod.ready_since,
        started=pod.started or None,
        deleting=pod.deleting is not None,
        requests=asked_for(pod.resources),
        idle=not pod.serving,
    )


_UNREADY: dict[str, Ready] = {"False": "False", "Unknown": "Unknown"}


def _available(app: App) -> int:
    """What the budget keeps, where it is a number of pods."""
    kept = app.spec.disruption.min_available if app.spec.disruption else None
    return kept if isinstance(kept, int) else 0


# ---------------------------------------------------------------- what is remembered


def noted(observed: AutoscaleObserved, readings: tuple[Reading, ...], decision: Decision, now: float) -> Course:
    """What is in memory after a look.

    The words of the status stay while nothing but numbers in them has changed, for a minute: every look would be a write.
    >>> from fairlead.autoscale.testing import autoscaled, decided
    >>> before = AutoscaleObserved(autoscaled(6), (), course=decided(6, "cpu 61 %", at=100))
    >>> again = decided(6, "cpu 62 %", at=0).decision
    >>> noted(before, (), again, 105).message, noted(before, (), again, 160).message
    ('cpu 61 %', 'cpu 62 %')
    """
    app, before = observed.app, observed.course
    began = before.began if before else now
    metrics = app.spec.autoscale.metrics if app.spec.autoscale else ()
    course = Course(now, began, app.generation, app.hand_scaled, metrics=metrics, readings=readings)
    if _warming(decision, before, now - began):
        return course
    condition = find(app.status.get("conditions") or (), CONDITION) or {}
    anew = condition.get("reason") != decision.reason or history.news(history.state_of(app.status), decision.state)
    old, since = (before.message, before.said) if before and before.message else (condition.get("message", ""), began)
    if anew or now - since >= REFRESH:
        old, since = decision.message, now
    return msgspec.structs.replace(course, decision=decision, message=old, said=since)


def _warming(decision: Decision, before: Course | None, looking: float) -> bool:
    """Nothing was measured yet by this process: paces take two looks."""
    known = before is not None and before.decision is not None
    return decision.reason == "MetricsUnavailable" and not known and looking < WARM_UP


def base(observed: AutoscaleObserved, now: float) -> State:
    """What a look goes on from: the last one's state, as far as its size was stored; else what the status says."""
    stored, course = history.state_of(observed.app.status), observed.course
    if course is not None and course.decision is not None and course.decision.state.replicas == stored.replicas:
        return course.decision.state
    return history.resumed(stored, now)


def tells(observed: AutoscaleObserved, course: Course) -> bool:
    """Something follows from the look: the status does not say it yet."""
    if course.decision is None:
        return False
    app = observed.app
    said = _told(app, course, course.decision)
    before = find(app.status.get("conditions") or (), CONDITION) or {}
    (condition,) = said["conditions"]
    words_now = (condition.status, condition.reason, condition.message)
    words_then = tuple(before.get(field, "") for field in ("status", "reason", "message"))
    return words_now != words_then or said["autoscale"] != app.status.get("autoscale")


# ---------------------------------------------------------------- what the status says


def _as_before(app: App) -> JSON | None:
    """What is not known anew stands."""
    stored = app.status.get("autoscale")
    condition = find(app.status.get("conditions") or (), CONDITION)
    said: JSON = {"autoscale": stored} if stored else {}
    if condition:
        said["conditions"] = [
            Condition("Autoscaling", condition["status"], condition["reason"], condition.get("message", ""))
        ]
    return said or None


def _told(app: App, course: Course, decision: Decision) -> JSON:
    stored = app.status.get("autoscale") or {}
    before = history.state_of(app.status)
    autoscale = history.as_json(decision.state) if history.news(before, decision.state) else _states(stored)
    if changes := _changes(app, course, decision, stored):
        autoscale["changes"] = changes
    if resources := _resources(app, course, stored):
        autoscale["resources"] = resources
    return {
        "autoscale": autoscale,
        "conditions": [msgspec.structs.replace(decision.condition, message=course.message)],
    }


def _states(stored: JSON) -> JSON:
    return {field: value for field, value in stored.items() if field not in ("changes", "resources")}


def _resources(app: App, course: Course, stored: JSON) -> JSON | None:
    """What its containers should request; what was said before where there has been no look yet."""
    if app.spec.autoscale is None or app.spec.autoscale.resources is None:
        return None
    return status_of(stored, course.advice) if course.advice else stored.get("resources")


def _standing(observed: AutoscaleObserved, said: JSON | None) -> Standing | None:
    """What pods are to request by what the status is to say; None where they are to request what the template says."""
    app, spec = observed.app, observed.app.spec.autoscale
    if spec is None or not applies(spec):
        return None
    pods = [pod for pod in observed.pods if pod.active]
    return Standing(
        spec,
        bytes(app.spec.template),
        applied_of(spec, (said or {}).get("autoscale")),
        pods,
        observed.templates,
        observed.failures,
        _dispensable(app),
        steady=len({pod.revision for pod in pods}) == 1 and len(pods) == app.replicas and not app.spec.rollout.paused,
    )


def _dispensable(app: App) -> int:
    """How many pods it can do without at a time, by spec.disruption."""
    kept = app.spec.disruption
    if kept is None:
        return app.replicas
    try:
        return evictions(kept.min_available, kept.max_unavailable, app.replicas)
    except ValueError:  # the budget says so itself
        return 0


def _with_requests(said: JSON | None, standing: Standing | None, turn: Turn | None) -> JSON | None:
    """What is told, with how far pods request what is recommended, where they are to."""
    if standing is None:
        return said
    told = said or {}
    return told | {"conditions": [*told.get("conditions", ()), applying.told(standing, turn)]}


def _changes(app: App, course: Course, decision: Decision, stored: JSON) -> list[JSON]:
    """The last changes of the size, newest first, each with what led to it."""
    kept: list[JSON] = list(stored.get("changes") or ())
    if not _changed(app, decision):
        return kept
    change = {
        "time": timestamp(course.at),
        "from": app.replicas,
        "to": decision.replicas,
        "reason": decision.reason,
        "message": decision.message[: words.MOST],
    }
    return [change, *kept][:KEPT]


def _changed(app: App, decision: Decision) -> bool:
    """Another size than the one that is stored, or that the App began with."""
    return decision.replicas != app.replicas


def _happened(app: App, decision: Decision, said: JSON) -> tuple[Event, ...]:
    (condition,) = said["conditions"]
    applied = applied_of(app.spec.autoscale, said["autoscale"])
    if _settled_anew(app, said) and applied.amounts:
        return (
            Event("Normal", "RequestsChanged", f"From now on {vertical.applied(applied)}"),
            *_sized(app, decision, condition),
        )
    return _sized(app, decision, condition)


def _sized(app: App, decision: Decision, condition: Condition) -> tuple[Event, ...]:
    if _changed(app, decision):
        message = f"Scaled from {app.replicas} to {decision.replicas} pods: {condition.message}"
        return (Event("Normal", "Autoscaled", message),)
    before = (find(app.status.get("conditions") or (), CONDITION) or {}).get("reason")
    if decision.reason == "MetricsUnavailable" and before in _FOLLOWING:
        return (Event("Warning", "MetricsUnavailable", condition.message),)
    return ()


def _taken_away(app: App) -> Plan:
    """The size stays until somebody gives another number, and says so."""
    state = history.state_of(app.status)
    if state.replicas is None or not app.spec.replicas or app.spec.replicas != state.asked:
        return Plan()  # whoever says nothing of it takes it away
    kept = history.as_json(State(state.replicas, state.asked, state.to_zero))
    if state.replicas == app.spec.replicas:
        return Plan()
    return Plan(
        status={
            "autoscale": kept,
            "conditions": [
                Condition("Autoscaling", "False", "TakenAway", words.taken_away(state.replicas, app.spec.replicas))
            ],
        }
    )
