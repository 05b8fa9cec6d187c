"""Apps whose size follows their load: what to give them to do, and what they come to."""

from __future__ import annotations

import json
import time
from typing import Any

from e2e.dsl.scene import Scene, Then
from e2e.dsl.traffic import Report, Traffic
from support import figures

JSON = dict[str, Any]

SOON: JSON = {"scaleDown": {"stabilizationWindowSeconds": 15}}
CPU: JSON = {"resource": {"name": "cpu", "averageUtilization": 50}}  # 100m for each pod of `loads`
WITHIN = 300.0


def scaling(*metrics: JSON, **fields: Any) -> JSON:
    return {"min": 1, "max": 5, "metrics": list(metrics), "behavior": SOON, **fields}


def size(then: Then, count: int, within: float = WITHIN) -> None:
    """The App has come to so many pods, and they are ready."""
    began = time.monotonic()
    then.status(lambda status: status.get("autoscale", {}).get("replicas") == count, within)
    decided = time.monotonic() - began
    then.pods_ready(count, within)
    figures.tell(f"autoscale to {count}: decided after {decided:.1f} s, ready after {time.monotonic() - began:.1f} s")


def autoscaling(scene: Scene) -> str:
    conditions = scene.app()["status"]["conditions"]
    return next(str(one["message"]) for one in conditions if one["type"] == "Autoscaling")


def loaded(scene: Scene, rate: float) -> Traffic:
    traffic = Traffic(scene.cluster, scene.namespace, scene.image)
    traffic.start(scene.url, rate=rate)
    return traffic


def unloaded(scene: Scene, traffic: Traffic) -> Report:
    """The load ends for good, and the App need not wait whether it comes back: it may shrink at once."""
    report = traffic.stop()
    at_once = {"autoscale": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}
    scene.kubectl("patch", "fapp", scene.name, "--type=merge", "-p", json.dumps({"spec": at_once}))
    return report
