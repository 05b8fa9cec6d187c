"""The one place that reads: the API server's aggregated APIs and node proxy, and servers on a loopback socket."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from fairlead.autoscale.model import (
    KUBELETS,
    METRICS_API,
    ContainerResourceMetric,
    DescribedObject,
    ExternalMetric,
    Identifier,
    Metric,
    ObjectMetric,
    PodsMetric,
    Reading,
    ResourceMetric,
)
from fairlead.autoscale.reader import Place, Reader, seconds
from fairlead.autoscale.shared import PERIOD
from fairlead.autoscale.sources.model import Answer, Ask
from fairlead.core.meta import API_VERSION, JSON
from fairlead.gates.guard import Guard, parse
from fairlead.gates.model import AskHttp, Subject
from fairlead.gates.probe import NetworkProber
from fairlead.kube.errors import ApiError, Forbidden, NotFound, Unavailable
from fairlead.kube.fake import FakeClient, FakeCluster, Origin
from fairlead.kube.resources import NAMESPACES, PODS
from fairlead.plugins import registry
from support.backend import Backend

CPU = Metric(resource=ResourceMetric("cpu", average_value="500m"))
MEMORY = Metric(resource=ResourceMetric("memory", average_value="64Mi"))
PLACES = {"web-1": "n1", "web-2": "n2"}


class Api:
    """An API server behind which something stands: what is asked is noted."""

    def __init__(self) -> None:
        self.cluster = FakeCluster(lambda: 0.0)
        self.client = FakeClient(self.cluster, "operator")
        self.asked: list[tuple[str, dict[str, str]]] = []

    def serve(self, path: str, answer: Callable[[], bytes] | ApiError) -> None:
        def told(asked: str, query: Mapping[str, str]) -> bytes:
            self.asked.append((asked, dict(query)))
            if isinstance(answer, ApiError):
                raise answer
            return answer()

        self.cluster.behind[path] = told

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def reader(*ways: str, guard: Guard = Guard(), prometheus: str = "") -> Reader:
    return Reader(registry.load(registry.METRIC_SOURCES), NetworkProber(guard, prometheus), ways or (METRICS_API,))


def place(now: float = 0.0, places: dict[str, str] = PLACES) -> Place:
    return Place(Subject("shop", "web", "app-uid", "", 0), places, now)


def kubelet(pod: str, cpu: float, at: float) -> Callable[[], bytes]:
    labels = f'container="web",namespace="shop",pod="{pod}"'
    return lambda: (
        f"container_cpu_usage_seconds_total{{{labels}}} {cpu} {at * 1000:.0f}\n"
        f"container_memory_working_set_bytes{{{labels}}} 67108864 {at * 1000:.0f}\n"
    ).encode()


def pod_metrics() -> bytes:
    usage = {"cpu": "250m", "memory": "64Mi"}
    item = {
        "metadata": {"name": "web-1"},
        "timestamp": "",
        "window": "15s",
        "containers": [{"name": "web", "usage": usage}],
    }
    return msgspec.json.encode({"items": [item]})


METRICS = "/apis/metrics.k8s.io/"


# ---------------------------------------------------------------- cpu and memory


async def test_cpu_and_memory_are_read_from_the_metrics_api_with_one_request() -> None:
    api = Api()
    api.serve(METRICS, pod_metrics)
    proxied = Metric(container_resource=ContainerResourceMetric("cpu", average_value=1, container="proxy"))

    cpu, memory, container = await reader().at(place(), api.client).read((CPU, MEMORY, proxied))

    assert (cpu.samples["web-1"].value, memory.samples["web-1"].value) == (250.0, 64 * 1024**2 * 1000)
    assert container.samples == {}
    assert api.asked == [
        ("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods", {"labelSelector": "fairlead.dev/app=web"})
    ]


@pytest.mark.looptime
async def test_kubelets_are_read_once_in_a_period_for_all_apps() -> None:
    api, one = Api(), reader(KUBELETS)
    api.serve("/api/v1/nodes/n1/", kubelet("web-1", 10, 1000))
    api.serve("/api/v1/nodes/n2/", kubelet("web-2", 10, 1000))
    await asyncio.gather(*(one.at(place(), api.client).read((CPU,)) for _ in range(5)))
    assert sorted(api.paths()) == [f"/api/v1/nodes/{node}/proxy/metrics/resource" for node in ("n1", "n2")]

    await asyncio.sleep(PERIOD)
    api.serve("/api/v1/nodes/n1/", kubelet("web-1", 12.5, 1010))
    (cpu,) = await one.at(place(), api.client).read((CPU,))
    assert {pod: sample.value for pod, sample in cpu.samples.items()} == {"web-1": 250.0}
    assert len(api.asked) == 4


@pytest.mark.looptime
async def test_a_node_that_does_not_answer_leaves_its_pods_out_and_all_of_them_are_an_error() -> None:
    api, one = Api(), reader(KUBELETS)
    api.serve("/api/v1/nodes/n1/", kubelet("web-1", 10, 1000))
    api.serve("/api/v1/nodes/n2/", Unavailable(503, "ServiceUnavailable", "dial tcp: connection refused"))
    (memory,) = await one.at(place(), api.client).read((MEMORY,))
    assert list(memory.samples) == ["web-1"]
    (alone,) = await one.at(place(places={"web-2": "n2"}), api.client).read((MEMORY,))
    assert alone.error == "the kubelet of node n2: ServiceUnavailable: dial tcp: connection refused"


class Hung(FakeClient):
    """One node's kubelet takes its time."""

    hung = "/api/v1/nodes/n1/"
    seconds = 60.0

    async def fetch(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        answer = await super().fetch(path, query)
        await asyncio.sleep(self.seconds if path.startswith(self.hung) else 0.0)
        return answer


@pytest.mark.looptime
@pytest.mark.parametrize("takes, known", [(60.0, ["web-2"]), (4.5, ["web-1", "web-2"])])
async def test_all_who_wait_for_a_slow_node_go_on_with_what_it_came_to(takes: float, known: list[str]) -> None:
    """None of them asks it anew in its turn: the second would be out of time, with its other nodes' pods as well."""
    api, one = Api(), reader(KUBELETS)
    client = Hung(api.cluster, "operator")
    client.seconds = takes
    api.serve("/api/v1/nodes/n1/", kubelet("web-1", 10, 1000))
    api.serve("/api/v1/nodes/n2/", kubelet("web-2", 10, 1000))

    told = await asyncio.gather(*(one.at(place(), client).read((MEMORY,)) for _ in range(3)))

    assert [(sorted(memory.samples), memory.error) for (memory,) in told] == 3 * [(known, "")]
    assert len(api.asked) == 2


@pytest.mark.looptime
async def test_a_way_that_is_not_there_gives_way_to_the_next_and_is_looked_for_again_later() -> None:
    api, one = Api(), reader(METRICS_API, KUBELETS)
    api.serve(METRICS, NotFound(404, "NotFound", "the server could not find the requested resource"))
    api.serve("/api/v1/nodes/", kubelet("web-1", 10, 1000))
    for _ in range(2):
        (memory,) = await one.at(place(), api.client).read((MEMORY,))
        assert list(memory.samples) == ["web-1"]
    assert sum(path.startswith(METRICS) for path in api.paths()) == 1
    await asyncio.sleep(30)
    api.serve(METRICS, pod_metrics)
    (cpu,) = await one.at(place(), api.client).read((CPU,))
    assert cpu.samples["web-1"].value == 250.0


async def test_trust_15_where_nothing_serves_them_the_error_says_what_to_do() -> None:
    api = Api()
    api.serve(METRICS, Forbidden(403, "Forbidden", "pods.metrics.k8s.io is forbidden"))

    (cpu,) = await reader().at(place(), api.client).read((CPU,))

    assert cpu.error == (
        "metrics.k8s.io: Forbidden: pods.metrics.k8s.io is forbidden; install metrics-server, or let kubelets be read "
        "(chart value autoscale.resourceMetrics)"
    )


# ---------------------------------------------------------------- aggregated APIs


async def test_an_older_version_of_the_custom_metrics_api_is_asked_where_the_newer_is_not_there() -> None:
    api = Api()
    value = {"describedObject": {"name": "web-1"}, "value": "7"}
    api.serve("/apis/custom.metrics.k8s.io/v1beta1/", lambda: msgspec.json.encode({"items": [value]}))

    (hits,) = await reader().at(place(), api.client).read((Metric(pods=PodsMetric(Identifier("hits"), 5)),))

    assert hits.samples["web-1"].value == 7000.0


def of(kind: str, api_version: str) -> Metric:
    return Metric(object=ObjectMetric(DescribedObject(kind, "main", api_version), Identifier("hits"), value=5))


async def test_the_kind_of_an_object_is_looked_up_once() -> None:
    api, one = Api(), reader()
    kinds = {"resources": [{"name": "ingresses/status", "kind": "Ingress"}, {"name": "ingresses", "kind": "Ingress"}]}
    api.serve("/apis/networking.k8s.io/v1", lambda: msgspec.json.encode(kinds))
    api.serve("/apis/custom.metrics.k8s.io/", lambda: msgspec.json.encode({"items": [{"value": "7"}]}))

    for _ in range(2):
        (hits,) = await one.at(place(), api.client).read((of("Ingress", "networking.k8s.io/v1"),))
        assert hits.values == (7000.0,)
    path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/ingresses.networking.k8s.io/main/hits"
    assert api.paths() == ["/apis/networking.k8s.io/v1", path, path]


async def test_trust_15_an_object_of_a_kind_nobody_knows_is_an_error() -> None:
    api = Api()
    api.serve("/api/v1", lambda: b'{"resources": []}')

    found = (
        await reader().at(place(), api.client).read((of("Odd", "v1"), of("Odd", "odd.example/v1"), of("Odd", "a/b/c")))
    )

    assert [one.error for one in found] == [
        "v1 has no kind Odd",
        "the cluster has no API odd.example/v1",
        "'a/b' is no name: it may not be empty, . or .., nor have a / or a %",
    ]


# ---------------------------------------------------------------- servers


def jobs(**source: Any) -> Metric:
    return Metric(external=ExternalMetric(Identifier("jobs"), average_value=5, source=source))


async def test_a_prometheus_is_asked_through_the_gates_guard() -> None:
    with Backend() as backend:
        backend.value = "12.5"
        wanted = (jobs(prometheus={"query": "jobs", "address": backend.address}),)
        (told,) = await reader(guard=parse(["127.0.0.0/8"])).at(place(), Api().client).read(wanted)
        (refused,) = await reader().at(place(), Api().client).read(wanted)
        (own,) = (
            await reader(guard=parse(["127.0.0.0/8"]), prometheus=backend.address)
            .at(place(), Api().client)
            .read((jobs(prometheus={"query": "jobs"}),))
        )

    assert told.values == own.values == (12_500.0,)
    assert "is not a host gates may ask" in refused.error


async def test_a_server_that_says_nothing_is_named() -> None:
    """By the longest time that it may be given as well: its own limit comes before the reader's."""
    silent = socket.create_server(("127.0.0.1", 0))
    host, port = silent.getsockname()
    with silent:
        ask = {"query": "jobs", "address": f"http://{host}:{port}"}
        (told,) = (
            await reader(guard=parse(["127.0.0.0/8"]))
            .at(place(), Api().client)
            .read((jobs(prometheus={**ask, "timeoutSeconds": 1}),))
        )

    assert told.error == f"{host}:{port}: no answer within 1 s"
    assert seconds(AskHttp("Url", 10)) > 10


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://127.0.0.1:8080/", "http://10.96.0.1/api"])
async def test_trust_16_a_url_leads_nowhere_the_owner_has_not_allowed(url: str) -> None:
    (told,) = await reader().at(place(), Api().client).read((jobs(http={"url": url, "pointer": "/n"}),))

    assert "is not a host gates may ask" in told.error


async def test_a_metric_without_a_source_is_an_error_that_names_those_there_are() -> None:
    (told,) = await reader().at(place(), Api().client).read((jobs(kafka={}),))

    assert told.error.startswith("no source is called 'kafka'; there are customMetrics, ")


async def test_a_source_that_cannot_be_read_is_named() -> None:
    (told,) = await reader().at(place(), Api().client).read((jobs(http={"url": 7}),))

    assert told.error.startswith("from.http cannot be read: ")


class Depth:
    """As a package of one's own would register it: it asks for an address, and has no other way to ask."""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        return AskHttp("Url", 5.0, url=f"{spec['address']}/depth/{subject.app}")

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        assert isinstance(answer, tuple)
        return Reading(values=(float(answer[0].status),)) if answer[0].status else Reading(error=answer[0].error)


async def test_a_source_of_a_third_party_asks_under_the_same_guard() -> None:
    with Backend() as backend:
        wanted = (jobs(depth={"address": backend.address}),)
        allowed = Reader({"depth": Depth()}, NetworkProber(parse(["127.0.0.0/8"])))
        (told,) = await allowed.at(place(), Api().client).read(wanted)
        (refused,) = await Reader({"depth": Depth()}, NetworkProber(Guard())).at(place(), Api().client).read(wanted)

    assert told.values == (501.0,)  # that server answers POSTs alone
    assert "is not a host gates may ask" in refused.error


POD: JSON = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "labels": {"fairlead.dev/app": "web"},
        "ownerReferences": [
            {"apiVersion": API_VERSION, "kind": "App", "name": "web", "uid": "app-uid", "controller": True}
        ],
    },
    "spec": {"containers": [{"name": "web"}]},
    "status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
}


