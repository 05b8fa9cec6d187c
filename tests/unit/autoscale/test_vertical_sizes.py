"""Requests and limits in a pod's spec, and what a resize in place would mean to it."""

from __future__ import annotations

import copy

import msgspec
import pytest

from fairlead.autoscale.vertical.model import MEBIBYTE, Applied
from fairlead.autoscale.vertical.render import with_requests
from fairlead.autoscale.vertical.sizes import fits, had, served, service, wanted
from fairlead.core.meta import JSON

APPLIED = Applied({"web": {"cpu": 300, "memory": 200 * MEBIBYTE}})


def web(**resources: JSON) -> JSON:
    return {"name": "web", "image": "shop:1", "resources": resources}


def sized(container: JSON, applied: Applied = APPLIED) -> JSON:
    (found,) = with_requests(applied, {"containers": [container]})["containers"]
    resources: JSON = found["resources"]
    return resources


@pytest.mark.parametrize(
    ("container", "expected"),
    {
        "requests alone": (
            web(requests={"cpu": "1", "memory": "1Gi"}),
            {"requests": {"cpu": "300m", "memory": "200Mi"}},
        ),
        "no resources at all": ({"name": "web"}, {"requests": {"cpu": "300m", "memory": "200Mi"}}),
        "limits twice and four times as high": (
            web(requests={"cpu": "500m", "memory": "100Mi"}, limits={"cpu": 1, "memory": "400Mi"}),
            {"requests": {"cpu": "300m", "memory": "200Mi"}, "limits": {"cpu": "600m", "memory": "800Mi"}},
        ),
        "a limit alone is a request as well": (
            web(limits={"memory": "1Gi"}),
            {"requests": {"cpu": "300m", "memory": "200Mi"}, "limits": {"memory": "200Mi"}},
        ),
        "guaranteed stays guaranteed": (
            web(requests={"cpu": 1, "memory": "1Gi"}, limits={"cpu": 1, "memory": "1Gi"}),
            {"requests": {"cpu": "300m", "memory": "200Mi"}, "limits": {"cpu": "300m", "memory": "200Mi"}},
        ),
        "what is no cpu and no memory stays": (
            web(requests={"cpu": 1, "example.com/gpu": 1}, limits={"example.com/gpu": 1}),
            {"requests": {"cpu": "300m", "memory": "200Mi", "example.com/gpu": 1}, "limits": {"example.com/gpu": 1}},
        ),
    }.values(),
    ids=["requests", "nothing", "limits", "limit alone", "guaranteed", "others"],
)
def test_limits_follow_in_proportion(container: JSON, expected: JSON) -> None:
    before = copy.deepcopy(container)
    assert sized(container) == expected
    assert container == before, "the template is the revision's"


def test_sidecars_are_sized_and_what_ends_before_them_is_not() -> None:
    spec = {
        "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "web"}],
    }
    told = with_requests(Applied({"setup": {"cpu": 1}, "proxy": {"cpu": 2}}), spec)
    assert told["initContainers"] == [
        {"name": "setup"},
        {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "2m"}}},
    ]
    assert told["containers"] == [{"name": "web"}]


def test_a_template_without_amounts_is_left_for_the_api_server_to_refuse() -> None:
    odd = web(requests={"cpu": "much"}, limits={"cpu": 1})
    assert sized(odd) == odd["resources"]


def test_nothing_applied_is_the_very_template() -> None:
    spec: JSON = {"containers": [web(requests={"cpu": 1})]}
    assert with_requests(Applied(), spec) is spec


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{}]}, "BestEffort"),
        ({"containers": [{"resources": {"requests": {"cpu": "0"}}}]}, "BestEffort"),
        ({"containers": [{"resources": {"requests": {"cpu": 1}}}]}, "Burstable"),
        ({"containers": [{"resources": {"limits": {"cpu": 1, "memory": 1}}}]}, "Guaranteed"),
        ({"containers": [{"resources": {"limits": {"cpu": 1}}}]}, "Burstable"),
        ({"containers": [{"resources": {"limits": {"cpu": 1, "memory": 1}}}, {}]}, "Burstable"),
        ({"containers": [{"resources": {"limits": {"cpu": 1, "memory": 1}}}], "initContainers": [{}]}, "Burstable"),
        (
            {"containers": [{"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": 1, "memory": 1}}}]},
            "Burstable",
        ),
    ],
)
def test_the_class_of_service_is_kubernetes_own(spec: JSON, expected: str) -> None:
    assert service(spec) == expected
    assert served(msgspec.json.encode(spec)) == expected


def test_a_pod_that_was_rendered_fits() -> None:
    template: JSON = {"containers": [web(requests={"cpu": 1}, limits={"cpu": 3})]}
    pod = msgspec.json.encode(with_requests(APPLIED, template))
    assert fits(had(pod), wanted(APPLIED, template).sizes)
    assert not fits(had(msgspec.json.encode(template)), wanted(APPLIED, template).sizes)


def test_amounts_that_are_written_otherwise_are_the_same() -> None:
    pod = msgspec.json.encode({"containers": [web(requests={"cpu": "0.3", "memory": "209715200"})]})
    assert fits(had(pod), wanted(APPLIED, {"containers": [web(requests={"cpu": 1})]}).sizes)


def test_a_template_says_which_containers_a_resize_would_start_anew() -> None:
    container = web(requests={"cpu": 1}) | {
        "resizePolicy": [
            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
            {"resourceName": "memory", "restartPolicy": "RestartContainer"},
        ]
    }
    assert wanted(APPLIED, {"containers": [container]}).restarts == {("web", "memory")}
