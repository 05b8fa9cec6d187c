"""Anything a person or a machine may do, in any order, in any weather: the App ends as it was asked to be, in peace.

Hypothesis makes the stories and shrinks what fails to the shortest one. FAIRLEAD_SIM=all plays many more, and others
each time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.core.meta import JSON, LABEL_APP, controller_of
from fairlead.kube.fake import Stored
from fairlead.kube.resources import BUDGETS as PDBS
from fairlead.kube.resources import PODS, SERVICES
from sim.runner import Scenario, run
from sim.scenarios import Quota
from sim.weather import WEATHER, mixed
from sim.world import NAMESPACE, World

EXHAUSTIVE = os.environ.get("FAIRLEAD_SIM") == "all"


class Act(NamedTuple):
    """Something that happens `after` so many seconds, to one of two Apps whose names are easily mixed up."""

    after: float
    what: str
    value: Any = None
    app: str = "shop"


APPS = ("shop", "shop-w7fr2fkg84")


IMAGES = ["shop:1", "shop:2", "shop:3", "shop:bad", "shop:crash", "shop:slow", "shop:unready"]
BUDGETS: list[JSON] = [
    {"maxSurge": "25%", "maxUnavailable": "25%"},
    {"maxSurge": 0, "maxUnavailable": 1},
    {"maxSurge": 1, "maxUnavailable": 0},
    {"maxSurge": "100%", "maxUnavailable": 0},
    {"maxSurge": 2, "maxUnavailable": "50%"},
]
EXPOSE: list[JSON | None] = [
    None,
    {"type": "ClusterIP", "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    {"type": "NodePort", "ports": [{"name": "web", "port": 8080}], "drainSeconds": 0},
]

delays = st.sampled_from([0.0, 0.01, 0.2, 0.7, 1.5, 4.0, 31.0])
pods = st.integers(0, 4)
_acts = st.one_of(
    st.builds(Act, delays, st.just("scale"), st.integers(0, 5)),
    st.builds(Act, delays, st.just("image"), st.sampled_from(IMAGES)),
    st.builds(Act, delays, st.just("budget"), st.sampled_from(BUDGETS)),
    st.builds(Act, delays, st.just("strategy"), st.sampled_from(["Rolling", "Recreate"])),
    st.builds(Act, delays, st.just("paused"), st.booleans()),
    st.builds(Act, delays, st.just("min ready"), st.sampled_from([0, 3])),
    st.builds(Act, delays, st.just("undo"), st.sampled_from([None, 1, 2, 7])),
    st.builds(Act, delays, st.just("history"), st.sampled_from([0, 1, 10])),
    st.builds(Act, delays, st.just("restart"), st.none()),
    st.builds(Act, delays, st.just("expose"), st.sampled_from(EXPOSE)),
    st.builds(Act, delays, st.just("disruption"), st.sampled_from([None, {"maxUnavailable": 1}])),
    st.builds(Act, delays, st.just("delete pod"), pods),
    st.builds(Act, delays, st.just("evict pod"), pods),
    st.builds(Act, delays, st.just("strip pod"), pods),
    st.builds(Act, delays, st.just("orphan pod"), pods),
    st.builds(Act, delays, st.just("node dies"), st.sampled_from(["node-1", "node-2"])),
    st.builds(Act, delays, st.just("node comes back"), st.sampled_from(["node-1", "node-2"])),
    st.builds(Act, delays, st.just("quota"), st.integers(1, 20)),
    st.builds(Act, delays, st.just("operator dies"), st.none()),
    st.builds(Act, delays, st.just("delete app"), st.sampled_from(["Background", "Foreground", "Orphan"])),
)


acts = st.builds(lambda act, app: act._replace(app=app), _acts, st.sampled_from((*APPS[:1] * 3, APPS[1])))


def perform(world: World, act: Act, quota: Quota) -> None:
    name = act.app
    if name not in {app.meta["name"] for app in world.apps()}:
        world.apply(name, replicas=2)
    does: dict[str, Callable[[Any], object]] = {
        "scale": lambda count: world.scale(count, name),
        "image": lambda image: world.image(image, name),
        "budget": lambda budget: world.patch({"rollout": budget}, name),
        "strategy": lambda strategy: world.patch({"rollout": {"strategy": strategy}}, name),
        "paused": lambda on: world.patch({"rollout": {"paused": on}}, name),
        "min ready": lambda seconds: world.patch({"rollout": {"minReadySeconds": seconds}}, name),
        "undo": lambda number: world.patch({"rollout": {"undoTo": number}}, name),
        "history": lambda limit: world.patch({"rollout": {"revisionHistoryLimit": limit}}, name),
        "restart": lambda _: world.restart(name),
        "expose": lambda wish: world.patch({"expose": None}, name) and world.patch({"expose": wish}, name),
        "disruption": lambda wish: world.patch({"disruption": wish}, name),
        "delete app": lambda propagation: world.delete(name, propagation=propagation),
        "node dies": world.nodes.kill,
        "node comes back": world.nodes.revive,
        "quota": lambda limit: setattr(quota, "limit", limit),
        "operator dies": lambda _: world.operators[0].crash(),
    }
    if act.what in does:
        does[act.what](act.value)
    elif found := world.pods(name):
        harm(world, act.what, found[act.value % len(found)].meta)


def harm(world: World, what: str, meta: JSON) -> None:
    pod = world.monitor.cluster.get(PODS, NAMESPACE, meta["name"])
    if what == "delete pod":
        world.delete_pod(pod)
    elif what == "evict pod":
        world.kubelets.evict(NAMESPACE, meta["name"], meta["uid"])
    elif what == "strip pod":
        world.edit_pod(pod, lambda obj: obj["metadata"]["labels"].pop(LABEL_APP))
    else:
        world.edit_pod(pod, lambda obj: obj["metadata"].pop("ownerReferences", None))


def story(script: list[Act]) -> Scenario:
    async def body(world: World) -> None:
        quota = Quota(world, 20)
        world.apply(replicas=3)
        for act in script:
            await asyncio.sleep(act.after)
            perform(world, act, quota)
        await asyncio.sleep(1)
        # And then somebody puts it right: all faults end, and the last word is a good one.
        quota.limit = 100
        for node in ("node-1", "node-2"):
            world.nodes.revive(node)
        await world.until(lambda: all(not app.meta.get("deletionTimestamp") for app in world.apps()), "deletions done")
        if not world.apps():
            world.apply(replicas=3)
        for app in world.apps():
            world.patch({"rollout": {"paused": None, "undoTo": None}}, app.meta["name"])
            world.image("shop:9", app.meta["name"])
        await world.until(lambda: wanted(world), "the last word", within=900)

    return Scenario("wild", body, ends=wanted)


def wanted(world: World) -> bool:
    """All pods run the last image, and Services and budgets are as the specs have them."""
    return all(as_asked(world, app.meta["name"], app.object["spec"]) for app in world.apps())


def as_asked(world: World, name: str, spec: JSON) -> bool:
    service, budget = (world.cluster.find(resource, NAMESPACE, name) for resource in (SERVICES, PDBS))
    if bool(spec.get("expose")) != ours(service) or bool(spec.get("disruption")) != ours(budget):
        return False
    if service and spec.get("expose") and service.object["spec"]["type"] != spec["expose"]["type"]:
        return False
    return world.rolled_out(name) and len(world.ready(name, image="shop:9")) == spec["replicas"]


def ours(found: Stored | None) -> bool:
    """There, and not left behind by an App that was deleted with its children orphaned."""
    return found is not None and controller_of(found.meta) is not None


WEATHERS = {"fine": None, **WEATHER, **{f"seed {n}": mixed(n) for n in range(20)}}


@pytest.mark.parametrize("kind", ["fine", "rough"])
def test_whatever_happens_it_ends_as_asked(kind: str) -> None:
    weathers = st.just("fine") if kind == "fine" else st.sampled_from(list(WEATHERS))

    @settings(
        max_examples=3000 if EXHAUSTIVE else 15,
        derandomize=not EXHAUSTIVE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.lists(acts, min_size=1, max_size=20 if EXHAUSTIVE else 8), weathers)
    def play(script: list[Act], weather: str) -> None:
        outcome = run(story(script), WEATHERS[weather])
        assert not outcome.violations, "\n".join([*outcome.violations, outcome.story])

    play()
