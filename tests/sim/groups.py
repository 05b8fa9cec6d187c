"""The stories of Apps that go out and back together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

from fairlead.core.meta import JSON
from sim.runner import Body, Scenario
from sim.weather import LEASE
from sim.world import World

TOGETHER: JSON = {"releaseGroup": "all", "progressDeadlineSeconds": 60}

STORIES: dict[str, Scenario] = {}


def story(
    *, runs: dict[str, str], back: tuple[str, ...] = (), faulted: bool = True, operator: bool = True
) -> Callable[[Body], Body]:
    """Registers the function. `runs`: the image of each App at the end; `back`: the Apps that were taken back then."""

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", " ")
        STORIES[name] = Scenario(name, body, lambda world: ended(world, runs, back), False, faulted, operator)
        return body

    return register


def ended(world: World, runs: dict[str, str], back: tuple[str, ...]) -> bool:
    """Each App runs its image and nothing else, those that were taken back say so, and no round is left."""
    there = sorted(app.meta["name"] for app in world.apps()) == sorted(runs)
    return there and all(
        only(world, name, image)
        and (name in back) == (world.condition("RolledBack", name).get("status") == "True")
        and (name in back or world.rolled_out(name))
        and "round" not in world.status(name)
        for name, image in runs.items()
    )


def only(world: World, name: str, image: str) -> bool:
    pods = world.pods(name)
    return bool(pods) and len(pods) == len(world.ready(name, image)) == world.app(name).object["spec"]["replicas"]


async def ran(world: World, **after: list[str]) -> None:
    """Apps of one group, each after others, whose first revision is complete."""
    for name, others in after.items():
        world.apply(name, image=f"{name}:1", replicas=1, rollout=TOGETHER, **({"after": others} if others else {}))
    for name in after:
        await world.complete(name)


async def ends(world: World, runs: dict[str, str], back: tuple[str, ...] = ()) -> None:
    """Until that is the state of things, the round being over."""
    await world.until(lambda: ended(world, runs, back), "all of them", within=900)


async def go_back(world: World, *names: str) -> None:
    """Until all run what they ran before, each after the one behind it."""
    runs = {name: f"{name}:1" for name in names}

    def holds() -> bool:
        for earlier, later in pairwise(names):
            assert not world.pods(earlier, runs[earlier]) or only(world, later, runs[later]), (
                f"{earlier} before {later}"
            )
        return ended(world, runs, names)

    await world.until(holds, "all back", within=300)


@story(runs={"cart": "cart:2", "shop": "shop:2"})
async def two_apps_go_out_in_order(world: World) -> None:
    await ran(world, cart=[], shop=["cart"])
    world.image("cart:2", "cart")
    world.image("shop:2")
    await world.until(lambda: "round" in world.status("cart"), "the round")
    while not only(world, "cart", "cart:2"):
        assert not world.pods(image="shop:2"), "it did not wait"
        await asyncio.sleep(1)
    await world.until(lambda: "round" in world.status(), "its round")
    assert world.status()["round"]["beganAt"] == world.status("cart")["round"]["beganAt"], "it is the same round"
    await ends(world, {"cart": "cart:2", "shop": "shop:2"})


@story(runs={"db": "db:1", "cart": "cart:1", "shop": "shop:1"}, back=("db", "cart", "shop"))
async def the_last_of_three_fails_and_all_go_back_the_last_first(world: World) -> None:
    await ran(world, db=[], cart=["db"], shop=["cart"])
    specs = {}
    for name, image in (("db", "db:2"), ("cart", "cart:2"), ("shop", "shop:unready")):
        world.image(image, name)
        specs[name] = world.app(name).object["spec"]
    await world.until(lambda: bool(world.pods(image="shop:unready")), "the last under way")
    await go_back(world, "db", "cart", "shop")
    for name in ("db", "cart"):
        rejected = world.status(name)["rejected"]
        assert (rejected["member"], rejected["reason"]) == ("shop", "GroupMemberFailed")
        assert "revision 2 of shop" in rejected["message"] and "no progress for 60 s" in rejected["message"]
    assert specs == {name: world.app(name).object["spec"] for name in specs}, "a spec was written"


@story(runs={"cart": "cart:3", "shop": "shop:2"})
async def one_of_two_fails_and_when_it_is_mended_both_go_out_again(world: World) -> None:
    await ran(world, cart=[], shop=[])
    world.image("shop:2")
    world.image("cart:unready", "cart")
    await world.until(lambda: only(world, "shop", "shop:2"), "one is complete")
    await ends(world, {"cart": "cart:1", "shop": "shop:1"}, ("cart", "shop"))
    world.image("cart:3", "cart")
    await ends(world, {"cart": "cart:3", "shop": "shop:2"})


@story(runs={"db": "db:2", "cart": "cart:2"})
async def a_paused_member_and_one_that_is_deleted_stop_nobody(world: World) -> None:
    await ran(world, db=[], cart=["db"], shop=[])
    world.image("shop:unready")
    world.image("db:2", "db")
    world.image("cart:2", "cart")
    await world.until(lambda: only(world, "cart", "cart:2"), "two are complete")
    world.patch({"rollout": {"paused": True}}, "cart")
    await world.until(lambda: only(world, "db", "db:1") and only(world, "shop", "shop:1"), "back", within=300)
    assert only(world, "cart", "cart:2"), "a person has stopped it"
    world.delete("shop")
    world.patch({"rollout": {"paused": False}}, "cart")
    await ends(world, {"db": "db:2", "cart": "cart:2"})


@story(runs={"cart": "cart:1", "shop": "shop:1"}, back=("cart", "shop"), faulted=False, operator=False)
async def the_standby_takes_a_group_back(world: World) -> None:
    first = world.start(lease=LEASE)
    await ran(world, cart=[], shop=["cart"])
    world.start(identity="second", lease=LEASE)
    world.image("cart:2", "cart")
    world.image("shop:unready")
    await world.until(lambda: bool(world.pods(image="shop:unready")), "the last under way")
    first.crash()
    await go_back(world, "cart", "shop")
