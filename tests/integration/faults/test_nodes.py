"""A node that is not heard of any more, by upstream's own node lifecycle controller, and then vanishes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from support import figures
from support.crds import app, install
from support.lab import Lab
from support.operator import Operator
from support.team import JSON, Team
from support.waiting import eventually

CONTROLLERS = "*,-nodeipam,-cloud-node-lifecycle,-service-lb-controller"
GRACE = 10  # seconds without a lease until a node is given up


class LostNode(NamedTuple):
    before: set[str]
    on_it: set[str]
    after: set[str]
    new: int
    lost: set[str]
    told: float
    replaced: float
    lingering: set[str]
    """Uids that were Terminating for ever until the node was deleted."""


def lost_node(_plane: Lab, _folder: Path) -> LostNode:
    with Lab(
        "nodes",
        controllers=CONTROLLERS,
        scheduler=True,
        kwok=True,
        nodes=3,
        qps="unthrottled",
        kcm_args=f"--node-monitor-grace-period={GRACE}s --node-monitor-period=1s",
        kwok_args=f"--node-lease-duration-seconds={GRACE}",
    ) as lab:
        install(lab)
        lab.kubectl("create", "namespace", "nodes")
        team = Team(lab, "nodes")
        with Operator(lab, "nodes", namespaces=team.name):
            team.apply(patient_for(2, replicas=6))
            team.wait("condition=Ready", seconds=120)
            pods = team.pods()
            before = team.uids()
            node = pods[0]["spec"]["nodeName"]
            on_it = {pod["metadata"]["uid"] for pod in pods if pod["spec"]["nodeName"] == node}
            with team.history() as history:
                taken = time.monotonic()
                take_lease(lab, node)
                team.wait("condition=Ready=False", seconds=120)
                told = time.monotonic() - taken
                eventually(lambda: len(team.uids() - on_it) == 6, 120)
                team.wait("condition=Ready", seconds=60)
                replaced = time.monotonic() - taken
                lingering = {pod["metadata"]["uid"] for pod in team.get("pods")["items"]} - team.uids()
                lab.kubectl("delete", "node", node)
                eventually(lambda: len(team.get("pods")["items"]) == 6, 120)
                team.wait("condition=Ready", seconds=60)
            return LostNode(before, on_it, team.uids(), len(history.new()), history.lost(), told, replaced, lingering)


def patient_for(seconds: int, **spec: int) -> JSON:
    """An App whose pods leave a lost node after so long."""
    made = app("shop", **spec)
    made["spec"]["template"]["spec"]["tolerations"] = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in ("not-ready", "unreachable")
    ]
    return made


def take_lease(lab: Lab, node: str) -> None:
    """Another holds it now, for an hour, and never renews it: KWOK leaves such a node and its pods alone."""
    spec = {"holderIdentity": "nobody", "leaseDurationSeconds": 3600}
    patch = json.dumps({"spec": spec})
    lab.kubectl("patch", "lease", node, "-n", "kube-node-lease", "--type=merge", "-p", patch)


@pytest.mark.story.with_args(lost_node)
@pytest.mark.runs_last
def test_trust_46_pods_of_a_lost_node_are_replaced_once_and_those_elsewhere_are_left_alone(told: LostNode) -> None:
    figures.tell(
        f"46: a lost node was told after {told.told:.0f} s, and its {len(told.on_it)} pods were replaced after "
        f"{told.replaced:.0f} s (it is given up after {GRACE} s)"
    )
    assert told.on_it and told.lost == told.on_it
    assert told.lingering == told.on_it, "nobody on the node says that they are gone"
    assert told.new == len(told.on_it), "and their end makes no more"
    assert told.after >= told.before - told.on_it
    assert told.replaced < 60
