"""Which pods get traffic during a release, on a real control plane: labels, Services, and the endpoints it makes of them."""

from __future__ import annotations

import json
from collections import Counter

from support.team import JSON, Team, image
from support.waiting import eventually

PORTS = {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
ROLLOUT = {
    "strategy": "BlueGreen",
    "maxUnavailable": 0,
    "blueGreen": {"autoPromote": False, "previewReplicas": 1, "scaleDownDelaySeconds": 600},
}


def endpoints(team: Team, service: str) -> Counter[str]:
    """The images behind a Service, by its ready endpoints."""
    names = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in team.pods()}
    slices = team.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")["items"]
    ready = [e for one in slices for e in one.get("endpoints") or () if e["conditions"].get("ready")]
    return Counter(names.get(endpoint["targetRef"]["name"], "gone") for endpoint in ready)


def annotate(team: Team, *annotations: str) -> None:
    team.kubectl("annotate", "fapp", "shop", "--overwrite", *annotations)


def shown(team: Team) -> None:
    """Release 2, and wait until it is shown and nothing else has happened."""
    team.run(replicas=3, rollout=ROLLOUT, expose=PORTS)
    # Ready says what the pods are. Their endpoints are upstream's, who may look away for seconds where its view was behind.
    eventually(lambda: endpoints(team, "shop") == {"shop:1": 3})
    team.patch({"template": image("2")})
    team.wait("jsonpath={.status.summary}=Preview 1/3: waiting")
    eventually(lambda: endpoints(team, "shop-preview") == {"shop:2": 1})
    assert endpoints(team, "shop") == {"shop:1": 3}


def switched(team: Team) -> set[str]:
    """Promoted: all the traffic has moved, and the old pods are kept. Their uids."""
    shown(team)
    before = {pod["metadata"]["uid"] for pod in team.pods() if pod["spec"]["containers"][0]["image"] == "shop:1"}
    annotate(team, "fairlead.dev/promote=2/2")
    team.wait("jsonpath={.status.summary}=Switched 3/3")
    eventually(lambda: endpoints(team, "shop") == {"shop:2": 3})
    assert before <= team.uids() and len(team.pods()) == 6
    return before


def test_the_preview_has_endpoints_of_its_own_and_the_switch_moves_all_of_the_apps(team: Team) -> None:
    spec = (switched(team), team.shop()["spec"])[1]
    # What nobody waits for is told a moment after the traffic has moved.
    eventually(lambda: "the pods it came from are kept until" in team.condition("Progressing")["message"])
    assert team.condition("Progressing")["reason"] == "StepPaused"
    annotate(team, "fairlead.dev/promote=2/4")
    team.wait("condition=Ready")
    eventually(lambda: len(team.pods()) == 3)
    assert team.shop()["spec"] == spec


def test_an_abort_after_the_switch_goes_back_to_the_very_pods_that_served(team: Team) -> None:
    before = switched(team)
    annotate(team, "fairlead.dev/abort=2")
    eventually(lambda: endpoints(team, "shop") == {"shop:1": 3})
    team.wait("condition=RolledBack")
    eventually(lambda: team.uids() == before)
    eventually(lambda: endpoints(team, "shop-preview") == {"shop:1": 3})


def test_a_label_that_somebody_changes_is_put_right_while_both_revisions_are_there(team: Team) -> None:
    shown(team)
    preview = next(pod for pod in team.pods() if pod["spec"]["containers"][0]["image"] == "shop:2")
    team.kubectl("label", "pod", preview["metadata"]["name"], "--overwrite", "fairlead.dev/serving=true")
    eventually(lambda: serving(team) == Counter({("shop:1", "true"): 3, ("shop:2", "false"): 1}))


def serving(team: Team) -> Counter[tuple[str, str]]:
    def says(pod: JSON) -> tuple[str, str]:
        return pod["spec"]["containers"][0]["image"], pod["metadata"]["labels"]["fairlead.dev/serving"]

    return Counter(map(says, team.pods()))


def test_a_service_that_is_somebody_elses_is_not_taken_for_the_preview(team: Team) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop-preview"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "other"}},
    }
    team.kubectl("apply", "-f", "-", stdin=json.dumps(theirs))
    made = team.get("service", "shop-preview")
    team.apply({"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "metadata": {"name": "shop"}, "spec": taken()})
    team.wait("jsonpath={.status.availableReplicas}=3")
    eventually(lambda: team.condition("PreviewExposed")["reason"] == "NotOwned")
    assert "spec.rollout.blueGreen.previewService" in team.condition("Stalled")["message"]
    assert team.get("service", "shop-preview")["metadata"]["uid"] == made["metadata"]["uid"]
    assert team.get("service", "shop-preview")["spec"]["selector"] == {"app": "other"}
    team.patch({"rollout": {"blueGreen": {"previewService": "shop-next"}}})
    team.wait("condition=Ready")
    eventually(lambda: endpoints(team, "shop-next") == {"shop:1": 3})


def taken() -> JSON:
    return {"replicas": 3, "template": image("1"), "rollout": ROLLOUT, "expose": PORTS}


def test_pods_of_a_canary_beyond_its_weight_get_no_traffic(team: Team) -> None:
    steps = [{"scale": {"replicas": 2}}, {"weight": 25}, {"pause": {}}]
    rollout = {"strategy": "Canary", "maxSurge": 2, "maxUnavailable": 0, "steps": steps}
    team.run(replicas=4, rollout=rollout, expose=PORTS)
    team.patch({"template": image("2")})
    eventually(lambda: "heldAt" in team.shop()["status"]["rollout"])
    eventually(lambda: endpoints(team, "shop") == {"shop:1": 3, "shop:2": 1})
    assert serving(team) == {("shop:1", "true"): 3, ("shop:2", "true"): 1, ("shop:2", "false"): 1}
    assert team.shop()["status"]["rollout"]["share"] == 25
    annotate(team, "fairlead.dev/promote=2")
    team.wait("condition=Ready")
    eventually(lambda: endpoints(team, "shop") == {"shop:2": 4})
