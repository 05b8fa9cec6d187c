"""One contender's cases: create, roll, scale-down; each from the request to the goal, as the pods themselves show it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bench import requests, usage, workload
from bench.contenders import Contender
from bench.watching import Census, Referee
from bench.workload import Load

ACTS = ("create", "roll", "scale_down")
_WARM_UP = Load("warm-up", parents=1, each=20)  # connections are open, nodes are Ready, code has run once
_QUIET_CPU = 0.05  # of a core: below this a controller has nothing left to do
_QUIET_FOR = 1.5  # seconds: what is written a second later is part of the work
_QUIET_WITHIN = 10.0  # seconds
_GLANCE = 0.25  # seconds between two looks at a controller that is to become quiet


@dataclass(frozen=True, slots=True)
class Sample:
    """One case measured once. `cpu` holds seconds per process, counted until the controller is quiet again, so that
    what it still writes after the pods are well is not free; memory is in bytes, read at the end."""

    case: str
    seconds: float
    events: int
    """Watch events of the pods meanwhile."""
    writes: Mapping[str, int]
    """Writes of everyone that the API server was asked for, by verb and resource: controller, scheduler and the nodes'
    stand-in alike."""
    cpu: Mapping[str, float]
    rss: Mapping[str, int]
    peak: Mapping[str, int]
    foreign: float
    """Share of the machine that neither the cluster, the contender nor this program has used."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a contender runs on: the referee's watch, and the processes whose cost is counted."""

    referee: Referee
    pids: Mapping[str, int]
    requests: requests.Requests
    controller: str
    """Which of the processes makes the decisions."""
    cores: int
    limit: float
    """Seconds a case may take."""

    async def run(self, contender: Contender, loads: Mapping[str, Load]) -> list[Sample]:
        """All acts on one load after the other, each called as the load's prefix says, after a warm-up with a few pods."""
        await self.warm_up(contender)
        samples = []
        for number, (prefix, load) in enumerate(loads.items()):
            first, second = 2 * number + 1, 2 * number + 2
            samples += [
                await self.create(prefix + "create", contender, load, first),
                await self.roll(prefix + "roll", contender, load, second),
                await self._case(prefix + "scale_down", contender.empty(load), lambda census: not census.pods),
            ]
        return samples

    async def create(self, case: str, contender: Contender, load: Load, version: int) -> Sample:
        return await self._case(case, contender.create(load, version), only(load, version))

    async def roll(self, case: str, contender: Contender, load: Load, version: int) -> Sample:
        return await self._case(case, contender.roll(load, version), only(load, version))

    async def warm_up(self, contender: Contender) -> None:
        await contender.create(_WARM_UP, 0)
        await self.referee.until(only(_WARM_UP, 0), self.limit, "warm-up")
        await contender.empty(_WARM_UP)
        await self.referee.until(lambda census: not census.pods, self.limit, "end of the warm-up")
        await self.quiet(self.pids[self.controller])

    async def _case(self, case: str, act: Awaitable[None], reached: Callable[[Census], bool]) -> Sample:
        loop = asyncio.get_running_loop()
        events, writes = self.referee.census.events, self.requests.read()
        before = usage.read(self.pids, loop.time())
        await act
        done = await self.referee.until(reached, self.limit, case)
        foreign = usage.foreign_share(before, usage.read(self.pids, loop.time()), self.cores)
        await self.quiet(self.pids[self.controller])
        after = usage.read(self.pids, loop.time())
        return Sample(
            case=case,
            seconds=done - before.at,
            events=self.referee.census.events - events,
            writes=dict(self.requests.read() - writes),
            cpu=usage.spent(before, after),
            rss=after.rss,
            peak=after.peak,
            foreign=foreign,
        )

    async def quiet(self, pid: int) -> None:
        """Wait until a controller rests, or long enough: one that never rests is charged for that time too."""
        loop = asyncio.get_running_loop()
        deadline, rests = loop.time() + _QUIET_WITHIN, 0.0
        before = usage.cpu_seconds(pid)
        while rests < _QUIET_FOR and loop.time() < deadline:
            await asyncio.sleep(_GLANCE)
            now = usage.cpu_seconds(pid)
            rests = rests + _GLANCE if now - before < _QUIET_CPU * _GLANCE else 0.0
            before = now


def only(load: Load, version: int) -> Callable[[Census], bool]:
    """Whether all of a load's pods run this version and are Ready, and no others are left."""
    image, pods = workload.image(version), load.pods
    return lambda census: census.only(image, pods)
