"""Checks that a pod answers: when it is made, what is awaited of it, how it is read, and when it goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Create, Delete, Failure
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod, project_pod
from fairlead.gates.checks.run import RunCheck, RunSpec, pod_spec
from fairlead.gates.controller import Measurer
from fairlead.gates.model import AskRun, Ran, RunAnswer, Subject
from fairlead.gates.plan import GatesObserved, plan
from fairlead.gates.runs import KEPT_PODS, KEPT_SECONDS, Judgement, answer_of, collected, pod_name
from fairlead.gates.testing import make_checks, make_judged_app
from fairlead.kube.fake import FakeClient, FakeCluster, Origin
from fairlead.kube.resources import PODS
from fairlead.rollout.testing import make_revision

SMOKE: JSON = {"name": "smoke", "when": "BeforePromotion", "checks": [{"run": {"command": ["smoke"]}}]}
CHECKS = make_checks()
SUBJECT = Subject("default", "shop", "app-uid", "v2", 2, image="shop:1")
JUDGEMENT = Judgement(SUBJECT, "shop-v2", "uid-v2", "smoke", "BeforePromotion", 0)


def observed(
    *pods: Pod, gate: JSON = SMOKE, failures: tuple[Failure, ...] = (), taken: int = 0, **app: Any
) -> GatesObserved:
    measured = {"at": "1970-01-01T00:01:00Z", "outcome": "Passed", "reason": "", "message": ""}
    run: JSON = {"name": "smoke", "moment": "BeforePromotion", "release": 2, "taken": taken, "measurements": [measured]}
    run["phase"] = "Running" if gate.get("count") else "Passed"
    revision = make_revision(number=2, hash="v2", status={"gates": [run] if taken else []})
    judged = make_judged_app(active="shop-v2", moment="BeforePromotion", since=60, gates=[gate], **app)
    return GatesObserved(judged, {}, revision, pods, failures)


def pod(phase: str = "Running", name: str = pod_name(JUDGEMENT, 0), **fields: Any) -> Pod:
    default: dict[str, Any] = {"created": 60.0, "owner_kind": "Revision", "owner_uid": "uid-v2", "judges": "shop"}
    return Pod("default", name, f"uid-{name}", 1, phase=phase, **(default | fields))


def said(made: Any) -> tuple[str, str]:
    (gate,) = made.status["gates"]
    return gate["phase"], gate["message"]


def test_the_pod_is_made_once_it_is_due_and_nothing_is_measured_before_it_has_ended() -> None:
    made = plan(observed(), 60.0, CHECKS)
    (create,) = made.actions
    assert isinstance(create, Create)
    body = msgspec.json.decode(create.body)

    assert not made.errands
    assert said(made) == ("Waiting", f"waits for its pod {create.name}, which is being made")
    assert body["metadata"]["ownerReferences"][0]["kind"] == "Revision"
    assert body["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is False, "that would take a right on Revisions"
    assert body["spec"]["containers"][0] | {"image": "shop:1", "command": ["smoke"]} == body["spec"]["containers"][0]
    assert not plan(observed(gate=SMOKE | {"delaySeconds": 1}), 60.0, CHECKS).actions


def test_it_has_no_label_by_which_pods_of_the_app_are_found() -> None:
    (create,) = plan(observed(), 60.0, CHECKS).actions
    assert isinstance(create, Create)
    found = project_pod(create.body)

    assert found is not None
    assert (found.app, found.revision, found.serving, found.judges) == ("", "", False, "shop")


def test_another_operator_finds_the_same_pod_and_makes_no_second_one() -> None:
    first, again = (plan(observed(), now, CHECKS).actions[0] for now in (60.0, 3600.0))
    assert isinstance(first, Create) and isinstance(again, Create)
    assert (first.name, first.body) == (again.name, again.body)
    assert not plan(observed(pod()), 60.0, CHECKS).actions


@pytest.mark.parametrize("field", ["gate", "moment", "taken", "revision"])
def test_every_measurement_has_a_pod_of_its_own(field: str) -> None:
    other = msgspec.structs.replace(JUDGEMENT, **{field: 7 if field == "taken" else "other"})
    names = {pod_name(JUDGEMENT, 0), pod_name(JUDGEMENT, 1), pod_name(other, 0)}
    assert len(names) == 3 and max(map(len, names)) <= 63


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"phase": "Pending", "node": "n"}, "is starting"),
        ({"phase": "Running"}, "is running"),
        (
            {"phase": "Pending", "problem": "ImagePullBackOff", "message": "not found"},
            "cannot start: ImagePullBackOff: not found",
        ),
        (
            {"phase": "Pending", "problem": "Unschedulable", "message": "0/3 nodes"},
            "cannot start: Unschedulable: 0/3 nodes",
        ),
        ({"phase": "Failed", "deleting": 70.0}, "is being deleted by somebody: it is made anew when it is gone"),
    ],
)
def test_while_it_runs_its_state_is_told_and_it_is_looked_at_when_its_time_is_up(fields: Any, words: str) -> None:
    made = plan(observed(pod(**fields)), 100.0, CHECKS)

    assert said(made) == ("Waiting", f"waits for its pod {pod().name}, which {words}")
    assert (made.errands, made.actions, made.requeue_after) == ((), (), 60.0 + 300.0 - 100.0)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_when_it_has_ended_it_is_measured(phase: str) -> None:
    (errand,) = plan(observed(pod(phase)), 100.0, CHECKS).errands
    assert errand.task.ran == (Ran(pod().name),)


def test_what_does_not_end_in_time_is_measured_as_that() -> None:
    stuck = pod("Pending", problem="Unschedulable", message="0/3 nodes are available")
    (errand,) = plan(observed(stuck), 360.0, CHECKS).errands
    assert errand.task.ran[0].error == "it did not end within 300 s: Unschedulable: 0/3 nodes are available"


def test_a_pod_that_is_refused_is_asked_for_again_until_its_time_is_up_and_then_measured_as_that() -> None:
    refusal = Failure("create", "Pod/gate", pod().name, 403, "Forbidden", "violates PodSecurity", 60.0)
    refused = observed(failures=(refusal,))
    waiting, late = plan(refused, 90.0, CHECKS), plan(refused, 360.0, CHECKS)

    assert [action.name for action in waiting.actions] == [pod().name] and waiting.requeue_after == 270.0
    assert said(waiting)[1] == f"waits for its pod {pod().name}, which the API server refuses: violates PodSecurity"
    assert not late.actions
    assert late.errands[0].task.ran[0].error == "the API server refuses it: violates PodSecurity"


def test_a_refusal_of_one_measurement_is_not_the_next_ones() -> None:
    refusal = Failure("create", "Pod/gate", pod().name, 403, "Forbidden", "violates PodSecurity", 60.0)
    (create,) = plan(observed(failures=(refusal,), taken=1, gate=SMOKE | {"count": 2}), 900.0, CHECKS).actions
    assert create.name != pod().name


def test_a_refusal_of_the_apps_own_pods_is_not_the_gates() -> None:
    refusal = Failure("create", "Pod", "shop-v2-bcdfg", 403, "Forbidden", "exceeded quota", 60.0)
    assert plan(observed(failures=(refusal,)), 60.0, CHECKS).actions


def test_several_runs_of_one_gate_are_made_together_and_all_awaited() -> None:
    gate = SMOKE | {"checks": [{"run": {"command": ["one"]}}, {"pods": {}}, {"run": {"command": ["two"]}}]}
    creates = plan(observed(gate=gate), 60.0, CHECKS).actions
    names = [create.name for create in creates]
    one_ended = plan(observed(pod("Succeeded", names[0]), pod("Running", names[1]), gate=gate), 70.0, CHECKS)
    ended = plan(observed(pod("Succeeded", names[0]), pod("Failed", names[1]), gate=gate), 70.0, CHECKS)

    assert len(set(names)) == 2
    assert not one_ended.errands and not one_ended.actions
    assert ended.errands[0].task.ran == (Ran(names[0]), Ran(names[1]))


def test_nothing_is_run_before_a_person_has_approved() -> None:
    gate = SMOKE | {"checks": [{"approval": {}}, {"run": {}}]}
    assert not plan(observed(gate=gate), 60.0, CHECKS).actions


def test_nothing_is_run_for_a_spec_that_the_status_does_not_speak_of_yet() -> None:
    seen = observed()
    newer = msgspec.structs.replace(seen, app=msgspec.structs.replace(seen.app, generation=2))
    assert not plan(newer, 60.0, CHECKS).actions


# ---------------------------------------------------------------- collecting


def test_pods_that_ended_are_kept_for_a_look_at_their_logs_and_then_deleted() -> None:
    ended = pod("Succeeded", finished_at=70.0)
    kept = plan(observed(ended, taken=1), 100.0, CHECKS)
    gone = plan(observed(ended, taken=1), 70.0 + KEPT_SECONDS, CHECKS)

    assert not kept.actions and kept.requeue_after == 70.0 + KEPT_SECONDS - 100.0
    assert [action.name for action in gone.actions] == [ended.name]


def test_of_many_the_latest_are_kept() -> None:
    ended = [pod("Failed", f"p{n}", finished_at=float(n)) for n in range(KEPT_PODS + 2)]
    gone, _ = collected(ended, frozenset(), 10.0)
    assert [action.name for action in gone] == ["p1", "p0"]


def test_a_pod_that_is_awaited_is_never_collected() -> None:
    assert not plan(observed(pod("Failed", finished_at=70.0)), 7000.0, CHECKS).actions


def test_a_pod_of_a_release_that_is_over_is_ended_unless_it_is_new() -> None:
    over = observed(pod())
    over = msgspec.structs.replace(over, app=msgspec.structs.replace(over.app, status={"observedGeneration": 1}))
    assert not plan(over, 100.0, CHECKS).actions
    assert [type(action) for action in plan(over, 120.0, CHECKS).actions] == [Delete]


def test_pods_of_an_app_without_a_revision_are_collected_too() -> None:
    lost = msgspec.structs.replace(observed(pod("Failed", finished_at=1.0)), revision=None)
    assert [type(action) for action in plan(lost, 1000.0, CHECKS).actions] == [Delete]


# ---------------------------------------------------------------- reading


def ended(phase: str = "Failed", terminated: JSON | None = None, **status: Any) -> JSON:
    mine = {"name": "check", "state": {"terminated": terminated} if terminated else {}}
    beside = {"name": "proxy", "state": {"terminated": {"exitCode": 9, "message": "not asked"}}}
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": [beside, mine], **status}}


@pytest.mark.parametrize(
    ("raw", "code", "message", "error"),
    [
        (ended("Succeeded", {"exitCode": 0, "message": "started\n12 of 12 pages\n"}), 0, "12 of 12 pages", ""),
        (ended("Succeeded"), 0, "", ""),
        (ended(terminated={"exitCode": 3, "reason": "Error", "message": "no basket"}), 3, "no basket", ""),
        (ended(terminated={"exitCode": 1, "message": "x" * 5000}), 1, "x" * 256, ""),
        (ended(terminated={"exitCode": 137, "reason": "OOMKilled"}), 0, "", "OOMKilled"),
        (ended(terminated={"exitCode": 128, "reason": "StartError", "message": "no such file"}), 0, "", "StartError: no such file"),
        (ended(reason="Evicted", message="low on memory"), 0, "", "it was ended: Evicted: low on memory"),
        (ended(terminated={"exitCode": 143}, reason="DeadlineExceeded"), 0, "", "it was ended: DeadlineExceeded"),
        (
            ended(
                terminated={"exitCode": 143},
                conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}],
            ),
            0,
            "",
            "it was ended: EvictionByEvictionAPI",
        ),
        (ended(), 0, "", "it ended, and nobody says how"),
        (ended("Running"), 0, "", "it has not ended"),
    ],
)  # fmt: skip
def test_only_the_programs_own_end_is_an_answer(raw: JSON, code: int, message: str, error: str) -> None:
    assert answer_of(raw) == RunAnswer("p", code, message, error)


@pytest.mark.parametrize(
    ("answer", "outcome", "value"),
    [
        (RunAnswer("p", 0, "fine"), "Passed", "exit 0"),
        (RunAnswer("p", 3, "no basket"), "Failed", "exit 3"),
        (RunAnswer("p", error="ImagePullBackOff"), "Error", ""),
        (None, "Error", ""),
    ],
)
def test_an_exit_code_is_a_verdict_and_what_kept_it_from_running_is_an_error(
    answer: RunAnswer | None, outcome: str, value: str
) -> None:
    found = RunCheck().judge({}, answer)
    assert (found.outcome, found.value) == (outcome, value)


async def measured(*ran: Ran, phase: str = "Succeeded") -> Any:
    cluster = FakeCluster(lambda: 0.0)
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "check", "image": "i"}]}}
    cluster.create(PODS, "default", body)

    def end(raw: JSON) -> None:
        raw["status"] = ended(phase, {"exitCode": 0 if phase == "Succeeded" else 3, "message": "said"})["status"]

    cluster.edit(PODS, "default", "p", end, Origin("update", "kubelet", "kubelet", "status"))
    return await Measurer(CHECKS, Nobody()).measure(
        tuple(SMOKE["checks"]), SUBJECT, FakeClient(cluster, "operator"), ran
    )


class Nobody:
    async def ask(self, *_: object) -> Any:
        raise AssertionError("a run is not asked over the network")


async def test_the_pod_is_read_when_it_has_ended() -> None:
    assert (await measured(Ran("p"))).message == "p ended with exit code 0: said"
    assert (await measured(Ran("p"), phase="Failed")).outcome == "Failed"
    assert (await measured(Ran("q"))).message == "q: it was deleted before it could be read"


async def test_a_pod_that_is_called_overdue_is_looked_at_before_it_is_believed() -> None:
    """It may have ended where the watch does not show it yet."""
    overdue = "it did not end within 300 s"
    assert (await measured(Ran("p", overdue))).outcome == "Passed"
    running = await measured(Ran("p", overdue), phase="Running")
    assert (running.outcome, running.message) == ("Error", f"p: {overdue}")
    assert (
        await measured(Ran("q", "the API server refuses it: quota"))
    ).message == "q: the API server refuses it: quota"


# ---------------------------------------------------------------- the pod


def test_the_pod_is_restricted_bounded_and_has_no_token() -> None:
    made = pod_spec(RunSpec(), SUBJECT)
    (container,) = made["containers"]

    assert (made["restartPolicy"], made["activeDeadlineSeconds"], made["automountServiceAccountToken"]) == (
        "Never",
        300,
        False,
    )
    assert made["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534, "seccompProfile": {"type": "RuntimeDefault"}
    }  # fmt: skip
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert set(container["resources"]) == {"requests", "limits"}
    assert container["image"] == "shop:1"


def test_what_is_said_of_the_pod_is_in_it() -> None:
    asked = RunCheck().asks(
        {
            "image": "curl:8", "args": ["-f"], "env": [{"name": "A", "value": "1"}], "envFrom": [{"secretRef": {"name": "s"}}],
            "serviceAccountName": "tester", "runAsUser": 1000, "resources": {}, "timeoutSeconds": 20,
        },
        SUBJECT,
    )  # fmt: skip
    assert isinstance(asked, AskRun)
    (container,) = asked.spec["containers"]

    assert asked.timeout == asked.spec["activeDeadlineSeconds"] == 20
    assert (asked.spec["serviceAccountName"], asked.spec["automountServiceAccountToken"]) == ("tester", True)
    assert asked.spec["securityContext"]["runAsUser"] == 1000
    assert (container["image"], container["args"], container["resources"]) == ("curl:8", ["-f"], {})
    assert container["envFrom"] == [{"secretRef": {"name": "s"}}]
    assert [variable["name"] for variable in container["env"]] == [
        "FAIRLEAD_APP",
        "FAIRLEAD_NAMESPACE",
        "FAIRLEAD_REVISION",
        "A",
    ]
