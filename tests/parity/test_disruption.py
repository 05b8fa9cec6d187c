"""Upstream's end-to-end scenarios of PodDisruptionBudgets (kubernetes test/e2e/apps/disruption.go), restated for the
budget of an App (spec.disruption); docs/parity.md has the table.

The evictions are asked of the real API server, the budgets' statuses come from the real disruption controller.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.conditions import find, timestamp
from fairlead.kube.resources import APPS, BUDGETS, PODS
from parity.scene import JSON, UNREADY, Scene, template
from support.crds import app


def budget(scene: Scene, name: str = "shop") -> JSON:
    """The App's budget, empty while the disruption controller has not counted for its newest spec."""
    found = scene.mirror.find(BUDGETS, scene.namespace, name) or {}
    counted = found.get("status", {}).get("observedGeneration", 0)
    return found if found and counted >= found["metadata"]["generation"] else {}


async def allowed(scene: Scene, count: int) -> None:
    """Wait until the budget allows exactly so many evictions."""
    await scene.until(lambda: budget(scene) and budget(scene)["status"]["disruptionsAllowed"] == count)


async def healthy(scene: Scene, count: int) -> None:
    await scene.until(lambda: budget(scene) and budget(scene)["status"]["currentHealthy"] == count)


def name_of_one(scene: Scene) -> str:
    name: str = scene.pods()[0]["metadata"]["name"]
    return name


# ---------------------------------------------------------------- conformance


async def test_should_create_a_pod_disruption_budget(scene: Scene) -> None:
    """should create a PodDisruptionBudget [Conformance]: made, replaced, patched and deleted, through the App."""
    await scene.run(replicas=1, disruption={"minAvailable": "1%"})
    await scene.until(lambda: budget(scene))
    assert budget(scene)["spec"]["minAvailable"] == "1%"
    first = int(budget(scene)["metadata"]["resourceVersion"])
    body = await scene.live(APPS, "shop")
    body["spec"]["disruption"] = {"minAvailable": "2%"}
    body["metadata"].pop("resourceVersion")
    await scene.patch(body)
    await scene.until(lambda: budget(scene) and budget(scene)["spec"]["minAvailable"] == "2%")
    await scene.spec(disruption={"minAvailable": "3%"})
    await scene.until(lambda: budget(scene) and budget(scene)["spec"]["minAvailable"] == "3%")
    assert int(budget(scene)["metadata"]["resourceVersion"]) > first
    await scene.patch([{"op": "remove", "path": "/spec/disruption"}], type="json")
    await scene.gone(BUDGETS)


async def test_should_observe_pod_disruption_budget_status_updated(scene: Scene) -> None:
    """should observe PodDisruptionBudget status updated [Conformance]."""
    await scene.run(replicas=3, disruption={"minAvailable": 1})
    await allowed(scene, 2)
    assert budget(scene)["status"]["expectedPods"] == 3


async def test_should_update_and_patch_pod_disruption_budget_status(scene: Scene) -> None:
    """should update/patch PodDisruptionBudget status [Conformance]: what others write into the budget's status is none of
    Fairlead's business, and stays."""
    await scene.run(replicas=1, disruption={"minAvailable": 1})
    await healthy(scene, 1)
    pod, when = name_of_one(scene), timestamp(4_000_000_000)
    changed = await scene.patch({"status": {"disruptedPods": {pod: when}}}, BUDGETS, subresource="status")
    assert changed["status"]["disruptedPods"] == {pod: when}
    changed = await scene.patch({"status": {"disruptedPods": None}}, BUDGETS, subresource="status")
    assert "disruptedPods" not in changed["status"]
    assert changed["metadata"]["generation"] == 1


async def test_should_list_and_delete_a_collection_of_pod_disruption_budgets(scene: Scene) -> None:
    """should list and delete a collection of PodDisruptionBudgets [Conformance]. What differs: a budget that someone
    deletes is back at once, as long as the App asks for it; the collection goes with the Apps."""
    for name in ("one", "two"):
        await scene.run(name, replicas=1, disruption={"minAvailable": 1})
    everywhere = msgspec.json.decode(await scene.client.list(BUDGETS))
    here = [one for one in everywhere["items"] if one["metadata"]["namespace"] == scene.namespace]
    assert sorted(one["metadata"]["name"] for one in here) == ["one", "two"]
    before = {one["metadata"]["uid"] for one in here}
    scene.lab.kubectl("delete", "--raw", BUDGETS.path(scene.namespace))
    await scene.until(
        lambda: (
            {one["metadata"]["name"] for one in scene.mirror.all(BUDGETS, scene.namespace)} == {"one", "two"}
            and not before & {one["metadata"]["uid"] for one in scene.mirror.all(BUDGETS, scene.namespace)}
        )
    )
    scene.lab.kubectl("delete", "--raw", APPS.path(scene.namespace))
    await scene.gone(BUDGETS)


