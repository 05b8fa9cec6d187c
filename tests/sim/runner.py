"""Runs a scenario: clean, and then again with one fault at each of its writes (Sieve, OSDI'22)."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar

from fairlead.core.meta import JSON
from fairlead.kube.errors import Conflict
from fairlead.kube.fake import At, Commit, Faults, Write, faults
from fairlead.kube.resources import (
    APPS,
    BUDGETS,
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    PODS,
    REVISIONS,
    SERVICES,
    Resource,
)
from sim.snapshot import differences, snapshot
from sim.world import NAMESPACE, World
from support.clock import CreepingLoop

WATCHED = {APPS, BUDGETS, CONFIG_MAPS, ENDPOINT_SLICES, HTTP_ROUTES, PODS, REVISIONS, SERVICES}
Body = Callable[[World], Awaitable[None]]
T = TypeVar("T")


@dataclass(frozen=True)
class Scenario:
    """A story with an end that is always the same.

    ends:    what must hold at the end, beyond rest and silence; None: every App is rolled out.
    counted: whether a run with a crash makes and deletes exactly as many pods as the clean one. Not where the story
             itself depends on how far a roll has come by the time a person interferes.
    faulted: whether it is run with faults at all (it may bring its own).
    """

    name: str
    body: Body
    ends: Callable[[World], bool] | None = None
    counted: bool = True
    faulted: bool = True
    operator: bool = True  # False: the body starts the operators itself
    stage: Callable[[World], None] = lambda world: None  # what is set before the operator starts
    seen: Callable[[World], JSON] = lambda world: snapshot(world.cluster, NAMESPACE)  # what must be the same at the end

    def __str__(self) -> str:
        return self.name


@dataclass
class Outcome:
    """What a run left behind."""

    end: JSON
    creates: int
    deletes: int
    writes: list[Write]
    seconds: float  # of virtual time
    hit: Write | None = None
    violations: list[str] = field(default_factory=list)
    story: str = ""  # for people, when something is wrong


Trouble = Callable[[World], Faults]


class Stage:
    """A world in virtual time that goes on only while it is told to. `seed`: how time passes; the same input and seed make
    the same run. Use as a context manager."""

    def __init__(self, seed: int):
        self._runner = asyncio.Runner(loop_factory=lambda: CreepingLoop(seed))
        self._seed = seed
        self.world: World

    def __enter__(self) -> Self:
        gc.disable()  # what it finalizes wakes the loop, and a run would depend on those before it
        self.world = self.run(self._make())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self.world.close())
            self._runner.close()
        finally:
            gc.enable()

    async def _make(self) -> World:
        return World(seed=self._seed)

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(act)


def run(scenario: Scenario, trouble: Trouble | None = None, seed: int = 0) -> Outcome:
    """One run from an empty cluster to rest and silence. Violations and unmet ends are in the outcome."""
    with Stage(seed) as stage:
        return stage.run(_play(stage.world, scenario, trouble))


@cache
def clean(scenario: Scenario, seed: int = 0) -> Outcome:
    """The run that others are compared with."""
    return run(scenario, seed=seed)


async def _play(world: World, scenario: Scenario, trouble: Trouble | None) -> Outcome:
    planned = trouble(world) if trouble else Faults()
    scenario.stage(world)
    if scenario.operator:
        world.start(planned, identity=world.identity)
    failure = ""
    try:
        await scenario.body(world)
        await settle(world, lambda: _ended(world, scenario))
    except AssertionError as error:
        failure = str(error) or f"the story does not hold: {traceback.extract_tb(error.__traceback__)[-1].line}"
    violations = wrong(world)
    if failure:
        violations.insert(0, failure.splitlines()[0])
    return Outcome(
        end=scenario.seen(world),
        creates=world.monitor.creates,
        deletes=world.monitor.deletes,
        writes=_writes(world),
        seconds=world.loop.time(),
        hit=planned.hit if isinstance(planned, At) else None,
        violations=violations,
        story=world.describe() if violations else "",
    )


async def settle(world: World, ended: Callable[[], bool]) -> None:
    """To the end of the story, to rest, and through lists and a start that find nothing to do. AssertionError else."""
    await asyncio.sleep(max(0.0, world.calm_at - world.loop.time()))
    await world.until(ended, "the end of the story", within=700)
    await world.rest()
    await world.resyncs()
    assert ended(), "the end did not last"


def wrong(world: World) -> list[str]:
    """What has gone wrong so far: what the monitor saw, and deletes that could have met another object of the name."""
    nameless = [write for write in _writes(world) if write.verb == "delete" and not write.uid]
    return [*world.monitor.violations, *(f"{write}: a delete that does not name the uid" for write in nameless)]


def _writes(world: World) -> list[Write]:
    return [write for process in world.operators for write in process.writes]


def _ended(world: World, scenario: Scenario) -> bool:
    if scenario.ends is not None:
        return scenario.ends(world)
    return all(world.rolled_out(app.meta["name"]) for app in world.apps())


# ---------------------------------------------------------------- faults at one write


def crash_after(number: int) -> Trouble:
    """The write is made, and the operator dies before it learns of it."""
    return lambda _world: At(number, after=faults.crash)


def crash_before(number: int) -> Trouble:
    return lambda _world: At(number, before=faults.crash)


def refuse(number: int, why: Callable[[Write], None]) -> Trouble:
    """The write is sent again after a second or so, by what was known before."""

    def arm(world: World) -> Faults:
        world.monitor.lag += 2.0
        return At(number, before=why)

    return arm


def lost_answer(number: int) -> Trouble:
    return lambda _world: At(number, after=faults.lost_answer)


def conflict_after(number: int) -> Trouble:
    """The write is made, but a proxy repeated it: what comes back is the second one's refusal."""

    def refused(write: Write) -> None:
        raise Conflict(409, "Conflict", "the object has been modified")

    return lambda _world: At(number, after=refused)


