"""Pods whose readiness is also Fairlead's to say: the readinessGates of spec.health.gates, and the conditions that stand for them.

A kubelet calls a pod Ready when its containers are ready and every condition that its readinessGates name is True.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.core.meta import HEALTH_GATE

TRUE, FALSE = "True", "False"
PASSED = "CheckPassed"
CANNOT_TELL = (
    "CheckError"  # the check had no answer: the reason of a condition that is False without having been measured
)


class Standing(msgspec.Struct, frozen=True):
    """The condition of one readinessGate as it stands; status "" where there is none yet. Times are epoch seconds."""

    status: str = ""
    reason: str = ""
    message: str = ""
    since: float = 0.0
    told: float = 0.0  # when it was last written


class Gated(msgspec.Struct, frozen=True):
    """What only pods with readinessGates of ours need: where they are asked, and what stands (by the gate's name)."""

    standing: Mapping[str, Standing]
    containers_ready: bool = False
    address: str = ""
    host_network: bool = False
    ports: Mapping[str, int] = {}


class _Gate(msgspec.Struct, rename="camel"):
    condition_type: str = ""


class _Port(msgspec.Struct, rename="camel"):
    name: str = ""
    container_port: int = 0


class _Container(msgspec.Struct):
    ports: list[_Port] | None = None


class _Spec(msgspec.Struct, rename="camel"):
    readiness_gates: list[_Gate] | None = None
    host_network: bool = False
    containers: list[_Container] = []


class _Condition(msgspec.Struct, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    last_probe_time: str | None = None


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None
    podIP: str = ""


class _Pod(msgspec.Struct):
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


_decoder = msgspec.json.Decoder(_Pod)


def name_of(condition_type: str) -> str:
    """The gate's name in a readinessGate of ours, "" for another's.

    >>> name_of("gates.fairlead.dev/warm"), name_of("target-health.elbv2.k8s.aws/shop")
    ('warm', '')
    """
    return condition_type.removeprefix(HEALTH_GATE) if condition_type.startswith(HEALTH_GATE) else ""


def project_gated(data: bytes) -> Gated | None:
    """A pod's JSON to what its gates need; None for a pod without a readinessGate of ours."""
    raw = _decoder.decode(data)
    names = [name for gate in raw.spec.readiness_gates or () if (name := name_of(gate.condition_type))]
    if not names:
        return None
    conditions = {condition.type: condition for condition in raw.status.conditions or ()}
    ready = conditions.get("ContainersReady")
    ports = (port for container in raw.spec.containers for port in container.ports or ())
    return Gated(
        standing={name: _standing(conditions.get(HEALTH_GATE + name)) for name in names},
        containers_ready=ready is not None and ready.status == TRUE,
        address=raw.status.podIP,
        host_network=raw.spec.host_network,
        ports={port.name: port.container_port for port in reversed(list(ports)) if port.name},  # the first counts
    )


def _standing(condition: _Condition | None) -> Standing:
    if condition is None:
        return Standing()
    since = parse_time(condition.last_transition_time) or 0.0
    told = parse_time(condition.last_probe_time) or since
    return Standing(condition.status, condition.reason, condition.message, since, told)


def diagnose(gated: Gated) -> tuple[str, str]:
    """Why a pod is not ready whose containers are: the reason and what was measured, empty where no gate says no. A gate that
    has not been measured yet says nothing: that takes a moment.

    >>> diagnose(Gated({"warm": Standing("False", "CheckFailed", "/warm answered 503")}, containers_ready=True))
    ('HealthGateNotPassed', 'health gate warm: /warm answered 503')
    """
    refusing = _refusing(gated.standing.items()) if gated.containers_ready else None
    if refusing is None:
        return "", ""
    name, standing = refusing
    words = f"health gate {name}: {standing.message}"
    return "HealthGateError" if standing.reason == CANNOT_TELL else "HealthGateNotPassed", words


def _refusing(standing: Iterable[tuple[str, Standing]]) -> tuple[str, Standing] | None:
    """The first gate that says no; one that was measured before one that could not be."""
    no = [pair for pair in standing if pair[1].status == FALSE]
    return min(no, key=lambda pair: (pair[1].reason == CANNOT_TELL, pair[0]), default=None)
