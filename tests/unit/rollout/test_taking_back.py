"""A release that fails takes itself back: when, to what, until when, and what the status says of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Failure, Patch
from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.rollout.model import App, Asked, Pause, Step
from fairlead.rollout.testing import make_app, make_pods, make_revision
from unit.rollout.test_plan import NOW, V1, V2, condition, decide, ran, shown, written

LATE = timestamp(NOW - 3600)
FRESH = timestamp(NOW - 5)


def releasing(last_progress: str = FRESH, **more: Any) -> JSON:
    """The status of an App of four that rolls from v1 to v2: three old pods, two new ones."""
    rollout = {
        "sizes": {"v1": 3, "v2": 2},
        "desired": 4,
        "bound": 5,
        "startedAt": LATE,
        "lastProgressAt": last_progress,
    }
    return ran(4) | {
        "activeRevision": "shop-v2",
        "replicas": 5,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "updatedReplicas": 2,
        "rollout": rollout | more,
        "conditions": [{"type": "Progressing", "status": "True", "reason": "RevisionUpdating"}],
    }


def new_pods(count: int = 2, **fields: Any) -> tuple[Pod, ...]:
    return make_pods(count, "v2", ready=False, **fields)


def crashing(count: int, restarts: int = 3) -> tuple[Pod, ...]:
    told = {"problem": "CrashLoopBackOff", "message": "no database", "container": "web"}
    return new_pods(count, restarts=restarts, **told)


def app(status: JSON, **more: Any) -> App:
    return make_app(replicas=4, digest="v2", status=status, **more)


def test_a_release_that_makes_no_progress_is_taken_back() -> None:
    shop = app(releasing(LATE))
    made = decide(shop, (V1, V2), make_pods(3) + new_pods())
    status = written(shop, made)
    assert status["activeRevision"] == "shop-v1"
    assert (status["rejected"]["revision"], status["rejected"]["reason"]) == ("shop-v2", "ProgressDeadlineExceeded")
    assert "no progress for 600 s, waiting for 2 of 4 updated pods" in status["rejected"]["message"]
    assert shown(made) == {"v1": 1, "v2": -2}, "what is not ready of it goes at once, what ran before comes back"
    assert made.status_first, "a successor must find the decision, not make it anew"
    assert any(event.reason == "RolledBack" for event in made.events)


def test_it_counts_as_failed_for_every_tool_and_as_available_for_its_users() -> None:
    shop = app(releasing(LATE))
    made = decide(shop, (V1, V2), make_pods(3) + new_pods())
    assert condition(shop, made, "Stalled")["reason"] == "RolledBack"
    assert condition(shop, made, "Ready")["status"] == "False"
    assert condition(shop, made, "Available")["status"] == "True"
    assert condition(shop, made, "RolledBack")["reason"] == "ReleaseFailed"
    assert written(shop, made)["summary"] == "Rolled back: ProgressDeadlineExceeded"


CRASHES = {
    "most of the new pods have crashed three times": (crashing(2), True),
    "one of two is not most": (crashing(1) + make_pods(1, "v2", prefix="good"), False),
    "a second start may be all it takes": (crashing(2, restarts=2), False),
    "an image that cannot be had is waited for until the deadline": (
        new_pods(problem="ImagePullBackOff", restarts=9),
        False,
    ),
}


@pytest.mark.parametrize("case", CRASHES, ids=list(CRASHES))
def test_a_crash_loop_takes_a_release_back_before_its_deadline(case: str) -> None:
    pods, back = CRASHES[case]
    shop = app(releasing())
    made = decide(shop, (V1, V2), make_pods(3) + pods)
    assert (written(shop, made)["activeRevision"] == "shop-v1") is back
    if back:
        assert "no database" in written(shop, made)["rejected"]["message"]


@pytest.mark.parametrize(
    "reason",
    [
        {"on_failure": "Pause"},
        {"paused": True},
        {"undo_to": 2},
    ],
    ids=str,
)
def test_nothing_is_taken_back_where_a_person_has_said_otherwise(reason: dict[str, Any]) -> None:
    status = releasing(LATE) | {"undo": {"to": 2, "rejected": "v2", "revision": "shop-v2"}}
    shop = app(status, **reason)
    made = decide(shop, (V1, V2), make_pods(3) + crashing(2))
    assert "rejected" not in written(shop, made)
    assert written(shop, made)["activeRevision"] == "shop-v2"


def test_a_first_release_has_nothing_to_go_back_to() -> None:
    status = releasing(LATE) | {"replicas": 4, "updatedReplicas": 4, "readyReplicas": 0, "availableReplicas": 0}
    del status["stableRevision"]
    shop = app(status)
    made = decide(shop, (V2,), crashing(4))
    assert condition(shop, made, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert "rejected" not in written(shop, made)


REJECTED = {"digest": "v2", "revision": "shop-v2", "number": 2, "reason": "Aborted", "message": "m", "at": LATE}


def test_what_was_taken_back_is_not_tried_again_by_itself() -> None:
    shop = app(ran(4) | {"rejected": REJECTED})
    made = decide(shop, (V1, V2), make_pods(4))
    assert shown(made) == {}
    assert written(shop, made)["rejected"] == REJECTED | {"retry": ""}
    assert condition(shop, made, "Stalled")["reason"] == "RolledBack"


def test_the_revision_that_runs_again_becomes_the_newest() -> None:
    shop = app(ran(4) | {"rejected": REJECTED})
    made = decide(shop, (V1, V2), make_pods(4))
    (patch,) = [action for action in made.actions if isinstance(action, Patch)]
    assert patch.name == "shop-v1"
    assert msgspec.json.decode(patch.body)["spec"] == {"number": 3}


@pytest.mark.parametrize(
    ("digest", "asked"), [("v3", Asked()), ("v2", Asked(retry="again"))], ids=["another template", "a retry"]
)
def test_another_template_or_a_retry_is_released_as_usual(digest: str, asked: Asked) -> None:
    shop = make_app(replicas=4, digest=digest, status=ran(4) | {"rejected": REJECTED}, asked=asked)
    made = decide(shop, (V1, V2), make_pods(4))
    assert shown(made).get(digest, 0) > 0 or any(action.kind == "Revision" for action in made.actions)
    status = written(shop, made)
    assert "rejected" not in status
    assert status["activeRevision"] == f"shop-{digest}"


def test_a_retry_that_was_obeyed_is_not_obeyed_twice() -> None:
    shop = app(releasing(LATE), asked=Asked(retry="again"))
    made = decide(shop, (V1, V2), make_pods(3) + new_pods())
    after = app(written(shop, made), asked=Asked(retry="again"))
    assert written(after, decide(after, (V1, V2), make_pods(4)))["activeRevision"] == "shop-v1"


@pytest.mark.parametrize(("number", "back"), [("2", True), ("1", False), ("x", False)])
def test_an_abort_is_about_the_revision_it_names(number: str, back: bool) -> None:
    shop = app(releasing(), asked=Asked(abort=number), on_failure="Pause")
    made = decide(shop, (V1, V2), make_pods(3) + new_pods())
    assert (written(shop, made)["activeRevision"] == "shop-v1") is back


# ---------------------------------------------------------------- steps

STEPS = (Step(weight=25), Step(pause=Pause(60)), Step(weight=50))


def held(since: float, **more: Any) -> App:
    """At its pause since so many seconds: three old pods, one new one, all well."""
    status = releasing(LATE, sizes={"v1": 3, "v2": 1}, step=1, stepAt=timestamp(NOW - since), heldAt=LATE)
    return app(status, strategy="Canary", steps=STEPS, max_unavailable=0, **more)


ALL_WELL = make_pods(3) + make_pods(1, "v2")


def test_a_pause_asks_to_be_called_when_it_is_over_and_says_when() -> None:
    shop = held(20)
    made = decide(shop, (V1, V2), ALL_WELL)
    assert shown(made) == {}
    assert made.requeue_after == pytest.approx(40)
    assert condition(shop, made, "Progressing")["reason"] == "StepPaused"
    until = timestamp(NOW + 40)
    assert f"step 2 of 3 at 25 %: a pause of 60 s, until {until}" in condition(shop, made, "Ready")["message"]
    assert written(shop, made)["summary"] == "Step 2/3 at 25%: paused"


def test_the_deadline_does_not_run_while_a_step_waits() -> None:
    shop = held(20)
    assert "rejected" not in written(shop, decide(shop, (V1, V2), ALL_WELL))


def test_the_deadline_runs_anew_once_a_step_waits_for_pods_again() -> None:
    shop = held(20)
    made = decide(shop, (V1, V2), make_pods(3) + make_pods(1, "v2", ready=False))
    rollout = written(shop, made)["rollout"]
    assert "heldAt" not in rollout
    assert rollout["lastProgressAt"] == timestamp(NOW)


def test_a_pause_that_is_over_leads_to_the_next_weight() -> None:
    shop = held(60)
    made = decide(shop, (V1, V2), ALL_WELL)
    assert shown(made) == {"v2": 1}
    assert written(shop, made)["rollout"]["step"] == 2


def test_trust_13_a_pause_that_ended_weeks_ago_leads_to_the_next_weight_and_no_further() -> None:
    shop = held(21 * 86400)
    made = decide(shop, (V1, V2), ALL_WELL)
    assert shown(made) == {"v2": 1}
    assert written(shop, made)["rollout"]["step"] == 2
    assert "rejected" not in written(shop, made), "the deadline does not run in a pause, however long it was"


@pytest.mark.parametrize(("promote", "step"), [("2/2", 2), ("2", 3), ("1/2", 1), ("2/1", 1)])
def test_a_promotion_is_about_the_revision_and_the_step_it_names(promote: str, step: int) -> None:
    shop = held(20, asked=Asked(promote=promote))
    made = decide(shop, (V1, V2), ALL_WELL)
    assert written(shop, made)["rollout"].get("step") == step


def test_a_canary_that_crashes_at_its_pause_is_taken_back() -> None:
    shop = held(20)
    made = decide(shop, (V1, V2), make_pods(3) + crashing(1))
    assert shown(made) == {"v1": 1, "v2": -1}
    assert written(shop, made)["rejected"]["reason"] == "CrashLoopBackOff"


def test_a_new_release_starts_with_the_first_step() -> None:
    status = ran(4) | {"rollout": ran(4)["rollout"] | {"step": 3}}
    shop = make_app(replicas=4, digest="v2", status=status, strategy="Canary", steps=STEPS, max_unavailable=0)
    made = decide(shop, (V1, V2), make_pods(4))
    assert shown(made) == {"v2": 1}
    assert written(shop, made)["rollout"]["step"] == 0


def test_a_first_release_takes_no_steps() -> None:
    shop = make_app(replicas=4, strategy="Canary", steps=STEPS)
    made = decide(shop)
    assert shown(made) == {"v1": 4}
    assert "steps" not in written(shop, made)["rollout"]


def test_trust_13_a_release_whose_pods_nobody_made_while_no_operator_ran_for_weeks_goes_on() -> None:
    shop = app(releasing(timestamp(NOW - 21 * 86400)))
    made = decide(shop, (V1, V2), make_pods(3))
    assert shown(made) == {"v2": 2}
    assert "rejected" not in written(shop, made)
    after = app(written(shop, made))
    assert "rejected" not in written(after, decide(after, (V1, V2), make_pods(3) + new_pods())), "they get their time"


def test_a_release_whose_pods_are_refused_until_its_deadline_is_taken_back() -> None:
    shop = app(releasing(LATE))
    quota = Failure("create", "Pod", "shop-v2-x", 403, "Forbidden", "exceeded quota: small", NOW - 600)
    made = decide(shop, (V1, V2), make_pods(3), failures=(quota,))
    assert written(shop, made)["rejected"]["reason"] == "ProgressDeadlineExceeded"


def test_trust_15_an_error_of_a_gate_holds_a_release_for_ever_and_takes_no_pod_away() -> None:
    held_by = {"name": "errors", "moment": "Step2", "release": 2, "phase": "Error", "errors": 5, "message": "no answer"}
    at_the_gate = {"step": 1, "stepAt": LATE, "heldAt": LATE, "moment": "Step2", "sizes": {"v1": 3, "v2": 1}}
    steps = (Step(weight=25), Step(gate="errors"), Step(weight=50))
    shop = app(releasing(LATE, **at_the_gate), strategy="Canary", steps=steps, max_unavailable=0)
    v2 = make_revision(number=2, hash="v2", status={"gates": [held_by]})
    made = decide(shop, (V1, v2), ALL_WELL)
    assert shown(made) == {}
    assert condition(shop, made, "Progressing")["reason"] == "GateError"
    assert "rejected" not in written(shop, made)
