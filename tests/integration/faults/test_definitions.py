"""Definitions and namespaces that go away under the Apps in them, names that are used again, other versions of us."""

from __future__ import annotations

import json
import time

from fairlead.core.hashing import template_hash
from support import figures
from support.crds import PLURALS, app, install, undefine
from support.operator import Operator
from support.team import Team, image
from support.waiting import eventually


def test_trust_40_the_definition_of_revisions_may_go_and_come_back_and_no_pod_notices(
    crew: Team, steward: Operator
) -> None:
    crew.run(replicas=4)
    crew.patch({"template": image("2")})
    crew.wait("jsonpath={.status.revision}=2")
    crew.wait("condition=Ready")
    before = crew.uids()
    with crew.history() as history:
        undefine(crew.lab, "revisions.fairlead.dev")
        assert crew.uids() == before
        install(crew.lab)
        began = time.monotonic()
        eventually(lambda: len(crew.get("frev")["items"]) == 1, 90)
        crew.patch({"replicas": 5})
        crew.wait("jsonpath={.status.availableReplicas}=5", seconds=90)
        crew.wait("condition=Ready")
        took = time.monotonic() - began
        assert before < crew.uids()
    figures.tell(f"40: work went on {took:.1f} s after the definition of Revisions was back")
    assert not history.lost() and len(history.new()) == 1
    assert steward.healthy()
    assert took < 90


def test_trust_40_pods_outlive_the_definition_of_apps_where_apps_leave_them_behind_first(
    crew: Team, steward: Operator
) -> None:
    """As docs/install.md says: orphan, delete, apply again. Apps without pods of their own are what CRDs take along."""
    crew.run(replicas=3)
    before = crew.uids()
    with crew.history() as history:
        crew.kubectl("delete", "fapp", "--all", "--cascade=orphan")
        eventually(lambda: all(not pod["metadata"].get("ownerReferences") for pod in crew.pods()))
        undefine(crew.lab, "apps.fairlead.dev", "revisions.fairlead.dev")
        eventually(lambda: "cannot list or watch apps" in steward.probe(), 90)
        assert steward.healthy()
        install(crew.lab)
        crew.apply(app("shop", replicas=3))
        began = time.monotonic()
        crew.wait("condition=Ready", seconds=90)
        eventually(lambda: all(pod["metadata"].get("ownerReferences") for pod in crew.pods()))
        took = time.monotonic() - began
        assert crew.uids() == before
    figures.tell(f"40: pods were taken back {took:.1f} s after the definitions and their App were there again")
    assert not history.lost() and not history.new()
    assert took < 90


def test_trust_40_deleted_definitions_take_their_apps_along_and_deadlock_nobody(crew: Team, steward: Operator) -> None:
    crew.run(replicas=3)
    undefine(crew.lab, *(f"{plural}.fairlead.dev" for plural in PLURALS))
    eventually(lambda: crew.kubectl("get", "pods", "-o", "name") == "")
    install(crew.lab)
    began = time.monotonic()
    crew.run(replicas=3)
    took = time.monotonic() - began
    figures.tell(f"40: a new App was ready {took:.1f} s after deleted definitions were applied again")
    assert steward.healthy()
    assert took < 60


def test_trust_41_a_namespace_that_cannot_go_gets_nothing_new(team: Team, operator: Operator) -> None:
    """Somebody's finalizer holds a pod: the namespace ends for long, and its Apps are told to make no more."""
    team.run(replicas=3)
    held = team.pods()[0]["metadata"]["name"]
    hold(team, held, ["example.org/held"])
    created = operator.metric("fairlead_writes_total", kind="Pod", verb="create")
    began = time.monotonic()
    team.lab.kubectl("delete", "namespace", team.name, "--wait=false")
    eventually(lambda: len(team.get("pods")["items"]) == 1)
    team.problem("NamespaceTerminating")
    took = time.monotonic() - began
    refused = operator.metric("fairlead_writes_total", kind="Pod", verb="create") - created
    figures.tell(f"41: that a namespace is ending was told after {took:.1f} s, and {refused:.0f} refused creates")
    assert refused <= 6
    hold(team, held, [])
    team.lab.kubectl("wait", "--for=delete", f"namespace/{team.name}", "--timeout=60s", timeout=70)
    team.lab.kubectl("create", "namespace", team.name)
    team.run(replicas=1)


def hold(team: Team, pod: str, finalizers: list[str]) -> None:
    patch = json.dumps({"metadata": {"finalizers": finalizers}})
    team.kubectl("patch", "pod", pod, "--type=merge", "-p", patch)


def test_trust_42_without_an_operator_an_app_goes_as_it_would_with_one(team: Team, operator: Operator) -> None:
    """It has no finalizer of ours: nothing waits for somebody who is not there any more."""
    team.run(replicas=3, expose={"ports": [{"port": 80}]}, disruption={"maxUnavailable": 1})
    assert "finalizers" not in team.shop()["metadata"]
    operator.stop()
    began = time.monotonic()
    team.kubectl("delete", "fapp", "shop", "--cascade=foreground", "--timeout=60s")
    eventually(lambda: team.kubectl("get", "pods,services,pdb,frev", "-o", "name") == "")
    took = time.monotonic() - began
    figures.tell(f"42: an App and all that it had was gone {took:.1f} s after its deletion, without an operator")
    assert took < 30


class Otherwise(Operator):
    """A version of us that hashes templates otherwise."""

    program = (
        "-c",
        """
import sys
from fairlead.core import meta
from fairlead.rollout import model
ours = model._digest
model._digest = lambda template: meta.stable_hash(b"as of version 2" + ours(template).encode())
from fairlead.main import run_workloads
sys.exit(run_workloads())
""",
    )


def test_trust_52_another_version_of_us_rolls_nothing_and_neither_does_the_way_back(team: Team) -> None:
    with Operator(team.lab, f"{team.name}-old", namespaces=team.name):
        team.run(replicas=4)
    before = team.uids()
    (old,) = team.get("frev")["items"]
    future(team, f"frev/{old['metadata']['name']}")
    future(team, "fapp/shop")
    for pod in team.pods():
        future(team, f"pod/{pod['metadata']['name']}")
    with team.history() as history:
        began = time.monotonic()
        with Otherwise(team.lab, f"{team.name}-new", namespaces=team.name):
            settled(team, 5)
            assert len(team.get("frev")["items"]) == 1, "the same template, whatever its hash"
            took = time.monotonic() - began
            team.patch({"template": image("2")})
            team.wait("jsonpath={.status.revision}=2")
            team.wait("condition=Ready")
            second = team.uids()
            names = {one["metadata"]["name"] for one in team.get("frev")["items"]}
            assert f"shop-{template_hash(image('2'))}" not in names, "it does hash otherwise"
        with Operator(team.lab, f"{team.name}-back", namespaces=team.name):
            settled(team, 6)
            assert len(team.get("frev")["items"]) == 2
            assert second < team.uids()
    figures.tell(f"52: an operator that hashes otherwise took over in {took:.1f} s")
    assert len(history.new()) == 1 + 5 + 1, "scaled, released, scaled"
    assert history.lost() == before
    assert took < 45


def future(team: Team, what: str) -> None:
    """Marks of a version to come."""
    team.kubectl("annotate", what, "fairlead.dev/wave=3", "fairlead.dev/format=9")


def settled(team: Team, replicas: int) -> None:
    """A change of size is carried out: whoever leads now has looked at the App."""
    team.patch({"replicas": replicas})
    team.wait(f"jsonpath={{.status.availableReplicas}}={replicas}")
    team.wait("condition=Ready")
