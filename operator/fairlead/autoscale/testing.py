"""Builders for worked examples and tests of autoscaling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs

from fairlead.autoscale.history import State
from fairlead.autoscale.model import (
    Autoscale,
    ExternalMetric,
    Identifier,
    Load,
    Metric,
    Reading,
    Requests,
    ResourceMetric,
    Sample,
    Seen,
)
from fairlead.autoscale.plan import Decision
from fairlead.autoscale.report import Course
from fairlead.core.meta import JSON
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_app


def fleet(
    count: int, *, start: int = 0, requests: dict[str, dict[str, int]] | None = None, cpu: int = 0, **fields: Any
) -> tuple[Load, ...]:
    """Pods that have run and been ready for long, each of one container `web` that requests `cpu` thousandths of a core."""
    asked = Requests(requests if requests is not None else {"web": {"cpu": cpu, "memory": 1000}})
    said: dict[str, Any] = {"started": -10_000.0, "ready_changed": -9_000.0, "requests": asked} | fields
    return tuple(Load(f"p{number}", **said) for number in range(start, start + count))


def cpu(percent: int = 60) -> Metric:
    return Metric(resource=ResourceMetric("cpu", average_utilization=percent))


def queue(average: int = 10, **fields: Any) -> Metric:
    """A queue's length, so many for each pod."""
    return Metric(external=ExternalMetric(Identifier("queue_length"), average_value=average), **fields)


def reading_of(pods: Iterable[Load], value: float | Sequence[float], at: float = 1000.0) -> Reading:
    """The same sample of each pod, or one after the other's."""
    names = [pod.name for pod in pods]
    each = list(value) if isinstance(value, Sequence) else [value] * len(names)
    return Reading({name: Sample(one, at, 30.0) for name, one in zip(names, each, strict=True)})


def at_percent(pods: Sequence[Load], percent: float, at: float = 1000.0) -> Reading:
    """All pods use so much of the cpu they request."""
    return reading_of(pods, [pod.requests.containers["web"]["cpu"] * percent / 100 for pod in pods], at)


def seen(size: int, percent: float, **fields: Any) -> Seen:
    """An App of so many pods, all ready, that request 1 core each and use so much of it."""
    pods = fleet(size, cpu=1000)
    said: dict[str, Any] = {
        "size": size,
        "active": size,
        "asked": size,
        "pods": pods,
        "readings": (at_percent(pods, percent),),
    } | fields
    return Seen(**said)


def autoscale(**fields: Any) -> Autoscale:
    """Between 1 and 30 pods, by cpu at 60 %."""
    said: dict[str, Any] = {"min": 1, "max": 30, "metrics": (cpu(60),)}
    return Autoscale(**(said | fields))


def autoscaled(size: int, *, status: JSON | None = None, spec: Autoscale | None = None, **fields: Any) -> App:
    """An App `shop` that autoscaling has brought to so many pods."""
    condition = {"type": "Autoscaling", "status": "True", "reason": "Followed", "message": "as ever"}
    stored = {"autoscale": {"replicas": size, "asked": 1}, "conditions": [condition]} if status is None else status
    app = make_app(status=stored, **fields)
    wanted = structs.replace(app.spec, autoscale=spec or autoscale())
    return structs.replace(app, spec=wanted, autoscaled=size)


def decided(size: int, message: str, *, at: float, **fields: Any) -> Course:
    """What is in memory after a look that came to so many pods."""
    said: dict[str, Any] = {"began": at, "generation": 1, "message": message, "said": at} | fields
    return Course(at, decision=Decision(size, "Followed", message, State(size, asked=1)), **said)
