"""Health gates: which pods are asked, what their conditions come to say, and what the App says of them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from fairlead.core.actions import Failure, Patch, Plan
from fairlead.core.gated import Gated, Standing
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.gates.model import Result
from fairlead.health.model import HealthGate, Look, Looks, looked
from fairlead.health.plan import HealthObserved, plan, verdict
from fairlead.health.testing import make_gated_app, make_gated_pods
from fairlead.rollout.model import App
from fairlead.rollout.pods import Draft, render
from fairlead.rollout.testing import make_app

NOW = 1000.0
WELL = Result("Passed", "Answered", "/warm answered 200 within 4 ms", "200")
BAD = Result("Failed", "UnexpectedStatus", "/warm answered 503", "503")
DEAD = Result("Error", "NoAnswer", "/warm: no answer within 5 s")
UNCLEAR = Result("Inconclusive", "BetweenConditions", "/warm: /lag 3 meets neither success nor failure", "3")


def look(*results: Result, asked: float = NOW, restarts: int = 0) -> Look:
    """The look after these results, one after the other."""
    found: Look | None = None
    for result in results:
        found = looked(found, asked, restarts, result)
    assert found is not None
    return found


def decide(app: App, pods: tuple[Pod, ...], looks: Looks | None = None, now: float = NOW, **fields: Any) -> Plan:
    return plan(HealthObserved(app, pods, looks or {}, **fields), now)


def said(made: Plan) -> dict[str, list[JSON]]:
    """The conditions that are written, by pod."""
    patches = [action for action in made.actions if isinstance(action, Patch)]
    assert len(patches) == len(made.actions)
    return {patch.name: msgspec.json.decode(patch.body)["status"]["conditions"] for patch in patches}


def asked(made: Plan) -> list[str]:
    return [errand.task.pod.name for errand in made.errands]


# ---------------------------------------------------------------- what a condition comes to say

Status = Literal["", "True", "False"]
VERDICTS: dict[str, tuple[Status, tuple[Result, ...], JSON, str]] = {
    "nothing is said before anything was measured": ("", (), {}, ""),
    "a first success makes it ready": ("", (WELL,), {}, "True"),
    "a first failure says what was measured": ("", (BAD,), {}, "False"),
    "a first error says that it cannot be measured": ("", (DEAD,), {}, "False"),
    "of three successes that are asked for two are not enough": ("False", (WELL, WELL), {"success_threshold": 3}, ""),
    "the third is": ("False", (WELL, WELL, WELL), {"success_threshold": 3}, "True"),
    "a failure in between begins the row anew": ("False", (WELL, WELL, BAD, WELL), {"success_threshold": 3}, ""),
    "an error in between does not": ("False", (WELL, WELL, DEAD, WELL), {"success_threshold": 3}, "True"),
    "a ready pod bears two failures of three": ("True", (BAD, BAD), {}, ""),
    "not the third": ("True", (BAD, BAD, BAD), {}, "False"),
    "a success in between begins the row anew too": ("True", (BAD, BAD, WELL, BAD), {}, ""),
    "no number of errors takes readiness away": ("True", (DEAD,) * 100, {}, ""),
    "errors between failures neither count nor help": ("True", (BAD, DEAD, BAD, DEAD, BAD), {}, "False"),
    "what is inconclusive takes none away": ("True", (UNCLEAR,) * 10, {}, ""),
    "and gives none": ("", (UNCLEAR,), {}, "False"),
    "a new operator's first success after the old one's last word changes nothing": ("True", (WELL,), {}, ""),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_a_pods_condition(case: str) -> None:
    status, results, rules, wanted = VERDICTS[case]
    standing = Standing(status, "", "", told=NOW)
    found = verdict(
        HealthGate("warm", **rules), standing, look(*results) if results else None, restarts=0, now=NOW + 10
    )

    assert (found.status if found else "") == wanted


def test_the_condition_holds_the_measured_value_and_the_time_it_changed() -> None:
    (pod,) = make_gated_pods(1, "warm")
    made = decide(make_gated_app("warm"), (pod,), {(pod.uid, "warm"): look(BAD)})

    assert said(made)[pod.name] == [
        {
            "type": "gates.fairlead.dev/warm",
            "status": "False",
            "reason": "CheckFailed",
            "message": "/warm answered 503",
            "lastProbeTime": "1970-01-01T00:16:40Z",
            "lastTransitionTime": "1970-01-01T00:16:40Z",
        }
    ]


def test_the_write_is_of_exactly_this_pod_and_of_nothing_else_in_its_status() -> None:
    (pod,) = make_gated_pods(1, "warm")
    (patch,) = decide(make_gated_app("warm"), (pod,), {(pod.uid, "warm"): look(WELL)}).actions
    assert isinstance(patch, Patch)

    assert (patch.subresource, patch.type) == ("status", "strategic")
    assert msgspec.json.decode(patch.body)["metadata"] == {"uid": pod.uid}
    assert set(msgspec.json.decode(patch.body)["status"]) == {"conditions"}


@pytest.mark.parametrize(("seconds", "written"), [(10.0, False), (31.0, True)])
def test_new_words_of_a_pod_that_stays_not_ready_are_written_now_and_then(seconds: float, written: bool) -> None:
    standing = Standing("False", "CheckError", "/warm: no answer within 5 s", since=NOW - 500, told=NOW)
    found = verdict(HealthGate("warm"), standing, look(BAD), 0, NOW + seconds)

    assert (found is not None) == written


def test_the_same_words_are_not_written_again() -> None:
    standing = Standing("False", "CheckFailed", "/warm answered 503", told=0.0)

    assert verdict(HealthGate("warm"), standing, look(BAD), 0, NOW) is None


def test_a_container_that_starts_anew_takes_back_what_the_last_one_showed() -> None:
    (pod,) = make_gated_pods(1, "warm", status="True", restarts=1)
    made = decide(make_gated_app("warm"), (pod,), {(pod.uid, "warm"): look(WELL)})

    assert said(made)[pod.name][0]["reason"] == "ContainerRestarted"
    assert asked(made) == [pod.name], "and is asked at once"


def test_successes_of_the_container_before_count_no_more() -> None:
    (pod,) = make_gated_pods(1, "warm", status="False", reason="ContainerRestarted", restarts=1)

    assert said(decide(make_gated_app("warm"), (pod,), {(pod.uid, "warm"): look(WELL)})) == {}


def test_pods_of_a_gate_that_is_gone_wait_for_it_no_more() -> None:
    waiting, served = make_gated_pods(1, "warm", status="False") + make_gated_pods(
        1, "warm", status="True", prefix="old"
    )
    made = decide(make_app(), (waiting, served))

    assert [(name, one["status"], one["reason"]) for name, (one,) in said(made).items()] == [
        (waiting.name, "True", "GateRemoved")
    ]
    assert not made.errands


def test_two_gates_of_a_pod_are_one_write() -> None:
    (pod,) = make_gated_pods(1, "warm", "queue")
    looks = {(pod.uid, "warm"): look(WELL), (pod.uid, "queue"): look(BAD)}
    made = decide(make_gated_app("warm", "queue"), (pod,), looks)

    assert [(one["type"], one["status"]) for one in said(made)[pod.name]] == [
        ("gates.fairlead.dev/warm", "True"),
        ("gates.fairlead.dev/queue", "False"),
    ]


# ---------------------------------------------------------------- who is asked


def test_a_pod_is_asked_when_its_containers_are_ready_and_not_before() -> None:
    ready, starting = make_gated_pods(2, "warm")
    starting = msgspec.structs.replace(starting, gated=Gated({"warm": Standing()}, containers_ready=False))

    assert asked(decide(make_gated_app("warm"), (ready, starting))) == [ready.name]


def test_a_gate_that_a_pod_was_not_made_under_does_not_concern_it() -> None:
    (pod,) = make_gated_pods(1, "warm", status="True")
    made = decide(make_gated_app("warm", "later"), (pod,), {(pod.uid, "warm"): look(WELL)})

    assert (made.errands, made.actions) == ((), ())


def test_each_pod_is_asked_once_in_an_interval() -> None:
    (pod,) = make_gated_pods(1, "warm", status="True")
    app, looks = make_gated_app("warm", interval_seconds=10), {(pod.uid, "warm"): look(WELL)}

    assert (asked(decide(app, (pod,), looks, now=NOW + 9)), decide(app, (pod,), looks, now=NOW + 9).requeue_after) == (
        [],
        1.0,
    )
    assert asked(decide(app, (pod,), looks, now=NOW + 10)) == [pod.name]


def test_a_thousand_pods_are_looked_at_together_and_no_more_than_a_hundred_in_a_second() -> None:
    pods = make_gated_pods(1000, "warm", status="True")
    app = make_gated_app("warm", interval_seconds=1)
    looks = {(pod.uid, "warm"): look(WELL, asked=NOW + index % 2) for index, pod in enumerate(pods)}
    early, due = decide(app, pods, looks, now=NOW + 5), decide(app, pods, looks, now=NOW + 10)

    assert (len(early.errands), early.requeue_after) == (0, 5.0)
    assert (len(due.errands), due.requeue_after) == (1000, 10.0)
    assert not due.actions, "nothing changed, so nothing is written"


def test_an_app_that_is_deleted_or_cannot_be_read_is_left_as_it_is() -> None:
    pods = make_gated_pods(1, "warm", status="False")

    assert decide(make_app(deleting=True), pods) == Plan()
    assert decide(make_app(invalid="spec cannot be read"), pods) == Plan()


# ---------------------------------------------------------------- what the App says


def test_ready_pods_that_cannot_be_asked_are_told_after_three_errors_in_a_row() -> None:
    pods = make_gated_pods(2, "warm", status="True")
    app = make_gated_app("warm")

    assert decide(app, pods, {(pods[0].uid, "warm"): look(DEAD, DEAD)}).status is None
    made = decide(app, pods, {(pod.uid, "warm"): look(DEAD, DEAD, DEAD) for pod in pods})
    assert made.status is not None
    (condition,) = made.status["conditions"]
    assert (condition.reason, made.actions) == ("HealthGateError", ())
    assert "on 2 of 2 pods (shop-v1-0: /warm: no answer within 5 s)" in condition.message


def test_a_refused_write_is_told_with_its_verb_and_resource() -> None:
    no = Failure("patch", "Pod/status", "shop-v1-0", 403, "Forbidden", "cannot patch resource pods/status", 0.0)
    made = decide(make_gated_app("warm"), make_gated_pods(1, "warm"), failures=(no,))
    assert made.status is not None

    (condition,) = made.status["conditions"]
    assert condition.reason == "HealthGateRefused"
    assert "patch pods/status: cannot patch" in condition.message


# ---------------------------------------------------------------- pods are made with it


def test_gates_are_no_part_of_what_a_revision_is() -> None:
    app = make_gated_app("warm")
    assert app.digest == make_app().digest
    head, tail = render(app, Draft("v1", app.spec.template))

    assert "readinessGates" not in msgspec.json.decode(head + b'"x"' + tail)["spec"], "they come as a shaper"
