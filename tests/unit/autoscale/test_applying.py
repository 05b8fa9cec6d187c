"""Which Apps' pods are to request what is recommended, and what is said of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.autoscale.applying import Standing, hindrance, proceed, told
from fairlead.autoscale.model import Autoscale, ContainerResourceMetric, Metric, ResourceMetric, Schedule
from fairlead.autoscale.testing import autoscale, cpu, queue
from fairlead.autoscale.vertical.model import Applied, ContainerPolicy, Vertical
from fairlead.core.actions import Failure
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod, Resizing
from fairlead.rollout.testing import make_pods

ASKING: JSON = {"containers": [{"name": "web", "resources": {"requests": {"cpu": "500m"}}}]}
GIVEN: JSON = {"containers": [{"name": "web", "resources": {"requests": {"cpu": "300m"}}}]}
APPLIED = Applied({"web": {"cpu": 300}}, 36_000.0)


def apply(*containers: ContainerPolicy, **fields: Any) -> Autoscale:
    return autoscale(**({"metrics": (queue(),)} | fields), resources=Vertical("Apply", containers))


def pods(count: int, spec: JSON = ASKING, **fields: Any) -> list[Pod]:
    return list(make_pods(count, resources=msgspec.json.encode(spec), **fields))


def say(found: list[Pod], applied: Applied = APPLIED, now: float = 36_000.0, **fields: Any) -> Condition:
    template = msgspec.json.encode({"spec": ASKING})
    known = {"spec": apply(), "template": template, "applied": applied, "pods": found, "templates": {"v1": template}}
    standing = Standing(**(known | fields))
    return told(standing, proceed(standing, now))


def share(container: str) -> Metric:
    return Metric(container_resource=ContainerResourceMetric(name="cpu", container=container, average_utilization=60))


MEMORY_ALONE = ContainerPolicy("web", controlled_resources=("memory",))


@pytest.mark.parametrize(
    ("spec", "template", "reason"),
    {
        "per cent of what is applied": (apply(metrics=(cpu(60),)), ASKING, "FeedsBack"),
        "an amount": (apply(metrics=(Metric(resource=ResourceMetric("cpu", average_value="250m")),)), ASKING, None),
        "per cent of what is not applied": (apply(MEMORY_ALONE, metrics=(cpu(60),)), ASKING, None),
        "a container that is not named is applied to": (
            apply(MEMORY_ALONE, metrics=(cpu(60),)),
            {"containers": [*ASKING["containers"], {"name": "log"}]},
            "FeedsBack",
        ),
        "per cent of a container that is applied to": (apply(metrics=(share("web"),)), ASKING, "FeedsBack"),
        "per cent of a container that is not": (apply(MEMORY_ALONE, metrics=(share("web"),)), ASKING, None),
        "a size that does not move": (apply(min=3, max=3, metrics=(cpu(60),)), ASKING, None),
        "a size that moves with the time": (
            apply(min=3, max=3, metrics=(cpu(60),), schedules=(Schedule("day", "0 8 * * *", max=9),)),
            ASKING,
            "FeedsBack",
        ),
        "bounds of the pod as a whole": (apply(), ASKING | {"resources": {"limits": {"cpu": 2}}}, "PodLevelResources"),
        "no amount": (
            apply(),
            {"containers": [{"name": "web", "resources": {"requests": {"cpu": "much"}}}]},
            "NoAmount",
        ),
        "nothing is to be applied": (autoscale(resources=Vertical()), ASKING, None),
    }.values(),
)
def test_what_stands_against_it(spec: Autoscale, template: JSON, reason: str | None) -> None:
    found = hindrance(spec, template)
    assert (found.reason if found else None) == reason
    if found:
        assert found.status == "False"


def test_what_stands_against_it_is_said_and_nothing_else() -> None:
    condition = say(pods(1), spec=apply(metrics=(cpu(60),)))
    assert (condition.status, condition.reason) == ("False", "FeedsBack")
    assert "give averageValue" in condition.message


def test_before_anything_is_settled_the_template_has_its_say() -> None:
    assert say(pods(2), Applied()).reason == "AsTemplate"


def test_it_is_said_what_was_applied_since_when_and_to_how_many() -> None:
    condition = say([*pods(1, GIVEN), *pods(1)])
    assert (condition.status, condition.reason) == ("False", "Following")
    assert condition.message == (
        "web requests cpu 300m since 1970-01-01T10:00:00Z; 1 of 2 pods have it; shop-v1-0: to be resized in its turn"
    )
    assert say(pods(2, GIVEN)).status == "True"


def test_a_pod_of_a_revision_that_nobody_keeps_does_not_have_it() -> None:
    assert say(pods(1, GIVEN, revision="gone")).reason == "Following"


@pytest.mark.parametrize(
    ("resizing", "expected"),
    [
        (Resizing(), "its kubelet is at it"),
        (Resizing("InProgress", 36_000.0), "its kubelet is at it"),
        (Resizing("Error", 36_000.0, "no cgroup"), "could not do it since 1970-01-01T10:00:00Z (no cgroup)"),
        (Resizing("Deferred", 36_000.0, "no cpu"), "if that lasts for 300 s another pod takes its place"),
        (Resizing("Infeasible", 36_000.0, "no cpu"), "its node can never have room for it (no cpu): another pod takes"),
    ],
)
def test_it_is_said_what_is_awaited(resizing: Resizing, expected: str) -> None:
    assert expected in say(pods(1, GIVEN, resizing=resizing)).message


def test_a_refusal_is_said_in_the_servers_words() -> None:
    no = Failure("patch", "Pod/resize", "shop-v1-0", 403, "Forbidden", "cannot patch pods/resize", 0.0)
    condition = say(pods(2), failures=(no,))
    assert (condition.status, condition.reason) == ("False", "ResizeRefused")
    assert "the API server resizes no pod: cannot patch pods/resize" in condition.message
