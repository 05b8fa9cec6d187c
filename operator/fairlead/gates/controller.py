"""The gates room's shell: which Gates an App names, and who measures."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from fairlead.core.actions import Failure, Plan
from fairlead.core.meta import JSON, Key
from fairlead.engine.controller import Source, View
from fairlead.gates.counting import joined, recorded
from fairlead.gates.model import Answer, AskRun, Checks, Gate, Ran, Result, Subject, project_gate
from fairlead.gates.plan import GatesObserved, Measure, kinds, named, plan
from fairlead.gates.probe import Prober, read_run
from fairlead.kube.client import Client
from fairlead.kube.resources import GATES
from fairlead.rollout.model import App

OWNER = "owner"  # the index of Revisions by their App's uid
JUDGING = "judging"  # the index of pods that gates have run, by their Revision's


class GatesPart:
    """The gates of an App's releases."""

    name = "gates"

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        # Which Apps name a Gate: a Gate knows none of them. Filled as each App is looked at, which all are at the start.
        self._users: defaultdict[tuple[str, str], set[Key]] = defaultdict(set)

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> GatesObserved | None:
        app: App | None = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        gates: dict[str, Gate] = {}
        for name in named(app):
            self._users[key.namespace, name].add(key)
            if (gate := view.get("Gate", key.namespace, name)) is not None:
                gates[name] = gate
        active = app.status.get("activeRevision") or ""
        revisions = view.by("Revision", OWNER, app.uid)
        return GatesObserved(
            app,
            gates,
            view.get("Revision", key.namespace, active) if active else None,
            pods=tuple(pod for revision in revisions for pod in view.by("Pod", JUDGING, revision.uid)),
            failures=failures,
        )

    def plan(self, observed: GatesObserved, now: float) -> Plan:
        return plan(observed, now, self._checks)

    def source(self) -> Source:
        """Gates; one that changes concerns the Apps that name it."""
        return Source(resource=GATES, project=project_gate, keys=self._users_of)

    def _users_of(self, gate: Gate) -> Iterable[Key]:
        return sorted(self._users.get((gate.namespace, gate.name), ()))


class Measurer:
    """Measures: asks what the gate's checks want to know, and has them judge the answers."""

    def __init__(self, checks: Checks, prober: Prober) -> None:
        self._checks = checks
        self._prober = prober

    async def run(self, task: Measure, client: Client) -> Result:
        return await self.measure(task.spec.checks, task.subject, client, task.ran)

    async def measure(
        self, checks: tuple[JSON, ...], subject: Subject, client: Client, ran: Sequence[Ran] = ()
    ) -> Result:
        """All checks are asked at the same time, and judged in their order. `ran`: the pods of those that were run, in the
        same order."""
        asked = [(check, spec, check.asks(spec, subject)) for check, spec in kinds(checks, self._checks)]
        runs = iter(ran)
        pods = [next(runs, None) if isinstance(wanted, AskRun) else None for _, _, wanted in asked]

        async def ask(index: int) -> Result:
            check, spec, wanted = asked[index]
            answer: Answer = None
            if isinstance(wanted, AskRun):
                pod = pods[index]
                answer = await read_run(pod, subject.namespace, client) if pod else None
            elif wanted is not None:
                answer = await self._prober.ask(wanted, subject, client)
            return check.judge(spec, answer)

        return joined(await asyncio.gather(*map(ask, range(len(asked)))))

    def said(self, task: Measure, status: JSON, answer: Result, now: float) -> JSON | None:
        release = task.subject.number
        gates = recorded(status, task.name, task.moment, release, task.taken, task.spec, answer, now)
        return None if gates is None else {"gates": gates}
