"""Going to zero for want of requests, and coming back with the first one. Pure.

Upstream's rules bring a size down to 0 where min is 0 and the metrics say so. spec.autoscale.idle adds when that may be: after every
metric has come to nothing for a while, and only while somebody would hold the requests that come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.autoscale import words
from fairlead.autoscale.behavior import Restraint
from fairlead.autoscale.history import Recommendation
from fairlead.autoscale.model import Autoscale, Idle, Metric, Reading, Standby

DESERTED = 30.0  # seconds at zero without anybody who would hold a request, until the App is brought back
UNSEEN = 60.0  # seconds for which a metric may fail until nobody can say that nothing was asked for meanwhile
_NOBODY = Standby(trouble="nothing is known of an activator")


def stays(
    idle: Idle | None, recommendations: Sequence[Recommendation], standby: Standby | None, released: bool, now: float
) -> Restraint | None:
    """What keeps one pod although none is wanted; None where nothing does.

    >>> idle, ready = Idle(after_seconds=300), Standby(ready=2)
    >>> stays(idle, [Recommendation(0, 1), Recommendation(60, 0)], ready, True, 120).until
    300
    >>> stays(idle, [Recommendation(0, 1), Recommendation(60, 0)], ready, True, 301)
    >>> stays(idle, [], Standby(trouble="no activator is connected"), True, 301).reason
    'NoActivator'
    """
    if idle is None:
        return None
    busy = [one.at for one in recommendations if one.replicas > 0 and one.at > now - idle.after_seconds]
    if busy:
        until = max(busy) + idle.after_seconds
        return Restraint(1, "NotIdleYet", words.not_idle_yet(max(busy), idle.after_seconds), until)
    if not released:
        return Restraint(1, "Releasing", words.RELEASING)
    trouble = (standby or _NOBODY).trouble
    return Restraint(1, "NoActivator", words.no_activator(trouble)) if trouble else None


def witnessed(
    idle: Idle | None, past: Sequence[Recommendation], failing: Mapping[str, float], now: float
) -> tuple[Recommendation, ...]:
    """The recommendations until now, of an App whose metrics come to nothing. Where none says when they last came to more, as nobody kept
    that in mind before the App was given idle, or where a metric could not be told for long until now (failing: since when, by its
    title), it may have been this very moment: only what was looked at counts as idle.

    >>> witnessed(Idle(), [Recommendation(0, 1), Recommendation(5, 0)], {}, 600)
    (Recommendation(at=0, replicas=1), Recommendation(at=5, replicas=0))
    >>> witnessed(Idle(), [Recommendation(5, 0)], {}, 600)
    (Recommendation(at=5, replicas=0), Recommendation(at=600, replicas=1))
    """
    blind = any(now - since > UNSEEN for since in failing.values())
    if idle is None or (any(one.replicas for one in past) and not blind):
        return tuple(past)
    return (*past, Recommendation(now, 1))


def lasting(
    idle: Idle | None, past: Sequence[Recommendation], remembered: tuple[Recommendation, ...]
) -> tuple[Recommendation, ...]:
    """What windows remember of the past, with the last time at which the metrics came to more than nothing: since then the App has been
    idle, and how long that has to be can be changed.

    >>> lasting(Idle(), [Recommendation(0, 2), Recommendation(5, 1), Recommendation(10, 0)], (Recommendation(900, 0),))
    (Recommendation(at=5, replicas=1), Recommendation(at=900, replicas=0))
    """
    if idle is None or any(one.replicas for one in remembered):
        return remembered
    busy = [one for one in past if one.replicas]
    return (*busy[-1:], *remembered)


def wakes(idle: Idle | None, standby: Standby | None, now: float) -> Restraint | None:
    """Why an App at zero gets a pod although no metric asks for one; None where it stays as it is.

    >>> wakes(Idle(), Standby(ready=2, waiting=36_240.0), 36_241).text
    'woken by a request at 1970-01-01T10:04:00Z'
    >>> wakes(Idle(), Standby(trouble="no activator is connected", since=100.0), 129)
    >>> wakes(Idle(), Standby(trouble="no activator is connected", since=100.0), 130).reason
    'NoActivator'
    """
    if idle is None or standby is None:
        return None
    if standby.waiting is not None:
        return Restraint(1, "Woken", words.woken(standby.waiting))
    if standby.trouble and now - standby.since >= DESERTED:
        return Restraint(1, "NoActivator", words.deserted(standby.trouble, standby.since))
    return None


def told(spec: Autoscale, current: int, readings: Sequence[Reading]) -> tuple[tuple[Metric, Reading], ...]:
    """The metrics that count. While there is no pod, those of pods have nothing to say: a request wakes such an App.

    >>> from fairlead.autoscale.model import Identifier, PodsMetric
    >>> rate = Metric(pods=PodsMetric(Identifier("requests"), 10))
    >>> spec = Autoscale(max=3, min=0, metrics=(rate,), idle=Idle())
    >>> len(told(spec, 1, [Reading()])), len(told(spec, 0, [Reading()]))
    (1, 0)
    """
    pairs = zip(spec.metrics, readings, strict=True)
    return tuple((metric, one) for metric, one in pairs if current or spec.idle is None or metric.beyond_pods)
