"""What a pod requests, as utilization is taken of it. tests/parity holds it to upstream's own."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.autoscale.model import Requests
from fairlead.autoscale.requests import requests_of


def container(name: str, cpu: str = "", **fields: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu} if cpu else {}}} | fields


@pytest.mark.parametrize(
    ("spec", "containers", "pod"),
    [
        pytest.param(
            {"containers": [container("a", "1"), container("b", "250m")]}, {"a": 1000, "b": 250}, None, id="containers"
        ),
        pytest.param(
            {
                "containers": [container("a", "1")],
                "initContainers": [container("i", "9"), container("s", "50m", restartPolicy="Always")],
            },
            {"a": 1000, "s": 50},
            None,
            id="sidecars, and no other init containers",
        ),
        pytest.param({"containers": [container("a")]}, {"a": None}, None, id="nothing"),
        pytest.param({"containers": [{"name": "a"}]}, {"a": None}, None, id="no resources at all"),
        pytest.param(
            {"containers": [container("a", "1")], "resources": {"requests": {"cpu": "3"}}},
            {"a": 1000},
            {"cpu": 3000},
            id="the pod's own",
        ),
        pytest.param(
            {"containers": [container("a", "1")], "resources": {"requests": {"cpu": "3"}}, "overhead": {"cpu": "100m"}},
            {"a": 1000},
            {"cpu": 3100},
            id="with its overhead",
        ),
        pytest.param(
            {"containers": [container("a", "1"), container("b", "2")], "resources": {"requests": {"memory": "1k"}}},
            {"a": 1000, "b": 2000},
            {"cpu": 3000, "memory": 1_000_000},
            id="beside it what the containers need of others",
        ),
        pytest.param(
            {
                "containers": [container("a", "1")],
                "initContainers": [container("s", "500m", restartPolicy="Always"), container("i", "4")],
                "resources": {"requests": {"memory": "1k"}},
            },
            {"a": 1000, "s": 500},
            {"cpu": 4500, "memory": 1_000_000},
            id="or what the start needs, where that is more",
        ),
        pytest.param(
            {"containers": [container("a", "1")], "resources": {"requests": {"example.com/gpu": "1"}}},
            {"a": 1000},
            None,
            id="of a pod only what a pod may have",
        ),
    ],
)
def test_requests_of(spec: dict[str, Any], containers: dict[str, int | None], pod: dict[str, int] | None) -> None:
    amounts = {name: {} if cpu is None else {"cpu": cpu} for name, cpu in containers.items()}
    assert requests_of(spec) == Requests(amounts, pod)
