"""What Helm says about values that cannot be meant: the schema names what is wrong before anything is installed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.helm import CHART, refusal


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replica": 3}, "replica"),
        ({"replicas": 3}, "replicas"),
        ({"workloads": {"replicaCount": 3}}, "replicaCount"),
        ({"image": {"name": "x"}}, "name"),
        ({"crds": {"install": True}}, "install"),
        ({"workloads": {"resources": {"request": {}}}}, "request"),
        ({"networkPolicy": {"metricsFrom": [{"podselector": {}}]}}, "podselector"),
    ],
)
def test_a_misspelt_value_is_named(values: dict[str, Any], named: str) -> None:
    assert f"additional properties '{named}' not allowed" in refusal(values)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"workloads": {"replicas": "two"}}, "/workloads/replicas"),
        ({"workloads": {"replicas": -1}}, "/workloads/replicas"),
        ({"workloads": {"log": {"level": "verbose"}}}, "/workloads/log/level"),
        ({"workloads": {"runAsUser": 0}}, "/workloads/runAsUser"),
        (
            {"workloads": {"podDisruptionBudget": {"maxUnavailable": 0}}},
            "/workloads/podDisruptionBudget/maxUnavailable",
        ),
        ({"workloads": {"env": [{"value": "x"}]}}, "/workloads/env/0"),
        ({"namespaces": "shop"}, "/namespaces"),
        ({"namespaces": ["Shop"]}, "/namespaces/0"),
        ({"namespaces": ["*"]}, "/namespaces/0"),
        ({"namespaces": ["shop", "shop"]}, "/namespaces"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"image": {"tag": "a:b"}}, "/image/tag"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"guard": {"enabled": "yes"}}, "/guard/enabled"),
        ({"crds": {"keep": "true"}}, "/crds/keep"),
        ({"labels": {"a": 1}}, "/labels/a"),
        ({"flowSchema": {"matchingPrecedence": 1}}, "/flowSchema/matchingPrecedence"),
        ({"networkPolicy": {"apiServer": {"ports": []}}}, "/networkPolicy/apiServer/ports"),
        ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1"]}}}, "/networkPolicy/apiServer/cidrs/0"),
        (
            {"gates": {"credentials": [{"origin": "prom.example", "secret": "s", "key": "k"}]}},
            "/gates/credentials/0/origin",
        ),
        ({"autoscale": {"resourceMetrics": ["prometheus"]}}, "/autoscale/resourceMetrics/0"),
        ({"autoscale": {"resourceMetrics": []}}, "/autoscale/resourceMetrics"),
        ({"autoscale": {"customMetrics": ["*"]}}, "/autoscale/customMetrics/0"),
        ({"autoscale": {"externalMetrics": ["*"]}}, "/autoscale/externalMetrics/0"),
        ({"serviceMonitor": {"interval": "30"}}, "/serviceMonitor/interval"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else value,
)
def test_a_value_that_cannot_be_meant_is_refused_where_it_stands(values: dict[str, Any], where: str) -> None:
    assert f"at '{where}'" in refusal(values)


def test_the_values_it_comes_with_are_accepted() -> None:
    assert refusal(yaml.safe_load((CHART / "values.yaml").read_text())) == ""


def objects_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in the schema that lists its properties, but for Kubernetes' own."""
    if "properties" in schema:
        yield path, schema
    for name, one in schema.get("properties", {}).items():
        yield from objects_of(one, f"{path}.{name}")


def test_every_value_is_described_and_nothing_undescribed_gets_in() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    for path, one in objects_of(schema):
        assert one["additionalProperties"] is False, path
        if path not in (".workloads.resources", ".secrets.resources", ".activator.resources"):
            assert not [name for name, each in one["properties"].items() if "description" not in each], path
