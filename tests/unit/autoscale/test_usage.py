"""What containers use, as kubelets and metrics.k8s.io say it."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.autoscale import rates
from fairlead.autoscale.exposition import lines_of
from fairlead.autoscale.model import Reading, Sample
from fairlead.autoscale.rates import LONGEST, Pair, Point
from fairlead.autoscale.usage import Node, Used, listed, looked, of_listed, of_metrics_api, of_nodes, reading
from fairlead.core.meta import JSON, LABEL_APP

# As a kubelet of 1.36 answers, shortened.
HEAD = """# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
"""
NODE = """# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 17.2 1700000000123
pod_cpu_usage_seconds_total{namespace="shop",pod="web-1"} 99 1700000000123
scrape_error 0
"""


def said(*containers: tuple[str, str, float, float, float]) -> bytes:
    """(pod, container, cpu seconds, memory, at)"""
    cpu = [
        f'container_cpu_usage_seconds_total{{container="{container}",namespace="shop",pod="{pod}"}} {cpu} {at * 1000:.0f}'
        for pod, container, cpu, _, at in containers
    ]
    memory = [
        f'container_memory_working_set_bytes{{container="{container}",namespace="shop",pod="{pod}"}} {used} {at * 1000:.0f}'
        for pod, container, _, used, at in containers
    ]
    return (HEAD + "\n".join(cpu) + "\n" + NODE + "\n".join(memory) + "\n").encode()


def used(*bodies: bytes, places: dict[str, str] | None = None) -> Used:
    node = Node()
    for body in bodies:
        node = looked(node, body, 0.0)
    return of_nodes({"n1": node}, "shop", places or {"web-1": "n1", "web-2": "n1"})


def test_the_pace_of_cpu_is_of_two_looks_by_the_kubelets_own_clock() -> None:
    found = used(said(("web-1", "web", 10, 64e6, 1000)), said(("web-1", "web", 12.5, 65e6, 1010)))

    assert found.cpu == {"web-1": {"web": Sample(0.25, 1010.0, 10.0)}}
    assert found.memory == {"web-1": {"web": Sample(65e6, 1010.0)}}


def test_one_look_knows_no_pace_and_all_of_the_memory() -> None:
    found = used(said(("web-1", "web", 10, 64e6, 1000)))

    assert (found.cpu, list(found.memory)) == ({}, ["web-1"])


def test_a_kubelet_that_has_not_measured_again_leaves_the_last_pace() -> None:
    first, second = said(("web-1", "web", 10, 64e6, 1000)), said(("web-1", "web", 12.5, 64e6, 1010))

    assert used(first, second, second).cpu == used(first, second).cpu


def test_a_container_that_started_anew_has_no_pace_until_the_next_look() -> None:
    bodies = [said(("web-1", "web", cpu, 64e6, at)) for cpu, at in ((10, 1000), (12, 1010), (0.5, 1020), (1.5, 1030))]

    assert used(*bodies[:3]).cpu == {}
    assert used(*bodies).cpu["web-1"]["web"].value == pytest.approx(0.1)


def test_a_pod_with_a_container_that_is_not_known_yet_is_left_out() -> None:
    first = said(("web-1", "web", 10, 64e6, 1000), ("web-2", "web", 20, 64e6, 1000))
    second = said(
        ("web-1", "web", 11, 64e6, 1010), ("web-1", "debug", 0.1, 1e6, 1010), ("web-2", "web", 22, 64e6, 1010)
    )

    assert list(used(first, second).cpu) == ["web-2"]


def test_looks_that_lie_far_apart_make_no_pace() -> None:
    late = rates.followed({"web": Pair(Point(0, 0))}, {"web": Point(LONGEST + 1, 500)})

    assert rates.rate(late["web"]) is None


def test_a_pod_of_another_namespace_or_app_does_not_count() -> None:
    both = said(("web-1", "web", 10, 64e6, 1000), ("other", "web", 10, 64e6, 1000))
    foreign = both.replace(b'namespace="shop",pod="web-1"', b'namespace="bank",pod="web-1"')

    assert used(foreign, places={"web-1": "n1"}).memory == {}


def test_of_nodes_that_fail_in_part_the_others_pods_are_told() -> None:
    node = looked(Node(), said(("web-1", "web", 10, 64e6, 1000)), 0.0)
    nodes = {"n1": node, "n2": Node(failed="no answer within 5 s")}

    found = of_nodes(nodes, "shop", {"web-1": "n1", "web-2": "n2"})
    assert (list(found.memory), found.error) == (["web-1"], "")
    assert (
        of_nodes({"n2": nodes["n2"]}, "shop", {"web-2": "n2"}).error == "the kubelet of node n2: no answer within 5 s"
    )


def test_what_is_no_exposition_is_an_error_and_what_others_say_is_not_looked_at() -> None:
    with pytest.raises(ValueError, match="many"):
        list(lines_of(b'hits{path="/"} many\n', {"hits"}))
    assert [line.value for line in lines_of(b"odd{ line\nhits 3\n", {"hits"})] == [3.0]


# ---------------------------------------------------------------- metrics.k8s.io


def pod_metrics(name: str, **containers: JSON) -> JSON:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "timestamp": "2026-11-22T10:00:00Z",
        "window": "14.982s",
        "containers": [{"name": container, "usage": usage} for container, usage in containers.items()],
    }


def test_the_metrics_api_says_each_container_with_its_window() -> None:
    items = [pod_metrics("web-1", web={"cpu": "123456789n", "memory": "20Mi"}, proxy={"cpu": "1m", "memory": "1Mi"})]
    found = of_metrics_api(msgspec.json.encode({"kind": "PodMetricsList", "items": items}))

    whole = reading(found, "cpu").samples["web-1"]
    assert (whole.value, whole.window) == (125.0, 14.982)  # rounded up, as MilliValue does
    assert reading(found, "cpu", "proxy").samples["web-1"].value == 1.0
    assert reading(found, "memory").samples["web-1"].value == 21 * 1024**2 * 1000


@pytest.mark.parametrize("body", [b"", b"[]", b'{"items": [{"metadata": 1}]}', b"\xff"])
def test_trust_15_what_is_no_list_of_metrics_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="something else than PodMetrics"):
        of_metrics_api(body)


def test_a_container_that_a_pod_does_not_have_leaves_it_without_a_sample() -> None:
    found = Used(cpu={"web-1": {"web": Sample(1.0)}, "web-2": {"proxy": Sample(1.0)}})

    assert list(reading(found, "cpu", "proxy").samples) == ["web-2"]


def test_an_error_is_the_readings() -> None:
    assert reading(Used(error="no answer"), "cpu") == Reading(error="no answer")


def test_a_list_of_a_whole_namespace_tells_each_app_what_its_own_list_would() -> None:
    shop = pod_metrics("shop-1", web={"cpu": "250m", "memory": "64Mi"})
    mail = pod_metrics("mail-1", smtp={"cpu": "1", "memory": "1Gi"})
    alone = pod_metrics("cron-1", job={"cpu": "2", "memory": "?"})  # nobody's, so nobody minds
    shop["metadata"]["labels"], mail["metadata"]["labels"] = {LABEL_APP: "shop", "tier": "web"}, {LABEL_APP: "mail"}
    found = listed(msgspec.json.encode({"items": [shop, mail, alone]}))

    for app, pod in (("shop", shop), ("mail", mail)):
        assert of_listed(found, app, [pod["metadata"]["name"]]) == of_metrics_api(msgspec.json.encode({"items": [pod]}))
    assert of_listed(found, "cart", ["cart-1"]) == Used()


def test_a_label_says_whose_a_pod_is_and_where_there_is_none_its_name_does() -> None:
    """A pod that was given to another App is that one's, as a selector would have it."""
    given, bare = pod_metrics("shop-1", web={"cpu": "1"}), pod_metrics("shop-2", web={"cpu": "2"})
    given["metadata"]["labels"], bare["metadata"]["labels"] = {LABEL_APP: "mail"}, None
    found = listed(msgspec.json.encode({"items": [given, bare]}))

    assert list(of_listed(found, "shop", ["shop-1", "shop-2"]).cpu) == ["shop-2"]
    assert list(of_listed(found, "mail", []).cpu) == ["shop-1"]
