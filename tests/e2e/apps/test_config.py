"""Configuration as part of a release, as real processes see it."""

import copy
import json

from e2e.dsl import Given, Scene, Then, When, apps

JSON = apps.JSON

CONFIG = [
    {"name": "files", "mountPath": "/etc/shop", "configMap": "settings"},
    {"name": "variables", "env": True, "configMap": "settings"},
]
ROLLOUT = {"maxSurge": 1, "maxUnavailable": 0}
HASTE = {"progressDeadlineSeconds": 10}  # with bad releases alone: a good one may take as long


def shop(**rollout: int) -> JSON:
    """A server whose port is a variable of its configuration, and beside it a shell to look at what is there."""
    made = copy.deepcopy(apps.web(replicas=3, config=CONFIG, rollout=ROLLOUT | rollout))
    apps.container(made)["args"] = ["netexec", "--http-port=$(PORT)"]
    look = {"name": "look", "image": apps.BUSYBOX, "command": ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]}
    made["spec"]["template"]["spec"]["containers"].append(look)
    return made


def settings_are(scene: Scene, **data: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(body))


def seen_in(scene: Scene, pods: list[JSON]) -> set[str]:
    """What the processes of these pods see, as a file and as a variable."""
    command = ["-c", "look", "--", "sh", "-c", "echo $(cat /etc/shop/THEME) $THEME"]
    return {scene.kubectl("exec", pod["metadata"]["name"], *command).strip() for pod in pods}


def test_a_config_map_that_breaks_the_app_is_taken_back_with_its_content_and_no_request_is_lost(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    settings_are(scene, PORT="8080", THEME="dark")
    given.a_ready_app(shop(**HASTE))

    with then.history() as history, when.requested(rate=20) as reports:
        settings_are(scene, PORT="none", THEME="light")
        back = then.condition("RolledBack", "True", "ReleaseFailed")
        after = then.pods_ready(3)
        when.applied(apps.version(shop(**HASTE), 2))  # another release, with the ConfigMap as it is: as bad
        then.status(lambda status: status.get("rejected", {}).get("number") == 4)
        again = then.pods_ready(3)
        when.applied(apps.version(shop(), 2))
        settings_are(scene, PORT="8080", THEME="light")
        then.ready()
        mended = then.pods_ready(3)

    assert "no progress for 10 s" in back["message"], back
    assert seen_in(scene, mended) == {"light light"}
    assert {pod["metadata"]["uid"] for pod in after} == {pod["metadata"]["uid"] for pod in again}
    assert history.fewest_ready >= 3
    assert reports[0].lost == 0, reports[0]


def test_undo_brings_the_old_content_back_into_the_pods(given: Given, when: When, then: Then, scene: Scene) -> None:
    settings_are(scene, PORT="8080", THEME="dark")
    given.a_ready_app(shop(maxSurge=3))  # what pods see is looked at, not how they are replaced
    settings_are(scene, PORT="8080", THEME="light")
    then.status(lambda status: status["revision"] == 2)
    then.ready()
    assert seen_in(scene, then.pods_ready(3)) == {"light light"}

    changed = when.fairlead("history", "shop", "--diff", "2")
    scene.kubectl("delete", "configmap", "settings")
    undone = when.fairlead("undo", "shop", "--to", "1")
    then.status(lambda status: status["revision"] == 3 and status["updatedReplicas"] == 3)

    assert undone.returncode == 0, undone.stderr
    assert seen_in(scene, then.pods_ready(3)) == {"dark dark"}
    keys = {line.split(":")[0].strip("+- ") for line in changed.stdout.splitlines() if line.startswith(("+ ", "- "))}
    assert keys == {"THEME"}, changed.stdout + changed.stderr


def test_trust_19_a_missing_config_map_that_the_template_mounts_is_named_and_the_app_goes_on_when_it_comes(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    manifest = apps.idle(replicas=2)
    given.a_ready_app(manifest)
    mounting = copy.deepcopy(manifest)
    mounting["spec"]["template"]["spec"]["volumes"] = [{"name": "files", "configMap": {"name": "settings"}}]

    when.applied(mounting)
    problem = then.problem("ConfigMapMissing")
    settings_are(scene, THEME="dark")
    then.status(lambda status: status["revision"] == 2)
    then.ready()

    assert problem["message"] == 'configmap "settings" not found: volume files of the template mounts it'
    assert problem["samplePod"].startswith("shop-")
    assert not scene.app()["status"].get("problems")
