"""Apps that go to zero and come back with a request, on real nodes with the chart's activator. FAIRLEAD_COLD_STARTS: how many are
measured (3)."""

import math
import os

import pytest

from e2e.dsl import Given, Scene, Then
from e2e.dsl.traffic import Traffic
from e2e.dsl.zero import Dial, at_zero, sleeper
from support import figures

pytestmark = pytest.mark.slow

COLD_STARTS = int(os.environ.get("FAIRLEAD_COLD_STARTS", "3"))


def test_each_of_many_cold_starts_is_answered_and_it_goes_back_to_zero(
    given: Given, then: Then, scene: Scene, dial: Dial
) -> None:
    given.an_app(sleeper(scene))
    seconds = []
    for _ in range(COLD_STARTS):
        at_zero(then)
        answer = dial.ask()
        assert answer["status"] == 200 and answer["body"].startswith("shop-"), answer
        seconds.append(answer["seconds"])
    told = scene.app()["status"]["autoscale"]["changes"]
    assert any("woken by a request at" in change["message"] for change in told), told
    ordered = sorted(seconds)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    figures.tell(
        f"{len(seconds)} cold starts, 0 lost: p50 {ordered[len(ordered) // 2]:.2f} s, p99 {p99:.2f} s, "
        f"fastest {ordered[0]:.2f} s"
    )


def test_requests_all_the_while_from_zero_to_one_and_back_lose_none(
    given: Given, then: Then, scene: Scene, dial: Dial
) -> None:
    """The dial says 0 all the while, so the App goes to zero under the traffic, and wakes by it."""
    given.a_ready_app(sleeper(scene, after=3))
    traffic = Traffic(scene.cluster, scene.namespace, scene.image)
    traffic.start(scene.url, rate=5, kept_rate=5, timeout=60)
    uids = set()
    for _ in range(4):
        (pod,) = then.pods_ready(1, 120)
        uids.add(pod["metadata"]["uid"])
        scene.until_pods(
            lambda pods, last=pod: not any(one["metadata"]["uid"] == last["metadata"]["uid"] for one in pods)
        )  # type: ignore[misc]
    traffic.until_answered(20)
    report = traffic.stop()
    figures.tell(f"{len(uids)} times to zero and back under traffic: {report}")
    assert report.lost == 0, report
    assert len(uids) == 4


def test_a_websocket_and_a_streamed_body_go_through_a_cold_start(
    given: Given, then: Then, scene: Scene, dial: Dial
) -> None:
    given.an_app(sleeper(scene))
    at_zero(then)
    said = dial.websocket()
    assert "101" in said["status"] and said["frames"] == [True] * 5, said
    at_zero(then)
    said = dial.stream()
    assert "200" in said["status"] and said["parts"] == [True] * 6, said


def test_a_metric_wakes_it_too(given: Given, then: Then, scene: Scene, dial: Dial) -> None:
    given.an_app(sleeper(scene))
    at_zero(then)
    dial.turn(2)
    then.pods_ready(2)
