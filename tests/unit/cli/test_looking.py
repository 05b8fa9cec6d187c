"""`fairlead history`, `tree` and `why`, each over a real connection."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS, BUDGETS, EVENTS, NODES, PODS, REVISIONS, SERVICES, Resource
from unit.cli import objects
from unit.cli.conftest import Cli, Shop
from unit.cli.served import SLICES

WAITING = {
    "containerStatuses": [
        {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    ],
    "phase": "Pending",
}
CRASHED = {
    "containerStatuses": [
        {
            "name": "web",
            "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
        }
    ]
}


# ---------------------------------------------------------------- history


def test_history_lists_what_ran_who_wrote_it_and_why_oldest_first(rolling: Shop, cli: Cli) -> None:
    result = cli("history", "shop")
    assert result.lines[0].split() == ["REVISION", "STATE", "PODS", "AGE", "BY", "IMAGES", "CAUSE"]
    first, second = (line.split() for line in result.lines[1:])
    assert first[:3] == ["1", "stable", "3/3"]
    assert second[:4] == ["▸", "2", "active", "0/1"]
    assert result.lines[1].endswith("kubectl-client-side-apply   shop:1   release 1")


def test_history_for_programs_has_images_in_full(rolling: Shop, cli: Cli) -> None:
    entries = json.loads(cli("history", "shop", "-o", "json").out)
    assert [entry["images"] for entry in entries] == [["registry.example/shop:1"], ["registry.example/shop:2"]]
    assert cli("history", "shop", "-o", "name").out.splitlines()[0] == "revision.fairlead.dev/shop-v1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["history", "shop", "--diff", "2"],
        ["history", "shop", "--diff", "1", "2"],
        ["history", "--diff", "1", "2", "shop"],
        ["history", "shop", "--diff=1..2"],
        ["history", "shop", "2", "--diff", "1"],
    ],
    ids=" ".join,
)
def test_diff_shows_what_a_revision_changed(rolling: Shop, cli: Cli, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert result.code == 0
    assert result.lines[:2] == [
        "--- revision 1 (shop-v1, by kubectl-client-side-apply: release 1)",
        "+++ revision 2 (shop-v2, by kubectl-client-side-apply: release 2)",
    ]
    assert "-  - image: registry.example/shop:1" in result.lines
    assert "+  - image: registry.example/shop:2" in result.lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--diff", "1"], "revision 1 is the oldest that is kept: name a second one to compare it with"),
        (["--diff", "9"], "there is no revision 9; kept are 1 (shop:1), 2 (shop:2)"),
        (["--diff", "x"], "--diff takes one or two revision numbers"),
        (["--diff", "1", "2", "3"], "give one NAME"),
        (["other", "--diff", "1"], "give one NAME"),
    ],
)
def test_a_diff_that_cannot_be_meant_is_refused(rolling: Shop, cli: Cli, arguments: list[str], words: str) -> None:
    result = cli("history", "shop", *arguments)
    assert result.code == 1 and words in result.err


def test_equal_templates_have_no_diff(shop: Shop, cli: Cli) -> None:
    shop.server.add(*_equal(shop.uid))
    result = cli("history", "shop", "--diff", "1", "2")
    assert (result.code, result.out) == (0, "")
    assert result.err == "revisions 1 and 2 have the same template and configuration\n"


def _equal(uid: str) -> tuple[Resource, JSON]:
    return REVISIONS, objects.revision(2, "v2", uid=uid, image="registry.example/shop:1")


def test_an_app_without_revisions_says_so(shop: Shop, cli: Cli) -> None:
    shop.server.add(APPS, objects.app("new"))
    assert cli("history", "new").err == "App new has no revision yet; see: fairlead why new\n"


# ---------------------------------------------------------------- tree


@pytest.fixture
def exposed(rolling: Shop) -> Shop:
    """With pods, a Service with two endpoints in both families, and a budget."""
    for name in ("aaaaa", "bbbbb", "ccccc"):
        rolling.pod(f"shop-v1-{name}", "v1")
    rolling.pod("shop-v2-ddddd", "v2", ready=False, **WAITING)
    server = rolling.server
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    server.change(APPS, "shop", lambda o: o["spec"].update(expose={"ports": ports}, disruption={"maxUnavailable": 1}))
    server.add(SERVICES, {"metadata": {"name": "shop"}, "spec": {"ports": ports, "selector": {"a": "b"}}})
    for family in ("IPv4", "IPv6"):
        endpoints = [{"targetRef": {"uid": uid}, "conditions": {"ready": True}} for uid in ("1", "2")]
        endpoints.append({"targetRef": {"uid": "3"}, "conditions": {"ready": False}})
        labels = {"kubernetes.io/service-name": "shop"}
        server.add(SLICES, {"metadata": {"name": f"shop-{family.lower()}", "labels": labels}, "endpoints": endpoints})
    budget = {"metadata": {"name": "shop"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
    server.add(BUDGETS, budget | {"status": {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2}})
    return rolling


def test_the_tree_shows_everything_that_hangs_on_an_app(exposed: Shop, cli: Cli) -> None:
    result = cli("tree", "shop")
    names = [re.split(r"(?<=\w)  ", line)[0].rstrip() for line in result.lines]
    assert names == [
        "App/shop",
        "├─ Revision/shop-v2",
        "│  └─ Pod/shop-v2-ddddd",
        "├─ Revision/shop-v1",
        "│  ├─ Pod/shop-v1-aaaaa",
        "│  ├─ Pod/shop-v1-bbbbb",
        "│  └─ Pod/shop-v1-ccccc",
        "├─ Service/shop",
        "└─ PodDisruptionBudget/shop",
    ]
    assert "✗ ImagePullBackOff" in result.lines[2] and "not found" in result.lines[2]
    assert "✓ Ready" in result.lines[4] and "node-1" in result.lines[4]
    assert "✓ 2 endpoints" in result.lines[7] and "80→http" in result.lines[7]
    assert "✓ 1 may be evicted" in result.lines[8] and "3 healthy of 2 needed" in result.lines[8]


def test_the_tree_is_nested_for_programs(exposed: Shop, cli: Cli) -> None:
    root = yaml.safe_load(cli("tree", "shop", "-o", "yaml").out)
    assert [child["kind"] for child in root["children"]] == ["Revision", "Revision", "Service", "PodDisruptionBudget"]


def test_trust_72_of_many_pods_the_tree_shows_those_that_matter_and_counts_the_rest(rolling: Shop, cli: Cli) -> None:
    for index in range(40):
        rolling.pod(f"shop-v1-{index:05}", "v1")
    rolling.pod("shop-v1-zzzzz", "v1", ready=False, **WAITING)
    result = cli("tree", "shop")
    first = next(index for index, line in enumerate(result.lines) if "Revision/shop-v1" in line)
    assert "Pod/shop-v1-zzzzz" in result.lines[first + 1], "what is not well comes first"
    assert "Pods/21 more" in result.out and "21 ready" in result.out
    assert len(cli("tree", "shop", "--all-pods").lines) == len(result.lines) + 20


def test_what_is_missing_is_said_and_what_may_not_be_read_is_not_called_missing(exposed: Shop, cli: Cli) -> None:
    exposed.server.delete(SERVICES, "shop")
    exposed.server.forbid("get", "poddisruptionbudgets")
    exposed.server.forbid("list", "pods")
    result = cli("tree", "shop")
    assert result.code == 0
    assert "✗ missing" in next(line for line in result.lines if "Service/shop" in line)
    assert "not readable with your permissions" in next(line for line in result.lines if "Budget/shop" in line)
    assert result.err == "not shown, as you may not read them: Pods, PodDisruptionBudget\n"


# ---------------------------------------------------------------- why


def test_why_tells_of_an_image_that_is_not_there_and_what_to_do(rolling: Shop, cli: Cli) -> None:
    rolling.status(objects.stuck())
    rolling.pod("shop-v2-aaaaa", "v2", ready=False, **WAITING)
    result = cli("why", "shop")
    assert result.code == 0
    assert result.lines[0] == "✗ shop is stuck: revision 2 does not get further, 0 of its 3 pods are ready."
    assert "  Meanwhile 3 of revision 1 are ready and kept." in result.lines
    assert "✗ ImagePullBackOff: a node cannot get the image" in result.lines
    assert "such as shop-v2-aaaaa, container web" in result.out
    assert '“Back-off pulling image "shop:2"”' in result.out
    assert "fairlead undo shop                   go back to revision 1 (shop:1)" in result.out
    assert "kubectl describe pod shop-v2-aaaaa" in result.out


def test_why_reads_the_last_words_of_a_process_that_ended(rolling: Shop, cli: Cli) -> None:
    rolling.pod("shop-v2-aaaaa", "v2", ready=False, **CRASHED)
    rolling.server.logs["shop-v2-aaaaa", "web", True] = "starting\ncannot open /etc/shop: no such file\n"
    result = cli("why", "shop")
    assert "✗ CrashLoopBackOff: the process starts and ends again" in result.out
    assert "“exit code 3 (Error)”" in result.out
    assert "    cannot open /etc/shop: no such file" in result.lines
    assert "kubectl logs shop-v2-aaaaa -c web --previous" in result.out


def test_why_reads_the_events_of_a_pod_whose_probe_fails(rolling: Shop, cli: Cli) -> None:
    rolling.pod("shop-v2-aaaaa", "v2", ready=False)
    rolling.server.add(NODES, node("True"), namespace="")
    uid = rolling.server.get(*_pod("shop-v2-aaaaa"))["metadata"]["uid"]
    event = {
        "metadata": {"name": "a.1"},
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "Readiness probe failed: HTTP 503",
        "count": 7,
        "lastTimestamp": timestamp(0),
        "involvedObject": {"kind": "Pod", "name": "shop-v2-aaaaa", "uid": uid},
    }
    rolling.server.add(EVENTS, event)
    rolling.server.add(EVENTS, event | {"metadata": {"name": "b.1"}, "involvedObject": {"kind": "Pod", "uid": "other"}})
    result = cli("why", "shop")
    assert "✗ NotReady: the process runs and its readiness probe has not succeeded yet" in result.lines
    assert "“Readiness probe failed: HTTP 503”" in result.out
    assert result.out.count("(x7)") == 1


def _pod(name: str) -> tuple[Resource, str]:
    return PODS, name


def node(ready: str) -> JSON:
    return {"metadata": {"name": "node-1"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize(("ready", "reason"), [("Unknown", "NodeNotReady"), ("True", "NotReady")])
def test_why_looks_at_the_nodes_of_pods_that_are_not_ready(rolling: Shop, cli: Cli, ready: str, reason: str) -> None:
    rolling.pod("shop-v2-aaaaa", "v2", ready=False)
    rolling.server.add(NODES, node(ready), namespace="")
    assert f"✗ {reason}: " in cli("why", "shop").out


def test_why_does_without_nodes_where_they_may_not_be_read(rolling: Shop, cli: Cli) -> None:
    rolling.pod("shop-v2-aaaaa", "v2", ready=False)
    rolling.server.forbid("get", "nodes")
    assert "✗ NotReady: " in cli("why", "shop").out


def test_why_of_an_app_that_is_well_is_one_sentence(shop: Shop, cli: Cli) -> None:
    assert cli("why", "shop").out == "✓ shop is done: revision 1 runs with 3 of 3 pods ready. Nothing is awaited.\n"


def test_why_says_when_no_operator_looks(shop: Shop, cli: Cli) -> None:
    shop.server.clock_ahead = 100.0
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(replicas=5))
    shop.server.clock_ahead = 200.0
    result = cli("why", "shop")
    assert result.lines[0] == "● shop has been changed and the operator has not looked at it yet."
    assert "Is the operator running? kubectl get pods -A -l app.kubernetes.io/name=fairlead" in result.out


def test_why_goes_on_with_what_may_be_read(rolling: Shop, cli: Cli) -> None:
    rolling.status(objects.stuck())
    for verb, plural in (("list", "pods"), ("list", "events"), ("list", "revisions")):
        rolling.server.forbid(verb, plural)
    result = cli("why", "shop")
    assert result.code == 0
    assert "Its pods cannot be read with your permissions" in result.out
    assert "✗ ImagePullBackOff: a node cannot get the image" in result.out


def test_why_recommends_commands_as_the_user_calls_them_and_where_they_are(rolling: Shop, cli: Cli) -> None:
    rolling.status(objects.stuck())
    result = cli("why", "shop", "-n", "default", name="kubectl fairlead")
    assert "kubectl fairlead undo shop -n default" in result.out


def test_why_for_programs_has_causes_and_steps(rolling: Shop, cli: Cli) -> None:
    rolling.status(objects.stuck())
    told = json.loads(cli("why", "shop", "-o", "json").out)
    assert [cause["reason"] for cause in told["causes"]] == ["ImagePullBackOff"]
    assert told["steps"][-2]["command"] == "fairlead undo shop"
