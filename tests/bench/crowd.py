"""Ten thousand pods: what a controller needs to hold them, at rest, and to come back to work after a restart.

The parents' templates name a node each, so that no scheduler is waited for: this is about controllers.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench import usage
from bench.contenders import Contender
from bench.measuring import Course, Sample, only
from bench.workload import NAMESPACE, Load
from fairlead.kube.client import Client
from fairlead.kube.resources import PODS

_EACH = 100  # pods per parent
_CALM = 5.0  # seconds before the idle minute begins: collections after a burst are not idleness


@dataclass(frozen=True, slots=True)
class Restart:
    """How a controller is stopped and started again. `start` returns the new process's id at once."""

    stop: Callable[[], None]
    start: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Crowd:
    """One contender's ten thousand pods."""

    course: Course
    client: Client
    idle: float
    """Seconds for which rest is looked at."""

    async def run(
        self, contender: Contender, pods: int, nodes: int, restart: Restart
    ) -> tuple[Sample, dict[str, float]]:
        """The filling up as a sample, and the figures: MB of memory, percent of a core at rest, seconds to return."""
        load = Load("crowd", parents=-(-pods // _EACH), each=min(pods, _EACH), nodes=nodes)
        await self.course.warm_up(contender)
        filled = await self.course.create("crowd_create", contender, load, 1)
        await asyncio.sleep(min(_CALM, self.idle))
        resting = await self._at_rest()
        return filled, {
            "memory_crowd": filled.rss[self.course.controller] / 1e6,
            "idle_cpu": resting[self.course.controller] * 100,
            "restart": await self._return(load, restart),
        }

    async def _at_rest(self) -> Mapping[str, float]:
        """The share of a core that each process uses while nothing happens."""
        loop = asyncio.get_running_loop()
        before = usage.read(self.course.pids, loop.time())
        await asyncio.sleep(self.idle)
        after = usage.read(self.course.pids, loop.time())
        return {name: spent / (after.at - before.at) for name, spent in usage.spent(before, after).items()}

    async def _return(self, load: Load, restart: Restart) -> float:
        """Seconds from the start of the process until a pod that was lost meanwhile is made again: that one pod, no other."""
        loop, referee = asyncio.get_running_loop(), self.course.referee
        await asyncio.to_thread(restart.stop)
        known = set(referee.census.pods)
        lost = next(iter(sorted(known)))
        await self.client.delete(PODS, NAMESPACE, lost)
        await referee.until(lambda census: len(census.pods) == load.pods - 1, self.course.limit, "a pod's end")
        began = loop.time()
        pid = restart.start()
        done = await referee.until(lambda census: len(census.pods) == load.pods, self.course.limit, "its return")
        await referee.until(only(load, 1), self.course.limit, "the return of a ready pod")
        await self.course.quiet(pid)
        fresh = set(referee.census.pods) - known
        if len(fresh) != 1 or len(referee.census.pods) != load.pods:
            raise RuntimeError(f"one pod was lost, {len(fresh)} were made after the restart: {sorted(fresh)[:5]}")
        return done - began
