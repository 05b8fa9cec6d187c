"""spec.autoscale as people write it."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from fairlead.autoscale.model import (
    CPU_AT_80_PERCENT,
    TOLERANCE,
    Autoscale,
    Behavior,
    Fallback,
    Policy,
    Rules,
    Schedule,
)
from fairlead.autoscale.testing import cpu, queue
from support.commands import REPOSITORY

EVERYTHING = """
min: 0
max: 30
holdSeconds: 60
metrics:
- resource: {name: cpu, averageUtilization: 60}
- containerResource: {name: memory, container: web, averageValue: 512Mi}
- pods: {metric: {name: hits, selector: {path: shop}}, averageValue: 10}
- object: {describedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: main}, metric: {name: hits}, value: 2k}
- external: {metric: {name: queue_length}, averageValue: 10}
  fallback: {replicas: 8, afterSeconds: 60}
behavior:
  scaleUp: {stabilizationWindowSeconds: 30, selectPolicy: Min, policies: [{type: Pods, value: 2, periodSeconds: 60}], tolerance: 50m}
schedules:
- {name: office, timeZone: Europe/Berlin, start: 0 8 * * 1-5, end: 0 18 * * 1-5, min: 10}
- {name: sale, start: 0 0 24 11 *, durationSeconds: 86400, max: 60}
"""


def schema() -> dict[str, Any]:
    definition = yaml.load((REPOSITORY / "crds" / "app.yaml").read_text(), yaml.CSafeLoader)
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
        "properties"
    ]["autoscale"]
    return found


def test_what_people_write_is_read_as_they_mean_it() -> None:
    spec = msgspec.convert(yaml.safe_load(EVERYTHING), Autoscale)
    assert [metric.title for metric in spec.metrics] == [
        "cpu",
        "memory of container web",
        "hits{path=shop}",
        "hits of Ingress/main",
        "queue_length",
    ]
    assert (spec.metrics[0], spec.metrics[4]) == (cpu(60), queue(10, fallback=Fallback(8, 60)))
    assert [metric.beyond_pods for metric in spec.metrics] == [False, False, False, True, True]
    assert spec.behavior == Behavior(Rules(30, "Min", (Policy("Pods", 2, 60),), "50m"))
    assert spec.schedules == (
        Schedule("office", "0 8 * * 1-5", end="0 18 * * 1-5", time_zone="Europe/Berlin", min=10),
        Schedule("sale", "0 0 24 11 *", duration_seconds=86_400, max=60),
    )
    assert (spec.min, spec.max, spec.hold_seconds) == (0, 30, 60)


def test_the_schema_defaults_to_what_the_model_does() -> None:
    """So a spec that was stored before a default was there is read as one that has it."""
    fields = schema()["properties"]
    said = {name: field["default"] for name, field in fields.items() if "default" in field}
    assert msgspec.convert({"max": 3} | said, Autoscale) == Autoscale(max=3)
    assert fields["metrics"]["default"] == [{"resource": {"name": "cpu", "averageUtilization": 80}}]
    assert Autoscale(max=3).metrics == (CPU_AT_80_PERCENT,)
    rules = fields["behavior"]["properties"]["scaleDown"]["properties"]
    assert (rules["tolerance"]["default"], rules["selectPolicy"]["default"]) == (TOLERANCE, Rules().select_policy)
    schedule, fallback = fields["schedules"]["items"], fields["metrics"]["items"]["properties"]["fallback"]
    assert schedule["properties"]["timeZone"]["default"] == Schedule("a", "* * * * *").time_zone
    assert fallback["properties"]["afterSeconds"]["default"] == Fallback(1).after_seconds


def test_the_model_knows_every_field_of_the_schema() -> None:
    def fields(of: Any) -> set[str]:
        return set(of.__struct_encode_fields__)

    metrics = schema()["properties"]["metrics"]["items"]["properties"]
    assert set(schema()["properties"]) == fields(Autoscale)
    assert set(schema()["properties"]["schedules"]["items"]["properties"]) == fields(Schedule)
    assert set(schema()["properties"]["behavior"]["properties"]["scaleUp"]["properties"]) == fields(Rules)
    assert set(metrics) == fields(type(cpu()))
    for name in metrics:
        kinds = [kind for kind in type(cpu()).__annotations__.values() if name[0].upper() + name[1:] in str(kind)]
        assert kinds, name
