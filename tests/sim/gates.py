"""The stories of releases that are judged by gates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.core.meta import JSON, LABEL_JUDGES
from fairlead.kube.fake import Stored
from fairlead.kube.resources import GATES, PODS
from sim.monitor import finished
from sim.runner import Body, Scenario
from sim.scenarios import SEALED, runs_with_version, sealed
from sim.world import NAMESPACE, USER, World

STEPS = [{"weight": 25}, {"gate": "errors"}, {"weight": 50}, {"pause": {"seconds": 10}}]
CANARY: JSON = {"strategy": "Canary", "maxSurge": 1, "maxUnavailable": 0, "steps": STEPS}
ERRORS: JSON = {
    "checks": [{"pods": {}}, {"prometheus": {"query": "errors", "success": {"max": 0.01}, "failure": {"min": 0.05}}}],
    "intervalSeconds": 10,
    "count": 3,
    "errorLimit": 1,
}

STORIES: dict[str, Scenario] = {}


def story(ends: str = "", config: str = "", counted: bool = True) -> Callable[[Body], Body]:
    """Registers the function; `ends`: the image that runs at the end, after the release was taken back, and `config`: the version
    of a secret that it runs with."""

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", " ")
        end = (lambda world: taken_back(world, ends, config)) if ends else None
        STORIES[name] = Scenario(name, body, end, counted)
        return body

    return register


def gate(world: World, **spec: object) -> None:
    """`kubectl apply` of the Gate `errors`."""
    body = {"apiVersion": GATES.api_version, "kind": "Gate", "metadata": {"name": "errors"}, "spec": ERRORS | spec}
    world.cluster.apply(GATES, NAMESPACE, "errors", body, USER, force=True)


def taken_back(world: World, image: str, config: str = "") -> bool:
    told = world.condition("RolledBack").get("status") == "True"
    if config and not runs_with_version(world, config, len(world.pods())):
        return False
    return told and len(world.pods()) == len(world.ready(image=image)) == world.status().get("availableReplicas")


def runs(world: World, number: int) -> dict[str, JSON]:
    """The gates of a release, by name and moment, as its Revision has them."""
    return {
        f"{run['name']} {run['moment']}": run
        for revision in world.revisions()
        for run in (revision.object.get("status") or {}).get("gates") or ()
        if run["release"] == number
    }


def judging(world: World) -> list[Stored]:
    """The pods that gates have run and that are still there."""
    return [pod for pod in world.cluster.all(PODS, NAMESPACE) if LABEL_JUDGES in (pod.meta.get("labels") or {})]


async def released(world: World, image: str, replicas: int = 4) -> None:
    await world.until(lambda: world.rolled_out() and len(world.ready(image=image)) == replicas, "all", within=300)


@story()
async def a_canary_whose_gate_passes_goes_on(world: World) -> None:
    gate(world)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: bool(runs(world, 2)), "measured")
    assert len(world.ready(image="shop:2")) == 1
    await released(world, "shop:2")
    assert runs(world, 2)["errors Step2"]["taken"] == 3


@story(ends="shop:1")
async def a_canary_whose_gate_fails_is_taken_back(world: World) -> None:
    gate(world)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:lossy")
    await world.until(lambda: taken_back(world, "shop:1"), "taken back", within=300)
    assert "gate errors failed: 0.5 is at least 0.05" in world.condition("RolledBack")["message"]
    assert len(world.monitor.pods_of(world.app())) == 4


@story(ends="shop:1", config="shop-db-1")
async def a_secret_whose_release_fails_its_gate_gives_way_to_the_one_before(world: World) -> None:
    gate(world)
    sealed(world, "shop-db-1")
    world.apply(replicas=4, rollout=CANARY, config=SEALED)
    await world.complete()
    sealed(world, "shop-db-lossy")
    await world.until(lambda: taken_back(world, "shop:1", "shop-db-1"), "taken back", within=300)
    assert "gate errors failed" in world.condition("RolledBack")["message"]
    assert len(world.pods()) == 4


@story()
async def a_gate_that_cannot_be_measured_holds_the_release_until_it_can(world: World) -> None:
    gate(world)
    world.backend.down = True
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing").get("reason") == "GateError", "held", within=200)
    assert len(world.ready(image="shop:1")) == 3, "nothing is taken back, nothing goes on"
    world.backend.down = False
    await released(world, "shop:2")
    assert runs(world, 2)["errors Step2"]["passes"] == 3


@story(ends="shop:1")
async def an_inconclusive_gate_waits_for_a_person_who_aborts(world: World) -> None:
    gate(world)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:unclear")
    await world.until(lambda: world.condition("Progressing").get("reason") == "GateInconclusive", "held", within=200)
    await asyncio.sleep(2000)  # longer than any deadline
    assert len(world.ready(image="shop:unclear")) == 1
    world.annotate({"fairlead.dev/abort": "2"})
    await world.until(lambda: taken_back(world, "shop:1"), "taken back", within=200)


@story()
async def an_inconclusive_gate_is_approved(world: World) -> None:
    gate(world)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:unclear")
    await world.until(lambda: world.condition("Progressing").get("reason") == "GateInconclusive", "held", within=200)
    world.annotate({"fairlead.dev/approve": "2/errors"})
    await released(world, "shop:unclear")


@story()
async def a_roll_waits_for_its_gates_before_and_after_the_promotion(world: World) -> None:
    gate(world)
    entries = [
        {"name": "first", "gate": "errors", "when": "BeforePromotion"},
        {"name": "last", "gate": "errors", "when": "AfterPromotion"},
    ]
    world.apply(replicas=4, rollout={"maxSurge": 1, "maxUnavailable": 0, "gates": entries})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: "first BeforePromotion" in runs(world, 2), "measured")
    assert len(world.ready(image="shop:1")) == 4
    await world.until(lambda: "last AfterPromotion" in runs(world, 2), "measured again", within=200)
    assert not world.pods(image="shop:1")
    assert world.status()["stableRevision"] != world.status()["activeRevision"]
    await released(world, "shop:2")


@story(ends="shop:1")
async def a_recreated_app_whose_gate_fails_afterwards_is_taken_back(world: World) -> None:
    gate(world)
    after = [{"name": "last", "gate": "errors", "when": "AfterPromotion"}]
    world.apply(replicas=2, rollout={"strategy": "Recreate", "gates": after})
    await world.complete()
    world.image("shop:lossy")
    await world.until(lambda: taken_back(world, "shop:1"), "taken back", within=300)


@story(ends="shop:1", counted=False)
async def a_gate_in_the_background_takes_a_roll_back(world: World) -> None:
    gate(world, count=None)
    entries = [{"name": "errors", "gate": "errors", "when": "Background"}]
    world.apply(replicas=4, rollout={"maxSurge": 1, "maxUnavailable": 0, "minReadySeconds": 20, "gates": entries})
    await world.complete()
    world.image("shop:lossy")
    await world.until(lambda: taken_back(world, "shop:1"), "taken back", within=300)


@story()
async def a_person_approves_a_release(world: World) -> None:
    ask = [{"name": "sign-off", "when": "BeforePromotion", "checks": [{"approval": {}}]}]
    world.apply(replicas=3, rollout={"gates": ask})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: any(g["phase"] == "Waiting" for g in world.status().get("gates") or ()), "asked")
    await asyncio.sleep(2000)
    assert len(world.ready(image="shop:1")) == 3
    world.annotate({"fairlead.dev/approve": "2/sign-off"})
    await released(world, "shop:2", 3)


@story()
async def a_newer_template_is_judged_anew(world: World) -> None:
    gate(world, failureThreshold=3)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:lossy")
    await world.until(lambda: bool(runs(world, 2)), "measured")
    world.image("shop:3")
    await released(world, "shop:3")
    assert "failures" not in runs(world, 3)["errors Step2"]


@story()
async def a_gate_that_is_not_there_is_told_and_awaited(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    await world.until(lambda: world.condition("Gates").get("reason") == "GateNotFound", "told")
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing").get("reason") == "StepPaused", "held")
    gate(world)
    await released(world, "shop:2")


@story()
async def what_ran_a_moment_ago_comes_back_without_gates(world: World) -> None:
    gate(world)
    world.apply(replicas=4, rollout=CANARY | {"fastUndoSeconds": 3600})
    await world.complete()
    world.image("shop:2")
    await released(world, "shop:2")
    world.image("shop:1")
    await released(world, "shop:1")
    assert not runs(world, 3), "it was judged when it was new"


@story(ends="shop:1")
async def a_blue_green_release_whose_gate_fails_before_the_switch_gets_no_traffic(world: World) -> None:
    gate(world)
    entries = [{"name": "preview", "gate": "errors", "when": "BeforePromotion"}]
    world.apply(replicas=2, rollout={"strategy": "BlueGreen", "gates": entries})
    await world.complete()
    world.image("shop:lossy")
    await world.until(lambda: len(world.ready(image="shop:lossy")) == 2, "the preview")
    await world.until(lambda: taken_back(world, "shop:1"), "taken back", within=300)
    assert world.status()["rejected"]["reason"] == "GateFailed"


@story()
async def a_blue_green_release_is_judged_before_and_after_the_switch(world: World) -> None:
    gate(world)
    entries = [
        {"name": "preview", "gate": "errors", "when": "BeforePromotion"},
        {"name": "load", "gate": "errors", "when": "AfterPromotion"},
    ]
    world.apply(replicas=2, rollout={"strategy": "BlueGreen", "gates": entries})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: "load AfterPromotion" in runs(world, 2), "measured after the switch", within=300)
    assert len(world.ready(image="shop:1")) == 2, "the way back needs no new pods"
    await released(world, "shop:2", 2)


@story(ends="shop:1")
async def a_program_that_finds_fault_takes_the_release_back(world: World) -> None:
    gate(world, checks=[{"run": {"command": ["smoke"]}}], count=2)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:faulty")
    await world.until(lambda: taken_back(world, "shop:1"), "taken back", within=300)
    assert "ended with exit code 3: done" in world.condition("RolledBack")["message"]
    await world.until(lambda: not judging(world), "its pod is collected", within=900)


@story()
async def a_program_that_cannot_be_pulled_holds_the_release_until_it_can(world: World) -> None:
    gate(world, checks=[{"run": {"image": "smoke:bad", "timeoutSeconds": 20}}], count=1, errorLimit=0)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing").get("reason") == "GateError", "held", within=200)
    assert "ImagePullBackOff" in world.condition("Progressing")["message"]
    assert len(world.ready(image="shop:1")) == 3, "nothing is taken back, nothing goes on"
    gate(world, checks=[{"run": {"image": "smoke:1", "timeoutSeconds": 20}}], count=1, errorLimit=0)
    await released(world, "shop:2")
    assert len(judging(world)) == 2, "one for each measurement"


@story(counted=False)
async def a_newer_template_ends_the_program_that_judges_the_last_one(world: World) -> None:
    gate(world, checks=[{"run": {"image": "smoke:unready", "timeoutSeconds": 600}}], count=1)
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: len(judging(world)) == 1, "run")
    gate(world, checks=[{"run": {}}], count=1)
    world.image("shop:3")
    await released(world, "shop:3")
    await world.until(lambda: all(finished(pod) for pod in judging(world)), "what nobody awaits is ended")
