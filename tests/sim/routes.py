"""Releases whose traffic a route shares by weights, and an API server that has no Gateway API, or not always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from fairlead.core.meta import JSON, LABEL_REVISION, controller_of
from fairlead.expose.model import revision_service
from fairlead.kube.fake import Commit, Stored
from fairlead.kube.resources import APPS, ENDPOINT_SLICES, HTTP_ROUTES, PODS, SERVICES
from sim.machines import is_ready
from sim.monitor import LAG
from sim.releases import aborted, midway, runs_all
from sim.runner import Scenario
from sim.world import NAMESPACE, World

HEADERS = [{"name": "x-canary", "value": "always"}]
EXPOSE = {
    "ports": [{"port": 80, "targetPort": "http"}],
    "route": {"parentRefs": [{"name": "web"}], "canaryHeaders": HEADERS},
}
CANARY = {
    "strategy": "Canary",
    "maxSurge": 1,
    "maxUnavailable": 0,
    "progressDeadlineSeconds": 60,
    "steps": [{"weight": 10}, {"pause": {"seconds": 30}}, {"weight": 50}],
}
BLUE_GREEN = {
    "strategy": "BlueGreen",
    "maxUnavailable": 0,
    "progressDeadlineSeconds": 60,
    "blueGreen": {"autoPromoteSeconds": 20, "scaleDownDelaySeconds": 30},
}
# What was so a moment ago may still be what the weights on their way were decided by: status, route and watch in a row.
BEHIND = 8 * LAG


class Traffic:
    """What must hold of the route at every write of the operator: a revision on trial has no more weight than its step and
    its ready pods allow, those that requests come to; what has a weight has a Service, and the pods stay that the weights need."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed: dict[str, float] = {}  # pod uid -> when it was last made, changed or deleted by others
        self._left: dict[str, float] = {}  # pod uid -> when it was last no endpoint any more
        world.cluster.subscribers.append(self._committed)

    def _committed(self, commit: Commit) -> None:
        if commit.resource == PODS and commit.origin.identity not in self._world.monitor.operators:
            self._changed[commit.new.meta["uid"]] = self._world.loop.time()
        if commit.resource == ENDPOINT_SLICES and commit.old:
            self._left |= dict.fromkeys(endpoints(commit.old) - endpoints(commit.new), self._world.loop.time())
        if commit.origin.identity not in self._world.monitor.operators or commit.type == "ADDED":
            return
        if commit.resource == HTTP_ROUTES and commit.type != "DELETED":
            self._written(commit)
        if commit.resource == PODS and commit.origin.verb == "delete" and commit.old and is_ready(commit.old.object):
            self._deleted(commit, commit.old)

    def _written(self, commit: Commit) -> None:
        app = self._world.app()
        status, replicas = app.object["status"], app.object["spec"]["replicas"]
        ready = Counter(pod.meta["labels"][LABEL_REVISION] for pod in self._could_be_ready())
        for name, weight in weights(commit.new).items():
            if weight and self._world.cluster.find(SERVICES, NAMESPACE, name) is None:
                self._world.monitor.wrong(commit, f"{weight} % for {name}, which is not there")
        tried = status["activeRevision"] if "steps" in status["rollout"] else None
        weight = weights(commit.new).get(tried, 0) if tried else 0
        mine = ready[tried.rpartition("-")[2]] if tried else 0
        needed = min(replicas, ready.total())
        if tried and weight > max(status["rollout"]["weight"], 0) and not self._moved(status):
            self._world.monitor.wrong(commit, f"{weight} % for {tried}, whose step says {status['rollout']['weight']}")
        if tried and weight * needed > 100 * mine:
            self._world.monitor.wrong(commit, f"{weight} % for {tried}, of which {mine} of {needed} pods are ready")
        if tried and weight and not self._could_be_reached(tried):
            self._world.monitor.wrong(
                commit, f"{weight} % for {tried}, which has no endpoint: what is sent there is lost"
            )
        if tried and len(commit.new.object["spec"]["rules"]) > 1 and not self._could_be_reached(tried):
            self._world.monitor.wrong(commit, f"a rule for {tried}, which has no endpoint: what asks for it is lost")

    def _moved(self, status: JSON) -> bool:
        """A step began a moment ago: the weight on its way may be the one before."""
        return "heldAt" not in status["rollout"]

    def _deleted(self, commit: Commit, pod: Stored) -> None:
        route = self._world.cluster.find(HTTP_ROUTES, NAMESPACE, "shop")
        if route is None:
            return
        hash = pod.meta["labels"][LABEL_REVISION]
        weight = weights(route).get(revision_service("shop", hash), 0)
        replicas = self._world.app().object["spec"]["replicas"]
        left = sum(each.meta["labels"][LABEL_REVISION] == hash for each in self._could_be_ready())
        if 100 * left < (weight - 1) * replicas:  # whole per cents: 67 % of three is two
            self._world.monitor.wrong(commit, f"{left} pods are left of {hash}, which has {weight} % of the requests")

    def _could_be_reached(self, service: str) -> set[str]:
        """The pods that are endpoints of a Service, or were so until so recently that it counts."""
        found = self._world.cluster.find(ENDPOINT_SLICES, NAMESPACE, f"{service}-slice")
        if found is None:
            return set()
        now = self._world.loop.time()
        every = {each["targetRef"]["uid"] for each in found.object["endpoints"]}
        return endpoints(found) | {uid for uid in every if self._left.get(uid, -BEHIND) + BEHIND > now}

    def _could_be_ready(self) -> list[Stored]:
        """Pods that are ready, or were so until so recently that it counts."""
        now = self._world.loop.time()
        app = self._world.cluster.find(APPS, NAMESPACE, "shop")
        uid = app.meta["uid"] if app else ""
        return [
            pod
            for pod in self._world.cluster.all(PODS, NAMESPACE)
            if (owner := controller_of(pod.meta)) is not None
            and owner.uid == uid
            and not pod.meta.get("deletionTimestamp")
            and (is_ready(pod.object) or self._changed.get(pod.meta["uid"], -BEHIND) + BEHIND > now)
        ]


