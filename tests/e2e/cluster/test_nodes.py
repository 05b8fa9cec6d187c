"""Nodes: pods are spread over them; one is drained, and one goes without a word and comes back."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Given, Operator, Scene, Then, When, apps
from e2e.dsl.cluster import Cluster

NOTICED = 180.0
"""Seconds: a kubelet is missed after 50, its pods are given up 5 later, and all of it on a busy machine."""


# Strictly, so that the lost node has some; a node that is given up does not count.
_EVENLY = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "DoNotSchedule",
    "nodeTaintsPolicy": "Honor",
    "labelSelector": {"matchLabels": {"fairlead.dev/app": "shop"}},
}


@pytest.fixture
def node(cluster: Cluster, operator: Operator) -> Iterator[str]:
    """A worker to lose; running again afterwards. Not the only one that has the operator on it."""
    homes = [pod["spec"]["nodeName"] for pod in operator.pods()]
    lost = min(cluster.workers(), key=homes.count)
    yield lost
    cluster.start_node(lost)
    cluster.kubectl("wait", "--for=condition=Ready", f"node/{lost}", "--timeout=180s", timeout=190)
    operator.until_ready(within=180)


def test_pods_of_a_node_that_stopped_are_replaced_and_all_is_well_when_it_is_back(
    node: str, given: Given, then: Then, scene: Scene
) -> None:
    app = apps.web(replicas=4)
    app["spec"]["template"]["spec"] |= {
        "tolerations": apps.leaving_lost_nodes(5),
        "topologySpreadConstraints": [_EVENLY],
    }
    given.a_ready_app(app)
    before = {pod["metadata"]["uid"]: pod["spec"]["nodeName"] for pod in scene.pods()}
    lost = {uid for uid, where in before.items() if where == node}
    assert lost and lost != set(before)

    scene.cluster.stop_node(node)
    then.condition("Ready", "False", within=NOTICED)
    replaced = then.pods_ready(4, within=NOTICED)

    assert node not in {pod["spec"]["nodeName"] for pod in replaced}
    assert set(before) - lost <= {pod["metadata"]["uid"] for pod in replaced}, "pods on other nodes were left alone"
    then.ready()
    then.serves(requests=200)

    scene.cluster.start_node(node)
    scene.cluster.kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=180s", timeout=190)
    scene.until_pods(lambda pods: len(pods) == 4, within=NOTICED)  # what the node still had of the lost ones has ended
    then.ready()
    assert {pod["metadata"]["uid"] for pod in scene.pods()} == {pod["metadata"]["uid"] for pod in replaced}


def test_pods_are_spread_over_the_nodes_without_a_word_in_the_template(given: Given, scene: Scene) -> None:
    """Also of an App without a Service, and in a cluster without zones."""
    given.a_ready_app(apps.idle(replicas=6))

    nodes = [pod["spec"]["nodeName"] for pod in scene.pods()]
    assert all(nodes.count(worker) >= 2 for worker in scene.cluster.workers()), nodes


def test_a_drain_honours_the_budget_and_costs_no_request(given: Given, when: When, then: Then, scene: Scene) -> None:
    given.a_ready_app(apps.web(replicas=4, disruption={"maxUnavailable": 1}))
    crowded = [pod["spec"]["nodeName"] for pod in scene.pods()]
    node = max(scene.cluster.workers(), key=crowded.count)
    assert crowded.count(node) >= 2, "a budget of one is only tested by two pods on the node"

    try:
        with then.history() as history, when.requested(rate=100, kept_rate=20) as reports:
            scene.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s", timeout=200)
            moved = then.pods_ready(4)
    finally:
        scene.kubectl("uncordon", node)

    assert node not in {pod["spec"]["nodeName"] for pod in moved}
    assert history.fewest_ready >= 3
    assert reports[0].lost == 0, reports[0]
