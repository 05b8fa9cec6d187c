"""What a source asks for, what it is answered, and the protocol that built-in ones and third parties' follow. Pure.

A source never reads by itself: it says what has to be asked, and makes a `Reading` of the answer. Who asks (`autoscale.reader`)
keeps time limits, and the guard that gates are under as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from fairlead.autoscale.model import Metric, Reading
from fairlead.autoscale.usage import Used
from fairlead.core.meta import JSON
from fairlead.gates.model import AskHttp, HttpAnswer, Subject

BUILT_IN = {
    "resource": "resourceMetrics",
    "container_resource": "resourceMetrics",
    "pods": "customMetrics",
    "object": "customMetrics",
    "external": "externalMetrics",
}  # what a metric is read from that names no source


class AskUsage(msgspec.Struct, frozen=True):
    """What the App's pods use of cpu and memory."""


class AskApi(msgspec.Struct, frozen=True):
    """What an aggregated API of the cluster serves: each of `paths` is tried until one is known (404: it is not). A path is quoted
    but for {resource}, which stands for what the object's kind is called there (`kind` and `api_version`, where they are set)."""

    paths: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    kind: str = ""
    api_version: str = ""


class ApiAnswer(msgspec.Struct, frozen=True):
    """The API's answer, or (`error`) why there is none, with its HTTP status (0: no answer)."""

    body: bytes = b""
    error: str = ""
    status: int = 200


Ask = AskUsage | AskApi | AskHttp
Answer = Used | ApiAnswer | tuple[HttpAnswer, ...]


class Unread(Exception):
    """Why a source has nothing to say; it becomes the reading's error."""


class MetricSource(Protocol):
    """One sort of source. `spec` is what stands under its name in `from` of the metric ({} where nothing does)."""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        """What has to be asked. Unread: it cannot be said, in words for people."""
        ...

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        """What the answer means. Unread where it means nothing."""
        ...


Sources = Mapping[str, MetricSource]


def named(metric: Metric) -> tuple[str, JSON]:
    """The name of a metric's source, and what is said of it.

    >>> from fairlead.autoscale.model import ExternalMetric, Identifier, ResourceMetric
    >>> named(Metric(resource=ResourceMetric("cpu", average_utilization=60)))
    ('resourceMetrics', {})
    >>> named(Metric(external=ExternalMetric(Identifier("jobs"), average_value=5, source={"prometheus": {"query": "jobs"}})))
    ('prometheus', {'query': 'jobs'})
    """
    own = metric.pods or metric.external
    if own and own.source:
        name = min(own.source)
        return name, own.source[name] or {}
    return next((source for field, source in BUILT_IN.items() if getattr(metric, field)), ""), {}


def said(answer: Answer) -> tuple[HttpAnswer, ...]:
    """The answers of servers. Unread where nobody was asked."""
    if not isinstance(answer, tuple) or not answer:
        raise Unread("there is nobody to ask")
    return answer


def body_of(answer: HttpAnswer) -> bytes:
    """What one server said. Unread where it is no answer that counts.

    >>> body_of(HttpAnswer("queue:80", 200, b"7"))
    b'7'
    """
    if answer.error:
        raise Unread(f"{answer.where}: {answer.error}")
    if answer.status in (401, 403):
        raise Unread(
            f"{answer.where} answered {answer.status}: it wants a credential from the operator, or another one "
            "(chart value gates.credentials)"
        )
    if answer.status != 200:
        raise Unread(f"{answer.where} answered {answer.status}")
    return answer.body


def series_of(metric: Metric) -> tuple[str, Mapping[str, str]]:
    """The name and the labels of the series that a metric of pods, object or external means."""
    source = metric.pods or metric.object or metric.external
    return (source.metric.name, source.metric.selector) if source else ("", {})
