"""Releases: good ones, bad ones, and the way back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.dsl import Given, Scene, Then, When, apps

pytestmark = pytest.mark.slow


def deadline(scene: Scene) -> None:
    """For the release that is under way, of which the cause is known: one of seconds from the start may be over before a kubelet has
    tried."""
    patch = '{"spec": {"rollout": {"progressDeadlineSeconds": 8}}}'
    scene.kubectl("patch", "fapp", scene.name, "--type=merge", "-p", patch)


def test_a_release_replaces_all_pods_within_its_limits(given: Given, when: When, then: Then) -> None:
    given.a_ready_app(apps.idle(replicas=4, rollout={"maxSurge": 1, "maxUnavailable": 1}))

    with then.history() as history:
        when.released(2)
        then.ready()
        then.pods_ready(4)

    assert len(history.new()) == 4
    assert history.most <= 5
    assert history.fewest_ready >= 3


def test_a_release_that_is_overtaken_ends_with_the_newest(given: Given, when: When, then: Then, scene: Scene) -> None:
    given.a_ready_app(apps.idle(replicas=4, rollout={"maxSurge": 1, "maxUnavailable": 0}))

    when.released(2)
    then.status(lambda status: status["revision"] == 2 and status["updatedReplicas"] >= 1)
    when.released(3)
    then.ready()

    versions = {apps.container({"spec": {"template": pod}})["env"][0]["value"] for pod in then.pods_ready(4)}
    assert versions == {"3"}
    then.phases({1: "Retired", 2: "Retired", 3: "Active"})


def test_an_image_that_cannot_be_pulled_is_named_while_the_old_pods_serve_and_undo_brings_back(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    rollout = {"maxSurge": 1, "maxUnavailable": 0, "onFailure": "Pause"}
    given.a_ready_app(apps.web(replicas=3, rollout=rollout))

    with then.history() as history, when.requested(rate=20) as reports:
        when.image_is(apps.NOWHERE)
        problem = then.problem("ErrImagePull", "ImagePullBackOff")
        deadline(scene)
        # As in a pipeline: it ends by itself, when the release has failed.
        watched = when.fairlead("status", "shop", "--watch", "--timeout=90s")
        stalled = then.condition("Progressing", "False", "ProgressDeadlineExceeded")
        why = when.fairlead("why", "shop")
        when.undone_to(1)
        then.ready()
        then.pods_ready(3)

    assert watched.returncode == 2, watched.stdout + watched.stderr
    assert "ImagePull" in watched.stdout + watched.stderr
    assert (problem["count"], problem["container"]) == (1, "web")
    assert problem["samplePod"] in {pod["metadata"]["name"] for pod in history.new()}
    assert "waiting for 1 of 3 updated pods to become available" in stalled["message"]
    assert problem["samplePod"] in stalled["message"]
    assert apps.NOWHERE in why.stdout, why.stdout + why.stderr
    assert history.fewest_ready >= 3
    assert len(history.new()) == 1, "one pod tried the bad image, and the way back made none"
    assert reports[0].lost == 0, reports[0]
    assert apps.container(scene.app())["image"] == apps.NOWHERE, "the user's spec is never written"
    assert scene.app()["status"]["undo"]["to"] == 1


def test_a_crash_loop_is_told_by_the_last_words_of_the_process(given: Given, when: When, then: Then) -> None:
    given.a_ready_app(apps.idle(replicas=2, rollout={"progressDeadlineSeconds": 5}))

    when.applied(
        apps.script(apps.idle(replicas=2), "echo starting; echo 'cannot open the database: connection refused'; exit 3")
    )

    problem = then.problem("CrashLoopBackOff")
    assert "exit code 3" in problem["message"]
    assert "cannot open the database: connection refused" in problem["message"]
    assert "starting" not in problem["message"]


def test_trust_19_a_missing_secret_and_a_missing_config_map_are_named_and_the_app_goes_on_when_they_are_there(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    manifest = apps.idle()
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "tls", "secret": {"secretName": "shop-tls"}}]
    apps.container(manifest)["volumeMounts"] = [{"name": "tls", "mountPath": "/tls"}]
    apps.container(manifest)["envFrom"] = [{"configMapRef": {"name": "shop-settings"}}]
    when.applied(manifest)

    then.event("FailedMount")
    why = when.fairlead("why", "shop").stdout
    assert "SecretMissing" in why and 'secret "shop-tls" not found' in why, why

    scene.kubectl("create", "secret", "generic", "shop-tls", "--from-literal=key=none")
    assert 'configmap "shop-settings" not found' in then.problem("ConfigMapMissing")["message"]

    scene.kubectl("create", "configmap", "shop-settings", "--from-literal=THEME=dark")
    then.ready()


def test_what_fits_on_no_node_is_told_as_the_scheduler_tells_it(given: Given, then: Then) -> None:
    manifest = apps.idle()
    apps.container(manifest)["resources"] = {"requests": {"cpu": "1000"}}

    given.an_app(manifest)

    assert "Insufficient cpu" in then.problem("Unschedulable")["message"]


def test_the_command_line_pauses_resumes_restarts_and_goes_back(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.idle(replicas=2))
    when.released(2)
    then.ready()
    first = {pod["metadata"]["uid"] for pod in then.pods_ready(2)}

    assert when.fairlead("pause", "shop").returncode == 0
    when.released(3)
    then.condition("Paused", "True")
    assert {pod["metadata"]["uid"] for pod in scene.pods()} == first
    # What is applied next says nothing of `paused`; kubectl leaves alone what it did not write.
    assert when.fairlead("resume", "shop").returncode == 0
    then.status(lambda status: status["revision"] == 3)
    then.ready()
    third = {pod["metadata"]["uid"] for pod in then.pods_ready(2)}
    assert not first & third

    assert when.fairlead("restart", "shop").returncode == 0
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(when.fairlead, "status", "shop", "--watch", "--timeout=90s")
        then.ready()
        assert watching.result().returncode == 0
    assert not third & {pod["metadata"]["uid"] for pod in then.pods_ready(2)}

    undone = when.fairlead("undo", "shop")
    assert undone.returncode == 0, undone.stderr
    then.ready()
    versions = {apps.container({"spec": {"template": pod}})["env"][0]["value"] for pod in then.pods_ready(2)}
    assert versions == {"2"}
    assert "2" in when.fairlead("history", "shop").stdout


def test_apps_of_a_group_go_back_together_and_say_with_whom(given: Given, when: When, then: Then, scene: Scene) -> None:
    group = {"releaseGroup": "store", "maxSurge": 1, "maxUnavailable": 0}
    cart = apps.idle("cart", replicas=1, rollout=group)
    scene.cluster.apply(cart, namespace=scene.namespace)
    given.a_ready_app(apps.idle(replicas=1, after=["cart"], rollout=group))

    scene.cluster.apply(apps.version(cart, 2), namespace=scene.namespace)
    when.image_is(apps.NOWHERE)
    then.problem("ErrImagePull", "ImagePullBackOff")
    deadline(scene)
    then.condition("RolledBack", "True", "ReleaseFailed")
    scene.kubectl("wait", "--for=condition=RolledBack", "fapp/cart", "--timeout=110s")
    back = scene.get("fapp", "cart")
    why = when.fairlead("why", "cart")

    rejected = back["status"]["rejected"]
    assert (rejected["member"], rejected["reason"]) == ("shop", "GroupMemberFailed")
    assert "ImagePull" in rejected["message"], rejected
    assert apps.container(back)["env"][0]["value"] == "2", "the user's spec is never written"
    assert "revision 2 of shop, of the release group store, was taken back" in why.stdout, why.stdout + why.stderr
