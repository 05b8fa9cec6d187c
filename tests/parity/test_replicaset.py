"""Upstream's end-to-end scenarios of ReplicaSets and ReplicationControllers (kubernetes test/e2e/apps/replica_set.go,
rc.go), restated for an App of one revision; docs/parity.md has the table.

"should serve a basic image on each replica" needs containers: tests/e2e/apps/test_services.py.
"""

from __future__ import annotations

import msgspec

from fairlead.core.meta import LABEL_APP, LABEL_REVISION
from fairlead.kube.resources import APPS, PODS, REVISIONS
from parity.scene import QUOTA, Scene, image_of, labelled, template
from support.crds import app


async def test_replica_set_should_adopt_matching_pods_on_creation_and_release_no_longer_matching_pods(
    scene: Scene,
) -> None:
    """should adopt matching pods on creation and release no longer matching pods [Conformance]. What differs: labels alone
    make no pod an App's, it must also be of a revision the App keeps; and a pod is let go by Fairlead's own label, since
    no other is selected by. Any other pod with the label is reported as SelectorConflict and left alone."""
    await scene.run(replicas=1)
    (pod,) = scene.pods()
    labels = {name: pod["metadata"]["labels"][name] for name in (LABEL_APP, LABEL_REVISION)}
    stray = {"metadata": {"name": "adopted", "labels": labels}, "spec": template("1")["spec"]}
    await scene.create(PODS, stray)
    # One of the two is one too many, and which is upstream's ranking's choice: adopted or deleted, as upstream's test has it.
    await scene.until(lambda: _orphans(scene) == [] and len(scene.pods()) == 1)

    (pod,) = scene.pods()
    name = pod["metadata"]["name"]
    await scene.patch({"metadata": {"labels": {LABEL_APP: "not-matching-name"}}}, PODS, name)
    await scene.until(lambda: name in _orphans(scene))
    await scene.until(lambda: len(scene.pods()) == 1)
    await scene.ready()
    assert await scene.exists(PODS, name), "a pod that is let go lives on"


def _orphans(scene: Scene) -> list[str]:
    pods = scene.mirror.all(PODS, scene.namespace)
    return [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("ownerReferences")]


async def test_replica_set_should_have_a_working_scale_subresource(scene: Scene) -> None:
    """Replicaset should have a working scale subresource [Conformance]: as the Deployment's, and the selector in it, which
    autoscalers and budgets go by, finds the pods. A Revision has no /scale: its size is the App's to decide."""
    await scene.run(replicas=1)
    scale = await scene.live(APPS, "shop", "scale")
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (1, 1)
    await scene.replace(APPS, scale | {"spec": {"replicas": 2}}, subresource="scale")
    assert (await scene.live(APPS, "shop"))["spec"]["replicas"] == 2
    await scene.patch({"spec": {"replicas": 4}}, subresource="scale")
    await scene.until(lambda: scene.status().get("availableReplicas") == 4)
    selector = (await scene.live(APPS, "shop", "scale"))["status"]["selector"]
    assert selector == labelled("shop")
    found = msgspec.json.decode(await scene.client.list(PODS, scene.namespace, label_selector=selector))
    assert {pod["metadata"]["uid"] for pod in found["items"]} == scene.uids()


async def test_replica_set_replace_and_patch_tests(scene: Scene) -> None:
    """Replace and Patch tests [Conformance]: label, size, image and grace period change with one patch. What differs: a
    ReplicaSet leaves the pods it has as they are, an App rolls them."""
    await scene.run(replicas=1)
    await scene.spec(replicas=2)
    await scene.until(lambda: scene.status().get("readyReplicas") == 2)
    patched = await scene.patch(
        {
            "metadata": {"labels": {"test-rs": "patched"}},
            "spec": {"replicas": 3, "template": template("2", terminationGracePeriodSeconds=0)},
        }
    )
    assert patched["metadata"]["labels"] == {"test-rs": "patched"}
    status = await scene.ready()
    assert status["readyReplicas"] == status["availableReplicas"] == 3
    assert {(image_of(pod), pod["spec"]["terminationGracePeriodSeconds"]) for pod in scene.pods()} == {("shop:2", 0)}


