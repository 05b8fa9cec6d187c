"""Pods that come to request what is recommended, on a real API server: what it lets be changed in place, and what not. KWOK answers for
kubelets, which measure nothing: what is applied is written into the status, as an operator before this one would have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.core.conditions import find
from support.crds import app, install
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.rights import as_the_chart_has_it, may_patch
from support.team import JSON, Team
from support.waiting import eventually

LITTLE: JSON = {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "100m"}}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with whole_lab("vertical") as lab:
        install(lab)
        where = tmp_path_factory.mktemp("identity") / "kubeconfig"
        where.write_text(json.dumps(as_the_chart_has_it(lab)))
        with Operator(lab, kubeconfig=where):
            yield lab


def standing(team: Team, resources: JSON | None, count: int = 4, **fields: Any) -> None:
    """So many pods with these resources, of kubelets that can resize them."""
    body = app("shop", replicas=count, **fields)
    body["spec"]["autoscale"] = {"min": count, "max": count, "resources": {"mode": "Apply"}}
    if resources:
        body["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    team.apply(body)
    team.wait("condition=Ready")
    can_resize(team)


def applying(team: Team, resources: JSON, count: int = 4, **fields: Any) -> None:
    """The same, and what an operator has settled for them: 300m."""
    standing(team, resources, count, **fields)
    settle(team)


def can_resize(team: Team) -> None:
    """Kubelets that can do it say what containers have; the API server goes by that."""
    for pod in team.pods():
        statuses = pod["status"]["containerStatuses"]
        statuses[0]["resources"] = pod["spec"]["containers"][0].get("resources") or {}
        body = json.dumps({"status": {"containerStatuses": statuses}})
        name = pod["metadata"]["name"]
        team.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", body)


def settle(team: Team, cpu: str = "300m") -> None:
    told = {"appliedAt": "2026-11-22T10:00:00Z", "containers": [{"name": "web", "applied": {"cpu": cpu}}]}
    body = json.dumps({"status": {"autoscale": {"resources": told}}})
    team.kubectl("patch", "fapp", "shop", "--subresource=status", "--type=merge", "-p", body)


def sizes(team: Team) -> list[JSON]:
    """What each pod's container requests and may use."""
    return [pod["spec"]["containers"][0].get("resources") or {} for pod in team.pods()]


def reason(team: Team) -> str:
    found = find(team.shop()["status"].get("conditions", ()), "RequestsApplied") or {}
    return str(found.get("reason", ""))


def test_pods_are_resized_where_they_stand(team: Team) -> None:
    applying(team, LITTLE)
    before = team.uids()
    eventually(lambda: reason(team) == "Applied")

    assert sizes(team) == [{"requests": {"cpu": "300m", "memory": "16Mi"}, "limits": {"cpu": "600m"}}] * 4
    assert team.uids() == before
    assert team.shop()["status"]["revision"] == 1
    assert "4 of 4 pods have it" in team.condition("RequestsApplied")["message"]

    settle(team, "200m")
    eventually(lambda: [size["requests"]["cpu"] for size in sizes(team)] == ["200m"] * 4)
    assert team.uids() == before


def test_a_pod_that_comes_later_has_it(team: Team) -> None:
    applying(team, LITTLE, 2)
    eventually(lambda: reason(team) == "Applied")
    team.kubectl("delete", "pod", team.pods()[0]["metadata"]["name"])
    team.wait("condition=Ready")
    eventually(lambda: [size["requests"]["cpu"] for size in sizes(team)] == ["300m"] * 2)


def test_a_pod_of_another_class_of_service_gives_way_to_another_one(team: Team) -> None:
    standing(team, None, rollout={"maxSurge": 1, "maxUnavailable": 0})
    before = team.uids()
    with team.history() as history:
        settle(team)
        eventually(lambda: reason(team) == "Applied" and len(team.pods()) == 4)
    assert not before & team.uids()
    assert [size["requests"] for size in sizes(team)] == [{"cpu": "300m"}] * 4
    assert team.shop()["status"]["revision"] == 1
    assert history.fewest_ready >= 4


