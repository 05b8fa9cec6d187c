"""Apps at zero while their operator is away, or the activators that hold their requests."""

from e2e.dsl import Given, Operator, Scene, Then
from e2e.dsl.traffic import Traffic
from e2e.dsl.zero import Dial, at_zero, sleeper
from support.waiting import eventually


def test_without_an_operator_sizes_stay_and_who_asks_at_zero_is_told_to_ask_again(
    operator: Operator, given: Given, then: Then, scene: Scene, dial: Dial
) -> None:
    given.an_app(sleeper(scene, timeout=3))
    at_zero(then)
    try:
        operator.scale(0)
        answer = dial.ask()
        assert answer["status"] == 503 and answer["retry"] == "5", answer
        assert 2.5 < answer["seconds"] < 30, answer
        assert scene.pods() == [] and scene.app()["status"]["autoscale"]["replicas"] == 0
    finally:
        operator.scale(2)
    eventually(lambda: dial.ask()["status"] == 200)  # each is held for three seconds, which a start may well take


def test_an_activator_that_goes_loses_nobody(
    operator: Operator, given: Given, then: Then, scene: Scene, dial: Dial
) -> None:
    """A roll of the activators while requests come and the App goes to zero and back."""
    given.a_ready_app(sleeper(scene, after=3))
    traffic = Traffic(scene.cluster, scene.namespace, scene.image)
    traffic.start(scene.url, rate=5, timeout=60)
    operator.restart_activators()
    traffic.until_answered(50)
    report = traffic.stop()
    assert report.lost == 0, report
