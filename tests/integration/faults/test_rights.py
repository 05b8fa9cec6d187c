"""Rights that are taken away in the middle of the work, and given back."""

from __future__ import annotations

import json
import time

from support import account, figures
from support.crds import app
from support.operator import Operator
from support.team import JSON, Team, image
from support.waiting import eventually


def test_trust_38_a_right_that_is_taken_away_is_named_and_what_runs_goes_on(team: Team, operator: Operator) -> None:
    team.run(replicas=4, expose={"ports": [{"port": 80}]})
    before = team.uids()
    role = team.lab.get("clusterrole", "fairlead-workloads")
    with team.history() as history:
        change(team, without(role, "create", "pods"))
        team.patch({"template": image("2"), "replicas": 5})
        team.wait("condition=ReplicaFailure")
        said = team.condition("ReplicaFailure")["message"]
        assert account.USER in said and "cannot create resource" in said and '"pods"' in said, said
        team.problem("CreateForbidden")
        assert team.condition("Available")["status"] == "True"
        assert team.uids() == before, "nothing of the old goes while nothing new may come"
        # Other kinds go on: the Service follows its spec, another App gets its Revision and Service.
        team.patch({"expose": {"ports": [{"port": 81}]}})
        eventually(lambda: team.get("service", "shop")["spec"]["ports"][0]["port"] == 81)
        team.apply(app("side", replicas=0, expose={"ports": [{"port": 80}]}))
        team.wait("condition=Ready", "fapp/side")
        change(team, role)
        began = time.monotonic()
        team.wait("jsonpath={.status.updatedReplicas}=5", seconds=120)
        team.wait("condition=Ready")
        took = time.monotonic() - began
    figures.tell(f"38: a roll was at its end {took:.1f} s after the right to create pods was given back")
    assert len(history.new()) == 5 and history.fewest_ready >= 3
    assert not team.shop()["status"].get("problems")
    assert took < 90


def test_trust_38_the_right_to_see_pods_that_is_taken_away_leads_to_no_guess(team: Team, operator: Operator) -> None:
    """A watch that may not be opened any more: what is known stays known, and nothing is made a second time."""
    team.run(replicas=4)
    role = team.lab.get("clusterrole", "fairlead-workloads")
    victim = team.pods()[0]["metadata"]
    with team.history() as history:
        change(team, without(role, "list", "pods"))
        change(team, without(without(role, "list", "pods"), "watch", "pods"))
        operator.kill()  # streams that are open are not ended by the authorizer
        operator.spawn()
        eventually(operator.healthy)
        team.kubectl("delete", "pod", victim["name"], "--grace-period=0", "--force")
        eventually(lambda: "cannot list or watch pods" in operator.probe())
        assert not operator.ready()
        change(team, role)
        began = time.monotonic()
        eventually(operator.ready)
        eventually(lambda: len(team.pods()) == 4)
        took = time.monotonic() - began
    figures.tell(f"38: a lost pod was replaced {took:.1f} s after pods may be seen again")
    assert len(history.new()) == 1 and history.lost() == {victim["uid"]}
    assert took < 60


def without(role: JSON, verb: str, resource: str) -> JSON:
    """The role less that verb on that resource."""
    rules = []
    for rule in role["rules"]:
        if resource not in rule.get("resources", ()):
            rules.append(rule)
            continue
        others = [other for other in rule["resources"] if other != resource]
        if others:
            rules.append({**rule, "resources": others})
        rules.append({**rule, "resources": [resource], "verbs": [one for one in rule["verbs"] if one != verb]})
    return {**role, "rules": [rule for rule in rules if rule["verbs"]]}


def change(team: Team, role: JSON) -> None:
    patch = json.dumps({"rules": role["rules"]})
    team.lab.kubectl("patch", "clusterrole", role["metadata"]["name"], "--type=merge", "-p", patch)
