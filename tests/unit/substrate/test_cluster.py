"""What kind is asked for, and how images are named inside a node."""

import json
from typing import Any

import pytest

from substrate.cluster import configuration, full_reference
from substrate.nodeimage import NodeImage

OFFICIAL = NodeImage("kindest/node:v1", official=True)
BUILT = NodeImage("fairlead.dev/kind-node:v1", official=False)


def patches(asked: dict[str, Any]) -> dict[str, Any]:
    return {patch["kind"]: patch for patch in map(json.loads, asked["kubeadmConfigPatches"])}


def test_an_ordinary_machine_gets_three_dual_stack_nodes_and_no_patches() -> None:
    asked = configuration(OFFICIAL, cgroup_v1=False, missing_capabilities=False)

    assert asked["networking"] == {"ipFamily": "dual"}
    assert [node["role"] for node in asked["nodes"]] == ["control-plane", "worker", "worker"]
    assert patches(asked) == {}


def test_a_machine_without_cap_sys_resource_gets_components_that_bear_it() -> None:
    asked = patches(configuration(BUILT, cgroup_v1=True, missing_capabilities=True))

    assert asked["KubeletConfiguration"]["failCgroupV1"] is False
    assert asked["KubeletConfiguration"]["featureGates"] == {"KubeletInUserNamespace": True}
    assert asked["KubeProxyConfiguration"]["oomScoreAdj"] == 0


def test_only_our_own_node_image_wants_nftables() -> None:
    asked = configuration(BUILT, cgroup_v1=False, missing_capabilities=False)

    assert asked["networking"]["kubeProxyMode"] == "nftables"


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("shop", "docker.io/library/shop:latest"),
        ("shop:2", "docker.io/library/shop:2"),
        ("team/shop:2", "docker.io/team/shop:2"),
        ("localhost/shop", "localhost/shop:latest"),
        ("registry.example.org/shop:2", "registry.example.org/shop:2"),
        ("registry.example.org:5000/shop", "registry.example.org:5000/shop:latest"),
    ],
)
def test_an_image_is_looked_up_on_a_node_by_its_full_name(image: str, full: str) -> None:
    assert full_reference(image) == full
