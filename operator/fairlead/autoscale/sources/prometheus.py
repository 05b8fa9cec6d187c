"""What a Prometheus server's query gives: one number, or one for each pod. Pure; the asking and reading is the gates'."""

from __future__ import annotations

import math

import msgspec

from fairlead.autoscale.model import Metric, Reading, Sample
from fairlead.autoscale.sources.model import Answer, Ask, Unread, body_of, said
from fairlead.core.meta import JSON
from fairlead.gates.checks.prometheus import PrometheusCheck, series_in, value_of
from fairlead.gates.model import AskHttp, Subject

POD = "pod"  # the label that says whose value it is
_TIMEOUT = {"timeoutSeconds": 5}  # unless said; a gate has longer, for nobody's load waits for it


class PrometheusSource:
    """from.prometheus"""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        """As a gate's check does; only where each pod has a value the answer may have more than one.

        >>> from fairlead.autoscale.model import ExternalMetric, Identifier
        >>> jobs = Metric(external=ExternalMetric(Identifier("jobs"), average_value=5))
        >>> spec = {"query": 'sum(jobs{app="$(app)"})', "address": "http://prom:9090"}
        >>> PrometheusSource().asks(jobs, spec, Subject("shop", "web", "uid", "", 0)).form[0]
        ('query', 'sum(jobs{app="web"})')
        """
        ask = PrometheusCheck().asks(_TIMEOUT | spec, subject)
        if not isinstance(ask, AskHttp):
            raise Unread("there is no query")
        if metric.pods is None:
            return ask
        return msgspec.structs.replace(ask, form=tuple(field for field in ask.form if field[0] != "limit"))

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        """
        >>> from fairlead.autoscale.model import Identifier, PodsMetric
        >>> from fairlead.gates.model import HttpAnswer
        >>> told = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"web-1"},"value":[9,"2.5"]}]}}'
        >>> hits = Metric(pods=PodsMetric(Identifier("hits"), 20))
        >>> PrometheusSource().reads(hits, {}, (HttpAnswer("prom", 200, told),), 10.0).samples
        {'web-1': Sample(value=2500.0, at=9.0, window=0.0)}
        """
        body = body_of(said(answer)[0])
        try:
            if metric.pods is None:
                return Reading(values=(1000 * value_of(body),))
            series = series_in(body)
        except ValueError as error:
            raise Unread(f"Prometheus: {error}") from None
        nameless = [one for one in series if not one.metric.get(POD)]
        if nameless:
            raise Unread(f"Prometheus: a series has no label {POD}: sum by ({POD}) keeps it")
        return Reading({one.metric[POD]: Sample(_milli(one.value[1]), one.value[0]) for one in series})


def _milli(text: str) -> float:
    value = 1000 * float(text)
    return value if math.isfinite(value) else math.nan