async def test_should_block_an_eviction_until_the_pdb_is_updated_to_allow_it(scene: Scene) -> None:
    """should block an eviction until the PDB is updated to allow it [Conformance]: three of three pods are needed, then
    two, then none may go, then there is no budget."""
    await scene.run(replicas=3, disruption={"minAvailable": 3})
    await healthy(scene, 3)
    pod = name_of_one(scene)
    assert not await scene.evict(pod)
    await scene.spec(disruption={"minAvailable": 2})
    await allowed(scene, 1)
    assert await scene.evict(pod)

    await scene.until(lambda: len(scene.pods()) == 3 and scene.status().get("availableReplicas") == 3)
    await scene.spec(disruption={"minAvailable": None, "maxUnavailable": 0})
    await scene.until(lambda: budget(scene) and budget(scene)["spec"].get("maxUnavailable") == 0)
    await healthy(scene, 3)
    pod = name_of_one(scene)
    assert not await scene.evict(pod)
    await scene.spec(disruption=None)
    await scene.gone(BUDGETS)
    assert await scene.evict(pod)


# ---------------------------------------------------------------- others worth having


async def test_should_observe_that_the_pod_disruption_budget_status_is_not_updated_for_unmanaged_pods(
    scene: Scene,
) -> None:
    """should observe that the PodDisruptionBudget status is not updated for unmanaged pods: pods that carry the App's label
    and have no owner do not keep the budget from being counted. Upstream looks for a minute that no error comes up; here
    the count itself, with such pods in it, is the proof."""
    await scene.run(replicas=3, disruption={"minAvailable": 1})
    await allowed(scene, 2)
    labels = {"fairlead.dev/app": "shop"}
    for number in range(3):
        body = {"metadata": {"name": f"stray-{number}", "labels": labels}, "spec": template("1")["spec"]}
        await scene.create(PODS, body)
    await healthy(scene, 6)
    await allowed(scene, 5)
    disruptable = find(budget(scene)["status"]["conditions"], "DisruptionAllowed")
    assert disruptable and disruptable["status"] == "True"


@pytest.mark.parametrize(
    ("replicas", "disruption", "crowded", "goes"),
    [
        pytest.param(1, None, False, True, id="no PDB => should allow an eviction"),
        pytest.param(2, {"minAvailable": 2}, False, False, id="too few pods, absolute => should not allow an eviction"),
        pytest.param(3, {"minAvailable": 2}, False, True, id="enough pods, absolute => should allow an eviction"),
        pytest.param(
            10, {"minAvailable": "90%"}, False, True, id="enough pods, replicaSet, percentage => should allow an eviction"
        ),
        pytest.param(
            10, {"minAvailable": "90%"}, True, False, id="too few pods, replicaSet, percentage => should not allow an eviction"
        ),
        pytest.param(
            10,
            {"maxUnavailable": "10%"},
            False,
            True,
            id="maxUnavailable allow single eviction, percentage => should allow an eviction",
        ),
        pytest.param(
            10, {"maxUnavailable": 1}, True, False, id="maxUnavailable deny evictions, integer => should not allow an eviction"
        ),
    ],
)  # fmt: skip
async def test_evictions(scene: Scene, replicas: int, disruption: JSON | None, crowded: bool, goes: bool) -> None:
    """evictions: upstream's table. `crowded`: not all pods find room, since a host port is free once on a node; here on the
    one node that they may go to."""
    spec: dict[str, Any] = {"replicas": replicas} | ({"disruption": disruption} if disruption else {})
    if crowded:
        spec["template"] = template("1", nodeSelector={"kubernetes.io/hostname": one_node(scene)})
        spec["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080, "hostPort": 5555}]
    await scene.create(APPS, app("shop", **spec))
    await scene.until(lambda: scene.status().get("availableReplicas", 0) == (1 if crowded else replicas))
    if disruption:
        await healthy(scene, 1 if crowded else replicas)
    running = await scene.until(lambda: [pod for pod in scene.pods() if pod["status"]["phase"] == "Running"])
    assert await scene.evict(running[0]["metadata"]["name"]) is goes


def one_node(scene: Scene) -> str:
    name: str = scene.lab.get("nodes")["items"][0]["metadata"]["name"]
    return name


@pytest.mark.parametrize(
    ("policy", "ready", "evicted"),
    [
        pytest.param("IfHealthyBudget", True, 1, id="should evict ready pods with IfHealthyBudget"),
        pytest.param("AlwaysAllow", True, 1, id="should evict ready pods with AlwaysAllow"),
        pytest.param(None, True, 1, id="should evict ready pods with Default"),
        pytest.param("IfHealthyBudget", False, 0, id="should not evict unready pods with IfHealthyBudget"),
        pytest.param("AlwaysAllow", False, 3, id="should evict unready pods with AlwaysAllow"),
        pytest.param(None, False, 3, id="should evict unready pods with Default"),
    ],
)
async def test_unhealthy_pod_eviction_policy(scene: Scene, policy: str | None, ready: bool, evicted: int) -> None:
    """should (not) evict (un)ready pods with … UnhealthyPodEvictionPolicy. What differs: an App's default is AlwaysAllow,
    since a broken App must not block the drain of a node, so with the default unready pods do go."""
    disruption = {"maxUnavailable": 1} | ({"unhealthyPodEvictionPolicy": policy} if policy else {})
    tag = "1" if ready else UNREADY
    await scene.create(APPS, app("shop", replicas=3, disruption=disruption, template=template(tag)))
    await scene.until(lambda: len([pod for pod in scene.pods() if pod["status"]["phase"] == "Running"]) == 3)
    await healthy(scene, 3 if ready else 0)
    names = [pod["metadata"]["name"] for pod in scene.pods()]
    await scene.quota(0)  # or a pod that takes the place of an evicted one is healthy before the last is tried
    assert [await scene.evict(name) for name in names].count(True) == evicted
