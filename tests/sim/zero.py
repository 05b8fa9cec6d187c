"""The stories of Apps that go to zero and come back with a request: feigned activators, which know what real ones know and in the same
way, a proxy that sends requests where the slices say, and clients that count what they lose."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from fairlead.activation.activators import Address
from fairlead.activation.model import LABEL_ACTIVATED, SERVICE_NAME, Line, Slice, project_slice
from fairlead.activator.board import Board
from fairlead.activator.hall import Hall
from fairlead.app import app_controller
from fairlead.autoscale.model import WAYS
from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON, Key
from fairlead.kube.errors import Forbidden
from fairlead.kube.fake import Admission, Commit, Origin, Stored
from fairlead.kube.resources import ENDPOINT_SLICES, NAMESPACES, PODS
from sim.machines import is_ready
from sim.runner import Body, Scenario
from sim.world import NAMESPACE, World

HOME, SERVICE = "fairlead", "fairlead-activator"
SHOP = Key(NAMESPACE, "shop")
HOLD = 60.0  # seconds, the default of spec.autoscale.idle.timeoutSeconds
BEHIND = 0.05  # seconds by which activators and nodes are behind the slices
DRAIN = 5.0  # seconds that a pod serves after its end was decided (spec.expose.drainSeconds)
RATE: JSON = {"pods": {"metric": {"name": "requests"}, "averageValue": 10}}
IDLE: JSON = {
    "min": 0,
    "max": 4,
    "metrics": [RATE],
    "idle": {"afterSeconds": 60},
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
}
_WRITER = Origin("update", "endpointslice-controller", "kube-controller-manager")
_PATH = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/pods/"

STORIES: dict[str, Scenario] = {}


class Activator:
    """One replica: a board that follows the slices, a hall, and those who listen."""

    def __init__(self, world: World, address: str) -> None:
        self.world, self.address = world, address
        self.board = Board()
        self.hall = Hall(1000, 1000, 1 << 30, world.clock)
        self.listeners: list[asyncio.Queue[Line | None]] = []
        self.board.moved.append(self._tell)
        self.hall.told.append(self._tell)

    def line(self, key: Key) -> Line:
        return Line(key.namespace, key.name, bool(self.board.door(key).ports), self.hall.since(key))

    def _tell(self, key: Key) -> None:
        for listener in self.listeners:
            listener.put_nowait(self.line(key))

    async def hold(self, key: Key) -> str:
        """A request's way: the uid of the pod that has taken it, "" where none has in time."""
        deadline = self.world.loop.time() + HOLD
        waits = False
        try:
            while self.world.loop.time() < deadline:
                change = self.board.change(key)
                for uid, _ in self.board.door(key).pods.get("http", ()):
                    if takes(self.world, uid):
                        return uid
                if not waits:
                    self.hall.wait(key)
                    waits = True
                await asyncio.wait(
                    (change,), timeout=0.1 if self.board.door(key).pods else deadline - self.world.loop.time()
                )
            return ""
        finally:
            if waits:
                self.hall.served(key)


