"""The health room's shell: which pods have gates, who asks them, and what is remembered of that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from fairlead.core.actions import Failure, Plan
from fairlead.core.gated import Standing
from fairlead.core.meta import JSON, Key
from fairlead.core.podstate import Pod
from fairlead.engine.controller import View
from fairlead.gates.model import Result, Subject
from fairlead.health.model import Look, Slot, looked
from fairlead.health.plan import Ask, HealthObserved, plan, verdict
from fairlead.kube.client import Client
from fairlead.rollout.model import App

PodsOf = Callable[[View, App], Iterable[Pod]]
Measure = Callable[[tuple[JSON, ...], Subject, Client], Awaitable[Result]]  # the gates room's, of checks

_FORGOTTEN = 3600.0  # seconds after which a pod that was not asked again is gone: longer than any interval
_SWEPT = 1000  # looks, at least, before those are looked for


class Memory:
    """The looks at all pods: filled by who asks, read by who decides."""

    def __init__(self) -> None:
        self._looks: dict[Slot, Look] = {}
        self._sweep_at = _SWEPT

    def of(self, pods: Iterable[Pod]) -> dict[Slot, Look]:
        slots = ((pod.uid, name) for pod in pods if pod.gated for name in pod.gated.standing)
        return {slot: self._looks[slot] for slot in slots if slot in self._looks}

    def note(self, slot: Slot, asked: float, restarts: int, result: Result) -> Look:
        if len(self._looks) >= self._sweep_at:
            self._looks = {slot: look for slot, look in self._looks.items() if look.asked > asked - _FORGOTTEN}
            self._sweep_at = max(_SWEPT, 2 * len(self._looks))
        self._looks[slot] = looked(self._looks.get(slot), asked, restarts, result)
        return self._looks[slot]


class HealthPart:
    """The health gates of an App's pods."""

    name = "health"

    def __init__(self, pods_of: PodsOf, memory: Memory) -> None:
        self._pods_of = pods_of
        self._memory = memory

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> HealthObserved | None:
        """None also where no pod has a gate, which is as good as always."""
        app: App | None = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        pods = tuple(pod for pod in self._pods_of(view, app) if pod.gated and pod.active)
        return HealthObserved(app, pods, self._memory.of(pods), failures) if pods else None

    def plan(self, observed: HealthObserved, now: float) -> Plan:
        return plan(observed, now)


class Examiner:
    """Asks one pod what one gate wants to know."""

    def __init__(self, measure: Measure, memory: Memory) -> None:
        self._measure = measure
        self._memory = memory

    async def run(self, task: Ask, client: Client) -> Look | None:
        """The look, where something follows from it that has to be written; else None."""
        result = await self._measure(task.gate.checks, task.subject, client)
        pod, name = task.pod, task.gate.name
        look = self._memory.note((pod.uid, name), task.asked, pod.restarts, result)
        standing = pod.gated.standing.get(name, Standing()) if pod.gated else Standing()
        return look if verdict(task.gate, standing, look, pod.restarts, task.asked) else None

    def said(self, task: Ask, status: JSON, answer: Look, now: float) -> JSON | None:
        return None  # the plan writes the pods' conditions, by what is remembered
