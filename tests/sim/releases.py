"""Every strategy, and everything that may come in the way of a release: the stories of their product."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from fairlead.core.meta import JSON, LABEL_REVISION, LABEL_SERVING
from fairlead.kube.fake import Stored
from fairlead.kube.resources import SERVICES
from sim.monitor import LAG
from sim.runner import Body, Scenario
from sim.scenarios import brought_back
from sim.world import NAMESPACE, World

PORTS = {"ports": [{"port": 80, "targetPort": "http"}]}
STRATEGIES: dict[str, JSON] = {
    "Rolling": {"strategy": "Rolling", "maxSurge": 1, "maxUnavailable": 0},
    "Recreate": {"strategy": "Recreate"},
    "Canary": {
        "strategy": "Canary",
        "maxSurge": 1,
        "maxUnavailable": 0,
        "steps": [{"weight": 25}, {"pause": {"seconds": 30}}, {"weight": 50}],
    },
    "BlueGreen": {
        "strategy": "BlueGreen",
        "maxUnavailable": 0,
        "blueGreen": {"autoPromoteSeconds": 20, "scaleDownDelaySeconds": 30},
    },
}
Way = Callable[[World, JSON], Awaitable[None]]


async def runs(world: World, rollout: JSON, replicas: int = 4) -> None:
    """An exposed App whose first revision is complete."""
    world.apply(replicas=replicas, rollout={"progressDeadlineSeconds": 60} | rollout, expose=PORTS)
    await world.complete()


async def midway(world: World, image: str) -> None:
    """Until some pods of the image are there, and a release by steps waits at one of them."""
    steps = world.app().object["spec"]["rollout"]["strategy"] in ("Canary", "BlueGreen")
    await world.until(lambda: len(world.pods(image=image)) > 0, "the release under way")
    if steps:
        await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused")


def runs_all(world: World, image: str, replicas: int = 4) -> bool:
    return world.rolled_out() and len(world.ready(image=image)) == replicas == len(serving(world))


def serving(world: World, image: str = "") -> list[Stored]:
    """The pods that get traffic."""
    return [pod for pod in world.ready(image=image) if pod.meta["labels"][LABEL_SERVING] == "true"]


def aborted(world: World) -> bool:
    return brought_back(world, "shop:1", 4, 2) and len(serving(world, "shop:1")) == 4


async def goes_through(world: World, rollout: JSON) -> None:
    await runs(world, rollout)
    world.image("shop:2")
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=300)


async def passes_its_deadline(world: World, rollout: JSON) -> None:
    await runs(world, rollout)
    world.image("shop:unready")
    await world.until(lambda: aborted(world), "taken back", within=300)


async def is_aborted(world: World, rollout: JSON) -> None:
    await runs(world, rollout)
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.annotate({"fairlead.dev/abort": "2"})
    await world.until(lambda: aborted(world), "taken back", within=300)


async def is_overtaken(world: World, rollout: JSON) -> None:
    await runs(world, rollout)
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.image("shop:3")
    await world.until(lambda: runs_all(world, "shop:3"), "the third", within=400)


async def is_scaled_up(world: World, rollout: JSON) -> None:
    await runs(world, rollout)
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.scale(6)
    await world.until(lambda: runs_all(world, "shop:slow", 6), "six", within=400)


async def is_scaled_down(world: World, rollout: JSON) -> None:
    await runs(world, rollout)
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.scale(2)
    await world.until(lambda: runs_all(world, "shop:slow", 2), "two", within=400)


# (what happens, whether it ends with the release taken back, whether the number of pods made is always the same)
WAYS: dict[str, tuple[Way, bool, bool]] = {
    "goes through": (goes_through, False, True),
    "passes its deadline": (passes_its_deadline, True, False),
    "is aborted": (is_aborted, True, False),
    "is overtaken": (is_overtaken, False, False),
    "is scaled up": (is_scaled_up, False, False),
    "is scaled down": (is_scaled_down, False, False),
}


async def waits_for_a_person(world: World) -> None:
    """The preview can be looked at by its Service, as long as one likes; then all the traffic moves, and the old pods stay."""
    await runs(world, MANUAL)
    world.image("shop:2")
    await midway(world, "shop:2")
    shown = world.cluster.get(SERVICES, NAMESPACE, "shop-preview").object["spec"]["selector"]
    await asyncio.sleep(2000)  # longer than any deadline
    assert {pod.meta["labels"][LABEL_REVISION] for pod in world.ready(image="shop:2")} == {shown[LABEL_REVISION]}
    assert (len(world.ready(image="shop:2")), len(serving(world, "shop:2")), len(serving(world))) == (2, 0, 4)
    world.annotate({"fairlead.dev/promote": "2/2"})
    await switched(world)
    assert len(world.ready(image="shop:1")) == 4
    await world.until(lambda: runs_all(world, "shop:2"), "the old ones gone", within=100)


async def is_aborted_after_the_switch(world: World) -> None:
    """The way back needs nothing but labels."""
    await runs(world, MANUAL)
    world.image("shop:2")
    await midway(world, "shop:2")
    world.annotate({"fairlead.dev/promote": "2/2"})
    await switched(world)
    made = world.monitor.creates
    world.annotate({"fairlead.dev/abort": "2"})
    await world.until(lambda: len(serving(world, "shop:1")) == 4, "the way back", within=3)
    await world.until(lambda: aborted(world), "taken back")
    if world.monitor.lag == LAG:
        assert world.monitor.creates == made


async def is_overtaken_after_the_switch(world: World) -> None:
    """The third revision takes the place of the first, which is out of the traffic."""
    await runs(world, MANUAL)
    world.image("shop:2")
    await midway(world, "shop:2")
    world.annotate({"fairlead.dev/promote": "2/2"})
    await switched(world)
    world.image("shop:3")
    await midway(world, "shop:3")
    assert len(serving(world, "shop:2")) == 4 and not serving(world, "shop:3")
    world.annotate({"fairlead.dev/promote": "3"})
    await world.until(lambda: runs_all(world, "shop:3"), "the third", within=200)


async def switched(world: World) -> None:
    """Until all the traffic is the second revision's."""
    there = lambda: len(serving(world, "shop:2")) == 4 == len(serving(world))  # noqa: E731
    await world.until(there, "the switch", within=100)


