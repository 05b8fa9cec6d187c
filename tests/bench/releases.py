"""Releases by steps: a canary 10/50/100 without pauses beside upstream's plain roll, and how soon a promotion has moved the
traffic."""

import asyncio
import json
from dataclasses import dataclass

from bench import workload
from bench.contenders import Contender
from bench.measuring import Course, Sample, only
from bench.workload import NAMESPACE, Load
from fairlead.core.meta import LABEL_REVISION, LABEL_SERVING
from fairlead.kube.client import Client
from fairlead.kube.resources import APPS, PODS

CANARY = {"strategy": "Canary", "steps": [{"weight": 10}, {"weight": 50}], "blueGreen": None}
BLUE_GREEN = {"strategy": "BlueGreen", "steps": None, "blueGreen": {"autoPromote": False, "scaleDownDelaySeconds": 600}}
_GLANCE = 0.002  # seconds between two looks at the traffic


@dataclass(frozen=True, slots=True)
class Releases:
    """One contender's releases of one load."""

    course: Course
    client: Client

    async def plain(self, contender: Contender, load: Load) -> tuple[Sample, dict[str, float]]:
        """A roll that has no steps, and its seconds."""
        await self._start(contender, load)
        rolled = await self.course.roll("canary", contender, load, 2)
        return rolled, {"canary": rolled.seconds}

    async def stepped(self, contender: Contender, load: Load, small: Load) -> tuple[Sample, dict[str, float]]:
        """The canary, its seconds, and milliseconds from a promotion to the last label of `small`'s switch."""
        await self._start(contender, load)
        await self._rollout(load, CANARY)
        rolled = await self.course.roll("canary", contender, load, 2)
        await contender.empty(load)
        await self.course.referee.until(lambda census: not census.pods, self.course.limit, "the end of the canary")
        await self._start(contender, small)
        await self._rollout(small, BLUE_GREEN)
        return rolled, {"canary": rolled.seconds, "promotion": 1000 * await self._promoted(contender, small)}

    async def _start(self, contender: Contender, load: Load) -> None:
        await contender.create(load, 1)
        await self.course.referee.until(only(load, 1), self.course.limit, "the first release")
        await self.course.quiet(self.course.pids[self.course.controller])

    async def _rollout(self, load: Load, rollout: workload.JSON) -> None:
        body = json.dumps({"spec": {"rollout": rollout}}).encode()
        await self.client.patch(APPS, NAMESPACE, load.name, body, type="merge")

    async def _promoted(self, contender: Contender, load: Load) -> float:
        loop = asyncio.get_running_loop()
        await contender.roll(load, 2)
        status = await self._until_shown(load)
        revision = status["activeRevision"].rpartition("-")[2]
        promote = {"fairlead.dev/promote": f"{status['revision']}/{status['rollout']['step'] + 1}"}
        began = loop.time()
        await self.client.patch(
            APPS, NAMESPACE, load.name, json.dumps({"metadata": {"annotations": promote}}).encode(), type="merge"
        )
        while await self._serving() != {revision: load.pods}:
            await asyncio.sleep(_GLANCE)
        return loop.time() - began

    async def _until_shown(self, load: Load) -> workload.JSON:
        while True:
            status: workload.JSON = json.loads(await self.client.get(APPS, NAMESPACE, load.name)).get("status") or {}
            if status.get("rollout", {}).get("weight") == 0 and "heldAt" in status["rollout"]:
                await self.course.quiet(self.course.pids[self.course.controller])
                return status
            await asyncio.sleep(0.1)

    async def _serving(self) -> dict[str, int]:
        """How many pods of each revision have traffic."""
        found = json.loads(await self.client.list(PODS, NAMESPACE, label_selector=f"{LABEL_SERVING}=true"))
        counts: dict[str, int] = {}
        for pod in found["items"]:
            revision = pod["metadata"]["labels"][LABEL_REVISION]
            counts[revision] = counts.get(revision, 0) + 1
        return counts
