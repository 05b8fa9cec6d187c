"""The stories of Apps whose size follows what their pods do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.core.meta import JSON
from fairlead.core.quantity import milli
from fairlead.kube.errors import NotFound
from fairlead.kube.fake import Commit
from fairlead.kube.fake.records import Admission
from sim.monitor import wanted
from sim.runner import Body, Scenario
from sim.world import World

HALF_A_CORE: JSON = {"resource": {"name": "cpu", "averageValue": "500m"}}
AT_ONCE: JSON = {"scaleDown": {"stabilizationWindowSeconds": 30}}

STORIES: dict[str, Scenario] = {}


def story(ends: Callable[[World], bool] | None = None, counted: bool = False) -> Callable[[Body], Body]:
    """How many pods a story makes depends on when an operator looks: they are not counted, unless said."""

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", " ")
        STORIES[name] = Scenario(name, body, ends, counted, seen=_lasting)
        return body

    return register


def _lasting(world: World) -> JSON:
    """What must be the same whenever an operator looked: how many pods there are, and what the App says of them."""
    return {
        app.meta["name"]: {
            "pods": len(world.ready(app.meta["name"])),
            "size": size(world),
            "reason": world.condition("Autoscaling").get("reason"),
            "spec": app.object["spec"],
        }
        for app in world.apps()
    }


def size(world: World) -> int:
    """How many pods the App is to have, as its status says."""
    return int((world.status().get("autoscale") or {}).get("replicas", -1))


def autoscaled(world: World, **fields: object) -> None:
    world.apply(replicas=1, autoscale={"min": 1, "max": 8, "metrics": [HALF_A_CORE], "behavior": AT_ONCE, **fields})


async def comes_to(world: World, count: int, within: float = 200.0) -> None:
    await world.until(lambda: size(world) == len(world.ready()) == count, f"{count} pods", within=within)


@story()
async def load_brings_pods_and_its_end_takes_them(world: World) -> None:
    autoscaled(world)
    await world.complete()
    world.usage.now(2.4)
    await comes_to(world, 5)
    assert world.app().object["spec"]["replicas"] == 1, "the spec is the user's"
    world.usage.now(0.4)
    await comes_to(world, 1)
    assert world.status()["autoscale"]["changes"][0]["to"] == 1


@story()
async def a_dead_source_holds_the_size_and_says_so(world: World) -> None:
    autoscaled(world)
    await world.complete()
    world.usage.now(2.4)
    await comes_to(world, 5)
    world.usage.down = True
    await world.until(lambda: world.condition("Autoscaling").get("reason") == "MetricsUnavailable", "told")
    world.operators[0].crash()  # what comes next knows nothing but the status
    await asyncio.sleep(200)
    assert size(world) == len(world.ready()) == 5
    assert "connection refused" in world.condition("Autoscaling")["message"]
    world.usage.down = False
    world.usage.now(0.9)
    await comes_to(world, 2)


@story()
async def a_fallback_takes_over_when_a_source_has_been_dead_for_long(world: World) -> None:
    autoscaled(world, metrics=[HALF_A_CORE | {"fallback": {"replicas": 4, "afterSeconds": 60}}])
    await world.complete()
    world.usage.now(0.4)
    await world.until(lambda: world.condition("Autoscaling").get("reason") == "Followed", "followed")
    world.usage.down = True
    await comes_to(world, 4)
    assert "its fallback" in world.condition("Autoscaling")["message"]


@story()
async def a_scale_by_hand_holds_and_ends(world: World) -> None:
    autoscaled(world, holdSeconds=120)
    await world.complete()
    world.usage.now(0.4)
    await asyncio.sleep(20)
    # What was asked for before the first look is where it begins, and no hold.
    await world.until(lambda: world.condition("Autoscaling").get("reason") == "Followed", "followed", within=60)
    world.scale_by_hand(6)
    await comes_to(world, 6, within=20)
    await world.until(lambda: world.condition("Autoscaling")["reason"] == "Held", "told", within=20)
    held = world.condition("Autoscaling")
    assert held["status"] == "False" and "held at 6 by kubectl" in held["message"]
    await comes_to(world, 1, within=300)


@story()
async def a_canary_without_traffic_does_not_count(world: World) -> None:
    steps = [{"scale": {"replicas": 2}}, {"pause": {}}]
    autoscaled(world)
    world.patch({"rollout": {"strategy": "Canary", "maxSurge": 2, "maxUnavailable": 0, "steps": steps}})
    await world.complete()
    world.usage.now(1.9)
    await comes_to(world, 4)
    world.image("shop:2")
    await world.until(lambda: len(world.ready(image="shop:2")) == 2, "the canary")
    await asyncio.sleep(120)
    assert size(world) == 4, "two idle pods do not halve the load of four"
    world.annotate({"fairlead.dev/promote": "2"})
    await world.until(lambda: len(world.ready(image="shop:2")) == 4 == len(world.pods()), "promoted", within=300)


@story()
async def a_size_stays_when_autoscale_is_taken_away(world: World) -> None:
    autoscaled(world)
    await world.complete()
    world.usage.now(2.4)
    await comes_to(world, 5)
    world.patch({"autoscale": None})
    await world.until(lambda: world.condition("Autoscaling").get("reason") == "TakenAway", "told")
    await asyncio.sleep(60)
    assert len(world.ready()) == 5
    world.scale(2)
    await world.until(lambda: len(world.ready()) == 2 == len(world.pods()), "what was asked for")
    await world.until(lambda: "autoscale" not in world.status(), "and nothing is said of it any more")


@story()
async def an_app_that_is_stopped_and_goes_on_has_its_pods_again(world: World) -> None:
    world.apply(replicas=3, autoscale={"min": 0, "max": 8, "metrics": [HALF_A_CORE, QUEUE]})
    world.usage.now(1.4)
    await comes_to(world, 3)
    world.scale(0)
    await world.until(lambda: not world.pods(), "stopped")
    await world.until(lambda: world.condition("Autoscaling").get("reason") == "Stopped", "told")
    world.scale(3)
    await comes_to(world, 3)


@story()
async def a_new_app_begins_within_its_bounds(world: World) -> None:
    world.apply(replicas=1, autoscale={"min": 3, "max": 8, "metrics": [HALF_A_CORE]})
    world.usage.now(0.1)
    await comes_to(world, 3)
    assert wanted(world.app().object)["replicas"] == 3
    assert world.monitor.creates == 3


def recommended(world: World) -> JSON:
    """What the status says of the container `web`."""
    found = ((world.status().get("autoscale") or {}).get("resources") or {}).get("containers") or [{}]
    return dict(found[0])


def cpu(world: World) -> int:
    """What it should request, in thousandths of a core; 0 before anything is recommended."""
    return milli(recommended(world).get("target", {}).get("cpu", 0))


@story()
async def what_containers_use_is_recommended_and_the_next_operator_goes_on(world: World) -> None:
    """The status is written when something else is recommended: by an operator that knows of the one before it by the status alone."""
    autoscaled(world, max=1, resources={})
    await world.complete()
    world.usage.now(0.4)
    await world.until(lambda: cpu(world) > 400, "recommended", within=300)
    before = recommended(world)
    assert cpu(world) < 500, before
    assert before["target"]["memory"] == "75Mi", before  # of 64 MiB the end of its bucket, and 15 %
    world.operators[0].crash()
    world.usage.now(0.9)
    await world.until(lambda: cpu(world) > 900, "more", within=300)
    assert recommended(world)["samples"] > before["samples"]
    assert not {"resources"} & wanted(world.app().object)["template"]["spec"]["containers"][0].keys(), (
        "nothing is applied"
    )


APPLY: JSON = {"mode": "Apply", "containers": [{"name": "web", "maxAllowed": {"cpu": "400m"}}]}
LITTLE: JSON = {"requests": {"cpu": "50m", "memory": "16Mi"}}


def applying(world: World, count: int, resources: JSON | None = None, **fields: object) -> None:
    """So many pods, which use more than they may be told to request: it is settled once. resources: what the template says."""
    container: JSON = {"name": "web", "image": "shop:1", **({"resources": resources} if resources else {})}
    size: JSON = {"min": count, "max": count, "metrics": [HALF_A_CORE], "resources": APPLY}
    world.apply(replicas=count, autoscale=size, template={"spec": {"containers": [container]}}, **fields)
    world.usage.now(float(count))


def requested(world: World) -> list[int]:
    """What each ready pod's container requests of cpu, in thousandths of a core."""
    resources = [pod.object["spec"]["containers"][0].get("resources") or {} for pod in world.ready()]
    return [milli((one.get("requests") or {}).get("cpu", 0)) for one in resources]