async def is_paused_and_scaled(world: World) -> None:
    """What gets traffic is scaled, what is only shown stays apart."""
    await runs(world, MANUAL)
    world.image("shop:2")
    await midway(world, "shop:2")
    world.patch({"rollout": {"paused": True}})
    await world.until(lambda: world.condition("Paused").get("status") == "True", "paused")
    world.scale(6)
    await world.until(lambda: len(serving(world, "shop:1")) == 6 == len(serving(world)), "six")
    assert len(world.pods(image="shop:2")) == 2
    world.patch({"rollout": {"paused": False}})
    world.annotate({"fairlead.dev/promote": "2"})
    await world.until(lambda: runs_all(world, "shop:2", 6), "released", within=200)


async def is_undone(world: World) -> None:
    await runs(world, MANUAL | {"blueGreen": {"scaleDownDelaySeconds": 0}})
    world.image("shop:2")
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=200)
    world.patch({"rollout": {"undoTo": 1}})
    await world.until(lambda: runs_all(world, "shop:1"), "undone", within=200)


async def is_restarted(world: World) -> None:
    await runs(world, MANUAL)
    before = {pod.meta["uid"] for pod in world.pods()}
    await asyncio.sleep(5)
    world.restart()
    fresh = lambda: not before & {pod.meta["uid"] for pod in world.pods()}  # noqa: E731
    await world.until(lambda: runs_all(world, "shop:1") and fresh(), "restarted", within=200)


