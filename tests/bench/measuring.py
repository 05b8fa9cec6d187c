"""One contender's run: create, roll, scale-down; each from the request to the goal, as the pods themselves show it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bench import requests, usage, workload
from bench.contenders import Contender
from bench.watching import Census, Referee

CASES = ("create", "roll", "scale_down")
_WARM_UP = 20  # pods: connections are open, nodes are Ready, code has run once
_QUIET_CPU = 0.05  # of a core: below this a controller has nothing left to do
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
    writes: int
    """Writes of everyone that the API server was asked for: controller, scheduler and the nodes' stand-in alike."""
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
    requests: requests.Counter
    controller: str
    """Which of the processes makes the decisions."""
    cores: int
    limit: float
    """Seconds a case may take."""

    async def run(self, contender: Contender, pods: int) -> list[Sample]:
        """All cases in order, after a warm-up with a few pods."""
        await self._warm_up(contender)
        name = workload.NAME
        first, second = workload.image(1), workload.image(2)
        return [
            await self._case("create", contender.create(name, pods, 1), lambda census: census.only(first, pods)),
            await self._case("roll", contender.roll(name, pods, 2), lambda census: census.only(second, pods)),
            await self._case("scale_down", contender.empty(name), lambda census: not census.pods),
        ]

    async def _warm_up(self, contender: Contender) -> None:
        image = workload.image(0)
        await contender.create("warm-up", _WARM_UP, 0)
        await self.referee.until(lambda census: census.only(image, _WARM_UP), self.limit, "warm-up")
        await contender.empty("warm-up")
        await self.referee.until(lambda census: not census.pods, self.limit, "end of the warm-up")
        await self._quiet()

    async def _case(self, case: str, act: Awaitable[None], reached: Callable[[Census], bool]) -> Sample:
        loop = asyncio.get_running_loop()
        events, writes = self.referee.census.events, self.requests.read()
        before = usage.read(self.pids, loop.time())
        await act
        done = await self.referee.until(reached, self.limit, case)
        foreign = usage.foreign_share(before, usage.read(self.pids, loop.time()), self.cores)
        await self._quiet()
        after = usage.read(self.pids, loop.time())
        return Sample(
            case=case,
            seconds=done - before.at,
            events=self.referee.census.events - events,
            writes=self.requests.read() - writes,
            cpu=usage.spent(before, after),
            rss=after.rss,
            peak=after.peak,
            foreign=foreign,
        )

    async def _quiet(self) -> None:
        """Wait until the controller rests, or long enough: one that never rests is charged for that time too."""
        pid = self.pids[self.controller]
        deadline = asyncio.get_running_loop().time() + _QUIET_WITHIN
        before = usage.cpu_seconds(pid)
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_GLANCE)
            now = usage.cpu_seconds(pid)
            if now - before < _QUIET_CPU * _GLANCE:
                return
            before = now
