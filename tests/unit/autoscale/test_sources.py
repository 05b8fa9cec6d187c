"""What each sort of source asks, and what it makes of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fairlead.autoscale.model import (
    DescribedObject,
    ExternalMetric,
    Identifier,
    Metric,
    ObjectMetric,
    PodsMetric,
    Reading,
    ResourceMetric,
)
from fairlead.autoscale.sources.apis import CustomMetrics, ExternalMetrics
from fairlead.autoscale.sources.http import HttpSource
from fairlead.autoscale.sources.model import Answer, ApiAnswer, AskApi, MetricSource, Unread, named
from fairlead.autoscale.sources.prometheus import PrometheusSource
from fairlead.autoscale.sources.resource import ResourceMetrics
from fairlead.autoscale.sources.scrape import ScrapeSource
from fairlead.core.meta import JSON
from fairlead.gates.model import AskHttp, HttpAnswer, Subject
from fairlead.plugins import registry

SHOP = Subject("shop", "web", "app-uid", "", 0)
HITS = Metric(pods=PodsMetric(Identifier("hits_total"), 50))
JOBS = Metric(external=ExternalMetric(Identifier("jobs", {"queue": "mail"}), average_value=20))


def of_ingress(kind: str = "Ingress", api_version: str = "networking.k8s.io/v1", name: str = "requests") -> Metric:
    return Metric(object=ObjectMetric(DescribedObject(kind, "main", api_version), Identifier(name), value=100))


def api(*items: JSON) -> ApiAnswer:
    return ApiAnswer(msgspec.json.encode({"items": list(items)}))


def prometheus(*series: JSON, kind: str = "vector") -> tuple[HttpAnswer, ...]:
    body = {"status": "success", "data": {"resultType": kind, "result": list(series)}}
    return (HttpAnswer("prom:9090", 200, msgspec.json.encode(body)),)


def asked(source: MetricSource, metric: Metric, spec: JSON | None = None) -> AskApi:
    ask = source.asks(metric, spec or {}, SHOP)
    assert isinstance(ask, AskApi)
    return ask


def sent(source: MetricSource, metric: Metric, spec: JSON) -> AskHttp:
    ask = source.asks(metric, spec, SHOP)
    assert isinstance(ask, AskHttp)
    return ask


# ---------------------------------------------------------------- which source


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric(resource=ResourceMetric("cpu", 60)), "resourceMetrics"),
        (HITS, "customMetrics"),
        (of_ingress(), "customMetrics"),
        (JOBS, "externalMetrics"),
        (Metric(pods=PodsMetric(Identifier("hits"), 5, source={"scrape": {"port": 80}})), "scrape"),
        (Metric(external=ExternalMetric(Identifier("x"), 5, source={"http": {"pointer": "/x"}})), "http"),
    ],
)
def test_a_metric_names_its_source_or_is_read_from_the_clusters_own(metric: Metric, name: str) -> None:
    assert named(metric)[0] == name
    assert name in registry.load(registry.METRIC_SOURCES)


# ---------------------------------------------------------------- the metrics APIs


def test_the_custom_metrics_of_pods_are_asked_for_all_of_the_app_at_once() -> None:
    ask = asked(CustomMetrics(), Metric(pods=PodsMetric(Identifier("hits", {"code": "200", "a": "b"}), 5)))

    assert ask.paths == (
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/hits",
        "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/%2A/hits",
    )
    assert dict(ask.query) == {"labelSelector": "fairlead.dev/app=web", "metricLabelSelector": "a=b,code=200"}


def test_the_custom_metric_of_an_object_is_asked_under_what_its_kind_is_called() -> None:
    ask = asked(CustomMetrics(), of_ingress())

    assert ask.paths[0] == "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/{resource}/main/requests"
    assert (ask.kind, ask.api_version) == ("Ingress", "networking.k8s.io/v1")
    namespace = asked(CustomMetrics(), of_ingress("Namespace", "v1"))
    assert namespace.paths[0] == "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/requests"
    assert namespace.kind == ""


@pytest.mark.parametrize("name", ["../secrets", "a/b", "a%2Fb", "..", ".", ""])
def test_trust_16_a_metrics_name_leads_to_no_other_path(name: str) -> None:
    for source, metric in (
        (CustomMetrics(), Metric(pods=PodsMetric(Identifier(name), 5))),
        (CustomMetrics(), of_ingress(name=name)),
        (ExternalMetrics(), Metric(external=ExternalMetric(Identifier(name), average_value=5))),
    ):
        with pytest.raises(Unread, match="is no name"):
            source.asks(metric, {}, SHOP)


def test_values_of_pods_are_by_their_names() -> None:
    item = {"describedObject": {"kind": "Pod", "name": "web-1"}, "timestamp": "1970-01-01T00:16:40Z", "value": "2500m"}
    found = CustomMetrics().reads(HITS, {}, api(item), 2000.0)

    assert found.samples["web-1"].value == 2500.0
    assert found.samples["web-1"].at == 1000.0


def test_the_value_of_an_object_is_one() -> None:
    item = {"describedObject": {"kind": "Ingress", "name": "main"}, "value": "12"}
    assert CustomMetrics().reads(of_ingress(), {}, api(item), 0.0) == Reading(values=(12_000.0,))


def test_values_from_outside_are_all_told() -> None:
    assert ExternalMetrics().reads(JOBS, {}, api({"value": "3"}, {"value": "1500m"}), 0.0).values == (3000.0, 1500.0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ApiAnswer(error="NotFound: no such API", status=404), "external.metrics.k8s.io: NotFound: no such API"),
        (ApiAnswer(error="Forbidden: no", status=403), "name the metric in its chart value autoscale"),
        (ApiAnswer(b"<html>"), "something else than metrics"),
        (api({"value": "many"}), "'many' is no amount"),
    ],
)
def test_trust_15_an_api_that_does_not_tell_is_an_error(answer: Answer, words: str) -> None:
    with pytest.raises(Unread, match=words):
        ExternalMetrics().reads(JOBS, {}, answer, 0.0)


# ---------------------------------------------------------------- Prometheus


def test_a_query_is_asked_as_gates_ask_one_with_the_app_put_in() -> None:
    ask = sent(PrometheusSource(), JOBS, {"query": 'sum(jobs{app="$(app)",ns="$(namespace)"})'})

    assert dict(ask.form)["query"] == 'sum(jobs{app="web",ns="shop"})'
    assert (ask.target, ask.default, ask.path, ask.timeout) == ("Url", "prometheus", "/api/v1/query", 5)
    assert dict(ask.form)["limit"] == "2"
    assert "limit" not in dict(sent(PrometheusSource(), HITS, {"query": "hits"}).form)


def test_a_query_gives_one_number_or_one_for_each_pod() -> None:
    one = prometheus({"metric": {}, "value": [7, "12.5"]})
    assert PrometheusSource().reads(JOBS, {}, one, 0.0).values == (12_500.0,)
    two = prometheus({"metric": {"pod": "web-1"}, "value": [7, "3"]}, {"metric": {"pod": "web-2"}, "value": [7, "NaN"]})
    samples = PrometheusSource().reads(HITS, {}, two, 0.0).samples
    assert samples["web-1"].value == 3000.0
    assert math.isnan(samples["web-2"].value), "which counts as one that is not there"


@pytest.mark.parametrize(
    ("metric", "answer", "words"),
    [
        (JOBS, prometheus(), "the query gives nothing"),
        (JOBS, prometheus({"value": [1, "1"]}, {"value": [1, "2"]}), "more than one series"),
        (JOBS, (HttpAnswer("prom", 401),), "it wants a credential"),
        (JOBS, (HttpAnswer("prom", 503),), "prom answered 503"),
        (JOBS, (HttpAnswer("prom", error="no answer within 5 s"),), "prom: no answer within 5 s"),
        (JOBS, (HttpAnswer("prom", 200, b"<html>"),), "did not answer as Prometheus does"),
        (JOBS, (), "there is nobody to ask"),
        (HITS, prometheus({"metric": {"app": "web"}, "value": [1, "1"]}), "a series has no label pod"),
        (HITS, prometheus(kind="matrix"), "the query gives a matrix"),
    ],
)
def test_trust_15_a_prometheus_that_does_not_tell_is_an_error(metric: Metric, answer: Answer, words: str) -> None:
    with pytest.raises(Unread, match=words):
        PrometheusSource().reads(metric, {}, answer, 0.0)


# ---------------------------------------------------------------- a number in an answer


def test_a_number_is_asked_of_the_apps_service_or_a_url() -> None:
    own = sent(HttpSource(), JOBS, {"pointer": "/n", "port": "http", "path": "/queue"})
    assert (own.target, own.port, own.path, own.url) == ("Service", "http", "/queue", "")
    assert sent(HttpSource(), JOBS, {"pointer": "/n", "url": "http://mq:8080/n"}).target == "Url"


@pytest.mark.parametrize(("body", "values"), [(b'{"n": 3}', (3000.0,)), (b'{"n": "1500m"}', (1500.0,))])
def test_a_number_is_read_where_the_pointer_leads(body: bytes, values: tuple[float, ...]) -> None:
    assert HttpSource().reads(JOBS, {"pointer": "/n"}, (HttpAnswer("mq", 200, body),), 0.0).values == values


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"oops", "the answer is no JSON"),
        (b'{"m": 3}', "the answer has no /n"),
        (b'{"n": {}}', "is no number"),
        (b'{"n": true}', "is true, and a number is needed"),
        (b'{"n": "NaN"}', "'NaN' is no amount"),
        (b"[" * 100_000, "the answer is no JSON"),
    ],
)
def test_trust_15_an_answer_without_a_number_is_an_error(body: bytes, words: str) -> None:
    with pytest.raises(Unread, match=words):
        HttpSource().reads(JOBS, {"pointer": "/n"}, (HttpAnswer("mq", 200, body),), 0.0)


# ---------------------------------------------------------------- the pods' own


def scraped(*answers: HttpAnswer, metric: Metric = HITS, **spec: Any) -> Reading:
    return ScrapeSource().reads(metric, {"port": 8080} | spec, answers, 7.0)


def test_the_pods_are_asked_at_their_port() -> None:
    ask = sent(ScrapeSource(), HITS, {"port": "metrics"})
    assert (ask.target, ask.port, ask.path, ask.most) == ("Pods", "metrics", "/metrics", 100)


def test_series_that_fit_are_added_up_for_each_pod_and_counters_are_totals() -> None:
    body = b'# TYPE hits_total counter\nhits_total{code="200",path="/a"} 3\nhits_total{code="200",path="/b"} 4\nhits_total{code="500"} 9\n'
    metric = Metric(pods=PodsMetric(Identifier("hits_total", {"code": "200"}), 5))

    found = scraped(HttpAnswer("web-1", 200, body), metric=metric)
    assert found.samples["web-1"].value == 7000.0
    assert found.totals
    assert not scraped(HttpAnswer("web-1", 200, body), metric=metric, type="Gauge").totals


def test_a_pod_that_does_not_answer_is_without_a_sample() -> None:
    found = scraped(HttpAnswer("web-1", 200, b"hits_total 1\n"), HttpAnswer("web-2", error="no answer"))
    assert list(found.samples) == ["web-1"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (HttpAnswer("web-1", 200, b"other 1\n"), "web-1 exposes no hits_total"),
        (HttpAnswer("web-1", 200, b"hits_total{ 1\n"), "not in Prometheus' format"),
        (HttpAnswer("web-1", 404), "web-1 answered 404"),
        (HttpAnswer("web-1", error="it is on its node's network"), "on its node's network"),
    ],
)
def test_trust_15_pods_that_all_say_nothing_are_an_error(answer: HttpAnswer, words: str) -> None:
    with pytest.raises(Unread, match=words):
        scraped(answer)


def test_a_source_that_gets_anothers_answer_says_so() -> None:
    wrong: list[tuple[Callable[[], MetricSource], Metric]] = [
        (ResourceMetrics, Metric(resource=ResourceMetric("cpu", 60))),
        (ExternalMetrics, JOBS),
    ]
    for source, metric in wrong:
        with pytest.raises(Unread):
            source().reads(metric, {}, (), 0.0)