async def becomes_a_rolling_one(world: World) -> None:
    """Another strategy in the middle: the preview's pods get their label before an old one goes."""
    await runs(world, MANUAL)
    world.image("shop:2")
    await midway(world, "shop:2")
    world.patch({"rollout": {"strategy": "Rolling", "blueGreen": None}})
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=200)
    await world.until(lambda: not world.cluster.find(SERVICES, NAMESPACE, "shop-preview"), "no preview")


async def comes_from_a_rolling_one(world: World) -> None:
    await runs(world, STRATEGIES["Rolling"])
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.patch({"rollout": STRATEGIES["BlueGreen"]})
    await world.until(lambda: runs_all(world, "shop:slow"), "released", within=300)


async def has_a_canary_with_pods_to_spare(world: World) -> None:
    """Its capacity comes first, and the traffic step by step; nothing beyond the weight gets any."""
    steps = [{"scale": {"percent": 50}}, {"pause": {}}, {"weight": 25}, {"pause": {}}, {"scale": {"matchWeight": True}}]
    await runs(world, STRATEGIES["Canary"] | {"maxSurge": 2, "steps": [*steps, {"pause": {}}]})
    world.image("shop:2")
    for step, pods, traffic in ((2, 2, 0), (4, 2, 1), (6, 1, 1)):
        await world.until(at_pause(world, step, pods, traffic), f"step {step}")
        world.annotate({"fairlead.dev/promote": f"2/{step}"})
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=200)


def at_pause(world: World, step: int, pods: int, traffic: int) -> Callable[[], bool]:
    def there() -> bool:
        waits = world.status()["rollout"].get("step") == step - 1 and "heldAt" in world.status()["rollout"]
        return waits and (len(world.ready(image="shop:2")), len(serving(world, "shop:2"))) == (pods, traffic)

    return there


async def has_no_room_but_its_total(world: World) -> None:
    """Five at most, of which four are wanted: the surge of two is one."""
    await runs(world, STRATEGIES["Canary"] | {"maxSurge": 2, "maxTotal": 5, "minPerRevision": 2})
    world.image("shop:2")
    await midway(world, "shop:2")
    assert (len(serving(world, "shop:2")), len(serving(world, "shop:1"))) == (2, 3)
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=200)


MANUAL = STRATEGIES["BlueGreen"] | {
    "blueGreen": {"autoPromote": False, "previewReplicas": 2, "scaleDownDelaySeconds": 40}
}
CANARIES = (has_a_canary_with_pods_to_spare, has_no_room_but_its_total)
# (what happens to a BlueGreen release, whether it is taken back, whether the number of pods made is always the same)
MORE: tuple[tuple[Callable[[World], Awaitable[None]], bool, bool], ...] = (
    (waits_for_a_person, False, True),
    (is_aborted_after_the_switch, True, True),
    (is_overtaken_after_the_switch, False, False),
    (is_paused_and_scaled, False, False),
    (is_undone, False, True),
    (is_restarted, False, True),
    (becomes_a_rolling_one, False, False),
    (comes_from_a_rolling_one, False, False),
)


def product() -> dict[str, Scenario]:
    """All strategies with all that may come in their way, and what only a BlueGreen release can meet."""
    made = []
    for strategy, rollout in STRATEGIES.items():
        for what, (way, back, counted) in WAYS.items():
            made.append(_story(f"a {strategy} release {what}", partial(way, rollout=rollout), back, counted))
    for body, back, counted in MORE:
        made.append(_story(f"a BlueGreen release {body.__name__.replace('_', ' ')}", body, back, counted))
    made += [_story(f"a Canary release {body.__name__.replace('_', ' ')}", body, False, False) for body in CANARIES]
    return {scenario.name: scenario for scenario in made}


def _story(name: str, body: Body, back: bool, counted: bool) -> Scenario:
    return Scenario(name, body, aborted if back else None, counted)


RELEASES = product()
