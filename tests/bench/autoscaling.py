"""Autoscaling: how soon the pods are there that a step of the load takes, and what it costs to decide thousands of sizes over and
over. Apps beside Deployments with a HorizontalPodAutoscaler: the same rules, the same load, the same kubelets."""

import asyncio
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec

from bench import usage, workload
from bench.contenders import Call, Managed, side_by_side
from bench.kubelets import Counters
from bench.measuring import Course
from bench.workload import AUTOSCALERS, DEPLOYMENTS, NAMESPACE, Load
from fairlead.autoscale.report import PERIOD
from fairlead.core.conditions import find
from fairlead.kube.client import Client
from fairlead.kube.resources import APPS, Resource

FEW, MANY = 4, 11  # pods before a step of the load, and those that it takes: 12, of which the tolerance lets go one
BEFORE, AFTER = 30, 180  # per cent of what FEW pods request
_MOST = 24
PAIR = 2  # pods of each of the thousands
_CPU = "100m"  # that a pod requests
_CORES = 0.1  # the same
_FIRST_STEP = 100  # the image of the first load that rises
_WARM_UP = Load("warm-up", parents=1, each=20)
_CALM = 75.0  # seconds until what the first looks led to is written: what nobody waits for is told within a minute
_GLANCE = 1.0


class Contender(Protocol):
    """Who decides about sizes."""

    period: float
    """Seconds between two decisions about the same object, as it means to."""

    async def create(self, load: Load, version: int) -> None: ...

    async def autoscale(self, load: Load, low: int, high: int) -> None:
        """From here on it is to have between so many pods."""
        ...

    async def measured(self) -> int:
        """Of how many objects the metrics are known."""
        ...

    async def remove(self, load: Load) -> None: ...


class Apps:
    """Apps with spec.autoscale."""

    period = PERIOD

    def __init__(self, client: Client) -> None:
        self._client = client
        self._apps = Managed(client, APPS, partial(workload.app, cpu=_CPU))

    async def create(self, load: Load, version: int) -> None:
        await self._apps.create(load, version)

    async def autoscale(self, load: Load, low: int, high: int) -> None:
        body = msgspec.json.encode({"spec": {"autoscale": workload.autoscale(low, high)}})

        def patch(name: str) -> Call:
            return lambda: self._client.patch(APPS, NAMESPACE, name, body, type="merge")

        await side_by_side(map(patch, load.names()))

    async def measured(self) -> int:
        found = [(app.get("status") or {}).get("conditions") or () for app in await _all(self._client, APPS)]
        reasons = [(find(conditions, "Autoscaling") or {}).get("reason") for conditions in found]
        return sum(reason in ("Followed", "Limited", "OutOfBounds") for reason in reasons)

    async def remove(self, load: Load) -> None:
        await _delete(self._client, APPS, load)


