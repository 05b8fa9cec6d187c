"""The stories of pods that are ready only when a health gate has said so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.core.meta import JSON
from fairlead.kube.fake import Stored
from sim.machines import is_ready
from sim.runner import Body, Scenario
from sim.world import NAMESPACE, World

WARM: JSON = {"name": "warm", "intervalSeconds": 5, "checks": [{"http": {"path": "/warm", "port": "http"}}]}
GATED: JSON = {"gates": [WARM]}

STORIES: dict[str, Scenario] = {}


def story(ends: Callable[[World], bool] | None = None, counted: bool = True) -> Callable[[Body], Body]:
    def register(body: Body) -> Body:
        name = body.__name__.replace("_", " ")
        STORIES[name] = Scenario(name, body, ends, counted)
        return body

    return register


def standing(pod: Stored, name: str = "warm") -> JSON:
    """The condition of a pod's gate."""
    conditions = pod.object["status"].get("conditions") or ()
    return next((one for one in conditions if one["type"] == f"gates.fairlead.dev/{name}"), {})


def gated(pod: Stored) -> list[str]:
    return [gate["conditionType"] for gate in pod.object["spec"].get("readinessGates") or ()]


def said(world: World) -> list[JSON]:
    return list(world.status().get("problems") or ())


def no_lies(world: World) -> None:
    """No pod may ever be ready whose gate does not say so."""
    for pod in world.pods():
        if is_ready(pod.object) and gated(pod):
            assert standing(pod).get("status") == "True", pod.meta["name"]


@story()
async def pods_are_ready_when_they_say_so(world: World) -> None:
    world.backend.cold = lambda _pod: True
    world.apply(replicas=3, health=GATED)
    await world.until(lambda: [p["reason"] for p in said(world)] == ["HealthGateNotPassed"], "told", within=60)
    await asyncio.sleep(60)
    assert not world.ready()
    assert said(world)[0]["count"] == 3
    assert said(world)[0]["message"] == "health gate warm: /warm answered 503"
    world.backend.cold = lambda _pod: False
    await world.complete()
    no_lies(world)
    assert {standing(pod)["reason"] for pod in world.pods()} == {"CheckPassed"}


@story()
async def a_pod_that_fails_again_and_again_leaves_and_comes_back(world: World) -> None:
    world.apply(replicas=3, health=GATED)
    await world.complete()
    one = world.pods()[0].meta["name"]
    world.backend.cold = lambda pod: pod.name == one
    await world.until(lambda: len(world.ready()) == 2, "it left", within=60)
    no_lies(world)
    world.backend.cold = lambda _pod: False
    await world.until(lambda: len(world.ready()) == 3, "it is back", within=60)


@story()
async def an_error_takes_no_readiness_away_and_gives_none(world: World) -> None:
    world.apply(replicas=2, health=GATED)
    await world.complete()
    world.backend.down = True
    await world.until(lambda: world.condition("HealthGates").get("reason") == "HealthGateError", "told", within=90)
    assert len(world.ready()) == 2
    world.scale(3)
    await world.until(lambda: [p["reason"] for p in said(world)] == ["HealthGateError"], "the new one waits", within=60)
    await asyncio.sleep(120)
    assert len(world.ready()) == 2
    no_lies(world)
    world.backend.down = False
    await world.until(lambda: len(world.ready()) == 3, "all", within=60)
    await world.until(lambda: not world.condition("HealthGates"), "nothing is told any more", within=60)


@story()
async def a_gate_that_is_added_rolls_nothing_and_one_that_is_taken_away_holds_nobody(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    world.backend.cold = lambda _pod: True
    world.patch({"health": GATED})
    world.scale(3)
    await world.until(lambda: len(world.pods()) == 3 and bool(said(world)), "a new pod", within=60)
    assert before < {pod.meta["uid"] for pod in world.pods()}
    assert len([pod for pod in world.pods() if gated(pod)]) == 1
    assert len(world.ready()) == 2
    world.patch({"health": None})
    await world.until(lambda: len(world.ready()) == 3, "nobody waits for it", within=60)
    assert len(world.revisions()) == 1


@story(ends=lambda world: len(world.ready(image="shop:1")) == 3 and len(world.pods()) == 3)
async def a_release_whose_pods_never_pass_is_taken_back(world: World) -> None:
    rollout = {"maxSurge": 1, "maxUnavailable": 0, "progressDeadlineSeconds": 60}
    world.apply(replicas=3, health=GATED, rollout=rollout)
    await world.complete()
    old = {pod.meta["name"] for pod in world.pods()}
    world.backend.cold = lambda pod: pod.name not in old
    world.image("shop:2")
    await world.until(lambda: world.condition("RolledBack").get("status") == "True", "taken back", within=300)


@story()
async def a_container_that_starts_anew_is_asked_anew(world: World) -> None:
    world.apply(replicas=2, health=GATED)
    await world.complete()
    one, uid = world.pods()[0].meta["name"], world.pods()[0].meta["uid"]
    world.backend.cold = lambda pod: pod.name == one
    world.kubelets.restart(NAMESPACE, one, uid)
    await world.until(lambda: standing(world.pods()[0]).get("status") == "False", "it counts no more", within=60)
    await asyncio.sleep(60)
    assert len(world.ready()) == 1
    world.backend.cold = lambda _pod: False
    await world.until(lambda: len(world.ready()) == 2, "it is warm again", within=60)
