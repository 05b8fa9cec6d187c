"""Routes of Apps, carried out by a real Gateway: who is sent how many requests, and that none is lost."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.dsl import Cluster, Given, Scene, Then, When, apps, gateway
from e2e.dsl.traffic import Traffic
from support import figures

JSON = dict[str, Any]

HEADER = "x-canary: always"


@pytest.fixture(scope="module")
def _installed(cluster: Cluster) -> None:
    gateway.load(cluster)


@pytest.fixture
def address(scene: Scene, _installed: None) -> Iterator[str]:
    with gateway.running(scene.cluster, scene.namespace) as address:
        yield address


def shop() -> JSON:
    """At the first step one pod of five is new, and a tenth of the requests."""
    name, value = HEADER.split(": ")
    return apps.web(
        replicas=4,
        expose={
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
            "route": {"parentRefs": [{"name": gateway.NAME}], "canaryHeaders": [{"name": name, "value": value}]},
        },
        rollout={
            "strategy": "Canary",
            "maxSurge": 1,
            "maxUnavailable": 0,
            "steps": [{"weight": 10}, {"pause": {}}, {"weight": 50}, {"pause": {}}],
        },
    )


def revision(scene: Scene, number: int) -> str:
    """Its name, which its pods have before their own."""
    (found,) = [one for one in scene.get("frev")["items"] if one["spec"]["number"] == number]
    return str(found["metadata"]["name"])


def told(when: When, verb: str) -> None:
    done = when.fairlead(verb, "shop")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_gateway_shares_the_requests_by_the_weight_of_each_step_and_loses_none_on_the_way_out_and_back(
    given: Given, when: When, then: Then, scene: Scene, address: str
) -> None:
    given.a_ready_app(shop())
    then.condition("Routed", "True", "RouteAccepted")
    first = revision(scene, 1)
    traffic = Traffic(scene.cluster, scene.namespace, scene.image)
    traffic.start(f"{address}/hostname", rate=100, kept_rate=20)
    traffic.shared({first: 100})

    when.released(2)
    then.condition("Progressing", "True", "StepPaused")
    second = revision(scene, 2)
    traffic.shared({first: 90, second: 10})
    assert traffic.answered_with(HEADER) == {second}
    told(when, "promote")
    traffic.shared({first: 50, second: 50})
    told(when, "promote")
    then.ready()
    traffic.shared({second: 100})

    when.released(3)
    then.condition("Progressing", "True", "StepPaused")
    third = revision(scene, 3)
    traffic.shared({second: 90, third: 10})
    assert traffic.answered_with(HEADER) == {third}
    told(when, "abort")
    then.condition("RolledBack", "True", "ReleaseAborted")
    traffic.shared({second: 100})
    assert traffic.answered_with(HEADER) == {second}, "nothing is on trial any more"

    report = traffic.stop()
    figures.tell(f"{scene.namespace}: {report}")
    assert report.lost == 0, report
    assert report.revisions == {first, second, third}