def weights(route: Stored) -> dict[str, int]:
    """What the rule for all requests gives, by the Service's name."""
    return {ref["name"]: ref["weight"] for ref in route.object["spec"]["rules"][-1]["backendRefs"]}


def endpoints(found: Stored) -> set[str]:
    """The pods that a slice sends requests to."""
    return {each["targetRef"]["uid"] for each in found.object["endpoints"] if each["conditions"]["ready"]}


def live(world: World) -> dict[str, int]:
    route = world.cluster.find(HTTP_ROUTES, NAMESPACE, "shop")
    return weights(route) if route else {}


def by_image(world: World) -> dict[str, int]:
    """The weights by the image that runs behind them; those that are nothing left out."""
    pods = {pod.meta["labels"][LABEL_REVISION]: pod.object["spec"]["containers"][0]["image"] for pod in world.pods()}
    names = {revision_service("shop", hash): image for hash, image in pods.items()}
    return {names.get(name, name): weight for name, weight in live(world).items() if weight}


def by_header(world: World) -> bool:
    return len(world.cluster.get(HTTP_ROUTES, NAMESPACE, "shop").object["spec"]["rules"]) == 2


async def routed(world: World, rollout: JSON) -> None:
    """An App whose first revision is complete and has all the requests."""
    Traffic(world)
    world.apply(replicas=4, rollout=rollout, expose=EXPOSE)
    await world.complete()
    await world.until(lambda: by_image(world) == {"shop:1": 100} and not by_header(world), "the route")


async def settled(world: World, image: str) -> None:
    """All is that revision's, and nothing is left of the other: no weight, no rule, no Service."""
    await world.until(lambda: by_image(world) == {image: 100} and not by_header(world), "all the traffic", within=100)
    await world.until(lambda: len(world.cluster.all(SERVICES, NAMESPACE)) == 2, "no Service left over", within=100)


