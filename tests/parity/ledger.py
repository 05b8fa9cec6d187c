"""A side's pods over time, and what must hold at every moment of a rolling update, by the arithmetic upstream keeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fairlead.core.budget import fenceposts
from fairlead.core.conditions import find, parse_time

JSON = dict[str, Any]

LAG = 1.0  # seconds; what happened so recently a controller cannot have acted upon. Twice that on the wall clock's whole seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What a spec allows: at most `ceiling` pods, at least `floor` available ones."""

    ceiling: int
    floor: int
    min_ready_seconds: int = 0


NO_LIMITS = Limits(sys.maxsize, 0)


def limits(replicas: int, max_surge: int | str, max_unavailable: int | str, min_ready_seconds: int = 0) -> Limits:
    """Upstream's: replicas + maxSurge, replicas - maxUnavailable, and nothing at all of 0 replicas.

    >>> limits(10, "25%", "25%")
    Limits(ceiling=13, floor=8, min_ready_seconds=0)
    """
    surge, unavailable = fenceposts(max_surge, max_unavailable, replicas)
    return Limits(replicas + surge if replicas else 0, max(0, replicas - unavailable), min_ready_seconds)


@dataclass(slots=True)
class Seen:
    """A pod as last told of."""

    name: str
    active: bool
    ready: bool
    ready_told: float = 0.0  # when its readiness was told, on the monotonic clock
    ready_since: float = 0.0  # as its status has it
    killed: float | None = None  # when the test, not a controller, ended it


@dataclass(slots=True)
class Ledger:
    """Told of every change of pods; `ours` picks the side's. What should not have happened is written down, in words:
    pods beyond the ceiling in `crowds`, available ones taken away below the floor in `losses`.

    A controller acts on what it has heard of, so every limit since the side was last at its goal counts, and a pod that
    has only just become ready, or that the test has only just killed, is given the benefit of the doubt.
    """

    ours: Callable[[JSON], bool]
    crowds: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    most: int = 0
    _pods: dict[str, Seen] = field(default_factory=dict)
    _limits: list[Limits] = field(default_factory=list)

    def asked(self, new: Limits) -> None:
        self._limits.append(new)

    def settled(self) -> None:
        """The side is at its goal: earlier limits are of no account any more."""
        del self._limits[:-1]

    def killed(self, uid: str) -> None:
        """The test is about to end that pod itself."""
        if uid in self._pods:
            self._pods[uid].killed = time.monotonic()

    @property
    def breaches(self) -> list[str]:
        return self.crowds + self.losses

    @property
    def active(self) -> int:
        return sum(pod.active for pod in self._pods.values())

    @property
    def ceiling(self) -> int:
        return max(one.ceiling for one in self._limits)

    @property
    def floor(self) -> int:
        return min(one.floor for one in self._limits)

    def told(self, type: str, pod: JSON) -> None:
        """A Mirror's listener for pods."""
        if not self.ours(pod):
            return
        uid = pod["metadata"]["uid"]
        before = self._pods.get(uid)
        now = _seen(type, pod, before)
        self._pods[uid] = now
        if before is None and now.active:
            self._came(now)
        if before is not None and before.active and not now.active and before.killed is None:
            self._left(before)
        if type == "DELETED" and now.killed is None:
            del self._pods[uid]

    def _came(self, pod: Seen) -> None:
        self.most = max(self.most, self.active)
        if self.active > self.ceiling:
            beside = sorted(one.name for one in self._pods.values() if one.active)
            self.crowds.append(f"{pod.name} came as number {self.active}, at most {self.ceiling} are allowed: {beside}")

    def _left(self, pod: Seen) -> None:
        now, wait = time.monotonic(), min(one.min_ready_seconds for one in self._limits)
        if not pod.ready or pod.ready_told + wait + LAG > now:
            return  # nobody can have counted on it
        left = sum(self._may_count(one, now, wait) for one in self._pods.values())
        if left < self.floor:
            self.losses.append(f"{pod.name} was taken away though {left} available pods are left of {self.floor}")

    def _may_count(self, pod: Seen, now: float, wait: int) -> bool:
        """Whether a controller may have thought it available."""
        if pod.killed is not None:
            return pod.ready and pod.killed + 2 * LAG > now
        return pod.active and pod.ready and pod.ready_since + wait <= time.time() + 2 * LAG


def _seen(type: str, pod: JSON, before: Seen | None) -> Seen:
    meta, status = pod["metadata"], pod.get("status") or {}
    condition = find(status.get("conditions") or (), "Ready") or {}
    ready = condition.get("status") == "True"
    killed = before.killed if before else None
    gone = type == "DELETED" or "deletionTimestamp" in meta
    return Seen(
        name=meta["name"],
        active=not gone and killed is None and status.get("phase") not in ("Succeeded", "Failed"),
        ready=ready,
        ready_told=before.ready_told if before and before.ready == ready else time.monotonic(),
        ready_since=parse_time(condition.get("lastTransitionTime")) or 0.0,
        killed=killed,
    )
