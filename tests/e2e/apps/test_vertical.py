"""What containers should request, by what real kubelets measure."""

from __future__ import annotations

from typing import Any

from e2e.dsl import Given, Scene, Then, When, apps
from fairlead.core.quantity import milli

JSON = dict[str, Any]

# One process that uses all the cpu it is let, beside the server.
_BUSY = "mkdir /www && cd /www && hostname > hostname && (while :; do :; done) & cd /www; exec httpd -f -p 8080"


def target(status: JSON) -> JSON:
    """What the first container should request, by status.autoscale.resources."""
    containers = (status.get("autoscale") or {}).get("resources", {}).get("containers") or [{}]
    found: JSON = containers[0].get("target") or {}
    return found


def test_what_a_busy_container_uses_is_recommended_for_it(given: Given, when: When, then: Then, scene: Scene) -> None:
    """It may use a fifth of a core, and does: with the margin of 15 % and the end of the bucket some 240 thousandths. Of memory it has
    the server's alone, which is less than the least that is recommended."""
    made = apps.script(apps.web(replicas=1, autoscale={"min": 1, "max": 1, "resources": {}}), _BUSY)
    container = apps.container(made)
    container.pop("readinessProbe")  # at its limit it has nothing left to answer in time with
    container["resources"] = {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
    given.a_ready_app(made)

    told = then.status(
        lambda status: found if milli((found := target(status)).get("cpu", 0)) > 150 and "memory" in found else None,
        180,
    )
    assert milli(told["cpu"]) < 400
    assert told["memory"] == "32Mi"
    assert "should request cpu" in when.fairlead("why", scene.name).stdout
