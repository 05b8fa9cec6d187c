"""metrics.k8s.io, read by one App or by thousands: who is asked for alone, who shares a list, and what becomes of those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from fairlead.autoscale import pod_metrics, reader
from fairlead.autoscale.pod_metrics import FEW, PodMetrics
from fairlead.autoscale.shared import PERIOD
from fairlead.autoscale.usage import Used
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.kube.errors import ApiError, Unavailable, Unreachable
from fairlead.kube.fake import FakeClient, FakeCluster

PATH = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
LOOK = 5.0  # seconds between two looks at an App
LEG = 3.0  # seconds: there and back is more than a list is good for
APPS = [f"app-{number}" for number in range(50)]


class Server:
    """A metrics-server: a pod of each App, and one of nobody's. It chooses by pods' labels, and tells them if it is to."""

    def __init__(self, *, tells_labels: bool = True) -> None:
        self.cluster = FakeCluster(lambda: 0.0)
        self.client = FakeClient(self.cluster, "operator")
        self.cluster.behind["/apis/metrics.k8s.io/"] = self._told
        self.asked: list[tuple[str, str]] = []
        self.fails: ApiError | None = None
        self._tells_labels = tells_labels

    def _told(self, path: str, query: Mapping[str, str]) -> bytes:
        selector = query.get("labelSelector", "")
        self.asked.append((path, selector))
        if self.fails:
            raise self.fails
        apps = [app for app in APPS if selector in ("", f"{LABEL_APP}={app}")]
        foreign = [] if selector else [self._item("cron-1", {"job": "cron"})]
        return msgspec.json.encode({"items": [self._item(pod_of(app), {LABEL_APP: app}) for app in apps] + foreign})

    def _item(self, name: str, labels: Mapping[str, str]) -> JSON:
        usage = {"cpu": "250m", "memory": "64Mi"}
        metadata = {"name": name, "labels": labels} if self._tells_labels else {"name": name}
        return {"metadata": metadata, "window": "15s", "containers": [{"name": "web", "usage": usage}]}

    def selectors(self) -> list[str]:
        return [selector for _, selector in self.asked]


def pod_of(app: str) -> str:
    return f"{app}-pod"


async def used(metrics: PodMetrics, server: Server, app: str) -> Used:
    return await metrics.used("shop", app, [pod_of(app)], server.client)


async def all_of(metrics: PodMetrics, server: Server, apps: list[str]) -> list[Used]:
    return await asyncio.gather(*(used(metrics, server, app) for app in apps))


async def many_have_asked(metrics: PodMetrics, server: Server) -> None:
    """So that whoever asks from now on shares a list, of which there is none that is fresh."""
    await all_of(metrics, server, APPS)
    await asyncio.sleep(PERIOD)
    server.asked.clear()


@pytest.mark.looptime
async def test_few_apps_of_a_namespace_are_each_asked_for_alone() -> None:
    metrics, server = PodMetrics(), Server()
    for _ in range(3):
        await all_of(metrics, server, APPS[:FEW])
        await asyncio.sleep(LOOK)

    assert sorted(server.asked) == sorted(3 * [(PATH, f"{LABEL_APP}={app}") for app in APPS[:FEW]])


@pytest.mark.looptime
async def test_many_apps_share_one_list_in_a_period_and_each_gets_what_is_its_own() -> None:
    metrics, server = PodMetrics(), Server()
    await all_of(metrics, server, APPS)
    assert sorted(server.selectors()) == ["", *(f"{LABEL_APP}={app}" for app in APPS[:FEW])]
    server.asked.clear()

    for _ in range(12):
        await asyncio.sleep(LOOK)
        found = await all_of(metrics, server, APPS)
        assert [list(one.cpu) for one in found] == [[pod_of(app)] for app in APPS]
    assert server.asked == 12 * [(PATH, "")]


@pytest.mark.looptime
async def test_apps_that_look_at_moments_of_their_own_share_a_list_too() -> None:
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)

    async def looks(number: int) -> None:
        await asyncio.sleep(LOOK * number / len(APPS))
        for _ in range(12):
            await used(metrics, server, APPS[number])
            await asyncio.sleep(LOOK)

    await asyncio.gather(*(looks(number) for number in range(len(APPS))))
    assert len(server.asked) <= 12 * LOOK / PERIOD + 1
    assert set(server.selectors()) == {""}


@pytest.mark.looptime
async def test_whoever_asks_while_a_list_is_under_way_waits_for_it_however_long_it_takes() -> None:
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)
    server.client.latency = LEG
    first = asyncio.create_task(used(metrics, server, APPS[0]))
    await asyncio.sleep(LEG)

    found = await all_of(metrics, server, APPS[1:])

    assert [list(one.memory) for one in [await first, *found]] == [[pod_of(app)] for app in APPS]
    assert len(server.asked) == 1


@pytest.mark.looptime
async def test_a_failure_is_told_to_all_who_wait_and_to_nobody_later() -> None:
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)
    server.fails = Unavailable(503, "ServiceUnavailable", "no endpoints")
    told = await asyncio.gather(*(used(metrics, server, app) for app in APPS), return_exceptions=True)

    assert told == [server.fails] * len(APPS)
    assert len(server.asked) == 1
    server.fails = None
    await asyncio.sleep(0.001)
    assert list((await used(metrics, server, APPS[0])).cpu) == [pod_of(APPS[0])]


@pytest.mark.looptime
async def test_a_server_that_does_not_answer_is_told_before_those_who_wait_give_up() -> None:
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)
    server.client.cut = True
    async with asyncio.timeout(reader.SECONDS):
        told = await asyncio.gather(*(used(metrics, server, app) for app in APPS), return_exceptions=True)

    assert {str(error) for error in told} == {f"Timeout: no answer within {pod_metrics.SECONDS:g} s"}
    assert all(isinstance(error, Unreachable) for error in told)


@pytest.mark.looptime
async def test_whoever_reads_may_be_cancelled_and_those_who_wait_get_their_answer() -> None:
    """The App of the one who reads for all is deleted, or its own time is up."""
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)
    server.client.latency = LEG
    tasks = [asyncio.create_task(used(metrics, server, app)) for app in APPS]
    await asyncio.sleep(LEG / 2)
    tasks[0].cancel()
    tasks[1].cancel()  # is the next in the line, and may not take the others with it either

    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in found[:2]] == [asyncio.CancelledError] * 2
    assert [list(one.cpu) for one in found[2:] if isinstance(one, Used)] == [[pod_of(app)] for app in APPS[2:]]
    assert len(server.asked) == 1, (
        "the first request was cut before it came to the server; the next one asks once for all"
    )


@pytest.mark.looptime
async def test_where_pods_labels_are_not_told_they_are_known_by_their_names() -> None:
    metrics, server = PodMetrics(), Server(tells_labels=False)
    await many_have_asked(metrics, server)

    found = await all_of(metrics, server, APPS)

    assert [list(one.cpu) for one in found] == [[pod_of(app)] for app in APPS]
    assert server.selectors() == [""]


@pytest.mark.looptime
async def test_a_namespace_of_which_few_apps_are_left_is_not_listed_any_more() -> None:
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)
    for _ in range(3):
        await all_of(metrics, server, APPS[:FEW])
        await asyncio.sleep(LOOK)

    assert sorted(server.selectors()[-FEW:]) == [f"{LABEL_APP}={app}" for app in APPS[:FEW]]


@pytest.mark.looptime
async def test_namespaces_are_apart_and_one_that_nobody_asks_about_is_forgotten() -> None:
    metrics, server = PodMetrics(), Server()
    await many_have_asked(metrics, server)
    await used(metrics, server, APPS[0])
    await metrics.used("mail", APPS[0], [], server.client)
    assert server.asked == [(PATH, ""), (PATH.replace("shop", "mail"), f"{LABEL_APP}={APPS[0]}")]

    await asyncio.sleep(4 * LOOK)
    await metrics.used("mail", APPS[0], [], server.client)
    assert list(metrics._namespaces) == ["mail"]
