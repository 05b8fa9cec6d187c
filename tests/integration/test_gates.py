"""Releases that are judged by gates, on a real control plane: what the API server takes and refuses, and what a real server
on a socket answers. KWOK answers for kubelets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from support.backend import Backend
from support.crds import install
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.team import JSON, Team, image
from support.waiting import eventually

TOKEN = "t0ken-of-the-operators-own"
STEPS = [{"weight": 25}, {"gate": "errors"}, {"weight": 50}]
CANARY = {"strategy": "Canary", "maxSurge": 1, "maxUnavailable": 0, "steps": STEPS}
QUERY: JSON = {
    "query": 'errors{app="$(app)",revision="$(revision)"}',
    "success": {"max": 0.01},
    "failure": {"min": 0.05},
    "timeoutSeconds": 60,  # whoever answers waits for the machine too
}
ERRORS: JSON = {"intervalSeconds": 1, "count": 2, "errorLimit": 1, "checks": [{"pods": {}}, {"prometheus": QUERY}]}


@pytest.fixture(scope="module")
def plane(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    token = tmp_path_factory.mktemp("credentials") / "value"
    token.write_text(TOKEN)
    asking = {"gate_prometheus": backend.address, "gate_credentials": f"{backend.address}={token}"}
    with whole_lab("gates") as lab:
        install(lab)
        with Operator(lab, gate_allow="127.0.0.0/8", **asking):
            yield lab


@pytest.fixture(autouse=True)
def _well(backend: Backend) -> None:
    backend.value = "0"
    backend.asked.clear()
    backend.told.clear()


def gate(team: Team, **spec: object) -> None:
    team.apply(
        {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Gate", "metadata": {"name": "errors"}, "spec": ERRORS | spec}
    )


def runs(team: Team) -> list[JSON]:
    active = team.shop()["status"]["activeRevision"]
    found: list[JSON] = team.get("frev", active)["status"].get("gates", [])
    return found


def test_a_canary_is_measured_and_goes_on_and_its_revision_keeps_what_was_measured(
    team: Team, backend: Backend
) -> None:
    gate(team)
    team.run(replicas=4, rollout=CANARY)
    team.patch({"template": image("2")})
    eventually(lambda: team.shop()["status"]["updatedReplicas"] == 4)
    team.wait("condition=Ready")
    (run,) = runs(team)

    assert (run["name"], run["moment"], run["phase"], run["taken"]) == ("errors", "Step2", "Passed", 2)
    assert run["measurements"][-1]["value"] == "1/1 ready, 0"
    assert len(backend.asked) == 2
    assert backend.told == [f"Bearer {TOKEN}"] * 2 and TOKEN not in json.dumps(team.get("fapp,frev,events"))
    revision = team.shop()["status"]["activeRevision"].rpartition("-")[2]
    assert f"revision%3D%22{revision}%22" in backend.asked[0]


def test_a_canary_whose_gate_fails_takes_itself_back_and_says_what_was_measured(team: Team, backend: Backend) -> None:
    gate(team)
    team.run(replicas=4, rollout=CANARY)
    before = team.uids()
    backend.value = "0.31"
    team.patch({"template": image("2")})
    spec = team.shop()["spec"]
    team.wait("condition=RolledBack")
    eventually(lambda: len(team.pods()) == 4 and len(before & team.uids()) >= 3)

    assert "gate errors failed: 0.31 is at least 0.05" in team.condition("RolledBack")["message"]
    assert team.shop()["status"]["rejected"]["reason"] == "GateFailed"
    assert team.shop()["spec"] == spec


def test_trust_49_a_backend_that_comes_and_goes_holds_the_release_and_fails_nothing(
    team: Team, backend: Backend
) -> None:
    gate(team)
    team.run(replicas=4, rollout=CANARY)
    backend.value = None
    team.patch({"template": image("2")})
    eventually(lambda: team.condition("Progressing")["reason"] == "GateError")
    held = team.condition("Progressing")

    assert "it goes on when it can be" in held["message"]
    assert len(team.pods()) == 4
    backend.value = "0"
    eventually(lambda: team.shop()["status"]["updatedReplicas"] == 4)
    team.wait("condition=Ready")


def test_a_person_approves_a_roll_before_the_rest_of_its_pods_follow(team: Team) -> None:
    ask = [{"name": "sign-off", "when": "BeforePromotion", "checks": [{"approval": {}}]}]
    team.run(replicas=3, rollout={"maxSurge": 1, "maxUnavailable": 0, "gates": ask})
    team.patch({"template": image("2")})
    eventually(lambda: [g["phase"] for g in team.shop()["status"].get("gates", ())] == ["Waiting"])
    team.kubectl("annotate", "fapp", "shop", "fairlead.dev/approve=2/sign-off")
    eventually(lambda: team.shop()["status"]["updatedReplicas"] == 3)
    team.wait("condition=Ready")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("api-server", "is the API server, which gates never ask"),
        ("http://169.254.169.254/latest", "not a host gates may ask"),
    ],
)
def test_trust_16_a_url_that_leads_to_the_cluster_or_the_cloud_is_refused(team: Team, url: str, words: str) -> None:
    if url == "api-server":
        url = team.lab.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    gate(team, checks=[{"http": {"url": url}}], errorLimit=0)
    team.run(replicas=2, rollout=CANARY)
    team.patch({"template": image("2")})
    eventually(lambda: team.condition("Progressing")["reason"] == "GateError")

    assert words in team.condition("Progressing")["message"]


REFUSED: dict[str, tuple[JSON, str]] = {
    "no checks": ({"checks": []}, "spec.checks"),
    "two kinds in one check": ({"checks": [{"pods": {}, "approval": {}}]}, "exactly one of pods, http, prometheus"),
    "a check of no kind": ({"checks": [{}]}, "exactly one of pods, http, prometheus"),
    "a query without a condition": ({"checks": [{"prometheus": {"query": "up"}}]}, "needs success, failure or both"),
    "a condition without bounds": (
        {"checks": [{"prometheus": {"query": "up", "success": {}}}]},
        "at least one of min, max and equals",
    ),
    "a URL beside a path": (
        {"checks": [{"http": {"url": "http://a/", "path": "/b"}}]},
        "http.url stands for the whole",
    ),
    "another scheme": ({"checks": [{"http": {"url": "file:///etc/passwd"}}]}, "must begin with http:// or https://"),
    "a user in the URL": ({"checks": [{"http": {"url": "http://me:secret@a/"}}]}, "without a user name"),
    "a port out of range": ({"checks": [{"http": {"port": 70000}}]}, "http.port must be a number from 1 to 65535"),
    "a path without a slash": ({"checks": [{"http": {"path": "x"}}]}, 'http.path must begin with "/"'),
    "a clock with 25 hours": ({"checks": [{"window": {"start": "25:00"}}]}, "window.start must be a time"),
    "a zone that is a path": ({"checks": [{"window": {"timeZone": "../etc"}}]}, "window.timeZone must be a name"),
    "an interval of nothing": ({"intervalSeconds": 0, "checks": [{"pods": {}}]}, "spec.intervalSeconds"),
    "a run of two sources": (
        {"checks": [{"run": {"envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]}}]},
        "exactly one of configMapRef and secretRef",
    ),
    "a run as root": ({"checks": [{"run": {"runAsUser": 0}}]}, "runAsUser"),
    "trust 17: a run of a day": ({"checks": [{"run": {"timeoutSeconds": 86400}}]}, "timeoutSeconds"),
    "a run with odd bounds": (
        {"checks": [{"run": {"resources": {"limits": {"memory": "much"}}}}]},
        "resources.limits.memory",
    ),
    "trust 17: a time limit of an hour": ({"checks": [{"http": {"timeoutSeconds": 3600}}]}, "timeoutSeconds"),
}


def refusal(lab: Lab, body: JSON) -> str:
    result = subprocess.run(
        ["kubectl", "--kubeconfig", str(lab.kubeconfig), "apply", "--dry-run=server", "-f", "-"],
        input=json.dumps(body),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode, result.stdout
    return result.stderr


@pytest.mark.parametrize("case", REFUSED)
def test_a_gate_that_cannot_be_meant_is_refused_with_its_field_and_the_way_out(plane: Lab, case: str) -> None:
    spec, words = REFUSED[case]
    body = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Gate", "metadata": {"name": "g"}, "spec": spec}

    assert words in refusal(plane, body)


@pytest.mark.parametrize("condition", ["success", "failure"])
def test_trust_15_bounds_that_no_value_is_within_are_refused(plane: Lab, condition: str) -> None:
    spec = {"checks": [{"prometheus": {"query": "up", condition: {"min": 2, "max": 1}}}]}
    body = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Gate", "metadata": {"name": "g"}, "spec": spec}

    assert "min must not be greater than max: no value could ever be within" in refusal(plane, body)


ROLLOUTS: dict[str, tuple[JSON, str]] = {
    "a gate and checks": (
        {"gates": [{"name": "a", "gate": "g", "checks": [{"pods": {}}], "when": "Background"}]},
        "either gate",
    ),
    "neither": ({"gates": [{"name": "a", "when": "Background"}]}, "either gate"),
    "thresholds beside a reference": (
        {"gates": [{"name": "a", "gate": "g", "when": "Background", "count": 3}]},
        "set them in the Gate",
    ),
    "a gate that is never judged": ({"gates": [{"name": "a", "gate": "g"}]}, "when is needed where no step names"),
    "before the promotion of Recreate": (
        {"strategy": "Recreate", "gates": [{"name": "a", "gate": "g", "when": "BeforePromotion"}]},
        "means nothing for the strategy Recreate",
    ),
    "a step that is two": ({"strategy": "Canary", "steps": [{"weight": 10, "gate": "g"}]}, "exactly one of weight"),
}


@pytest.mark.parametrize("case", ROLLOUTS)
def test_an_app_whose_gates_cannot_be_meant_is_refused(plane: Lab, case: str) -> None:
    rollout, words = ROLLOUTS[case]
    body = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "shop"},
        "spec": {"template": image("1"), "rollout": rollout},
    }

    assert words in refusal(plane, body)


# ---------------------------------------------------------------- a program that judges

RESTRICTED: JSON = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SMOKE: JSON = {
    "count": 1,
    "errorLimit": 0,
    "checks": [{"run": {"command": ["smoke"], "timeoutSeconds": 600}}],
}


def restricted(tag: str) -> JSON:
    template = image(tag)
    template["spec"]["containers"][0]["securityContext"] = RESTRICTED
    return template


def judging(team: Team) -> list[JSON]:
    return team.pods("fairlead.dev/judges=shop")


def end(team: Team, code: int, message: str) -> None:
    """What a kubelet tells when the program has ended."""
    eventually(lambda: [pod["status"]["phase"] for pod in judging(team)] == ["Running"])
    (pod,) = judging(team)
    ended = {
        "exitCode": code,
        "message": message,
        "startedAt": None,
        "finishedAt": pod["metadata"]["creationTimestamp"],
    }
    status = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            {
                "name": "check",
                "image": "shop:2",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": ended},
            }
        ],
    }
    patch = json.dumps({"status": status})
    team.kubectl("patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p", patch)


def test_a_program_judges_a_release_in_a_restricted_namespace_when_the_quota_lets_it(team: Team) -> None:
    team.restrict()
    gate(team, **SMOKE)
    team.run(replicas=3, template=restricted("1"), rollout=CANARY)
    team.kubectl("create", "quota", "small", "--hard=pods=4")
    eventually(lambda: team.get("quota", "small")["status"].get("used", {}).get("pods") == "3")
    team.patch({"template": restricted("2")})
    refused = "which the API server refuses"
    eventually(lambda: any(refused in g.get("message", "") for g in team.shop()["status"].get("gates", ())))

    assert "exceeded quota" in team.shop()["status"]["gates"][0]["message"]
    assert len(team.pods()) == 4, "what is refused of the gate's pod holds none of the App's"
    assert not [p for p in team.shop()["status"].get("problems", ()) if "uota" in p["reason"]]
    team.kubectl("delete", "quota", "small")
    eventually(lambda: len(judging(team)) == 1)
    (pod,) = judging(team)

    assert pod["spec"]["containers"][0]["image"] == "shop:2"
    assert pod["metadata"]["ownerReferences"][0]["name"] == team.shop()["status"]["activeRevision"]
    end(team, 0, "checked\n12 of 12 pages")
    eventually(lambda: team.shop()["status"]["updatedReplicas"] == 3)
    team.wait("condition=Ready")
    (run,) = runs(team)
    assert run["measurements"][-1]["message"] == f"{pod['metadata']['name']} ended with exit code 0: 12 of 12 pages"


def test_a_program_that_finds_fault_takes_the_release_back_and_its_pod_is_kept_for_its_logs(team: Team) -> None:
    gate(team, **SMOKE)
    team.run(replicas=3, rollout=CANARY)
    team.patch({"template": image("2")})
    eventually(lambda: len(judging(team)) == 1)
    end(team, 3, "no basket")
    team.wait("condition=RolledBack")

    assert "ended with exit code 3: no basket" in team.condition("RolledBack")["message"]
    assert len(judging(team)) == 1