async def test_replica_set_should_list_and_delete_a_collection_of_replica_sets(scene: Scene) -> None:
    """should list and delete a collection of ReplicaSets [Conformance]."""
    for name in ("one", "two", "other"):
        labels = {} if name == "other" else {"e2e": scene.namespace}
        await scene.create(APPS, app(name, replicas=3) | {"metadata": {"name": name, "labels": labels}})
    for name in ("one", "two", "other"):
        assert (await scene.ready(name))["readyReplicas"] == 3
    chosen = f"labelSelector=e2e%3D{scene.namespace}"
    everywhere = msgspec.json.decode(await scene.client.list(APPS, label_selector=f"e2e={scene.namespace}"))
    assert sorted(one["metadata"]["name"] for one in everywhere["items"]) == ["one", "two"]
    scene.lab.kubectl("delete", "--raw", f"{APPS.path(scene.namespace)}?{chosen}")
    await scene.until(lambda: [one["metadata"]["name"] for one in scene.mirror.all(APPS, scene.namespace)] == ["other"])
    await scene.until(lambda: not scene.pods("one") and not scene.pods("two"))
    assert len(scene.pods("other")) == 3


async def test_replica_set_should_validate_replicaset_status_endpoints(scene: Scene) -> None:
    """should validate Replicaset Status endpoints [Conformance], of a Revision: read, and patched by someone else, which a
    watch sees. What differs: Fairlead takes its status back when there is something new to say of it."""
    await scene.run(replicas=1)
    (revision,) = scene.revisions().values()
    name = revision["metadata"]["name"]
    await scene.until(lambda: scene.counted(1) == (1, 1))  # told within a minute
    status = (await scene.live(REVISIONS, name, "status"))["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (1, 1, 1)
    patched = await scene.patch({"status": {"replicas": 7}}, REVISIONS, name, subresource="status")
    assert patched["status"]["replicas"] == 7
    assert patched["metadata"]["generation"] == revision["metadata"]["generation"]
    await scene.spec(replicas=2)
    await scene.until(lambda: scene.counted(1) == (2, 2))


# ---------------------------------------------------------------- quota


async def exceeded(scene: Scene) -> None:
    await scene.until(lambda: scene.condition("ReplicaFailure").get("status") == "True")
    failure = scene.condition("ReplicaFailure")
    assert failure["reason"] == "QuotaExceeded" and f"exceeded quota: {QUOTA}" in failure["message"]
    await scene.until(lambda: len(scene.pods()) == 2)


async def test_replication_controller_should_surface_a_failure_condition_on_a_common_issue_like_exceeded_quota(
    scene: Scene,
) -> None:
    """ReplicationController should surface a failure condition on a common issue like exceeded quota [Conformance]: two pods
    are allowed, three asked for; the condition is there, and gone when two are asked for. What differs: the reason names
    the quota where upstream says FailedCreate."""
    await scene.quota(2)
    await scene.create(APPS, app("shop", replicas=3))
    await exceeded(scene)
    await scene.spec(replicas=2)
    await scene.ready()
    assert not scene.condition("ReplicaFailure")


async def test_replica_set_should_surface_a_failure_condition_on_a_common_issue_like_exceeded_quota(
    scene: Scene,
) -> None:
    """ReplicaSet should surface a failure condition on a common issue like exceeded quota: the same for an App that runs
    already and is scaled past its quota, and back."""
    await scene.quota(2)
    await scene.run(replicas=1)
    await scene.spec(replicas=3)
    await exceeded(scene)
    await scene.spec(replicas=1)
    await scene.ready()
    assert not scene.condition("ReplicaFailure") and len(scene.pods()) == 1
