"""Stories that nobody wrote: what people, machines and clusters may do to an App, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fairlead.core.meta import JSON, LABEL_APP, controller_of
from fairlead.kube.fake import Stored
from fairlead.kube.resources import APPS as APP_KIND
from fairlead.kube.resources import BUDGETS as PDBS
from fairlead.kube.resources import NODES, PODS, SERVICES
from sim.operator_process import Process
from sim.runner import Scenario
from sim.scenarios import Quota
from sim.world import NAMESPACE, USER, World


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
    {"maxSurge": 2**31 - 1, "maxUnavailable": 0},
]
EXPOSE: list[JSON | None] = [
    None,
    {"type": "ClusterIP", "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    {"type": "NodePort", "ports": [{"name": "web", "port": 8080}], "drainSeconds": 0},
]

delays = st.sampled_from([0.0, 0.01, 0.2, 0.7, 1.5, 4.0, 31.0])
# What people put into a template besides the image, and take out again. None of it keeps a pod from running but the last.
TEMPLATES: list[JSON] = [
    {"metadata": {"labels": {"team": "shop", "tier": "web"}, "annotations": {"note": "one"}}},
    {"metadata": {"labels": {"team": None}, "annotations": None}},
    {"spec": {"terminationGracePeriodSeconds": 3}},
    {"spec": {"terminationGracePeriodSeconds": None, "nodeSelector": None}},
    {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]}},
    {"spec": {"tolerations": [{"key": "b", "operator": "Exists"}, {"key": "a", "operator": "Exists"}]}},
    {"spec": {"tolerations": []}},
    {"spec": {"nodeSelector": {"disk": "fast"}}},
]
CONTAINERS: list[JSON] = [
    {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]},
    {"ports": [{"name": "admin", "containerPort": 9000}, {"name": "http", "containerPort": 8080}]},
    {"ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9000}]},
    {"resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}},
    {"resources": {"requests": {"memory": "65536Ki", "cpu": "0.1"}}},
    {"env": None, "resources": None},
]
REMOVABLE = ["replicas", "rollout", "expose", "disruption"]

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
    st.builds(
        Act, delays, st.just("disruption"), st.sampled_from([None, {"maxUnavailable": 1}, {"maxUnavailable": 0}])
    ),
    st.builds(Act, delays, st.just("delete pod"), pods),
    st.builds(Act, delays, st.just("evict pod"), pods),
    st.builds(Act, delays, st.just("strip pod"), pods),
    st.builds(Act, delays, st.just("orphan pod"), pods),
    st.builds(Act, delays, st.just("node dies"), st.sampled_from(["node-1", "node-2"])),
    st.builds(Act, delays, st.just("node comes back"), st.sampled_from(["node-1", "node-2"])),
    st.builds(Act, delays, st.just("node is removed"), st.sampled_from(["node-1", "node-2"])),
    st.builds(Act, delays, st.just("node is cordoned"), st.sampled_from(["node-1", "node-2", "node-3"])),
    st.builds(Act, delays, st.just("template"), st.sampled_from(TEMPLATES)),
    st.builds(Act, delays, st.just("container"), st.sampled_from(CONTAINERS)),
    st.builds(Act, delays, st.just("remove"), st.sampled_from(REMOVABLE)),
    st.builds(Act, delays, st.just("restore"), st.integers(1, 4)),
    st.builds(Act, delays, st.just("quota"), st.integers(1, 20)),
    st.builds(Act, delays, st.just("operator dies"), st.none()),
    st.builds(Act, delays, st.just("delete app"), st.sampled_from(["Background", "Foreground", "Orphan"])),
)


acts = st.builds(lambda act, app: act._replace(app=app), _acts, st.sampled_from((*APPS[:1] * 3, APPS[1])))


class Past:
    """The specs an App has had, for who goes back to one."""

    def __init__(self) -> None:
        self._specs: dict[str, list[JSON]] = {}

    def remember(self, world: World) -> None:
        for app in world.apps():
            specs = self._specs.setdefault(app.meta["name"], [])
            if not specs or specs[-1] != app.object["spec"]:
                specs.append(deepcopy(app.object["spec"]))

    def before(self, name: str, steps: int) -> JSON:
        specs = self._specs[name]
        return specs[max(0, len(specs) - 1 - steps)]


def perform(world: World, act: Act, quota: Quota, past: Past) -> None:
    name = act.app
    if name not in {app.meta["name"] for app in world.apps()}:
        world.apply(name, replicas=2)
    past.remember(world)
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
        "template": lambda change: world.patch({"template": change}, name),
        "container": lambda change: change_container(world, change, name),
        "remove": lambda field: world.patch({field: None}, name),
        "restore": lambda steps: replace_spec(world, past.before(name, steps), name),
        "node dies": lambda node: there(world, node) and world.nodes.kill(node),
        "node comes back": lambda node: there(world, node) and world.nodes.revive(node),
        "node is removed": lambda node: there(world, node) and world.nodes.remove(node),
        "node is cordoned": lambda node: there(world, node) and world.nodes.cordon(node, True),
        "quota": lambda limit: setattr(quota, "limit", limit),
        "operator dies": lambda _: leading(world).crash(),
    }
    if act.what in does:
        does[act.what](act.value)
    elif found := world.pods(name):
        harm(world, act.what, found[act.value % len(found)].meta)


def leading(world: World) -> Process:
    """The operator that writes, or where nobody does just now the first."""
    return next((process for process in world.operators if process.engine.leads), world.operators[0])


def there(world: World, node: str) -> bool:
    return world.cluster.find(NODES, None, node) is not None


def change_container(world: World, change: JSON, name: str) -> None:
    def edit(app: JSON) -> None:
        container = app["spec"]["template"]["spec"]["containers"][0]
        app["spec"]["template"]["spec"]["containers"][0] = {
            key: value for key, value in {**container, **change}.items() if value is not None
        }

    world.cluster.edit(APP_KIND, NAMESPACE, name, edit, USER)


def replace_spec(world: World, spec: JSON, name: str) -> None:
    world.cluster.edit(APP_KIND, NAMESPACE, name, lambda app: app.update(spec=deepcopy(spec)), USER)


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
        quota, past = Quota(world, 20), Past()
        world.apply(replicas=3)
        for act in script:
            await asyncio.sleep(act.after)
            perform(world, act, quota, past)
        await asyncio.sleep(1)
        # And then somebody puts it right: all faults end, and the last word is a good one.
        quota.limit = 100
        for node in ("node-1", "node-2", "node-3"):
            if there(world, node):
                world.nodes.revive(node)
                world.nodes.cordon(node, False)
        await world.until(lambda: all(not app.meta.get("deletionTimestamp") for app in world.apps()), "deletions done")
        if not world.apps():
            world.apply(replicas=3)
        for app in world.apps():
            fixed = {"rollout": {"paused": None, "undoTo": None}, "template": {"spec": {"nodeSelector": None}}}
            world.patch(fixed, app.meta["name"])
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
