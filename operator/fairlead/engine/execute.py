"""Carries a plan's actions out: in order, within budgets, with preconditions; what goes wrong is kept for the next plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from fairlead.core.actions import Action, Create, Delete, Try
from fairlead.engine.burst import HEAD, Answer, Burst, Trust
from fairlead.engine.failures import CROWDS, Failures
from fairlead.engine.job import POD, Intent, Job, Outcome, intent_of, part_of
from fairlead.engine.limiter import Lanes, Limiter
from fairlead.engine.perform import Performer
from fairlead.engine.requests import Fenced, names_another, reason_of, speaks_of_no_object
from fairlead.kube.errors import (
    ApiError,
    Conflict,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)

_TRUSTED = 5.0  # seconds after a burst of creates without a refusal in which the next one starts at full pace


class Executor:
    """Order: creates, applies and patches of everything but pods, one after the other (a Revision before its pods; so are
    single pods with a purpose of their own), and what is only tried, for deletions depend on it;
    then pod creates, pod changes and all deletes, side by side, each in its own lane. Only the pods that a plan names
    after a pod's deletion wait: each takes the place of one that was deleted, or an operator that dies in between
    would leave more pods than the surge allows."""

    def __init__(self, performer: Performer, lanes: Lanes, failures: Failures) -> None:
        self._performer = performer
        self._lanes = lanes
        self._failures = failures
        self._trust = Trust(_TRUSTED, _now)

    async def run(self, job: Job) -> Outcome:
        creates, replacements = _pod_creates(job.actions)
        deletes = [a for a in job.actions if isinstance(a, Delete)]
        changes = [a for a in job.actions if a.kind == POD and not isinstance(a, Create | Delete | Try)]
        first = [
            a for a in job.actions if not isinstance(a, Delete) and (a.kind != POD or _apart(a) or isinstance(a, Try))
        ]
        for action in first:
            if not (isinstance(action, Try) and action.kind == POD and job.lacks(action.alike)):
                await self._one(job, action)
        # Neither new pods nor fewer old ones for a Revision that is not there; those of another that is are made as ever.
        creates, replacements = ([pod for pod in pods if not job.lacks(pod.alike)] for pods in (creates, replacements))
        deletes = [delete for delete in deletes if not job.keeps(delete)]
        if creates or replacements or deletes or changes:
            await self._bursts(job, creates, replacements, deletes, changes)
        self._settle(job)
        return job.outcome

    # ------------------------------------------------------------ pace

    async def _bursts(
        self,
        job: Job,
        creates: Sequence[Create],
        replacements: Sequence[Create],
        deletes: Sequence[Delete],
        changes: Sequence[Action],
    ) -> None:
        """All at once. Creates start slowly, at most twice as many begun as have succeeded, plus one: so a quota that is
        used up costs one refused request of each revision, and 1000 pods are under way after ten round trips. A replacement begins
        when a deletion has made room for it."""
        lanes = self._lanes
        head = self._trust.head(job.key)
        room = len(creates)

        def interrupted() -> bool:
            job.outcome.unfinished = job.outcome.unfinished or job.interrupted()
            return job.outcome.unfinished

        async def write(action: Action) -> Answer:
            return await self._one(job, action)

        def made_room() -> None:
            nonlocal room
            room += 1
            new.launch()

        def at_once(succeeded: int) -> int:
            return HEAD + 2 * succeeded

        with ExitStack() as shares:
            async with asyncio.TaskGroup() as group:

                def burst(
                    actions: Sequence[Action],
                    lane: Limiter,
                    allowed: Callable[[int], int] = at_once,
                    succeeded: Callable[[], None] = lambda: None,
                ) -> Burst:
                    share = shares.enter_context(lane.burst()) if actions else lambda: 0
                    return Burst(
                        group,
                        actions,
                        write,
                        share=share,
                        allowed=allowed,
                        interrupted=interrupted,
                        succeeded=succeeded,
                    )

                pods = [*creates, *replacements]
                new = burst(pods, lanes.creates, lambda succeeded: min(room, head + 2 * succeeded))
                new.launch()
                giving_way = _giving_way(job.actions)
                burst([a for a in deletes if a in giving_way], lanes.deletes, succeeded=made_room).launch()
                rest = [a for a in deletes if a not in giving_way]
                for kind in dict.fromkeys(action.kind for action in rest):
                    burst([a for a in rest if a.kind == kind], lanes.deletes).launch()
                burst(changes, lanes.others).launch()
        if any((verb, kind) == ("create", POD) for verb, kind, _, _ in job.refusals):
            self._trust.lost(job.key)
        elif any((verb, kind) == ("create", POD) for verb, kind, _, _ in job.done):
            self._trust.earned(job.key)

    async def _one(self, job: Job, action: Action) -> Answer:
        answer = await self._answered(job, intent_of(action), action)
        if answer == "unknown" and action.kind != POD:
            job.outcome.untaken = True
        if answer != "done" and isinstance(action, Create) and action.kind != POD:
            job.missing.add(action.alike)
        if answer != "done" and isinstance(action, Try):
            job.kept.add((action.kind, action.alike or action.name))
        return answer

    async def _answered(self, job: Job, intent: Intent, action: Action) -> Answer:
        if self._failures.holds(job.key, intent, job.generation):
            return "refused"
        try:
            done = await self._performer.perform(job, action)
        except Fenced:
            job.outcome.unfinished = True
            return "unknown"
        except ApiError as error:
            self._note(job, intent, error)
            return "refused" if intent in job.refusals else "unknown"
        if not done:
            return "unknown"
        job.outcome.succeeded += 1
        job.done[intent] = None
        return "done"

    def _note(self, job: Job, intent: Intent, error: ApiError) -> None:
        part = part_of(intent.kind)
        gone = isinstance(error, NotFound) and intent.verb != "create" and not (part and speaks_of_no_object(error))
        stale = isinstance(error, Conflict) or gone or names_another(error)
        if stale or isinstance(error, TooManyRequests | Unauthorized | Unreachable):
            job.outcome.conflict = True
            return
        job.refusals.setdefault(intent, error)

    def _settle(self, job: Job) -> None:
        """Keep the books at the end: in one pass several creates may meet the same quota, and one may still get through."""
        refused = {intent.crowd for intent in job.refusals}
        for intent in job.done:
            if intent.crowd not in refused or intent.kind not in CROWDS:
                self._failures.succeeded(job.key, intent)
        told: set[tuple[tuple[str, str, str], str]] = set()
        for intent, error in job.refusals.items():
            reason = reason_of(error)
            if intent.kind in CROWDS and (intent.crowd, reason) in told:
                continue
            told.add((intent.crowd, reason))
            self._failures.record(job.key, intent, error.code, reason, error.message, job.generation)
            job.outcome.refused = True
        self._failures.unwanted(job.key, map(intent_of, job.actions), job.generation)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _pod_creates(actions: Sequence[Action]) -> tuple[list[Create], list[Create]]:
    """The pods named before the first deletion of a pod, and those after it."""
    before: list[Create] = []
    after: list[Create] = []
    current = before
    for action in actions:
        if action.kind == POD and isinstance(action, Delete):
            current = after
        elif action.kind == POD and isinstance(action, Create) and not _apart(action):
            current.append(action)
    return before, after


def _giving_way(actions: Sequence[Action]) -> frozenset[Delete]:
    """The pods whose deletion makes room for a pod that is named behind it. Those that are deleted for another reason, such
    as finished ones that were kept for a look at them, count for nothing and make no room.

    >>> one, two = Delete("Pod", "default", "one", "u1"), Delete("Pod", "default", "two", "u2")
    >>> [delete.name for delete in _giving_way([one, Create("Pod", "default", "new", b"{}"), two])]
    ['one']
    """
    creates = [
        index
        for index, action in enumerate(actions)
        if action.kind == POD and isinstance(action, Create) and not _apart(action)
    ]
    before = actions[: creates[-1]] if creates else ()
    return frozenset(action for action in before if action.kind == POD and isinstance(action, Delete))


def _apart(action: Action) -> bool:
    """A create of something that is none of many alike."""
    return isinstance(action, Create) and bool(action.purpose)