class Scraped(http.server.BaseHTTPRequestHandler):
    """A pod that has answered a hundred requests more each time it is asked."""

    total = 0

    def do_GET(self) -> None:
        Scraped.total += 100
        body = f'hits_total{{code="200"}} {Scraped.total}\n'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


async def test_the_pace_of_a_pods_own_counter_is_of_two_looks() -> None:
    Scraped.total = 0
    api = Api()
    api.cluster.create(NAMESPACES, None, {"metadata": {"name": "shop"}})
    api.cluster.create(PODS, "shop", POD)
    by_kubelet = Origin("update", "kubelet", "kubelet", "status")
    api.cluster.edit(PODS, "shop", "web-1", lambda pod: pod.update(status=POD["status"]), by_kubelet)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scraped) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        wanted = (
            Metric(pods=PodsMetric(Identifier("hits_total"), 20, source={"scrape": {"port": server.server_port}})),
        )
        one = reader(guard=parse(["127.0.0.0/8"]))
        (first,) = await one.at(place(now=10.0), api.client).read(wanted)
        (second,) = await one.at(place(now=15.0), api.client).read(wanted)
        (refused,) = await reader().at(place(), api.client).read(wanted)
        server.shutdown()
        thread.join()

    assert (first.samples, first.error) == ({}, "")
    assert second.samples["web-1"].value == 20_000.0, "a hundred in five seconds, in thousandths"
    assert "is a loopback address" in refused.error
