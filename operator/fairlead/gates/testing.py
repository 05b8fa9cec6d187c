"""Builders for worked examples and tests of gates: an App whose release is being judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.gates.checks.approval import ApprovalCheck
from fairlead.gates.checks.http import HttpCheck
from fairlead.gates.checks.pods import PodsCheck
from fairlead.gates.checks.prometheus import PrometheusCheck
from fairlead.gates.checks.run import RunCheck
from fairlead.gates.checks.window import WindowCheck
from fairlead.gates.model import Checks, GateEntry
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_app


def make_checks() -> Checks:
    """The built-in checks, without entry points."""
    return {
        "pods": PodsCheck(),
        "http": HttpCheck(),
        "prometheus": PrometheusCheck(),
        "approval": ApprovalCheck(),
        "window": WindowCheck(),
        "run": RunCheck(),
    }


def make_judged_app(*, moment: str, since: float, gates: Sequence[JSON] = (), **fields: Any) -> App:
    """An App that releases revision 2 (shop-v2, or `active`) since time 0 and has been held at `moment` since `since`."""
    active = fields.pop("active", "shop-v1")
    rollout = {"moment": moment, "startedAt": timestamp(0), "heldAt": timestamp(since), "available": 1}
    status = {"observedGeneration": 1, "activeRevision": active, "revision": 2, "rollout": rollout}
    return make_app(status=status, gates=tuple(msgspec.convert(gate, GateEntry) for gate in gates), **fields)