def test_a_container_that_would_start_anew_gives_way_to_another_pod(team: Team) -> None:
    body = app("shop", replicas=1, rollout={"maxSurge": 1, "maxUnavailable": 0})
    body["spec"]["autoscale"] = {"min": 1, "max": 1, "resources": {"mode": "Apply"}}
    container = body["spec"]["template"]["spec"]["containers"][0]
    container |= {"resources": LITTLE, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}
    team.apply(body)
    team.wait("condition=Ready")
    can_resize(team)
    before = team.uids()
    settle(team)
    eventually(lambda: reason(team) == "Applied" and len(team.pods()) == 1)
    assert not before & team.uids()


def test_a_pod_of_a_node_whose_kubelet_resizes_none_gives_way_to_another_one(team: Team) -> None:
    body = app("shop", replicas=2)
    body["spec"]["autoscale"] = {"min": 2, "max": 2, "resources": {"mode": "Apply"}}
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = LITTLE
    team.apply(body)
    team.wait("condition=Ready")
    before = team.uids()
    settle(team)
    eventually(lambda: reason(team) == "Applied" and len(team.pods()) == 2)
    assert not before & team.uids()


def test_what_no_node_has_takes_no_pod_away(team: Team) -> None:
    """The API server refuses it by its cause, another pod is to take the place first, and there is no room for that one either."""
    applying(team, LITTLE, 2, rollout={"maxSurge": 1, "maxUnavailable": 0})
    eventually(lambda: reason(team) == "Applied")
    before = team.uids()
    can_resize(team)
    settle(team, "100000")
    team.problem("Unschedulable")
    assert before < team.uids(), "both that serve, and one that waits"
    assert sorted(size["requests"]["cpu"] for size in sizes(team)) == ["100k", "300m", "300m"]
    settle(team, "200m")
    eventually(lambda: reason(team) == "Applied" and len(team.pods()) == 2)


def test_without_the_right_to_resize_pods_new_ones_have_it_and_the_app_says_which_is_missing(team: Team) -> None:
    role = team.lab.get("clusterrole", "fairlead-workloads")
    rules = [rule for rule in role["rules"] if "pods/resize" not in rule["resources"]]
    assert len(rules) == len(role["rules"]) - 1

    def give(granted: list[JSON]) -> None:
        body = json.dumps({"rules": granted})
        team.lab.kubectl("patch", "clusterrole", "fairlead-workloads", "--type=merge", "-p", body)

    give(rules)
    try:
        eventually(lambda: not may_patch(team.lab, "pods", "resize"))
        applying(team, LITTLE, 2)
        eventually(lambda: reason(team) == "ResizeRefused")
        assert 'cannot patch resource "pods/resize"' in team.condition("RequestsApplied")["message"]
        before = team.uids()
        team.kubectl("delete", "pod", team.pods()[0]["metadata"]["name"])
        eventually(lambda: sorted(size["requests"]["cpu"] for size in sizes(team)) == ["300m", "50m"])
        assert before & team.uids(), "the other stays"
        team.wait("condition=Ready")
    finally:
        give(role["rules"])
    eventually(lambda: reason(team) == "Applied")


def test_a_quota_that_leaves_no_room_is_told_and_nothing_is_lost(team: Team) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"requests.cpu": "150m"}},
    }
    team.apply(quota)
    eventually(lambda: "hard" in team.get("resourcequota", "small").get("status", {}))
    applying(team, LITTLE, 2)
    eventually(lambda: reason(team) == "ResizeRefused")
    assert "exceeded quota: small" in team.condition("RequestsApplied")["message"]
    assert [size["requests"]["cpu"] for size in sizes(team)] == ["50m"] * 2
    team.kubectl("delete", "resourcequota", "small")
    eventually(lambda: reason(team) == "Applied")
