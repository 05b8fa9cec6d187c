"""A ConfigMap that the template mounts and that is not there, told as a problem of the pods that wait for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.rollout.needs import mounted_config_maps, with_cause
from fairlead.rollout.testing import make_pods

ABSENT = {"v1": ("settings", "shop-settings")}


def needs(*volumes: dict[str, Any]) -> Any:
    return mounted_config_maps(msgspec.json.encode({"spec": {"volumes": volumes}}))


def test_projected_volumes_need_their_config_maps_too() -> None:
    sources = [{"secret": {"name": "s"}}, {"configMap": {"name": "a"}}, {"configMap": {"name": "b", "optional": True}}]
    assert needs({"name": "all", "projected": {"sources": sources}}, {"name": "x", "emptyDir": {}}) == (("all", "a"),)
    assert needs() == mounted_config_maps(b"{}") == ()


def test_a_pod_that_waits_on_its_node_without_a_word_says_what_for() -> None:
    (pod,) = make_pods(1, ready=False, phase="Pending")
    told = with_cause(pod, ABSENT)
    assert (told.problem, told.message) == (
        "ConfigMapMissing",
        'configmap "shop-settings" not found: volume settings of the template mounts it',
    )


@pytest.mark.parametrize(
    "state",
    [
        {"ready": True},
        {"phase": "Running"},
        {"phase": "Pending", "node": ""},
        {"phase": "Pending", "problem": "ImagePullBackOff"},
        {"phase": "Pending", "deleting": 5.0},
        {"phase": "Pending", "revision": "v2"},
    ],
    ids=str,
)
def test_others_are_left_as_they_are(state: dict[str, Any]) -> None:
    (pod,) = make_pods(1, **({"ready": False} | state))
    assert with_cause(pod, ABSENT) is pod
