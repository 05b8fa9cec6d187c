"""Apps on a real control plane: real admission, quota, scheduler and garbage collection; KWOK answers for kubelets.

The operator runs as a process of its own. The numbers are those of the list of bad inputs and faults that each have an
answer to get (docs/limits.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from support.crds import app, install
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.team import ENFORCE, Team, image
from support.waiting import eventually

_numbers = count(1)
_STAGES = Path(__file__).with_name("stages.yaml")


@pytest.fixture(scope="module")
def plane() -> Iterator[Lab]:
    # With the admission of service accounts, which the lab leaves out unless told.
    options = {"admission_off": "TaintNodesByCondition", "kwok_args": f"--config={_STAGES}"}
    with whole_lab("apps", kcm_args="--horizontal-pod-autoscaler-sync-period=2s", **options) as lab:
        install(lab)
        lab.know_kinds()
        with Operator(lab):
            yield lab


# ---------------------------------------------------------------- what an App does


def test_an_app_runs_rolls_goes_back_and_scales(team: Team) -> None:
    team.run(replicas=3)
    first = {pod["metadata"]["name"] for pod in team.pods()}
    team.patch({"template": image("2")})
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    assert not first & {pod["metadata"]["name"] for pod in team.pods()}
    team.patch({"rollout": {"undoTo": 1}})
    team.wait("jsonpath={.status.revision}=3")
    team.wait("condition=Ready")
    assert {pod["spec"]["containers"][0]["image"] for pod in team.pods()} == {"shop:1"}
    team.kubectl("scale", "fapp/shop", "--replicas=5")
    team.wait("jsonpath={.status.availableReplicas}=5")
    team.kubectl("scale", "fapp/shop", "--replicas=0")
    team.wait("jsonpath={.status.summary}=Scaled to zero")
    assert team.pods() == []


def test_a_restart_replaces_every_pod_once(team: Team) -> None:
    team.run(replicas=3)
    before = {pod["metadata"]["uid"] for pod in team.pods()}
    team.patch({"rollout": {"restartAt": "2030-01-31T12:00:00Z"}})
    team.wait("jsonpath={.status.rollout.restartAt}=2030-01-31T12:00:00Z")
    team.wait("condition=Ready")
    after = {pod["metadata"]["uid"] for pod in team.pods()}
    assert len(after) == 3 and not before & after
    assert team.shop()["status"]["revision"] == 1


def test_pods_are_rendered_with_what_a_bare_pod_would_lack(team: Team) -> None:
    team.run(replicas=1, expose={"ports": [{"port": 80, "targetPort": "http"}]})
    (pod,) = team.pods()
    (container,) = pod["spec"]["containers"]
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 35
    (nodes,) = pod["spec"]["topologySpreadConstraints"]
    (zones,) = pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert nodes["topologyKey"] == "kubernetes.io/hostname"
    assert zones["podAffinityTerm"]["topologyKey"] == "topology.kubernetes.io/zone"
    alike = {name: pod["metadata"]["labels"][name] for name in ("fairlead.dev/app", "fairlead.dev/revision")}
    assert nodes["labelSelector"] == zones["podAffinityTerm"]["labelSelector"] == {"matchLabels": alike}
    assert pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "fairlead"
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["controller"]) == ("App", True)


def test_the_user_s_spec_is_never_written(team: Team) -> None:
    team.run(replicas=2)
    team.patch({"template": image("2")})
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    managed = team.get("fapp", "shop", "--show-managed-fields")["metadata"]["managedFields"]
    ours = [entry for entry in managed if entry["manager"].startswith("fairlead")]
    assert ours and {entry.get("subresource") for entry in ours} == {"status"}


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_deletion_takes_everything_along(team: Team, cascade: str) -> None:
    team.run(replicas=2, expose={"ports": [{"port": 80}]}, disruption={"maxUnavailable": 1})
    team.kubectl("delete", "fapp/shop", f"--cascade={cascade}")
    eventually(lambda: team.kubectl("get", "pods,services,pdb,frev", "-o", "name") == "")


def test_an_orphaned_app_s_children_stay_and_are_taken_back(team: Team) -> None:
    team.run(replicas=2)
    before = {pod["metadata"]["uid"] for pod in team.pods()}
    team.kubectl("delete", "fapp/shop", "--cascade=orphan")
    eventually(lambda: all(not pod["metadata"].get("ownerReferences") for pod in team.pods()))
    team.run(replicas=2)
    assert {pod["metadata"]["uid"] for pod in team.pods()} == before, "the same pods serve on"
    eventually(lambda: all(pod["metadata"].get("ownerReferences") for pod in team.pods()))
    assert len(team.get("frev")["items"]) == 1


def test_trust_41_a_namespace_that_is_being_deleted_gets_no_new_pods(plane: Lab) -> None:
    plane.kubectl("create", "namespace", "leaving")
    team = Team(plane, "leaving")
    team.run(replicas=3)
    plane.kubectl("delete", "namespace", "leaving", "--wait=false")
    # Upstream looks again after half of the pods' grace period, and then ever more seldom.
    eventually(lambda: "NotFound" in plane.kubectl("get", "namespace", "leaving", check=False), 180)


def test_an_upstream_autoscaler_finds_the_app_through_its_scale(team: Team) -> None:
    team.run(replicas=1)
    team.kubectl("autoscale", "fapp/shop", "--min=3", "--max=5", "--cpu=50%")
    team.wait("jsonpath={.spec.replicas}=3")
    team.wait("jsonpath={.status.availableReplicas}=3")
    team.wait("jsonpath={.status.currentReplicas}=3", name="hpa/shop", seconds=90)
    conditions = {c["type"]: c["status"] for c in team.get("hpa", "shop")["status"]["conditions"]}
    assert conditions["AbleToScale"] == "True"


def test_a_percentage_budget_is_counted_through_the_app_s_scale(team: Team) -> None:
    team.run(replicas=4, disruption={"maxUnavailable": "25%"})
    counted(team, "disruptionsAllowed", 1)
    assert team.get("pdb", "shop")["status"]["expectedPods"] == 4


# ---------------------------------------------------------------- bad inputs and faults, by number


def test_trust_06_pods_that_carry_our_label_are_never_adopted_by_it(team: Team) -> None:
    team.run(replicas=1)
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "labels": {"fairlead.dev/app": "shop", "fairlead.dev/serving": "true"}},
        "spec": {"containers": [{"name": "web", "image": "other:1"}]},
    }
    team.apply(stranger)
    team.problem("SelectorConflict")
    assert team.shop()["status"]["problems"][0]["samplePod"] == "stranger"
    assert "ownerReferences" not in team.get("pod", "stranger")["metadata"]


def test_trust_08_a_removed_field_loses_its_effect(team: Team) -> None:
    body = app(
        "shop",
        replicas=1,
        expose={"ports": [{"port": 80}], "sessionAffinity": "ClientIP"},
        disruption={"maxUnavailable": 1},
    )
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    team.apply(body)
    team.wait("condition=Ready")
    assert team.get("service", "shop")["spec"]["sessionAffinity"] == "ClientIP"
    del body["spec"]["expose"]["sessionAffinity"], body["spec"]["disruption"]
    del body["spec"]["template"]["spec"]["containers"][0]["env"]
    team.apply(body)
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    eventually(lambda: team.get("service", "shop")["spec"]["sessionAffinity"] == "None")
    eventually(lambda: team.kubectl("get", "pdb", "-o", "name") == "")
    (pod,) = team.pods()
    assert "env" not in pod["spec"]["containers"][0]


def test_trust_09_a_reordered_list_rolls_nothing(team: Team) -> None:
    ports = [{"name": "a", "containerPort": 1001}, {"name": "b", "containerPort": 1002}]
    body = app("shop", replicas=1)
    body["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    team.apply(body)
    team.wait("condition=Ready")
    body["spec"]["template"]["spec"]["containers"][0]["ports"] = ports[::-1]
    team.apply(body)
    team.wait("jsonpath={.status.observedGeneration}=2")
    assert team.shop()["status"]["revision"] == 1


def test_trust_14_pods_that_fit_no_node_are_told_in_the_scheduler_s_words(team: Team) -> None:
    team.run(replicas=2)
    huge = image("2")
    huge["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "10k"}}
    team.patch({"template": huge, "rollout": {"progressDeadlineSeconds": 3, "onFailure": "Pause"}})
    team.wait("condition=Stalled")
    team.problem("Unschedulable")  # the deadline may be over before the scheduler has said a word
    problem = team.shop()["status"]["problems"][0]
    assert problem["reason"] == "Unschedulable" and "Insufficient cpu" in problem["message"]
    stalled = team.condition("Stalled")
    assert stalled["reason"] == "ProgressDeadlineExceeded" and "Unschedulable" in stalled["message"]
    assert team.condition("Available")["status"] == "True", "the old pods are kept"


def test_trust_19_a_missing_priority_class_is_named_and_mends_itself(team: Team) -> None:
    body = app("shop", replicas=1)
    body["spec"]["template"]["spec"]["priorityClassName"] = "urgent"
    team.apply(body)
    team.problem("PriorityClassMissing")
    assert "urgent" in team.condition("ReplicaFailure")["message"]
    team.kubectl("create", "priorityclass", "urgent", "--value=10")
    team.wait("condition=Ready", seconds=90)
    team.kubectl("delete", "priorityclass", "urgent")


def test_trust_19_a_missing_service_account_is_named_and_mends_itself(team: Team) -> None:
    body = app("shop", replicas=1)
    body["spec"]["template"]["spec"]["serviceAccountName"] = "clerk"
    team.apply(body)
    team.problem("ServiceAccountMissing")
    assert "clerk" in team.condition("ReplicaFailure")["message"]
    team.kubectl("create", "serviceaccount", "clerk")
    team.wait("condition=Ready", seconds=90)
    assert not team.shop()["status"].get("problems")


def test_trust_19_a_missing_volume_claim_is_named_and_mends_itself(team: Team) -> None:
    body = app("shop", replicas=1)
    claim = {"claimName": "stock"}
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": claim}]
    team.apply(body)
    team.problem("VolumeClaimMissing")
    assert '"stock" not found' in team.shop()["status"]["problems"][0]["message"]
    before = team.uids()
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": "/stock"}}
    meta = {"name": f"stock-{team.name}"}
    team.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": volume | {"storageClassName": ""}}
    )
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    spec = wanted | {"volumeName": meta["name"]}
    team.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "stock"}, "spec": spec})
    team.wait("condition=Ready", seconds=90)
    assert team.uids() == before, "the same pod went on"
    assert not team.shop()["status"].get("problems")


def test_trust_23_the_first_owner_of_a_service_keeps_it(team: Team) -> None:
    team.kubectl("create", "service", "clusterip", "shop", "--tcp=80:80")
    team.apply(app("shop", replicas=1, expose={"ports": [{"port": 80}]}))
    team.wait("condition=Stalled")
    assert team.condition("Exposed")["reason"] == "NotOwned"
    assert team.get("service", "shop")["spec"]["selector"] == {"app": "shop"}, "it is as its owner made it"
    team.kubectl("delete", "service", "shop")
    team.patch({"expose": {"drainSeconds": 6}})
    team.wait("condition=Ready", seconds=90)


def test_trust_24_a_child_edited_or_deleted_by_hand_is_put_right(team: Team) -> None:
    team.run(replicas=2, expose={"ports": [{"port": 80}]})
    team.kubectl("patch", "service", "shop", "--type=merge", "-p", json.dumps({"spec": {"selector": {"app": "other"}}}))
    eventually(
        lambda: (
            team.get("service", "shop")["spec"]["selector"].get("fairlead.dev/app") == "shop"
            and "app" not in team.get("service", "shop")["spec"]["selector"]
        )
    )
    team.kubectl("delete", "service", "shop")
    eventually(lambda: "service/shop" in team.kubectl("get", "services", "-o", "name"))
    victim = team.pods()[0]["metadata"]["name"]
    team.kubectl("delete", "pod", victim, "--wait=false")
    eventually(lambda: len(team.pods()) == 2 and victim not in {p["metadata"]["name"] for p in team.pods()})
    lost = team.pods()[0]["metadata"]["name"]
    team.kubectl("label", "pod", lost, "fairlead.dev/app-")
    eventually(lambda: "ownerReferences" not in team.get("pod", lost)["metadata"])
    eventually(lambda: len(team.pods()) == 2)


def test_trust_25_a_fight_over_a_field_is_given_up_and_reported(team: Team) -> None:
    team.run(replicas=1, expose={"ports": [{"port": 80}]})
    fight = json.dumps({"spec": {"selector": {"fairlead.dev/app": "mine"}}})

    def lost() -> bool:
        team.kubectl("patch", "service", "shop", "--type=merge", "-p", fight, "--field-manager=rival")
        return team.condition("Exposed")["reason"] == "Contested"

    eventually(lost)
    assert "rival" in team.condition("Exposed")["message"]
    before = int(team.get("service", "shop")["metadata"]["resourceVersion"])
    assert int(team.get("service", "shop")["metadata"]["resourceVersion"]) == before


def test_a_service_that_cannot_be_made_anew_stays_as_it_is(team: Team) -> None:
    """Between headless and not it has to be deleted: not for one that the API server would refuse."""
    port = {"port": 80, "nodePort": 30777}
    team.kubectl("create", "service", "nodeport", "holder", "--tcp=80", "--node-port=30777")
    team.run(replicas=1, expose={"type": "Headless", "ports": [{"port": 80}]})
    before = team.get("service", "shop")["metadata"]["uid"]
    team.patch({"expose": {"type": "NodePort", "ports": [port]}})
    team.wait("condition=Stalled")
    assert team.condition("Exposed")["reason"] == "ServiceRefused"
    assert "provided port is already allocated" in team.condition("Exposed")["message"]
    assert team.get("service", "shop")["metadata"]["uid"] == before
    team.kubectl("delete", "service", "holder")
    team.wait("condition=Ready", seconds=90)
    assert team.get("service", "shop")["spec"]["type"] == "NodePort"


def test_trust_26_a_quota_is_told_and_what_runs_goes_on(team: Team) -> None:
    team.kubectl("create", "quota", "small", "--hard=pods=2")
    team.wait("jsonpath={.status.hard.pods}=2", name="quota/small")
    team.apply(app("shop", replicas=4))
    team.wait("condition=ReplicaFailure")
    assert team.shop()["status"]["problems"][0]["reason"] == "QuotaExceeded"
    assert "exceeded quota: small" in team.condition("ReplicaFailure")["message"]
    assert len(team.pods()) == 2
    team.kubectl("delete", "quota", "small")
    team.wait("condition=Ready", seconds=90)


def test_trust_26_pod_security_is_told_and_the_old_revision_serves(team: Team) -> None:
    team.run(replicas=2)
    team.restrict()
    team.patch({"template": image("2")})
    team.wait("condition=ReplicaFailure")
    assert team.shop()["status"]["problems"][0]["reason"] == "PodSecurityViolation"
    assert team.condition("Available")["status"] == "True"


def test_trust_26_a_recreate_that_pod_security_refuses_leaves_the_old_pods_running(team: Team) -> None:
    team.run(replicas=2, rollout={"strategy": "Recreate"})
    before = {pod["metadata"]["uid"] for pod in team.pods()}
    team.restrict()
    team.patch({"template": image("2")})
    team.wait("condition=ReplicaFailure")
    assert team.shop()["status"]["problems"][0]["reason"] == "PodSecurityViolation"
    assert {pod["metadata"]["uid"] for pod in team.pods()} == before
    assert team.condition("Available")["status"] == "True"
    team.lab.kubectl("label", "namespace", team.name, f"{ENFORCE}-")
    team.wait("condition=Ready", seconds=90)
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in team.pods())


def test_trust_26_a_limit_range_is_told(team: Team) -> None:
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]},
    }
    team.apply(limits)
    body = app("shop", replicas=1)
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    team.apply(body)
    team.problem("LimitRangeViolation")


def test_trust_27_a_fix_in_the_middle_of_a_bad_roll_goes_straight_through(team: Team) -> None:
    team.run(replicas=4)
    huge = image("2")
    huge["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "10k"}}
    team.patch({"template": huge})
    team.problem("Unschedulable")
    team.patch({"template": image("3")})
    team.wait("jsonpath={.status.revision}=3")
    team.wait("condition=Ready")
    assert {pod["spec"]["containers"][0]["image"] for pod in team.pods()} == {"shop:3"}


def test_trust_47_a_budget_that_can_allow_no_eviction_is_told_and_never_got_round(team: Team) -> None:
    team.run(replicas=2, disruption={"maxUnavailable": 0})
    counted(team, "currentHealthy", 2)
    before = team.uids()
    assert "disruption budget" in evict(team), "a drain is refused, for as long as it tries"
    told = team.condition("Disruption")
    assert (told["status"], told["reason"]) == ("False", "NoEvictionAllowed")
    assert "spec.disruption.maxUnavailable" in told["message"] and "{maxUnavailable: 1}" in told["message"]
    eventually(lambda: "NoEvictionAllowed" in team.kubectl("get", "events", "--field-selector=type=Warning"))
    team.patch({"template": image("2")})
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    assert not before & team.uids(), "a release needs no eviction"
    team.patch({"disruption": {"maxUnavailable": 1}})
    team.wait("condition=Disruption")
    counted(team, "disruptionsAllowed", 1)
    assert "Success" in evict(team)


def test_trust_48_a_registry_that_is_away_holds_a_release_up_while_the_old_pods_serve(team: Team) -> None:
    team.run(
        replicas=4, rollout={"maxSurge": 1, "maxUnavailable": 0, "progressDeadlineSeconds": 3, "onFailure": "Pause"}
    )
    before = team.uids()
    with team.history() as history:
        team.patch({"template": image("2-away")})
        team.wait("condition=Stalled")
        team.problem("ErrImagePull")  # the deadline may be over before a kubelet has tried
        assert "ErrImagePull" in team.condition("Stalled")["message"], "no such host, it says"
        assert before < team.uids() and len(team.pods()) == 5, "it went no further than the first pod"
        assert team.condition("Available")["status"] == "True"

        def all_pulled() -> bool:
            team.kubectl(
                "label", "pods", "--all", "registry=back", check=False
            )  # one may have gone since they were listed
            return len(team.pods()) == 4 and not before & team.uids()

        eventually(all_pulled)
        team.wait("condition=Ready")
    assert history.fewest_ready >= 4, "nobody was missed at any moment"
    assert team.shop()["status"]["revision"] == 2, "the same release went on by itself"


def evict(team: Team) -> str:
    """What the API server says to the eviction of one of the pods, as a drain asks for it."""
    name = team.pods()[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": team.name}}
    path = f"/api/v1/namespaces/{team.name}/pods/{name}/eviction"
    return team.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)


def counted(team: Team, field: str, count: int) -> None:
    """Wait until the disruption controller says so. It learns of a new kind with a /scale half a minute after its own start,
    and what it could not count before it tries ever more seldom: a budget that is touched is counted at once."""

    def holds() -> bool:
        team.kubectl("annotate", "pdb", "shop", "--overwrite", f"touched={next(_numbers)}")
        return bool(team.get("pdb", "shop")["status"].get(field) == count)

    eventually(holds)
