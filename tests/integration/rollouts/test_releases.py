"""Releases by steps, and releases that take themselves back, on a real control plane; KWOK answers for kubelets."""

from __future__ import annotations

from collections import Counter

import pytest

from support.crds import app, refusal
from support.team import JSON, Team, image
from support.waiting import eventually

HUGE = {"requests": {"cpu": "10k"}}
STEPS = [{"weight": 25}, {"pause": {}}, {"weight": 50}, {"pause": {"seconds": 2}}]
CANARY = {"strategy": "Canary", "maxSurge": 1, "maxUnavailable": 0, "steps": STEPS}


def huge(tag: str) -> JSON:
    """A template whose pods fit on no node."""
    made = image(tag)
    made["spec"]["containers"][0]["resources"] = HUGE
    return made


def versions(team: Team, name: str = "shop") -> Counter[str]:
    return Counter(pod["spec"]["containers"][0]["image"] for pod in team.pods(f"fairlead.dev/app={name}"))


def annotate(team: Team, *annotations: str) -> None:
    team.kubectl("annotate", "fapp", "shop", "--overwrite", *annotations)


def at_the_pause(team: Team) -> None:
    team.wait("jsonpath={.status.rollout.step}=1")
    eventually(lambda: versions(team) == {"shop:1": 3, "shop:2": 1})


def past_its_deadline(team: Team) -> None:
    """Once the scheduler has said what is wrong: a deadline of seconds from the start may be over before."""
    team.problem("Unschedulable")
    team.patch({"rollout": {"progressDeadlineSeconds": 3}})
    team.wait("condition=RolledBack")


def test_a_canary_waits_at_its_step_until_it_is_promoted_and_then_takes_all_pods(team: Team) -> None:
    team.run(replicas=4, rollout=CANARY)
    spec = team.shop()["spec"]
    team.patch({"template": image("2")})
    at_the_pause(team)
    # What nobody waits for is told a moment after the pods are so.
    eventually(lambda: team.condition("Progressing")["reason"] == "StepPaused")
    eventually(lambda: team.shop()["status"]["rollout"]["share"] == 25)
    annotate(team, "fairlead.dev/promote=2/2")
    team.wait("condition=Ready")
    assert versions(team) == {"shop:2": 4}
    assert team.shop()["spec"] == spec | {"template": team.shop()["spec"]["template"]}


def test_a_canary_that_is_aborted_gives_all_pods_back_and_leaves_the_spec_alone(team: Team) -> None:
    team.run(replicas=4, rollout=CANARY)
    before = {pod["metadata"]["uid"] for pod in team.pods()}
    team.patch({"template": image("2")})
    at_the_pause(team)
    spec = team.shop()["spec"]
    annotate(team, "fairlead.dev/abort=2")
    team.wait("condition=RolledBack")
    eventually(lambda: versions(team) == {"shop:1": 4})
    assert team.shop()["spec"] == spec
    assert len(before & {pod["metadata"]["uid"] for pod in team.pods()}) == 3, "what ran went on"
    assert team.condition("Stalled")["reason"] == "RolledBack"


def test_a_release_past_its_deadline_takes_itself_back_and_a_mended_one_goes_through(team: Team) -> None:
    team.run(replicas=3, rollout={"maxUnavailable": 0})
    before = {pod["metadata"]["uid"] for pod in team.pods()}
    team.patch({"template": huge("2")})
    past_its_deadline(team)
    rejected = team.shop()["status"]["rejected"]
    assert (rejected["number"], rejected["reason"]) == (2, "ProgressDeadlineExceeded")
    assert "Unschedulable" in rejected["message"]
    eventually(lambda: {pod["metadata"]["uid"] for pod in team.pods()} == before)
    assert team.condition("Available")["status"] == "True"
    team.patch({"template": image("3"), "rollout": {"progressDeadlineSeconds": 60}})
    team.wait("condition=Ready")
    assert versions(team) == {"shop:3": 3}
    assert "rejected" not in team.shop()["status"]


def test_a_retry_tries_the_same_template_once_more(team: Team) -> None:
    team.run(replicas=2)
    team.patch({"template": huge("2"), "rollout": {"progressDeadlineSeconds": 3}})
    team.wait("condition=RolledBack")
    annotate(team, "fairlead.dev/retry=again")
    eventually(lambda: team.shop()["status"].get("rejected", {}).get("number") == 4)
    assert team.condition("RolledBack")["reason"] == "ReleaseFailed"


def test_trust_20_apps_that_wait_in_a_circle_are_told_which_and_go_on_when_it_is_opened(team: Team) -> None:
    team.apply(app("cart", replicas=1, after=["shop"]))
    team.apply(app("shop", replicas=1, after=["cart"]))
    for name in ("cart", "shop"):
        team.wait("jsonpath={.status.conditions[?(@.type=='Accepted')].reason}=DependencyCycle", f"fapp/{name}")
    assert "shop waits for cart, cart waits for shop" in team.condition("Accepted")["message"]
    assert not team.get("pods")["items"]
    team.patch({"after": None}, "cart")
    team.wait("condition=Ready")
    cart, shop = team.get("fapp", "cart"), team.shop()
    assert ready_since(cart) <= ready_since(shop), "in order"


def test_apps_of_a_group_go_back_together_and_out_again_when_the_one_that_failed_is_mended(team: Team) -> None:
    group = {"releaseGroup": "all", "maxUnavailable": 0}
    team.apply(app("cart", replicas=1, rollout=group))
    team.apply(app("shop", replicas=1, rollout=group, after=["cart"]))
    for name in ("cart", "shop"):
        team.wait("condition=Ready", f"fapp/{name}")
    team.patch({"template": image("2")}, "cart")
    team.patch({"template": huge("2")})
    past_its_deadline(team)
    specs = [one["spec"] for one in team.get("fapp")["items"]]
    team.wait("condition=RolledBack", "fapp/cart")
    rejected = team.get("fapp", "cart")["status"]["rejected"]
    assert (rejected["member"], rejected["reason"]) == ("shop", "GroupMemberFailed")
    assert "revision 2 of shop" in rejected["message"] and "Unschedulable" in rejected["message"]
    eventually(lambda: versions(team) == versions(team, "cart") == {"shop:1": 1})
    assert [one["spec"] for one in team.get("fapp")["items"]] == specs
    team.patch({"template": image("3"), "rollout": {"progressDeadlineSeconds": 60}})
    eventually(lambda: versions(team) == {"shop:3": 1} and versions(team, "cart") == {"shop:2": 1})
    for name in ("cart", "shop"):
        team.wait("condition=Ready", f"fapp/{name}")


@pytest.mark.parametrize("name", ["Shop", "-shop", "the shop", ""])
def test_a_release_group_that_is_no_name_is_refused(team: Team, name: str) -> None:
    assert "rollout.releaseGroup must be a name of lower case letters" in refusal(
        team.lab, app(rollout={"releaseGroup": name})
    )


def ready_since(shown: JSON) -> str:
    since: str = next(c["lastTransitionTime"] for c in shown["status"]["conditions"] if c["type"] == "Ready")
    return since


def test_an_app_that_is_released_after_itself_is_refused(team: Team) -> None:
    assert "would wait for itself for ever" in refusal(team.lab, app(after=["shop"]))
