"""The custom and the external metrics API, served by adapters. Pure.

Source: k8s.io/metrics (custom_metrics v1beta1 and v1beta2, external_metrics v1beta1), as HorizontalPodAutoscalers read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from fairlead.autoscale.model import Metric, Reading, Sample
from fairlead.autoscale.sources.model import Answer, ApiAnswer, Ask, AskApi, Unread, series_of
from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.core.quantity import exact
from fairlead.gates.model import Subject

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
_VERSIONS = ("v1beta2", "v1beta1")  # of the custom metrics API; adapters serve one of them, or both


class _Described(msgspec.Struct):
    name: str = ""


class _Value(msgspec.Struct, rename="camel"):
    value: str | int = "0"
    described_object: _Described = msgspec.field(default_factory=_Described)
    timestamp: str = ""
    window_seconds: float | None = None


class _Values(msgspec.Struct):
    items: list[_Value] = []


_values = msgspec.json.Decoder(_Values)


class CustomMetrics:
    """metrics[].pods without `from`, and object"""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        """
        >>> from fairlead.autoscale.model import Identifier, PodsMetric
        >>> hits = Metric(pods=PodsMetric(Identifier("hits", {"code": "200"}), 20))
        >>> ask = CustomMetrics().asks(hits, {}, Subject("shop", "web", "uid", "", 0))
        >>> ask.paths[0]
        '/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/hits'
        >>> ask.query
        (('labelSelector', 'fairlead.dev/app=web'), ('metricLabelSelector', 'code=200'))
        """
        name, labels = series_of(metric)
        selector = (("metricLabelSelector", selector_of(labels)),) if labels else ()
        if metric.object is None:
            tail = f"pods/{quote('*', safe='')}/{part(name)}"
            return AskApi(_paths(subject, tail), (("labelSelector", f"{LABEL_APP}={subject.app}"), *selector))
        described = metric.object.described_object
        if described.kind == "Namespace":
            return AskApi(_paths(subject, f"metrics/{part(name)}"), selector)
        tail = f"{{resource}}/{part(described.name)}/{part(name)}"
        return AskApi(_paths(subject, tail), selector, described.kind, described.api_version or "v1")

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        found = _decoded(answer, CUSTOM)
        if metric.pods is None:
            return Reading(values=tuple(thousandths(one.value) for one in found[:1]))
        return Reading(
            {
                one.described_object.name: Sample(
                    thousandths(one.value), parse_time(one.timestamp) or now, one.window_seconds or 60.0
                )
                for one in found
            }
        )


class ExternalMetrics:
    """metrics[].external without `from`"""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        name, labels = series_of(metric)
        path = f"/apis/{EXTERNAL}/v1beta1/namespaces/{part(subject.namespace)}/{part(name)}"
        return AskApi((path,), (("labelSelector", selector_of(labels)),))

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        """
        >>> told = ApiAnswer(b'{"items": [{"metricName": "jobs", "value": "12"}, {"metricName": "jobs", "value": "500m"}]}')
        >>> ExternalMetrics().reads(Metric(), {}, told, 0).values
        (12000.0, 500.0)
        """
        return Reading(values=tuple(thousandths(one.value) for one in _decoded(answer, EXTERNAL)))


def _paths(subject: Subject, tail: str) -> tuple[str, ...]:
    return tuple(f"/apis/{CUSTOM}/{version}/namespaces/{part(subject.namespace)}/{tail}" for version in _VERSIONS)


def _decoded(answer: Answer, group: str) -> list[_Value]:
    if not isinstance(answer, ApiAnswer):
        raise Unread(f"{group} was not asked")
    if answer.status == 403:
        raise Unread(
            f"{group} is not to be read by the operator: name the metric in its chart value autoscale ({answer.error})"
        )
    if answer.error:
        raise Unread(f"{group}: {answer.error}")
    try:
        return _values.decode(answer.body).items
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unread(f"{group} answers something else than metrics: {error}") from None


def part(name: str) -> str:
    """A name as one part of a path. Unread for what would lead elsewhere (upstream: ValidatePathSegmentName).

    >>> part("pubsub|undelivered")
    'pubsub%7Cundelivered'
    """
    if name in ("", ".", "..") or "/" in name or "%" in name:
        raise Unread(f"{name!r} is no name: it may not be empty, . or .., nor have a / or a %")
    return quote(name, safe="")


def selector_of(labels: Mapping[str, str]) -> str:
    """
    >>> selector_of({"queue": "mail", "env": "prod"})
    'env=prod,queue=mail'
    """
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def thousandths(amount: str | int | float) -> float:
    """Unread for what is no amount."""
    try:
        return float(exact(amount) * 1000)
    except ValueError as error:
        raise Unread(str(error)) from None
