"""Health gates as people write them, and what is remembered of each look at a pod. Pure.

What stands is in the pods' conditions. Only how many results came in a row, and when a pod was last asked, is in memory, as a
kubelet keeps it for its probes: an operator that starts anew counts from zero, so it is later to change its mind, never sooner.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.core.meta import JSON
from fairlead.gates.model import Result


class HealthGate(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of spec.health.gates: how often each pod is asked, how many results in a row count, and the checks."""

    name: str
    interval_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    checks: tuple[JSON, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """spec.health."""

    gates: tuple[HealthGate, ...] = ()


class Look(msgspec.Struct, frozen=True):
    """What one gate has found at one pod, last at `asked`. Successes, failures and errors count in a row; an error says nothing,
    so it ends no row but its own kind's. `restarts`: of the pod's containers by then, for a new process has shown nothing yet."""

    asked: float
    restarts: int
    result: Result
    successes: int = 0
    failures: int = 0
    errors: int = 0


Slot = tuple[str, str]  # a pod's uid and a gate's name
Looks = Mapping[Slot, Look]


def looked(before: Look | None, asked: float, restarts: int, result: Result) -> Look:
    """The look with one more result.

    >>> well, bad, dead = (Result(outcome, "R", "…") for outcome in ("Passed", "Failed", "Error"))
    >>> once = looked(None, 0, 0, bad)
    >>> later = looked(looked(once, 10, 0, dead), 20, 0, bad)
    >>> later.failures, later.errors, looked(later, 30, 0, well).failures, looked(later, 30, 1, bad).failures
    (2, 0, 0, 1)
    """
    before = before if before and before.restarts == restarts else None
    successes, failures, errors = (before.successes, before.failures, before.errors) if before else (0, 0, 0)
    match result.outcome:
        case "Passed":
            counts = successes + 1, 0, 0
        case "Failed":
            counts = 0, failures + 1, 0
        case "Inconclusive":
            counts = 0, 0, 0
        case "Error":
            counts = successes, failures, errors + 1
    return Look(asked, restarts, result, *counts)
