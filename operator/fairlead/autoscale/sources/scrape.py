"""The pods' own metrics, in Prometheus' format, without a Prometheus in between. Pure; the asking is the gates'."""

from __future__ import annotations

from typing import Literal

import msgspec

from fairlead.autoscale.exposition import fits, lines_of
from fairlead.autoscale.model import Metric, Reading, Sample
from fairlead.autoscale.sources.model import Answer, Ask, Unread, body_of, said, series_of
from fairlead.core.meta import JSON
from fairlead.gates.model import AskHttp, HttpAnswer, Subject

MOST = 100  # pods that are asked each time; of more, the metric is better read from a Prometheus


class ScrapeSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Where each pod listens. type: Counter for what counts up, of which the pace in a second is meant; Gauge for a value."""

    port: int | str
    path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"
    type: Literal["Counter", "Gauge"] = "Counter"
    timeout_seconds: int = 5


class ScrapeSource:
    """from.scrape"""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        wanted = msgspec.convert(spec, ScrapeSpec)
        return AskHttp(
            "Pods", wanted.timeout_seconds, port=wanted.port, path=wanted.path, scheme=wanted.scheme, most=MOST
        )

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        """The series of the metric's name and labels, added up for each pod. A pod that does not answer is without a sample; that
        none does is an error.

        >>> from fairlead.autoscale.model import Identifier, PodsMetric
        >>> hits = Metric(pods=PodsMetric(Identifier("hits_total", {"code": "200"}), 20))
        >>> told = (HttpAnswer("web-1", 200, b'hits_total{code="200",path="/"} 5\\nhits_total{code="500"} 1\\n'), HttpAnswer("web-2", 500))
        >>> ScrapeSource().reads(hits, {"port": 8080, "type": "Gauge"}, told, 7.0).samples
        {'web-1': Sample(value=5000.0, at=7.0, window=0.0)}
        """
        wanted, found, wrong = msgspec.convert(spec, ScrapeSpec), dict[str, Sample](), []
        for one in said(answer):
            try:
                found[one.where] = Sample(1000 * _total(metric, one), now)
            except Unread as why:
                wrong.append(str(why))
        if not found:
            raise Unread(wrong[0])
        return Reading(found, totals=wanted.type == "Counter")


def _total(metric: Metric, answer: HttpAnswer) -> float:
    name, labels = series_of(metric)
    try:
        values = [line.value for line in lines_of(body_of(answer), {name}) if fits(line.labels, labels)]
    except ValueError as error:
        raise Unread(f"{answer.where}: what it exposes is not in Prometheus' format: {error}") from None
    if not values:
        raise Unread(f"{answer.where} exposes no {name}" + (f" with {dict(labels)}" if labels else ""))
    return sum(values)