def uids(world: World) -> set[str]:
    return {pod.meta["uid"] for pod in world.pods()}


async def all_request_it(world: World, count: int, within: float = 200.0) -> None:
    def so() -> bool:
        said = world.condition("RequestsApplied").get("reason") == "Applied"
        return said and requested(world) == [400] * count == [400] * len(world.pods())

    await world.until(so, f"{count} pods that request it", within)
    assert world.numbers() == [1], "no release"
    template = wanted(world.app().object)["template"]["spec"]["containers"][0]
    assert (template.get("resources") or LITTLE) == LITTLE, "the spec is the user's"


@story(counted=True)
async def pods_that_are_there_come_to_request_what_is_recommended(world: World) -> None:
    """In place, and one in four at a time."""
    applying(world, 8, LITTLE)
    await world.complete()
    before = uids(world)
    most = 0

    def watch(commit: Commit) -> None:
        nonlocal most
        busy = [pod for pod in world.pods() if "PodResize" in str(pod.object["status"].get("conditions"))]
        most = max(most, len(busy))

    world.cluster.subscribers.append(watch)
    await all_request_it(world, 8)
    assert uids(world) == before, "no pod was replaced"
    assert most == 2, "one in four"


@story()
async def a_pod_that_comes_later_requests_it_from_the_start(world: World) -> None:
    applying(world, 2, LITTLE)
    await all_request_it(world, 2)
    world.delete_pod(world.ready()[0])
    await world.complete()
    await all_request_it(world, 2)


