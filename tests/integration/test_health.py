"""Which health gates the API server takes, and what it says to those that cannot be meant. That pods wait for them is shown by the
simulation, and with real kubelets and the chart's own rights in tests/e2e/test_health.py."""

from __future__ import annotations

import pytest

from support.crds import accept, app, app_with_pod, refusal
from support.lab import Lab
from support.team import JSON

QUERY: JSON = {"query": 'queue{pod="$(pod)"}', "success": {"max": 10}}


def gated(*checks: JSON, **fields: object) -> JSON:
    return app(health={"gates": [{"name": "warm", "checks": list(checks)} | fields]})


HTTP: JSON = {"http": {"port": "http", "path": "/warm"}}
REFUSED: dict[str, tuple[JSON, str]] = {
    "no checks": (gated(), "checks"),
    "two kinds in one check": (gated(HTTP | {"prometheus": QUERY}), "exactly one of http and prometheus"),
    "a check of a release": (gated({"approval": {}}), "spec.health.gates[0].checks[0].approval"),
    "a query that is the same for all pods": (
        gated({"prometheus": QUERY | {"query": "sum(queue)"}}),
        "must name the pod that it is about",
    ),
    "a query without a condition": (gated({"prometheus": {"query": "$(pod)"}}), "needs success, failure or both"),
    "a name that is no label": (gated(HTTP, name="Warm_1"), "the name of a health gate"),
    "the same name twice": (
        app(health={"gates": [{"name": "warm", "checks": [HTTP]}, {"name": "warm", "checks": [HTTP]}]}),
        "Duplicate value",
    ),
    "a port that no container has": (gated({"http": {"port": "grpc"}}), "names a port that no container"),
    "an interval of nothing": (gated(HTTP, intervalSeconds=0), "intervalSeconds"),
    "an interval of a day": (gated(HTTP, intervalSeconds=86400), "intervalSeconds"),
    "trust 17: a time limit of an hour": (gated({"http": {"timeoutSeconds": 3600}}), "timeoutSeconds"),
    "trust 16: an address": (gated({"http": {"url": "http://169.254.169.254/"}}), "url"),
    "pods on their node's network": (
        app(
            "shop",
            **app_with_pod(hostNetwork=True)["spec"] | {"health": {"gates": [{"name": "warm", "checks": [HTTP]}]}},
        ),
        "hostNetwork",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_health_gate_that_cannot_be_meant_is_refused_with_its_field_and_the_way_out(api: Lab, case: str) -> None:
    body, words = REFUSED[case]

    assert words in refusal(api, body)


def test_defaults_are_those_of_a_kubelets_probe(api: Lab) -> None:
    (made,) = accept(api, gated(HTTP))["spec"]["health"]["gates"]

    assert (made["intervalSeconds"], made["successThreshold"], made["failureThreshold"]) == (10, 1, 3)