async def gives_exact_weights(world: World) -> None:
    """One of five pods has ten per cent, and every request with the header."""
    await routed(world, CANARY)
    world.image("shop:2")
    await midway(world, "shop:2")
    assert by_image(world) == {"shop:1": 90, "shop:2": 10} and by_header(world)
    assert len(world.ready(image="shop:1")) == 4
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=300)
    await settled(world, "shop:2")


async def is_taken_back(world: World) -> None:
    await routed(world, CANARY)
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.annotate({"fairlead.dev/abort": "2"})
    await world.until(lambda: aborted(world), "taken back", within=300)
    await settled(world, "shop:1")


async def never_gets_ready(world: World) -> None:
    """It is given nothing before it could take it."""
    await routed(world, CANARY)
    world.image("shop:unready")
    await world.until(lambda: len(world.pods(image="shop:unready")) > 0, "the release under way")
    assert by_image(world) == {"shop:1": 100} and not by_header(world)
    await world.until(lambda: aborted(world), "taken back", within=300)
    await settled(world, "shop:1")


async def is_overtaken_and_scaled(world: World) -> None:
    await routed(world, CANARY)
    world.image("shop:slow")
    await midway(world, "shop:slow")
    world.image("shop:3")
    world.scale(6)
    await world.until(lambda: runs_all(world, "shop:3", 6), "the third", within=400)
    await settled(world, "shop:3")


async def switches_at_once(world: World) -> None:
    """BlueGreen: nothing for the preview but what asks for it, then everything."""
    await routed(world, BLUE_GREEN)
    world.image("shop:2")
    await midway(world, "shop:2")
    assert by_image(world) == {"shop:1": 100} and by_header(world)
    await world.until(lambda: by_image(world) == {"shop:2": 100}, "the switch", within=100)
    assert len(world.ready(image="shop:1")) == 4
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=100)
    await world.until(lambda: not by_header(world), "all the traffic", within=100)


async def has_no_gateway_api_at_first(world: World) -> None:
    """Counts of pods share the traffic, a condition says why, and the route comes when it can."""
    world.cluster.kinds.discard(HTTP_ROUTES)
    Traffic(world)
    world.apply(replicas=4, rollout=CANARY, expose=EXPOSE)
    await world.complete()
    await world.until(lambda: world.condition("Routed").get("reason") == "GatewayApiMissing", "told")
    world.cluster.kinds.add(HTTP_ROUTES)
    await world.until(lambda: by_image(world) == {"shop:1": 100}, "the route", within=200)


async def loses_gateway_api_midway(world: World) -> None:
    """The definition is deleted, and its objects with it: the release goes on by counts of pods."""
    await routed(world, CANARY)
    world.image("shop:2")
    await midway(world, "shop:2")
    world.cluster.delete(HTTP_ROUTES, NAMESPACE, "shop")
    world.cluster.kinds.discard(HTTP_ROUTES)
    for process in world.operators:
        process.client.close_watches("HTTPRoute")
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=600)
    await world.until(lambda: world.condition("Routed").get("reason") == "GatewayApiMissing", "told", within=200)


async def is_routed_no_more(world: World) -> None:
    await routed(world, CANARY)
    world.image("shop:2")
    await midway(world, "shop:2")
    world.patch({"expose": {"route": None}})
    await world.until(lambda: not live(world) and len(world.cluster.all(SERVICES, NAMESPACE)) == 1, "no route")
    await world.until(lambda: runs_all(world, "shop:2"), "released", within=300)


Body = Callable[[World], Awaitable[None]]
# (what happens, whether the release is taken back)
_ALL: tuple[tuple[Body, bool], ...] = (
    (gives_exact_weights, False),
    (is_taken_back, True),
    (never_gets_ready, True),
    (is_overtaken_and_scaled, False),
    (switches_at_once, False),
    (has_no_gateway_api_at_first, False),
    (loses_gateway_api_midway, False),
    (is_routed_no_more, False),
)
ROUTES = {
    scenario.name: scenario
    for scenario in (
        Scenario(f"a routed release {body.__name__.replace('_', ' ')}", body, aborted if back else None, counted=False)
        for body, back in _ALL
    )
}