class Zero:
    """The activators, what nodes know of the Service, and what clients have met."""

    def __init__(self, world: World, count: int = 2) -> None:
        self.world = world
        self.activators = {f"10.9.0.{number}": Activator(world, f"10.9.0.{number}") for number in range(1, count + 1)}
        self.endpoints: dict[str, Slice] = {}  # as nodes know them, by slice
        self.rate = 0.0  # requests a second of each pod, as the metric says
        self.answered = 0
        self.lost: list[str] = []
        self.waited: list[float] = []
        self.there: set[str] = set()  # the activators that are alive
        self._known: dict[str, Slice] = {}  # as activators know them
        self._served_once = False
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()
        world.cluster.create(NAMESPACES, None, {"metadata": {"name": HOME}}, _WRITER)
        self.present(*self.activators)
        world.cluster.behind[_PATH] = self._measured
        world.cluster.subscribers.append(self._committed)
        world.controllers = lambda: [app_controller(world.backend, WAYS, Key(HOME, SERVICE), self.connect)]

    # ------------------------------------------------------------ the activators

    def present(self, *addresses: str) -> None:
        """These activators are there and ready."""
        endpoints = [
            {"addresses": [each], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": f"pod-{each}"}}
            for each in addresses
        ]
        cluster, name = self.world.cluster, f"{SERVICE}-slice"
        if cluster.find(ENDPOINT_SLICES, HOME, name) is None:
            meta = {"name": name, "labels": {SERVICE_NAME: SERVICE}}
            body = {
                "metadata": meta,
                "addressType": "IPv4",
                "ports": [{"name": "control", "port": 8082}],
                "endpoints": endpoints,
            }
            cluster.create(ENDPOINT_SLICES, HOME, body, _WRITER)
        else:
            cluster.edit(ENDPOINT_SLICES, HOME, name, lambda obj: obj.update(endpoints=endpoints), _WRITER)
        self._named = set(addresses)
        self.there |= self._named
        for address in self.there - self._named:  # it takes requests for as long as others may send them
            self.world.loop.call_later(DRAIN, self._gone, address)

    def _gone(self, address: str) -> None:
        if address in self._named:
            return
        self.there.discard(address)
        for listener in self.activators[address].listeners:
            listener.put_nowait(None)

    async def connect(self, address: Address) -> AsyncGenerator[Line, None]:
        host, _ = address
        if host not in self.there:
            raise OSError("connection refused")
        activator, lines = self.activators[host], asyncio.Queue[Line | None]()
        for key in activator.board.doors():
            lines.put_nowait(activator.line(key))
        activator.listeners.append(lines)
        try:
            await asyncio.sleep(0.005)
            while (line := await lines.get()) is not None:
                yield line
        finally:
            activator.listeners.remove(lines)

    # ------------------------------------------------------------ who hears of slices, and when

    def _committed(self, commit: Commit) -> None:
        if commit.resource == PODS:
            return
        if commit.resource != ENDPOINT_SLICES or LABEL_ACTIVATED not in (commit.new.meta.get("labels") or {}):
            return
        made = project_slice(msgspec.json.encode(commit.new.object))
        if made is not None:
            self.world.loop.call_later(BEHIND, self._hears, commit.name, None if commit.type == "DELETED" else made)

    def _hears(self, name: str, made: Slice | None) -> None:
        old = self._known.pop(name, None)
        self.endpoints.pop(name, None)
        if made is not None:
            self._known[name] = self.endpoints[name] = made
        for activator in self.activators.values():
            activator.board.changed(old, made)
        self._check()

    def _check(self) -> None:
        """Once it was served, a request never comes to nobody."""
        found = self._targets()
        self._served_once = self._served_once or bool(found)
        if self._served_once and not found and not self.stopped:
            self.world.monitor.violations.append(f"{self.world.loop.time():.3f} the Service has no endpoint")

    stopped = False  # a person has stopped the App: nobody is to answer

    def _targets(self) -> list[str]:
        return [endpoint.address for each in self.endpoints.values() for endpoint in each.ready]

    # ------------------------------------------------------------ clients

    def ask(self) -> None:
        """One request, to the next endpoint."""
        task = asyncio.create_task(self._ask())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        began, targets = self.world.loop.time(), self._targets()
        self._turn += 1
        target = targets[self._turn % len(targets)] if targets else ""
        if target in self.activators:
            target = await self.activators[target].hold(SHOP) if target in self.there else ""
        if not takes(self.world, target):
            self.lost.append(f"{began:.3f} {target or 'nobody'}")
            return
        self.answered += 1
        self.waited.append(self.world.loop.time() - began)

    async def answers(self, count: int, within: float = 30.0) -> None:
        await self.world.until(lambda: self.answered + len(self.lost) >= count, f"{count} answers", within)

    def _measured(self, path: str, query: Mapping[str, str]) -> bytes:
        """What an adapter of the custom metrics API would say."""
        items = [
            {"describedObject": {"name": pod.meta["name"]}, "value": str(math.floor(self.rate * 1000)) + "m"}
            for pod in self.world.ready()
        ]
        return msgspec.json.encode({"items": items})


def takes(world: World, uid: str) -> bool:
    """This pod answers: it is ready, or goes and drains."""
    pod = next((each for each in world.cluster.all(PODS, NAMESPACE) if each.meta["uid"] == uid), None)
    return pod is not None and (is_ready(pod.object) or bool(pod.meta.get("deletionTimestamp")))


_SCENES: WeakKeyDictionary[World, Zero] = WeakKeyDictionary()


def _stage(world: World) -> None:
    _SCENES[world] = Zero(world)


def story(ends: Callable[[World], bool] | None = None) -> Callable[[Callable[[World, Zero], Any]], Body]:
    """How many pods a story makes depends on when an operator looks: they are not counted. Nothing may be lost in any of them."""

    def register(told: Callable[[World, Zero], Any]) -> Body:
        name = told.__name__.replace("_", " ")

        async def body(world: World) -> None:
            zero = _SCENES[world]
            await told(world, zero)
            assert not zero.lost, f"lost: {zero.lost[:5]}, answered: {zero.answered}"

        STORIES[name] = Scenario(name, body, ends, counted=False, stage=_stage, seen=_lasting)
        return body

    return register


def _lasting(world: World) -> JSON:
    return {
        "pods": len(world.ready()),
        "size": size(world),
        "reason": world.condition("Autoscaling").get("reason"),
        "ours": [(each.meta["name"], len(each.object["endpoints"])) for each in ours(world)],
    }


def ours(world: World) -> list[Stored]:
    return [
        each for each in world.cluster.all(ENDPOINT_SLICES, NAMESPACE) if each.meta["name"].startswith("shop-activator")
    ]


def size(world: World) -> int:
    return int((world.status().get("autoscale") or {}).get("replicas", -1))


def changes(world: World) -> list[JSON]:
    """How its size has changed, the last first."""
    return list(world.status()["autoscale"]["changes"])


def moment(change: JSON) -> float:
    return parse_time(change["time"]) or 0.0


def reason(world: World) -> str:
    return str(world.condition("Autoscaling").get("reason", ""))


def rests(world: World) -> bool:
    """At zero, with the activators in its place: no request goes anywhere else."""
    held = [each for each in ours(world) if each.object["endpoints"]]
    upstream = world.cluster.find(ENDPOINT_SLICES, NAMESPACE, "shop-slice")
    left = upstream is not None and any(each["conditions"]["ready"] for each in upstream.object["endpoints"])
    return size(world) == 0 and not world.pods() and len(held) == 1 and not left and reason(world) == "Idle"


async def rested(world: World) -> None:
    await world.until(lambda: rests(world), "to zero", within=300)
    await asyncio.sleep(2 * BEHIND)  # nodes know it too


def runs(world: World) -> bool:
    """With a pod that requests come to, and the activators out of the way."""
    return len(world.ready()) >= 1 and bool(ours(world)) and not any(each.object["endpoints"] for each in ours(world))


def runs_alone(world: World) -> bool:
    """With a pod, and nobody who would stand in its place."""
    return len(world.ready()) == 1 and not ours(world)


def apply(world: World, **fields: Any) -> None:
    world.apply(
        replicas=1, expose={"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}, autoscale=IDLE | fields
    )


@story(rests)
async def it_goes_to_zero_and_comes_back_with_the_first_request(world: World, zero: Zero) -> None:
    apply(world)
    await world.until(lambda: runs(world), "a pod, and activators that listen for it")
    await rested(world)
    zero.ask()
    await zero.answers(1)
    await world.until(lambda: runs(world), "the activators step out")
    await world.until(lambda: rests(world), "to zero again", within=300)
    down, up = changes(world)[:2]
    assert (up["to"], down["to"]) == (1, 0)
    assert moment(down) - moment(up) >= 60, "it stays for as long as it has to be idle"


@story(rests)
async def it_is_given_idle_and_stays_for_as_long_as_that_says(world: World, zero: Zero) -> None:
    """Its metrics have come to nothing for long, and nobody remembers for how long: that counts from now on."""
    apply(world, min=1, idle=None)
    await world.until(lambda: runs_alone(world), "a pod")
    await asyncio.sleep(200)
    given = world.clock()
    world.patch({"autoscale": {"min": 0, "idle": {"afterSeconds": 120}}})
    await rested(world)
    assert moment(changes(world)[0]) - given >= 119, "times of a status are whole seconds"


@story(rests)
async def whoever_asks_all_the_while_loses_nothing(world: World, zero: Zero) -> None:
    """Requests come every fifth of a second while it goes to zero, wakes, and steps out, twice; the metric says there are none."""
    apply(world)
    await world.until(lambda: runs(world), "a pod")
    for _ in range(2):
        asked = zero.answered
        await world.until(lambda: size(world) == 0, "to zero", within=300)
        for _ in range(100):
            zero.ask()
            await asyncio.sleep(0.2)
        await zero.answers(asked + 100, within=120)
    await world.until(lambda: rests(world), "to zero at last", within=400)


@story(lambda world: runs(world) and size(world) == 2)
async def a_load_keeps_it_up_and_grows_it(world: World, zero: Zero) -> None:
    apply(world)
    await rested(world)
    zero.rate = 15.0
    zero.ask()
    await zero.answers(1)
    await world.until(lambda: len(world.ready()) == 2, "two pods", within=200)
    zero.rate = 7.0
    await asyncio.sleep(200)
    assert len(world.ready()) == 2


@story(lambda world: len(world.ready()) == 1 and reason(world) == "NoActivator")
async def without_an_activator_it_does_not_go_and_comes_back(world: World, zero: Zero) -> None:
    zero.present()
    apply(world)
    await world.complete()
    await world.until(lambda: reason(world) == "NoActivator", "told", within=300)
    assert size(world) == 1
    zero.present(*zero.activators)
    await rested(world)
    zero.stopped = True  # nobody is there to answer
    zero.present()
    await world.until(lambda: len(world.ready()) == 1, "brought back", within=100)
    await asyncio.sleep(100)  # as idle as before


@story(rests)
async def activators_come_and_go_while_it_is_at_zero(world: World, zero: Zero) -> None:
    apply(world)
    await rested(world)
    first, second = zero.activators
    zero.present(first)
    await world.until(lambda: len(ours(world)[0].object["endpoints"]) == 1, "one is left")
    await asyncio.sleep(2 * BEHIND)  # nodes have heard of it: until then they send requests to the one that is gone
    zero.ask()
    await zero.answers(1)
    zero.present(first, second)
    await world.until(lambda: rests(world) and len(ours(world)[0].object["endpoints"]) == 2, "both", within=300)


@story(rests)
async def its_slice_is_refused_for_a_while(world: World, zero: Zero) -> None:
    """Its last pod stays until requests have another way, though the size 0 is decided and stored."""
    apply(world)
    await world.until(lambda: runs(world), "a pod")
    policy = NoSlices(world)
    await world.until(lambda: bool(policy.refused), "refused", within=300)
    for _ in range(40):
        zero.ask()
        await asyncio.sleep(0.5)
    assert len(world.ready()) == 1, "nobody else would answer"
    world.cluster.admission.remove(policy)
    await zero.answers(40)
    await rested(world)
    # Numbers in the words of a status are told anew once a minute.
    await world.until(lambda: "(2 activators" in world.condition("Autoscaling")["message"], "told of both", within=90)


class NoSlices:
    """No operator may write an EndpointSlice from now on; upstream's own are as they were."""

    def __init__(self, world: World) -> None:
        self.refused: list[str] = []
        world.cluster.admission.append(self)

    def __call__(self, request: Admission) -> None:
        if request.resource == ENDPOINT_SLICES and request.origin.identity != _WRITER.identity:
            self.refused.append(request.name)
            raise Forbidden(403, "Forbidden", "a policy forbids it")


@story(lambda world: runs(world) and reason(world) != "Idle")
async def idle_is_taken_away_at_zero(world: World, zero: Zero) -> None:
    """It comes back, and the slice goes when a pod is there in its place."""
    apply(world)
    await rested(world)
    world.patch({"autoscale": {"idle": None, "min": 1}})
    await world.until(lambda: len(world.ready()) == 1 and not ours(world), "back, without a slice", within=60)
    zero.rate = 5.0  # and looked at, before it may be idle again
    await world.until(lambda: "requests 5" in world.condition("Autoscaling")["message"], "busy", within=90)
    world.patch({"autoscale": {"idle": {}, "min": 0}})
    await world.until(lambda: runs(world), "wanted again", within=60)


@story(lambda world: not world.pods() and reason(world) == "Stopped")
async def a_person_stops_it_and_requests_wake_nobody(world: World, zero: Zero) -> None:
    apply(world)
    await rested(world)
    zero.stopped = True
    world.scale(0)
    await world.until(lambda: reason(world) == "Stopped" and not ours(world)[0].object["endpoints"], "stopped")