@story(counted=True)
async def where_the_class_of_service_would_change_another_pod_takes_its_place(world: World) -> None:
    """Of a template without requests."""
    applying(world, 4, rollout={"maxSurge": 1, "maxUnavailable": 0})
    await world.complete()
    before = uids(world)
    await all_request_it(world, 4)
    assert not before & uids(world)


@story(counted=True)
async def where_a_node_has_no_room_another_pod_takes_its_place(world: World) -> None:
    """At once where it never will, and after five minutes where it may."""
    applying(world, 4, LITTLE, rollout={"maxSurge": 1, "maxUnavailable": 0})
    await world.complete()
    before, began = uids(world), world.loop.time()
    world.kubelets.no_room = "Deferred"
    await all_request_it(world, 4, within=900)
    assert not before & uids(world)
    assert world.loop.time() - began > 300


@story()
async def without_surge_a_pod_goes_before_another_comes(world: World) -> None:
    applying(world, 4, LITTLE, rollout={"maxSurge": 0, "maxUnavailable": 1})
    await world.complete()
    world.kubelets.no_room = "Infeasible"
    await all_request_it(world, 4, within=400)


@story()
async def blue_and_green_pods_are_replaced_one_by_one_as_well(world: World) -> None:
    applying(world, 4, LITTLE, rollout={"strategy": "BlueGreen"})
    await world.complete()
    world.kubelets.no_room = "Infeasible"
    await all_request_it(world, 4, within=400)


@story()
async def a_cluster_that_resizes_no_pod_has_new_ones_request_it(world: World) -> None:
    def unknown(admission: Admission) -> None:
        if admission.origin.subresource == "resize":
            raise NotFound(404, "", "404 page not found")

    world.cluster.admission.append(unknown)
    applying(world, 2, LITTLE)
    await world.until(lambda: recommended(world).get("applied", {}).get("cpu") == "400m", "settled", within=300)
    await world.until(lambda: world.condition("RequestsApplied").get("reason") == "ResizeRefused", "told")
    world.delete_pod(world.ready()[0])
    await world.until(lambda: sorted(requested(world)) == [50, 400], "a new pod")
    assert "404 page not found" in world.condition("RequestsApplied")["message"]
    await world.complete()
    world.cluster.admission.remove(unknown)
    await all_request_it(world, 2, within=700)


@story()
async def a_release_takes_what_is_applied_along(world: World) -> None:
    applying(world, 4, LITTLE)
    await world.until(lambda: 400 in requested(world), "begun", within=200)
    world.image("shop:2")
    await world.until(lambda: len(world.ready(image="shop:2")) == 4 == len(world.pods()), "released")
    await world.until(lambda: requested(world) == [400] * 4, "with it")
    assert world.numbers() == [1, 2]


@story()
async def whoever_takes_apply_back_has_new_pods_as_the_template_says(world: World) -> None:
    applying(world, 2, LITTLE)
    await all_request_it(world, 2)
    world.patch({"autoscale": {"resources": {"mode": "Recommend"}}})
    await world.until(lambda: "applied" not in recommended(world), "taken back")
    world.delete_pod(world.ready()[0])
    await world.until(lambda: sorted(requested(world)) == [50, 400], "as the template says")
    await world.complete()
    assert not world.condition("RequestsApplied")


QUEUE: JSON = {"external": {"metric": {"name": "jobs"}, "averageValue": 1}}
