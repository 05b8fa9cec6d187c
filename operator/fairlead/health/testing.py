"""Builders for worked examples and tests of health gates."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from fairlead.core.gated import Gated, Standing
from fairlead.core.podstate import Pod
from fairlead.health.model import Health, HealthGate
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_app, make_pods

CHECK = {"http": {"path": "/warm", "port": "http"}}


def make_gated_app(*names: str, **fields: Any) -> App:
    """An App `shop` with health gates of these names, which ask /warm; `fields` are of each gate."""
    app = make_app()
    gates = tuple(HealthGate(name, checks=(CHECK,), **fields) for name in names)
    return msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, health=Health(gates)))


def make_gated_pods(count: int, *names: str, status: str = "", reason: str = "", **fields: Any) -> tuple[Pod, ...]:
    """Pods with readinessGates of these names, whose containers are ready and whose conditions all have this status."""
    standing = {name: Standing(status, reason) for name in names}
    ready = all(one.status == "True" for one in standing.values())
    gated = Gated(standing, containers_ready=True, address="10.0.0.1", ports={"http": 8080})
    return make_pods(count, **cast(Any, {"ready": ready, "gated": gated} | fields))