class Autoscalers:
    """Deployments, each with a HorizontalPodAutoscaler."""

    period = 15.0  # --horizontal-pod-autoscaler-sync-period

    def __init__(self, client: Client) -> None:
        self._client = client
        self._deployments = Managed(client, DEPLOYMENTS, partial(workload.deployment, cpu=_CPU))

    async def create(self, load: Load, version: int) -> None:
        await self._deployments.create(load, version)

    async def autoscale(self, load: Load, low: int, high: int) -> None:
        def create(name: str) -> Call:
            return lambda: self._client.create(AUTOSCALERS, NAMESPACE, workload.autoscaler(name, low, high))

        await side_by_side(map(create, load.names()))

    async def measured(self) -> int:
        found = await _all(self._client, AUTOSCALERS)
        told = [(one.get("status") or {}).get("currentMetrics") or () for one in found]
        return sum("averageUtilization" in one.get("resource", {}).get("current", {}) for (one,) in filter(None, told))

    async def remove(self, load: Load) -> None:
        await _delete(self._client, AUTOSCALERS, load)
        await _delete(self._client, DEPLOYMENTS, load)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a contender's autoscaling runs on."""

    course: Course
    counters: Counters
    contender: Contender

    async def warm_up(self) -> None:
        await self.contender.create(_WARM_UP, 0)
        await self._ready(_WARM_UP.pods)
        await self.contender.autoscale(_WARM_UP, _WARM_UP.pods, _WARM_UP.pods)
        await self.empty(_WARM_UP)

    async def steps(self, count: int, spread: float) -> dict[str, float]:
        """Seconds from a step of the load until a first pod more is Ready, and until all are that it takes: of so many loads, each
        of which rises at a moment of its own within `spread` seconds."""
        loads = [Load(f"step-{number}", parents=1, each=FEW) for number in range(count)]
        for number, load in enumerate(loads):
            self.counters.demand[_image(number)] = _cores(BEFORE)
            await self.contender.create(load, _FIRST_STEP + number)
        await self._ready(count * FEW)
        for load in loads:
            await self.contender.autoscale(load, FEW, _MOST)
        await self._measured(count)
        chance = random.Random(count)  # the same moments for everyone
        times = await asyncio.gather(*(self._step(number, spread * chance.random()) for number in range(count)))
        for load in loads:
            await self.contender.remove(load)
        await self._gone()
        first, whole = zip(*times, strict=True)
        return {"first": statistics.median(first), "all": statistics.median(whole), "worst": max(whole)}

    async def _step(self, number: int, after: float) -> tuple[float, float]:
        await asyncio.sleep(after)
        referee, image, limit = self.course.referee, _image(number), self.course.limit
        began = asyncio.get_running_loop().time()
        self.counters.demand[image] = _cores(AFTER)
        first = await referee.until(lambda census: census.ready[image] > FEW, limit, "a first pod for a step")
        whole = await referee.until(lambda census: census.ready[image] >= MANY, limit, "all pods for a step")
        return first - began, whole - began

    async def fill(self, load: Load) -> float:
        """Pods, as busy as they are to be, whose number nobody decides yet: the controller's memory in MB."""
        self.counters.demand[workload.image(1)] = load.pods * _CORES * workload.TARGET / 100
        await self.contender.create(load, 1)
        await self._ready(load.pods)
        pids = self.course.pids
        await self.course.quiet(pids[self.course.controller])
        return usage.read(pids, 0.0).rss[self.course.controller] / 1e6

    async def decisions(self, load: Load, seconds: float, made: Callable[[], float]) -> dict[str, float]:
        """What it takes to decide over and over how many of them there are to be, in as many whole rounds as there should be in so
        many seconds. `made`: decisions up to now. The seconds from one of an object to the next, the controller's cpu for one,
        its share of a core, the servers' share, and MB of memory."""
        rounds = max(1, int(seconds / self.contender.period))
        loop, pids = asyncio.get_running_loop(), self.course.pids
        await self.contender.autoscale(load, PAIR, 2 * PAIR)
        await self._measured(load.parents)
        await asyncio.sleep(min(_CALM, seconds))
        before, decided = usage.read(pids, loop.time()), await asyncio.to_thread(made)
        await asyncio.sleep(rounds * self.contender.period - _GLANCE)
        async with asyncio.timeout(self.course.limit):
            while await asyncio.to_thread(made) < decided + rounds * load.parents:
                await asyncio.sleep(_GLANCE / 4)
        after = usage.read(pids, loop.time())
        took, spent = after.at - before.at, usage.spent(before, after)
        return {
            "every": took / rounds,
            "cpu": spent[self.course.controller] / (rounds * load.parents) * 1e6,
            "share": spent[self.course.controller] / took * 100,
            "servers": (spent["apiserver"] + spent["etcd"]) / took * 100,
            "memory": after.rss[self.course.controller] / 1e6,
        }

    async def empty(self, load: Load) -> None:
        await self.contender.remove(load)
        await self._gone()

    async def _ready(self, pods: int) -> None:
        await self.course.referee.until(
            lambda census: census.ready.total() == pods, self.course.limit, "the pods to begin with"
        )

    async def _gone(self) -> None:
        await self.course.referee.until(lambda census: not census.pods, self.course.limit, "the end of all pods")

    async def _measured(self, count: int) -> None:
        async with asyncio.timeout(self.course.limit):
            while await self.contender.measured() < count:
                await asyncio.sleep(_GLANCE)


def _image(number: int) -> str:
    return workload.image(_FIRST_STEP + number)


def _cores(percent: int) -> float:
    """
    >>> _cores(30)
    0.12
    """
    return round(FEW * _CORES * percent / 100, 3)


async def _all(client: Client, resource: Resource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(await client.list(resource, NAMESPACE, limit=0))["items"]
    return found


async def _delete(client: Client, resource: Resource, load: Load) -> None:
    def delete(name: str) -> Call:
        return lambda: client.delete(resource, NAMESPACE, name)

    await side_by_side(map(delete, load.names()))
