"""The stories of a Stateless App. Each is played clean and with a fault at every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.core.meta import JSON, LABEL_APP, LABEL_SERVING
from fairlead.kube.errors import Forbidden
from fairlead.kube.fake import Admission, FakeClient, Faults, Write, faults
from fairlead.kube.resources import BUDGETS, CONFIG_MAPS, ENCRYPTED_SECRETS, NAMESPACES, PODS, REVISIONS, SERVICES
from sim.monitor import LAG
from sim.runner import Body, Scenario
from sim.weather import LEASE
from sim.world import NAMESPACE, USER, World

SCENARIOS: dict[str, Scenario] = {}
GONE = "the App and all that was its own is gone"


def scenario(
    *,
    ends: Callable[[World], bool] | None = None,
    counted: bool = True,
    faulted: bool = True,
    operator: bool = True,
) -> Callable[[Body], Body]:
    """Registers the function as a scenario; its name in words is the scenario's."""

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", " ")
        SCENARIOS[name] = Scenario(name, body, ends, counted, faulted, operator)
        return body

    return register


def nothing_left(world: World) -> bool:
    return not world.apps() and not world.everything()


# ---------------------------------------------------------------- sizes


@scenario()
async def an_app_is_created(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()


@scenario()
async def an_app_is_scaled_up_and_down(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.scale(5)
    await world.complete()
    world.scale(1)
    await world.complete()


@scenario()
async def an_app_is_scaled_to_zero_and_back(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    world.scale(0)
    await world.until(lambda: not world.pods() and world.rolled_out(), "no pods")
    world.scale(2)
    await world.complete()


@scenario(counted=False)
async def an_app_is_scaled_down_while_its_pods_start(world: World) -> None:
    world.apply(replicas=4, image="shop:slow")
    await world.until(lambda: len(world.pods()) == 4, "four pods")
    world.scale(2)


# ---------------------------------------------------------------- rolls


@scenario()
async def a_good_image_is_rolled_out(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    world.image("shop:2")
    await world.complete()


@scenario()
async def a_roll_without_surge(world: World) -> None:
    world.apply(replicas=3, rollout={"maxSurge": 0, "maxUnavailable": 1})
    await world.complete()
    world.image("shop:2")
    await world.complete()


@scenario()
async def a_roll_all_at_once(world: World) -> None:
    world.apply(replicas=3, rollout={"maxSurge": "100%", "maxUnavailable": 0})
    await world.complete()
    world.image("shop:2")
    await world.complete()


@scenario()
async def a_bad_image_is_fixed(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    world.image("shop:bad")
    await stuck_with(world, "ImagePullBackOff")
    assert len(world.ready(image="shop:1")) >= 3
    world.image("shop:3")
    await world.complete()


@scenario()
async def a_bad_image_is_undone(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    world.image("shop:bad")
    await stuck_with(world, "ImagePullBackOff")
    world.patch({"rollout": {"undoTo": 1}})
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:1")) == 3, "undone")


@scenario()
async def an_undo_is_spent_by_the_next_template(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.image("shop:bad")
    await stuck_with(world, "ImagePullBackOff")
    world.patch({"rollout": {"undoTo": 1}})
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:1")) == 2, "undone")
    world.image("shop:3")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:3")) == 2, "fixed forward")


@scenario()
async def a_crash_loop_is_told_by_its_last_words(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.image("shop:crash")
    await stuck_with(world, "CrashLoopBackOff")
    problem = next(problem for problem in world.status()["problems"] if problem["reason"] == "CrashLoopBackOff")
    assert "cannot open /etc/shop" in problem["message"]
    world.image("shop:1")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:1")) == 2, "back")


@scenario(counted=False)
async def a_third_image_in_the_middle_of_a_roll(world: World) -> None:
    world.apply(replicas=4)
    await world.complete()
    world.image("shop:slow")
    await world.until(lambda: len(world.pods(image="shop:slow")) > 0, "the roll under way")
    world.image("shop:3")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:3")) == 4, "the third")


@scenario(counted=False)
async def scaled_in_the_middle_of_a_roll(world: World) -> None:
    world.apply(replicas=4, rollout={"maxSurge": 2, "maxUnavailable": 1})
    await world.complete()
    world.image("shop:slow")
    await world.until(lambda: len(world.pods(image="shop:slow")) >= 2, "the roll under way")
    world.scale(8)
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:slow")) == 8, "eight", within=400)


@scenario(ends=lambda world: proportional(world))
async def scaled_while_a_bad_roll_is_stuck(world: World) -> None:
    world.apply(replicas=5, rollout={"maxSurge": 3, "maxUnavailable": 2})
    await world.complete()
    world.image("shop:bad")
    await stuck_with(world, "ImagePullBackOff")
    await world.rest()
    world.scale(10)
    await world.until(lambda: proportional(world), "the bound filled")


def proportional(world: World) -> bool:
    """Old pods took their share of the new size; the bound of 13 is used up."""
    return len(world.pods()) == 13 and len(world.ready(image="shop:1")) > 3


@scenario()
async def recreate_ends_the_old_before_the_new(world: World) -> None:
    world.apply(replicas=3, rollout={"strategy": "Recreate"})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 3, "recreated")


@scenario(counted=False)
async def a_roll_is_paused_and_resumed(world: World) -> None:
    world.apply(replicas=4)
    await world.complete()
    world.image("shop:slow")
    await world.until(lambda: len(world.pods(image="shop:slow")) > 0, "the roll under way")
    world.patch({"rollout": {"paused": True}})
    await world.until(lambda: world.condition("Paused").get("status") == "True", "paused")
    await world.rest()
    count = len(world.pods(image="shop:slow"))
    await asyncio.sleep(60)
    assert len(world.pods(image="shop:slow")) == count, "a paused roll went on"
    world.patch({"rollout": {"paused": None}})
    await world.complete(within=300)


@scenario()
async def a_change_made_while_paused_waits(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.patch({"rollout": {"paused": True}})
    world.image("shop:2")
    await world.until(lambda: world.condition("Paused").get("status") == "True", "paused")
    await world.rest()
    assert len(world.ready(image="shop:1")) == 2
    world.scale(3)
    await world.until(lambda: len(world.ready(image="shop:1")) == 3, "scaled while paused")
    world.patch({"rollout": {"paused": False}})
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 3, "resumed")


@scenario()
async def pods_must_be_ready_for_a_while(world: World) -> None:
    world.apply(replicas=2, rollout={"minReadySeconds": 10})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 2, "rolled")


@scenario()
async def a_deadline_passes_and_is_told(world: World) -> None:
    world.apply(replicas=2, rollout={"progressDeadlineSeconds": 60, "onFailure": "Pause"})
    await world.complete()
    world.image("shop:unready")
    await world.until(lambda: world.condition("Stalled").get("status") == "True", "stalled", within=200)
    assert world.condition("Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert "60 s" in world.condition("Progressing")["message"]
    world.image("shop:3")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:3")) == 2, "recovered")
    assert not world.condition("Stalled")


# ---------------------------------------------------------------- releases that are taken back, and canaries

STEPS = [{"weight": 25}, {"pause": {"seconds": 30}}, {"weight": 50}]
CANARY = {"strategy": "Canary", "maxSurge": 1, "maxUnavailable": 0, "steps": STEPS}


def brought_back(world: World, image: str, replicas: int, number: int) -> bool:
    """What ran before runs again, and the status says which release was taken back."""
    status = world.status()
    rested = len(world.pods()) == len(world.ready(image=image)) == replicas == status.get("availableReplicas")
    told = world.condition("RolledBack").get("status") == world.condition("Stalled").get("status") == "True"
    return rested and told and status["rejected"]["number"] == number


@scenario(ends=lambda world: brought_back(world, "shop:1", 2, 2))
async def a_release_that_makes_no_progress_is_taken_back(world: World) -> None:
    world.apply(replicas=2, rollout={"progressDeadlineSeconds": 60})
    await world.complete()
    world.image("shop:unready")
    await world.until(lambda: brought_back(world, "shop:1", 2, 2), "taken back", within=200)
    assert "no progress for 60 s" in world.condition("RolledBack")["message"]


@scenario()
async def a_release_whose_pods_crash_is_taken_back_and_mended(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.image("shop:crash")
    await world.until(lambda: brought_back(world, "shop:1", 2, 2), "taken back", within=300)
    assert "cannot open /etc/shop" in world.condition("RolledBack")["message"]
    # With the number it has from there on, else the next release may come before that and be the third.
    await world.until(lambda: world.phases() == ["Failed", "Active"], "the Revisions told of")
    world.image("shop:3")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:3")) == 2, "fixed forward")
    await world.until(lambda: world.phases() == ["Failed", "Retired", "Active"], "the history told")
    assert "rejected" not in world.status()


@scenario(ends=lambda world: brought_back(world, "shop:1", 2, 4))
async def a_retry_is_one_more_try(world: World) -> None:
    world.apply(replicas=2, rollout={"progressDeadlineSeconds": 60})
    await world.complete()
    world.image("shop:unready")
    await world.until(lambda: brought_back(world, "shop:1", 2, 2), "taken back", within=200)
    await world.until(lambda: world.phases() == ["Failed", "Active"], "the Revisions told of")
    world.annotate({"fairlead.dev/retry": "again"})
    await world.until(lambda: len(world.pods(image="shop:unready")) > 0, "another try")
    await world.until(lambda: brought_back(world, "shop:1", 2, 4), "taken back again", within=200)


@scenario()
async def a_canary_goes_all_its_steps(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused")
    await world.until(lambda: len(world.ready(image="shop:1")) == 3, "one old pod less")
    assert len(world.ready(image="shop:2")) == 1
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 4, "all", within=200)


@scenario()
async def a_canary_waits_for_a_person(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY | {"steps": [{"weight": 50}, {"pause": {}}]})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused")
    await asyncio.sleep(2000)  # longer than any deadline
    assert len(world.ready(image="shop:2")) == len(world.ready(image="shop:1")) == 2
    world.annotate({"fairlead.dev/promote": "2/2"})
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 4, "all", within=200)


@scenario(ends=lambda world: brought_back(world, "shop:1", 4, 2))
async def a_canary_that_crashes_takes_itself_back(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY)
    await world.complete()
    world.image("shop:crash")
    await world.until(lambda: brought_back(world, "shop:1", 4, 2), "taken back", within=300)


@scenario(ends=lambda world: brought_back(world, "shop:1", 4, 2))
async def a_canary_is_aborted(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY | {"steps": [{"weight": 50}, {"pause": {}}]})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused")
    await world.until(lambda: len(world.ready(image="shop:1")) == 2, "the stable share")
    world.annotate({"fairlead.dev/abort": "2"})
    await world.until(lambda: brought_back(world, "shop:1", 4, 2), "taken back", within=200)


@scenario()
async def a_canary_gives_way_to_a_newer_one(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY | {"steps": [{"weight": 25}, {"pause": {}}]})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused")
    world.image("shop:3")
    await world.until(lambda: len(world.ready(image="shop:3")) == 1 and not world.pods(image="shop:2"), "the third")
    await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused again")
    await world.until(lambda: len(world.ready(image="shop:1")) == 3, "the stable share")
    world.annotate({"fairlead.dev/promote": "3"})
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:3")) == 4, "all", within=200)


@scenario(counted=False)
async def a_canary_is_scaled_at_its_step(world: World) -> None:
    world.apply(replicas=4, rollout=CANARY | {"steps": [{"weight": 25}, {"pause": {}}]})
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.condition("Progressing")["reason"] == "StepPaused", "paused")
    world.scale(8)
    await world.until(lambda: len(world.ready(image="shop:2")) == 2 and len(world.ready(image="shop:1")) == 6, "2 + 6")
    world.annotate({"fairlead.dev/promote": "2/2"})
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 8, "all", within=200)


@scenario()
async def an_app_is_restarted(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    await asyncio.sleep(5)
    world.restart()
    await world.until(lambda: world.rolled_out() and not before & {p.meta["uid"] for p in world.pods()}, "restarted")
    assert world.numbers() == [1], "a restart makes no revision"


@scenario()
async def the_template_goes_back_to_an_old_one(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.image("shop:2")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 2, "two")
    world.image("shop:1")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:1")) == 2, "one again")
    await world.until(lambda: world.numbers() == [2, 3], "the old revision is the newest")


@scenario(ends=lambda world: world.rolled_out() and world.numbers() == [3, 4, 5])
async def old_revisions_are_forgotten(world: World) -> None:
    for number in range(1, 6):
        world.apply(replicas=1, image=f"shop:{number}", rollout={"revisionHistoryLimit": 2})
        await world.until(lambda n=number: world.rolled_out() and len(world.ready(image=f"shop:{n}")) == 1, "rolled")


async def stuck_with(world: World, reason: str) -> None:
    """Until the status names the problem."""
    await world.until(lambda: any(p["reason"] == reason for p in world.status().get("problems") or ()), reason)


# ---------------------------------------------------------------- configuration that is part of a release

SETTINGS = [{"name": "settings", "mountPath": "/etc/shop", "configMap": "settings"}]


def runs_with(world: World, theme: str, replicas: int) -> bool:
    """Every pod has this content, and no other is kept in mind but that of a kept revision."""
    return world.configured() == [{"theme": theme}] * replicas == [{"theme": theme}] * len(world.pods())


@scenario()
async def a_changed_config_map_is_a_release(world: World) -> None:
    world.config_map("settings", theme="dark")
    world.apply(replicas=2, config=SETTINGS)
    await world.complete()
    assert runs_with(world, "dark", 2)
    world.config_map("settings", theme="light")
    await world.until(lambda: world.rolled_out() and runs_with(world, "light", 2), "light")
    assert world.numbers() == [1, 2]


@scenario(ends=lambda world: brought_back(world, "shop:1", 2, 2) and runs_with(world, "dark", 2))
async def a_config_map_that_breaks_the_app_is_taken_back(world: World) -> None:
    world.config_map("settings", theme="dark")
    world.apply(replicas=2, config=SETTINGS)
    await world.complete()
    world.config_map("settings", theme="crash")
    await world.until(lambda: brought_back(world, "shop:1", 2, 2), "taken back", within=300)
    assert runs_with(world, "dark", 2), "the old content is back"


@scenario(ends=lambda world: world.rolled_out() and sorted(c["theme"] for c in world.copies()) == ["3", "4"])
async def copies_go_with_their_revision(world: World) -> None:
    for theme in "1234":
        inline = [{"name": "settings", "env": True, "values": {"theme": theme}}]
        world.apply(replicas=1, config=inline, rollout={"revisionHistoryLimit": 1})
        await world.until(lambda t=theme: world.rolled_out() and runs_with(world, t, 1), f"theme {theme}")


@scenario(ends=lambda world: world.rolled_out() and runs_with(world, "dark", 2))
async def a_config_map_is_missing_and_comes(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    world.patch({"config": SETTINGS})
    await world.until(lambda: world.condition("Config").get("reason") == "ConfigMapMissing", "told")
    assert "ConfigMap settings" in world.condition("Ready")["message"]
    assert before == {pod.meta["uid"] for pod in world.pods()}, "what runs was touched"
    world.config_map("settings", theme="dark")
    await world.until(lambda: world.rolled_out() and runs_with(world, "dark", 2), "dark")


@scenario()
async def a_config_map_that_the_template_mounts_is_missing_and_comes(world: World) -> None:
    volume = {"name": "settings", "configMap": {"name": "settings"}}
    world.apply(replicas=2)
    await world.complete()
    world.patch({"template": {"spec": {"volumes": [volume]}}})
    await stuck_with(world, "ConfigMapMissing")
    assert len(world.ready()) == 2, "what served was touched"
    world.config_map("settings", theme="dark")
    await world.until(lambda: world.rolled_out() and runs_with(world, "dark", 2), "rolled")


@scenario(ends=lambda world: world.rolled_out() and runs_with(world, "light", 2))
async def a_deleted_copy_is_made_again(world: World) -> None:
    world.config_map("settings", theme="light")
    world.apply(replicas=2, config=SETTINGS)
    await world.complete()
    copy = next(c for c in world.cluster.all(CONFIG_MAPS, NAMESPACE) if c.meta["name"] != "settings")
    world.cluster.delete(CONFIG_MAPS, NAMESPACE, copy.meta["name"])
    await world.until(lambda: world.copies() == [{"theme": "light"}], "made again")


@scenario()
async def a_secret_is_reloaded_as_a_release_without_being_read(world: World) -> None:
    entry = {"name": "db", "env": True, "secret": "shop-db"}
    world.apply(replicas=2, config=[entry])
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    world.patch({"config": [entry | {"reload": "2"}]})
    await world.until(lambda: world.rolled_out() and not before & {pod.meta["uid"] for pod in world.pods()}, "rolled")
    assert world.numbers() == [1, 2]


SEALED = [{"name": "db", "env": True, "encryptedSecret": "shop-db"}]


def sealed(world: World, version: str, problem: str = "") -> None:
    """Somebody seals a value anew, and what opens it (`fairlead run secrets`) says what came of it."""
    body = {
        "apiVersion": ENCRYPTED_SECRETS.api_version,
        "kind": ENCRYPTED_SECRETS.kind,
        "metadata": {"name": "shop-db"},
        "spec": {"values": {"password": f"fl1:x:sealed-{version}-{problem}"}},
    }
    stored = world.cluster.apply(ENCRYPTED_SECRETS, NAMESPACE, "shop-db", body, USER, force=True)
    ready = {"type": "Ready", "status": "False" if problem else "True", "reason": "Said", "message": problem}
    status = {
        "observedGeneration": stored.meta["generation"],
        "version": version,
        "keys": ["password"],
        "conditions": [ready],
    }
    opener = USER._replace(subresource="status")
    world.cluster.patch(ENCRYPTED_SECRETS, NAMESPACE, "shop-db", {"status": status}, "merge", opener)


def runs_with_version(world: World, version: str, replicas: int) -> bool:
    """Every pod gets this version's Secret, and there is no other pod."""
    sources = [pod.object["spec"]["containers"][0]["envFrom"] for pod in world.ready()]
    return sources == [[{"secretRef": {"name": version}}]] * replicas and len(world.pods()) == replicas


@scenario(ends=lambda world: world.rolled_out() and runs_with_version(world, "shop-db-1", 2))
async def a_secret_that_is_sealed_anew_is_a_release_and_the_way_back_brings_the_old_one(world: World) -> None:
    sealed(world, "shop-db-1")
    world.apply(replicas=2, config=SEALED)
    await world.complete()
    assert runs_with_version(world, "shop-db-1", 2)
    sealed(world, "shop-db-2")
    await world.until(lambda: world.rolled_out() and runs_with_version(world, "shop-db-2", 2), "the new version")
    assert world.numbers() == [1, 2]
    world.patch({"rollout": {"undoTo": 1}})
    await world.until(lambda: world.rolled_out() and runs_with_version(world, "shop-db-1", 2), "the old version")


@scenario(ends=lambda world: world.rolled_out() and runs_with_version(world, "shop-db-2", 2))
async def a_secret_that_does_not_open_touches_nothing_until_it_does(world: World) -> None:
    sealed(world, "shop-db-1")
    world.apply(replicas=2, config=SEALED)
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    sealed(world, "shop-db-1", "password cannot be opened")
    await world.until(lambda: world.condition("Config").get("reason") == "EncryptedSecretNotReady", "told")
    assert "password cannot be opened" in world.condition("Ready")["message"]
    assert before == {pod.meta["uid"] for pod in world.pods()}, "what runs was touched"
    sealed(world, "shop-db-2")
    await world.until(lambda: world.rolled_out() and runs_with_version(world, "shop-db-2", 2), "the new version")


# ---------------------------------------------------------------- releases in order


@scenario(ends=lambda world: world.rolled_out("cart") and world.rolled_out() and len(world.ready(image="shop:2")) == 2)
async def an_app_is_released_after_another(world: World) -> None:
    world.apply("cart", replicas=2)
    world.apply(replicas=2, after=["cart"])
    await world.complete()
    world.image("cart:slow", "cart")
    world.image("shop:2")
    await world.until(lambda: world.condition("InOrder").get("reason") == "WaitingForOthers", "told")
    while not world.rolled_out("cart"):
        assert not world.pods(image="shop:2"), "it did not wait"
        await asyncio.sleep(1)
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 2, "released")


@scenario(ends=lambda world: world.rolled_out("cart") and world.rolled_out())
async def apps_that_wait_in_a_circle_say_so(world: World) -> None:
    world.apply("cart", replicas=1, after=["shop"])
    world.apply(replicas=1, after=["cart"])
    await world.until(lambda: world.condition("Accepted").get("reason") == "DependencyCycle", "told")
    assert "shop waits for cart, cart waits for shop" in world.condition("Accepted")["message"]
    assert not world.pods() and not world.pods("cart")
    world.patch({"after": None}, "cart")
    await world.until(lambda: world.rolled_out("cart") and world.rolled_out(), "both")


# ---------------------------------------------------------------- pods that come to harm


@scenario()
async def a_pod_is_deleted_by_hand(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    world.delete_pod(world.pods()[0])
    await world.until(lambda: len(world.ready()) == 3 and world.rolled_out(), "replaced")


@scenario()
async def a_pod_is_evicted_by_its_node(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    await asyncio.sleep(100)
    victim = world.pods()[0]
    world.kubelets.evict(NAMESPACE, victim.meta["name"], victim.meta["uid"])
    await world.until(lambda: len(world.ready()) == 3 and world.rolled_out(), "replaced")


@scenario(counted=False, ends=lambda world: 2 <= world.monitor.creates <= 40)
async def pods_that_fail_at_once_are_replaced_ever_more_slowly(world: World) -> None:
    world.apply(replicas=1, image="shop:hog")
    await asyncio.sleep(300)
    made = world.monitor.creates
    assert 4 <= made <= 12, f"{made} pods in five minutes"
    world.image("shop:1")
    await world.complete()


@scenario()
async def a_node_is_lost(world: World) -> None:
    world.apply(replicas=3)
    await world.complete()
    world.nodes.kill("node-1")
    await world.until(lambda: world.status()["availableReplicas"] < 3, "noticed", within=60)
    await world.until(lambda: len(world.ready()) == 3 and world.rolled_out(), "replaced", within=500)
    world.nodes.remove("node-1")


@scenario()
async def a_pod_loses_its_label(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    stray = world.pods()[0]

    def strip(obj: JSON) -> None:
        for label in (LABEL_APP, LABEL_SERVING):
            obj["metadata"]["labels"].pop(label)

    world.edit_pod(stray, strip)

    def released() -> bool:
        found = world.cluster.find(PODS, NAMESPACE, stray.meta["name"])
        return found is not None and not found.meta.get("ownerReferences")

    await world.until(released, "released")
    await world.until(lambda: len(world.ready()) == 2 and world.rolled_out(), "replaced")


@scenario()
async def an_orphan_comes_home(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    stray = world.pods()[0]

    def orphan(obj: JSON) -> None:
        obj["metadata"]["ownerReferences"] = []

    world.edit_pod(stray, orphan)

    def adopted() -> bool:
        found = world.cluster.find(PODS, NAMESPACE, stray.meta["name"])
        return found is not None and bool(found.meta.get("ownerReferences"))

    await world.until(adopted, "adopted")
    await world.until(world.rolled_out, "as before")


@scenario()
async def a_pod_that_fits_nowhere(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.patch({"template": {"spec": {"nodeSelector": {"disk": "fast"}}}})
    await stuck_with(world, "Unschedulable")
    world.nodes.add("node-fast", disk="fast")
    await world.complete()


@scenario(faulted=False)
async def a_scale_to_zero_that_was_taken_back_is_not_obeyed(world: World) -> None:
    """The operator hears of both late: it must look at the App itself before the last pods go."""
    world.apply(replicas=3)
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    client = world.operators[0].client
    client.lags["App"] = 3.0
    client.close_watches("App")
    await asyncio.sleep(1)
    world.scale(0)
    await asyncio.sleep(1)
    world.scale(3)
    await asyncio.sleep(20)
    assert before == {pod.meta["uid"] for pod in world.pods()}, "pods were deleted by an old spec"


# ---------------------------------------------------------------- refusals


@scenario()
async def a_quota_is_exceeded_then_lifted(world: World) -> None:
    quota = Quota(world, 2)
    world.apply(replicas=4)
    await world.until(lambda: world.condition("ReplicaFailure").get("status") == "True", "told")
    assert "exceeded quota" in world.condition("ReplicaFailure")["message"]
    assert len(world.pods()) == 2
    await asyncio.sleep(30)
    quota.limit = 10
    await world.complete(within=400)
    assert not world.condition("ReplicaFailure")


@scenario()
async def a_template_that_nobody_takes_is_mended_by_another(world: World) -> None:
    """At zero it was complete, and nobody knew that its pods are refused. With two more pods of it to come than of the next one, the
    next one's waited behind them."""
    Refused(world, "shop:refused")
    world.apply(replicas=0, image="shop:refused")
    await world.complete()
    world.scale(3)
    await world.until(lambda: world.condition("ReplicaFailure").get("status") == "True", "told")
    world.apply(replicas=3, image="shop:2", rollout={"maxSurge": 1, "maxUnavailable": 0})
    await world.complete()
    assert not world.condition("ReplicaFailure")


@scenario()
async def a_policy_refuses_what_runs_and_the_next_template_goes_on(world: World) -> None:
    """Such as pod security that is enforced from now on: what runs stays, what is lost of it does not come back."""
    world.apply(replicas=3, rollout={"maxSurge": 1, "maxUnavailable": 0})
    await world.complete()
    Refused(world, "shop:1")
    world.delete_pod(world.pods()[0])
    await world.until(lambda: world.condition("ReplicaFailure").get("status") == "True", "told")
    world.image("shop:2")
    await world.complete()
    assert not world.condition("ReplicaFailure")


@scenario()
async def a_recreate_takes_no_pod_away_for_one_that_is_refused(world: World) -> None:
    world.apply(replicas=3, rollout={"strategy": "Recreate"})
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    Refused(world, "shop:2")
    world.image("shop:2")
    await world.until(lambda: world.condition("ReplicaFailure").get("status") == "True", "told")
    await asyncio.sleep(60)
    assert {pod.meta["uid"] for pod in world.pods()} == before
    world.image("shop:3")
    await world.complete()
    assert not world.condition("ReplicaFailure")


@scenario()
async def a_recreate_that_is_refused_is_scaled_down_and_its_finished_pods_go(world: World) -> None:
    """What is refused keeps the pods that would make room for it, and nothing else."""
    world.apply(replicas=3, rollout={"strategy": "Recreate", "progressDeadlineSeconds": 7200})
    await world.complete()
    await asyncio.sleep(100)  # who fails later than this is replaced at once
    Refused(world, "shop:2")
    world.image("shop:2")
    await world.until(lambda: world.condition("ReplicaFailure").get("status") == "True", "told")
    world.scale(2)
    await world.until(lambda: len(world.pods()) == len(world.ready(image="shop:1")) == 2, "two of three")
    evicted = world.pods()[0]
    world.kubelets.evict(NAMESPACE, evicted.meta["name"], evicted.meta["uid"])
    name = evicted.meta["name"]
    await world.until(lambda: not world.cluster.find(PODS, NAMESPACE, name), "the finished one swept away", within=1200)
    world.image("shop:3")
    await world.complete()


@scenario(ends=lambda world: brought_back(world, "shop:1", 3, 2))
async def a_recreate_that_is_refused_until_its_deadline_is_taken_back(world: World) -> None:
    world.apply(replicas=3, rollout={"strategy": "Recreate", "progressDeadlineSeconds": 60})
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    Refused(world, "shop:2")
    world.image("shop:2")
    await world.until(lambda: brought_back(world, "shop:1", 3, 2), "taken back", within=200)
    assert {pod.meta["uid"] for pod in world.pods()} == before


class Refused:
    """No pod with this image is taken from now on."""

    def __init__(self, world: World, image: str) -> None:
        self.image = image
        world.cluster.admission.append(self)

    def __call__(self, request: Admission) -> None:
        if request.resource != PODS or request.old is not None:
            return
        if any(container["image"] == self.image for container in request.object["spec"]["containers"]):
            words = f'admission webhook "policy.example.com" denied the request: {self.image} is not to be run'
            raise Forbidden(403, "Forbidden", words)


class Quota:
    """Refuses pods beyond a number, as a ResourceQuota does."""

    def __init__(self, world: World, limit: int):
        self.world, self.limit = world, limit
        world.cluster.admission.append(self)

    def __call__(self, request: Admission) -> None:
        if (
            request.resource == PODS
            and request.old is None
            and len(self.world.cluster.all(PODS, NAMESPACE)) >= self.limit
        ):
            words = f"exceeded quota: pods, requested: pods=1, used: pods={self.limit}, limited: pods={self.limit}"
            raise Forbidden(403, "Forbidden", f'pods "{request.name}" is forbidden: {words}')


@scenario()
async def a_pod_is_lost_while_a_new_revision_is_refused(world: World) -> None:
    """What cannot be stored has no pods. Those of the revision that runs are kept up meanwhile."""
    world.apply(replicas=3, rollout={"progressDeadlineSeconds": 7200})
    await world.complete()
    await asyncio.sleep(100)  # who fails later than this is replaced at once
    world.cluster.admission.append(no_revisions)
    world.image("shop:2")
    await world.until(lambda: "no more of them" in world.condition("Ready").get("message", ""), "told")
    lost = world.pods()[0]
    world.kubelets.evict(NAMESPACE, lost.meta["name"], lost.meta["uid"])
    await world.until(lambda: len(world.ready(image="shop:1")) == 3, "replaced")
    assert not world.ready(image="shop:2")
    world.cluster.admission.remove(no_revisions)
    await world.complete(within=400)


def no_revisions(request: Admission) -> None:
    if request.resource == REVISIONS and request.old is None:
        raise Forbidden(403, "Forbidden", "policy.example.com: no more of them")


@scenario(ends=nothing_left)
async def the_namespace_is_deleted(world: World) -> None:
    world.apply(replicas=3, expose={"ports": [{"port": 80, "targetPort": "http"}]})
    await world.complete()
    world.cluster.delete(NAMESPACES, None, NAMESPACE)
    await world.until(lambda: world.cluster.find(NAMESPACES, None, NAMESPACE) is None, "the namespace gone", within=200)


# ---------------------------------------------------------------- ends


async def exposed(world: World) -> None:
    world.apply(replicas=2, expose={"ports": [{"port": 80, "targetPort": "http"}]}, disruption={"maxUnavailable": 1})
    await world.complete()
    await world.until(lambda: len(world.cluster.all(BUDGETS, NAMESPACE)) == 1, "a budget")
    await world.until(lambda: len(world.cluster.all(SERVICES, NAMESPACE)) == 1, "a service")


@scenario(ends=nothing_left)
async def an_app_is_deleted_in_the_background(world: World) -> None:
    await exposed(world)
    world.delete(propagation="Background")


@scenario(ends=nothing_left)
async def an_app_is_deleted_in_the_foreground(world: World) -> None:
    await exposed(world)
    world.delete(propagation="Foreground")


@scenario(ends=lambda world: not world.apps() and len(world.cluster.all(PODS, NAMESPACE)) == 2)
async def an_app_is_deleted_and_its_pods_stay(world: World) -> None:
    await exposed(world)
    # A Revision's status follows within a second; once the App is gone, nobody writes it any more.
    await world.until(lambda: world.phases() == ["Active"], "the Revision told of")
    world.delete(propagation="Orphan")
    await world.until(lambda: not world.apps(), "the App gone")
    await asyncio.sleep(30)
    assert not any(stored.meta.get("ownerReferences") for stored in world.everything())


@scenario()
async def an_app_comes_back_to_its_orphans(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    before = {pod.meta["uid"] for pod in world.pods()}
    world.delete(propagation="Orphan")
    await world.until(lambda: not world.apps(), "the App gone")
    world.apply(replicas=2)
    await world.until(lambda: len(world.pods()) == 2 and world.rolled_out(), "adopted")
    if world.monitor.lag == LAG:  # an operator that hears of its orphans late makes others first
        assert before == {pod.meta["uid"] for pod in world.pods()}, "running pods were replaced"


@scenario()
async def an_app_is_deleted_and_made_anew_at_once(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    world.delete()
    world.apply(replicas=2, image="shop:2")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 2, "the new one", within=200)


# ---------------------------------------------------------------- services and budgets


@scenario(
    ends=lambda world: (
        world.rolled_out() and not world.cluster.all(SERVICES, NAMESPACE) and not world.cluster.all(BUDGETS, NAMESPACE)
    )
)
async def expose_and_disruption_come_change_and_go(world: World) -> None:
    world.apply(replicas=2)
    await world.complete()
    await exposed(world)
    pods = len(world.pods())
    world.patch({"expose": {"type": "NodePort", "ports": [{"name": "web", "port": 8080, "targetPort": "http"}]}})
    world.patch({"disruption": {"maxUnavailable": None, "minAvailable": "50%"}})

    def changed() -> bool:
        service, budget = world.cluster.all(SERVICES, NAMESPACE)[0], world.cluster.all(BUDGETS, NAMESPACE)[0]
        spec = service.object["spec"]
        return (
            spec["type"] == "NodePort"
            and [p["port"] for p in spec["ports"]] == [8080]
            and "minAvailable" in budget.object["spec"]
        )

    await world.until(changed, "changed")
    assert len(world.pods()) == pods
    world.patch({"expose": None, "disruption": None})
    await world.until(lambda: not world.cluster.all(SERVICES, NAMESPACE), "no service")
    await world.until(lambda: not world.cluster.all(BUDGETS, NAMESPACE), "no budget")


@scenario()
async def a_service_is_made_anew_when_a_policy_lets_its_successor_pass(world: World) -> None:
    """Between headless and not it has to be deleted: not for one that is refused, or the App would have none."""
    world.apply(replicas=2, expose={"type": "Headless", "ports": [{"port": 80}]})
    await world.complete()
    before = world.cluster.get(SERVICES, NAMESPACE, "shop").meta["uid"]
    world.cluster.admission.append(no_node_ports)
    world.patch({"expose": {"type": "NodePort"}})
    await world.until(lambda: world.condition("Exposed").get("reason") == "ServiceRefused", "told")
    assert world.condition("Ready").get("status") == "False"
    assert world.cluster.get(SERVICES, NAMESPACE, "shop").meta["uid"] == before
    world.cluster.admission.remove(no_node_ports)
    await world.until(lambda: world.condition("Exposed").get("status") == "True", "made anew", within=400)
    assert world.cluster.get(SERVICES, NAMESPACE, "shop").object["spec"]["type"] == "NodePort"
    await world.complete()


def no_node_ports(request: Admission) -> None:
    if request.resource == SERVICES and request.object["spec"].get("type") == "NodePort":
        raise Forbidden(403, "Forbidden", "policy.example.com: no node ports here")


@scenario()
async def a_person_edits_the_service(world: World) -> None:
    await exposed(world)

    def steal(obj: JSON) -> None:
        obj["spec"]["selector"] = {"app": "stolen"}

    world.cluster.edit(SERVICES, NAMESPACE, "shop", steal)
    await world.until(
        lambda: world.cluster.get(SERVICES, NAMESPACE, "shop").object["spec"]["selector"].get(LABEL_APP) == "shop",
        "taken back",
    )
    world.cluster.delete(SERVICES, NAMESPACE, "shop")
    await world.until(lambda: world.cluster.find(SERVICES, NAMESPACE, "shop") is not None, "made anew")


@scenario(ends=lambda world: world.condition("Exposed").get("reason") == "NotOwned" and len(world.ready()) == 2)
async def the_services_name_is_taken(world: World) -> None:
    taken = {"metadata": {"name": "shop"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "other"}}}
    world.cluster.create(SERVICES, NAMESPACE, taken)
    world.apply(replicas=2, expose={"ports": [{"port": 80, "targetPort": "http"}]})
    await world.until(lambda: world.condition("Exposed").get("reason") == "NotOwned", "told")
    assert world.cluster.get(SERVICES, NAMESPACE, "shop").object["spec"]["selector"] == {"app": "other"}


# ---------------------------------------------------------------- two operators


@scenario(faulted=False, operator=False)
async def the_leader_dies_and_the_standby_takes_over(world: World) -> None:
    first = world.start(lease=LEASE)
    world.apply(replicas=3)
    await world.complete()
    world.start(identity="second", lease=LEASE)
    await asyncio.sleep(5)
    world.image("shop:2")
    await world.until(lambda: len(world.pods(image="shop:2")) > 0, "the roll under way")
    first.crash()
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 3, "rolled")


@scenario(faulted=False, operator=False)
async def a_leader_that_was_cut_off_does_not_write_when_it_is_back(world: World) -> None:
    first = world.start(lease=LEASE)
    world.apply(replicas=3)
    await world.complete()
    second = world.start(identity="second", lease=LEASE)
    await asyncio.sleep(5)
    world.image("shop:2")
    await world.until(lambda: len(world.pods(image="shop:2")) > 0, "the roll under way")
    cut = True

    def sever(client: FakeClient) -> None:
        client.cut = cut and client.identity == first.identity

    world.prepare = sever  # the network is the machine's: it is gone for whatever is started there, too
    sever(first.client)
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 3, "rolled", within=200)
    assert second.engine.leads and second.writes
    before, cut = len(first.writes), False
    sever(first.client)
    await asyncio.sleep(60)
    assert len(first.writes) == before, "two leaders wrote"


# ---------------------------------------------------------------- the API server


class Storm(Faults):
    """Every write is put off."""

    def before(self, write: Write) -> None:
        faults.too_many(write)


@scenario(faulted=False)
async def writes_are_put_off_for_ten_minutes(world: World) -> None:
    """However long it was: what was put off is done soon after, and not at the end of a pause that grew with it."""
    world.apply(replicas=3)
    await world.complete()
    client = world.operators[0].client
    calm, client.faults = client.faults, Storm()
    world.scale(5)
    await asyncio.sleep(600)
    client.faults = calm
    await asyncio.sleep(45)
    assert len(world.ready()) == 5, "the work is not taken up again"


# ---------------------------------------------------------------- etcd


@scenario(faulted=False)
async def etcd_is_restored_from_a_backup(world: World) -> None:
    """Everything goes back in time, resourceVersions too; the operator remembers a future that never was."""
    world.apply(replicas=3)
    await world.complete()
    restore = world.cluster.backup()
    world.image("shop:2")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:2")) == 3, "rolled")
    await world.rest()
    restore()
    world.operators[0].client.close_watches()
    made = world.monitor.creates
    await asyncio.sleep(300)
    assert len(world.ready(image="shop:1")) == 3 and world.monitor.creates == made, "running pods were touched"
    world.image("shop:3")
    await world.until(lambda: world.rolled_out() and len(world.ready(image="shop:3")) == 3, "rolled again")


@scenario(faulted=False)
async def etcd_is_restored_from_before_a_scale_up(world: World) -> None:
    """Pods of the future that was taken back are not counted, and those of the past are not made a second time."""
    world.apply(replicas=3)
    await world.complete()
    restore = world.cluster.backup()
    before = {pod.meta["uid"] for pod in world.ready()}
    world.scale(7)
    await world.until(lambda: len(world.ready()) == 7, "scaled")
    await world.rest()
    restore()
    made = world.monitor.creates
    world.operators[0].client.close_watches()
    await asyncio.sleep(300)
    world.scale(5)
    await world.until(lambda: len(world.ready()) == 5, "scaled again")
    await world.rest()
    assert before <= {pod.meta["uid"] for pod in world.ready()}, "running pods were touched"
    assert world.monitor.creates == made + 2


__all__ = ["SCENARIOS"]
