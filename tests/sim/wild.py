"""Stories that nobody wrote: a state machine of what people, machines and clusters may do to an App, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead.core.meta import JSON, LABEL_APP, controller_of
from fairlead.kube.fake import Faults, Stored
from fairlead.kube.resources import APPS as APP_KIND
from fairlead.kube.resources import BUDGETS as PDBS
from fairlead.kube.resources import NODES, PODS, SERVICES
from sim.operator_process import Process
from sim.runner import Stage, settle, wrong
from sim.scenarios import Quota
from sim.weather import WEATHER, named
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
STRATEGIES: list[JSON] = [
    {"strategy": "Rolling", "blueGreen": None, "steps": None},
    {"strategy": "Recreate", "blueGreen": None, "steps": None},
    {"strategy": "BlueGreen", "blueGreen": {"autoPromoteSeconds": 5, "scaleDownDelaySeconds": 5}, "steps": None},
    {"strategy": "Canary", "blueGreen": None, "steps": [{"weight": 25}, {"pause": {"seconds": 5}}, {"weight": 50}]},
    {
        "strategy": "Canary",
        "blueGreen": None,
        "steps": [{"scale": {"replicas": 2}}, {"weight": 10}, {"pause": {"seconds": 5}}],
    },
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

NODE_NAMES = ("node-1", "node-2", "node-3")  # of which the third never dies, or nothing could ever run
CUT_SECONDS = 20.0  # longer than a leader may go without renewing
WEATHERS = ("fine", *WEATHER, *(f"seed {number}" for number in range(1000)))


def acts(what: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.builds(Act, delays, st.just(what), values, st.sampled_from((*APPS[:1] * 3, APPS[1])))


CHANGES = st.one_of(
    acts("scale", st.integers(0, 5)),
    acts("image", st.sampled_from(IMAGES)),
    acts("template", st.sampled_from(TEMPLATES)),
    acts("container", st.sampled_from(CONTAINERS)),
    acts("budget", st.sampled_from(BUDGETS)),
    acts("strategy", st.sampled_from(STRATEGIES)),
    acts("paused", st.booleans()),
    acts("min ready", st.sampled_from([0, 3])),
    acts("history", st.sampled_from([0, 1, 10])),
    acts("expose", st.sampled_from(EXPOSE)),
    acts("disruption", st.sampled_from([None, {"maxUnavailable": 1}, {"maxUnavailable": 0}])),
)
HARM = st.one_of(*(acts(what, st.integers(0, 4)) for what in ("delete pod", "evict pod", "strip pod", "orphan pod")))
LOSSES = st.one_of(
    acts("node dies", st.sampled_from(NODE_NAMES[:2])),
    acts("node is removed", st.sampled_from(NODE_NAMES[:2])),
    acts("node is cordoned", st.sampled_from(NODE_NAMES)),
)


class Life(RuleBasedStateMachine):
    """Two Apps, and what befalls them. A rule is one or a few kinds of `Act`; after each nothing may have gone wrong, and
    at the end somebody puts everything right, and the Apps are as asked and in peace.

    A story is kept by its acts, its weather and its seed (`replay`).
    """

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self._sound = False  # begun, and nothing has been found wrong

    def begin(self, weather: str, seed: int) -> None:
        self._stage = self._open.enter_context(Stage(seed))
        self.world = self._stage.world
        self._stage.run(self._begin(weather))
        self._sound = True

    async def _begin(self, weather: str) -> None:
        self.world.start(Faults() if weather == "fine" else named(weather)(self.world))
        self.quota, self.past = Quota(self.world, 20), Past()
        self.world.apply(replicas=3)

    def happens(self, act: Act) -> None:
        self._stage.run(self._happens(act))

    async def _happens(self, act: Act) -> None:
        await asyncio.sleep(act.after)
        perform(self.world, act, self.quota, self.past)

    # ------------------------------------------------------------ what people do

    @rule(act=CHANGES)
    def somebody_changes_the_spec(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("remove", st.sampled_from(REMOVABLE)))
    def somebody_takes_a_field_away(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("restore", st.integers(1, 4)))
    def somebody_applies_the_spec_of_before(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("undo", st.sampled_from([None, 1, 2, 7])))
    def somebody_goes_back(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("restart", st.none()))
    def somebody_restarts(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("delete app", st.sampled_from(["Background", "Foreground", "Orphan"])))
    def somebody_deletes_an_app(self, act: Act) -> None:
        self.happens(act)

    # ------------------------------------------------------------ what machines and clusters do

    @precondition(lambda self: any(map(self.world.pods, APPS)))
    @rule(act=HARM)
    def a_pod_comes_to_harm(self, act: Act) -> None:
        self.happens(act)

    @rule(act=LOSSES)
    def a_node_is_lost(self, act: Act) -> None:
        self.happens(act)

    @precondition(lambda self: self.world.kubelets.dead)
    @rule(act=acts("node comes back", st.sampled_from(NODE_NAMES[:2])))
    def a_node_comes_back(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("quota", st.integers(1, 20)))
    def the_quota_changes(self, act: Act) -> None:
        self.happens(act)

    @rule(act=acts("operator dies", st.none()))
    def the_operator_dies(self, act: Act) -> None:
        self.happens(act)

    @precondition(lambda self: len(self.world.operators) > 1)
    @rule(act=acts("leader is cut off", st.none()))
    def another_operator_leads(self, act: Act) -> None:
        self.happens(act)

    # ------------------------------------------------------------ what must hold

    @invariant()
    def nothing_went_wrong(self) -> None:
        self._sound = not (found := wrong(self.world))
        assert self._sound, "\n".join([*found, self.world.describe()])

    def teardown(self) -> None:
        """The end is a part of the story, unless that has gone wrong before."""
        with self._open:
            if self._sound:
                self._stage.run(put_right(self.world, self.quota))
                self.nothing_went_wrong()


class FairWeather(Life):
    """Nothing else is wrong."""

    @initialize(seed=st.integers(0, 99))
    def it_begins(self, seed: int) -> None:
        self.begin("fine", seed)


class AnyWeather(Life):
    """Watches lag, requests fail, clocks jump, operators come and go."""

    @initialize(weather=st.sampled_from(WEATHERS), seed=st.integers(0, 10_000))
    def it_begins(self, weather: str, seed: int) -> None:
        self.begin(weather, seed)


class Leaders(Life):
    """Two operators that take turns."""

    @initialize(seed=st.integers(0, 99))
    def it_begins(self, seed: int) -> None:
        self.begin("a standby", seed)


def replay(script: Sequence[Act], weather: str, seed: int) -> None:
    """A story once more."""
    life = Life()
    life.begin(weather, seed)
    try:
        for act in script:
            life.happens(act)
            life.nothing_went_wrong()
    finally:
        life.teardown()


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
        "strategy": lambda rollout: world.patch({"rollout": rollout}, name),
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
        "leader is cut off": lambda _: cut_off(world),
    }
    if act.what in does:
        does[act.what](act.value)
    elif found := world.pods(name):
        harm(world, act.what, found[act.value % len(found)].meta)


def leading(world: World) -> Process:
    """The operator that writes, or where nobody does just now the first."""
    return next((process for process in world.operators if process.engine.leads), world.operators[0])


def cut_off(world: World) -> None:
    """The leader reaches nobody for a while: it gives up, and the standby takes over."""
    client = leading(world).client
    client.cut = True
    world.loop.call_later(CUT_SECONDS, setattr, client, "cut", False)


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


async def put_right(world: World, quota: Quota) -> None:
    """All faults end, and somebody's last word is a good one: it comes true, and stays so."""
    await asyncio.sleep(1)
    quota.limit = 100
    for node in NODE_NAMES:
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
    await settle(world, lambda: wanted(world))


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