def stale(number: int, seconds: float = 15.0) -> Trouble:
    """From this write on the operator's watches lag behind, and catch up later."""

    def arm(world: World) -> Faults:
        def freeze(_write: Write) -> None:
            client = world.operators[0].client
            client.freeze()
            world.loop.call_later(seconds, client.thaw)

        return At(number, after=freeze)

    return arm


def restart_stale(number: int, seconds: float = 15.0) -> Trouble:
    """The operator dies after the write, and its successor talks to an API server whose cache is older than the write."""

    def arm(world: World) -> Faults:
        def die(write: Write) -> None:
            process, before = world.operators[0], world.cluster.rv - 1

            def connect() -> None:
                process.client.freeze(before)
                world.loop.call_later(seconds, process.client.thaw)

            process.reborn = connect
            faults.crash(write)

        return At(number, after=die)

    return arm


def closed_watches(number: int) -> Trouble:
    """Right after the write every stream ends; they resume from their last resourceVersion."""
    return lambda world: At(number, after=lambda _write: world.operators[0].client.close_watches())


def lost_watches(number: int) -> Trouble:
    """Right after the write every stream ends and history is gone: all is listed anew."""
    return lambda world: At(number, after=lambda _write: world.operators[0].client.lose_watches())


def unobserved(number: int, seconds: float = 15.0) -> Trouble:
    """What others do next to an object is hidden until something more happens to it, and then all is listed anew: the
    operator never hears of the first (a pod that was being deleted is simply gone, and perhaps made anew)."""

    def arm(world: World) -> Faults:
        world.monitor.lag += seconds
        return At(number, after=lambda _write: _hide_next(world, seconds))

    return arm


def _hide_next(world: World, seconds: float) -> None:
    client, cluster = world.operators[0].client, world.cluster
    hidden: list[tuple[Resource, str, str]] = []

    def committed(commit: Commit) -> None:
        ref = (commit.resource, commit.namespace, commit.name)
        if hidden == [ref]:
            reveal()
        elif not hidden and commit.resource in WATCHED and commit.origin.identity != client.identity:
            hidden.append(ref)
            client.hold_watches(commit.resource.kind)
            world.loop.call_later(seconds, reveal)

    def reveal() -> None:
        if committed in cluster.subscribers:
            cluster.subscribers.remove(committed)
            client.lose_watches(hidden[0][0].kind)

    cluster.subscribers.append(committed)


TROUBLES: dict[str, Callable[[int], Trouble]] = {
    "a crash after it": crash_after,
    "a crash before it": crash_before,
    "a crash after it and a stale successor": restart_stale,
    "a stale view after it": stale,
    "a conflict at it": lambda number: refuse(number, faults.conflict),
    "a 429 at it": lambda number: refuse(number, faults.too_many),
    "a 500 at it": lambda number: refuse(number, faults.server_error),
    "a lost answer": lost_answer,
    "watches that close after it": closed_watches,
    "watches that are lost after it": lost_watches,
    "an event after it that is never seen": unobserved,
}
CRASHES = {name for name in TROUBLES if "crash" in name}


def compare(clean: Outcome, faulted: Outcome, scenario: Scenario) -> list[str]:
    """What is wrong with a run that met a fault."""
    wrong = list(faulted.violations)
    wrong += differences(clean.end, faulted.end)
    if scenario.counted and (clean.creates, clean.deletes) != (faulted.creates, faulted.deletes):
        wrong.append(f"pods made and deleted: {clean.creates}, {clean.deletes} -> {faulted.creates}, {faulted.deletes}")
    return wrong
