"""What an App's plan does, sentence by sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Adopt, Create, Delete, Failure, Patch, Plan, Release, Try
from fairlead.core.conditions import Condition, find
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.rollout.model import App, Observed, Revision
from fairlead.rollout.plan import plan
from fairlead.rollout.status import summarise
from fairlead.rollout.strategies.canary import Canary
from fairlead.rollout.strategies.recreate import Recreate
from fairlead.rollout.strategies.rolling import Rolling
from fairlead.rollout.testing import make_app, make_pods, make_revision

NOW = 1_000_000.0
STRATEGIES = {"Rolling": Rolling(), "Recreate": Recreate(), "Canary": Canary()}
V1, V2, V3 = (
    make_revision(),
    make_revision(number=2, hash="v2", created=10),
    make_revision(number=3, hash="v3", created=20),
)


def ran(replicas: int, hash: str = "v1", sizes: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    """The status of an App that had come to rest on a revision."""
    return {
        "activeRevision": f"shop-{hash}",
        "stableRevision": f"shop-{hash}",
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "rollout": {
            "sizes": sizes or {hash: replicas},
            "desired": replicas,
            "bound": replicas + 1,
            "lastProgressAt": "1970-01-12T13:46:40Z",
        },
        "conditions": [{"type": "Progressing", "status": "True", "reason": "NewRevisionAvailable"}],
    } | more


def decide(app: App, revisions: tuple[Revision, ...] = (), pods: tuple[Pod, ...] = (), **more: Any) -> Plan:
    observed = Observed(app, revisions, pods, **more)
    first, again = plan(observed, NOW, STRATEGIES), plan(observed, NOW, STRATEGIES)
    assert first == again, "a plan depends on its input alone"
    return first


def shown(made: Plan) -> dict[str, int]:
    """Pods created and deleted, by revision."""
    count: dict[str, int] = {}
    for action in made.actions:
        if action.kind == "Pod" and isinstance(action, Create | Delete):
            body = (
                msgspec.json.decode(action.body)["metadata"]["labels"]["fairlead.dev/revision"]
                if isinstance(action, Create)
                else action.name.split("-")[1]
            )
            count[body] = count.get(body, 0) + (1 if isinstance(action, Create) else -1)
    return count


def written(app: App, made: Plan) -> dict[str, Any]:
    assert made.status is not None
    return summarise(app, made.status, NOW)


def condition(app: App, made: Plan, type: str) -> dict[str, Any]:
    found = find(written(app, made)["conditions"], type)
    assert found is not None, f"no condition {type}"
    return found


def test_an_app_at_rest_writes_nothing_but_what_it_said_before() -> None:
    app = make_app(replicas=2, status=ran(2))
    first = decide(app, (V1,), make_pods(2))
    assert first.actions == () and first.events == ()
    settled = msgspec.structs.replace(app, status=written(app, first))
    assert written(settled, decide(settled, (V1,), make_pods(2))) == settled.status


def test_the_first_status_already_satisfies_kstatus() -> None:
    app = make_app(replicas=2)
    status = written(app, decide(app))
    assert status["observedGeneration"] == 1
    assert find(status["conditions"], "Ready")["status"] == "False"  # type: ignore[index]
    assert find(status["conditions"], "Reconciling")["status"] == "True"  # type: ignore[index]
    assert status["selector"] == "fairlead.dev/app=shop"


def test_ready_is_true_when_all_pods_run_the_wanted_revision() -> None:
    app = make_app(replicas=2, status=ran(2))
    assert condition(app, decide(app, (V1,), make_pods(2)), "Ready")["status"] == "True"


NOT_THERE = {
    "its Service is made anew": ("Exposed", "Recreating"),
    "its preview is made anew": ("PreviewExposed", "Recreating"),
    "its route is not made yet": ("Routed", "Creating"),
    "its budget is not made yet": ("Disruption", "Creating"),
}


@pytest.mark.parametrize("case", NOT_THERE)
def test_ready_waits_for_what_is_made_beside_the_pods(case: str) -> None:
    type, reason = NOT_THERE[case]
    app = make_app(replicas=2, status=ran(2))
    said = dict(decide(app, (V1,), make_pods(2)).status or {})
    said["conditions"] = [*said["conditions"], Condition(type, "False", reason, "it is being made")]
    status = summarise(app, said, NOW)
    ready = find(status["conditions"], "Ready") or {}
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", reason, "it is being made")
    assert status["summary"] == f"Waiting: {reason}"
    assert find(status["conditions"], "Stalled") is None


def test_ready_does_not_wait_for_the_address_of_a_load_balancer() -> None:
    app = make_app(replicas=2, status=ran(2))
    said = dict(decide(app, (V1,), make_pods(2)).status or {})
    said["conditions"] = [*said["conditions"], Condition("Exposed", "False", "LoadBalancerPending", "no address yet")]
    assert (find(summarise(app, said, NOW)["conditions"], "Ready") or {})["status"] == "True"


def test_a_pod_beyond_the_bound_stands_behind_the_deletion_that_makes_room_for_it() -> None:
    app = make_app(replicas=4, digest="v2", status=ran(4))
    made = decide(app, (V1,), make_pods(4))
    order = [type(action).__name__ for action in made.actions if action.kind == "Pod"]
    assert order == ["Create", "Delete", "Create"], "five pods at most"


def test_a_new_template_creates_its_revision_first_and_stores_sizes_before_pods() -> None:
    app = make_app(replicas=4, digest="v2", status=ran(4))
    made = decide(app, (V1,), make_pods(4))
    assert (made.actions[0].kind, type(made.actions[0])) == ("Revision", Create)
    assert shown(made) == {"v1": -1, "v2": 2}
    assert made.status_first and made.status is not None
    assert made.status["rollout"]["sizes"] == {"v1": 3, "v2": 2}
    assert made.status["revision"] == 2


def test_a_size_that_was_stored_is_carried_out_by_the_next_operator() -> None:
    """Killed between the status and the pods: the same pods come and go, and no others."""
    status = ran(4, sizes={"v1": 3, "v2": 2}) | {"activeRevision": "shop-v2"}
    app = make_app(replicas=4, digest="v2", status=status)
    assert shown(decide(app, (V1, V2), make_pods(4))) == {"v1": -1, "v2": 2}
    assert shown(decide(app, (V1, V2), make_pods(3) + make_pods(1, "v2", ready=False))) == {"v2": 1}


def test_old_pods_that_were_to_go_and_serve_by_now_keep_the_next_operator_within_the_bound() -> None:
    """Killed before it deleted two pods that were not ready; meanwhile they are."""
    status = ran(2, sizes={"v2": 2}, stableRevision="shop-v0") | {"activeRevision": "shop-v2"}
    app = make_app(replicas=2, digest="v2", status=status, max_surge=1, max_unavailable=0)
    pods = (*make_pods(2), *make_pods(1, "v2", ready=False))
    made = decide(app, (V1, V2), pods)
    assert written(app, made)["rollout"]["sizes"] == {"v1": 2, "v2": 1}
    assert shown(made) == {}


def test_half_created_pods_are_not_deleted_by_the_next_operator() -> None:
    app = make_app(replicas=10, status=ran(10, sizes={"v1": 10}))
    assert shown(decide(app, (V1,), make_pods(4))) == {"v1": 6}


def test_an_old_pod_that_is_lost_while_the_new_revision_is_stuck_comes_back() -> None:
    status = ran(4, sizes={"v1": 3, "v2": 2}) | {"activeRevision": "shop-v2"}
    app = make_app(replicas=4, digest="v2", status=status)
    stuck = make_pods(2, "v2", ready=False, problem="ImagePullBackOff")
    assert shown(decide(app, (V1, V2), make_pods(2) + stuck)) == {"v1": 1}


def test_a_fix_takes_the_place_of_the_broken_release_at_once() -> None:
    status = ran(4, sizes={"v1": 3, "v2": 2}) | {"activeRevision": "shop-v2"}
    app = make_app(replicas=4, digest="v3", status=status)
    broken = make_pods(2, "v2", ready=False, problem="CrashLoopBackOff")
    assert shown(decide(app, (V1, V2), make_pods(3) + broken)) == {"v2": -2, "v3": 2}


def test_paused_keeps_every_revision_and_still_scales() -> None:
    status = ran(10, sizes={"v1": 8, "v2": 5}) | {"activeRevision": "shop-v2"}
    status["rollout"] |= {"bound": 13}
    pods = make_pods(8) + make_pods(5, "v2")
    paused = make_app(replicas=10, digest="v3", status=status, paused=True)
    assert decide(paused, (V1, V2), pods).actions == (), "a changed template waits"
    scaled = make_app(replicas=30, digest="v3", status=status, paused=True, max_surge=3, max_unavailable=2)
    assert shown(decide(scaled, (V1, V2), pods)) == {"v1": 12, "v2": 8}


def test_paused_before_anything_ran_creates_nothing() -> None:
    app = make_app(replicas=3, paused=True)
    made = decide(app)
    assert made.actions == () and condition(app, made, "Paused")["status"] == "True"
    assert condition(app, made, "Ready")["reason"] == "Paused"


def test_recreate_deletes_everything_then_waits_then_creates() -> None:
    app = make_app(replicas=2, digest="v2", status=ran(2), strategy="Recreate")
    assert shown(decide(app, (V1, V2), make_pods(2))) == {"v1": -2}
    waiting = make_app(replicas=2, digest="v2", status=ran(2, sizes={"v2": 0}), strategy="Recreate")
    leaving = make_pods(1, deleting=NOW)
    assert shown(decide(waiting, (V1, V2), leaving)) == {}
    assert shown(decide(waiting, (V1, V2))) == {"v2": 2}


TRIED: dict[str, tuple[JSON, tuple[Pod, ...], bool]] = {
    "everything goes first": ({"strategy": "Recreate"}, (), True),
    "each new pod takes an old one's place": ({"max_surge": 0, "max_unavailable": 1}, (), True),
    "a new pod is made beside the old ones": ({"max_surge": 1, "max_unavailable": 1}, (), False),
    "there is a new pod already": ({"max_surge": 0, "max_unavailable": 1}, tuple(make_pods(1, "v2")), False),
    "the app is scaled to nothing": ({"strategy": "Recreate", "replicas": 0}, (), False),
}


@pytest.mark.parametrize("case", TRIED)
def test_old_pods_go_before_there_is_a_new_one_only_for_one_that_would_be_taken(case: str) -> None:
    fields, new, tries = TRIED[case]
    old = make_pods(2)
    app = make_app(**({"replicas": 2 + len(new), "digest": "v2", "status": ran(2)} | fields))
    made = decide(app, (V1, V2), (*old, *new))
    tried = [action for action in made.actions if isinstance(action, Try)]
    assert any(isinstance(action, Delete) for action in made.actions)
    assert [one.alike for one in tried] == (["v2"] if tries else [])


def test_a_revision_that_would_be_refused_is_told_before_anything_has_gone() -> None:
    app = make_app(replicas=2, digest="v2", status=ran(2), strategy="Recreate")
    no = Failure("create", "Pod", "shop-v2-bcdfg", 403, "Forbidden", "violates PodSecurity", NOW, alike="v2")
    made = decide(app, (V1, V2), make_pods(2), failures=(no,))
    told = condition(app, made, "ReplicaFailure")
    assert told["status"] == "True" and "violates PodSecurity" in told["message"]


def test_undo_goes_back_to_a_kept_revision_and_makes_it_the_newest() -> None:
    app = make_app(replicas=1, digest="v2", status=ran(1, "v2"), undo_to=1)
    made = decide(app, (V1, V2), make_pods(1, "v2"))
    renumbered = next(a for a in made.actions if isinstance(a, Patch))
    assert msgspec.json.decode(renumbered.body)["spec"]["number"] == 3
    assert shown(made)["v1"] == 1
    assert made.status is not None and made.status["undo"] == {"to": 1, "rejected": "v2", "revision": "shop-v1"}


def test_what_an_undo_means_is_stored_before_the_revision_gets_another_number() -> None:
    """Else an operator that ends in between looks for a number 1 that nobody has any more."""
    app = make_app(replicas=0, digest="v2", status=ran(0, "v2"), undo_to=1)
    made = decide(app, (V1, V2))
    assert [type(action) for action in made.actions] == [Patch]
    assert made.status_first


def test_a_template_that_comes_after_an_undo_nobody_could_obey_is_run() -> None:
    lost = make_app(replicas=1, digest="v2", status=ran(1, "v2"), undo_to=9)
    said = written(lost, decide(lost, (V1, V2), make_pods(1, "v2")))
    fixed = make_app(replicas=1, digest="v3", status=said, undo_to=9)
    assert written(fixed, decide(fixed, (V1, V2, V3), make_pods(1, "v2")))["activeRevision"] == "shop-v3"


def test_undo_still_holds_after_the_renumbering() -> None:
    """The revision gone back to now is number 3; undoTo still says 1, and the roll must not turn round."""
    status = ran(1, "v2") | {"undo": {"to": 1, "rejected": "v2", "revision": "shop-v1"}, "activeRevision": "shop-v1"}
    app = make_app(replicas=1, digest="v2", status=status, undo_to=1)
    renumbered = msgspec.structs.replace(V1, number=3)
    made = decide(app, (renumbered, V2), make_pods(1))
    assert made.status is not None and made.status["activeRevision"] == "shop-v1"
    assert find(written(app, made)["conditions"], "Stalled") is None


def test_a_newer_template_spends_the_undo() -> None:
    status = ran(1, "v1") | {"undo": {"to": 1, "rejected": "v2", "revision": "shop-v1"}}
    app = make_app(replicas=1, digest="v3", status=status, undo_to=1)
    assert shown(decide(app, (V1, V2), make_pods(1)))["v3"] == 1


def test_undo_to_a_revision_nobody_keeps_touches_nothing_and_says_which_are_kept() -> None:
    app = make_app(replicas=1, digest="v2", status=ran(1, "v2"), undo_to=9)
    made = decide(app, (V1, V2), make_pods(1, "v2"))
    assert shown(made) == {}
    stalled = condition(app, made, "Stalled")
    assert stalled["reason"] == "RevisionNotFound" and "kept: 1, 2" in stalled["message"]


def test_restart_replaces_the_pods_of_before_within_the_budget_and_makes_no_revision() -> None:
    app = make_app(replicas=4, status=ran(4), restart_at="2026-11-21T10:00:00Z")
    made = decide(app, (V1,), make_pods(4))
    assert shown(made) == {"v1": 1}  # two created, one deleted
    assert not any(action.kind == "Revision" for action in made.actions)
    fresh = next(msgspec.json.decode(a.body) for a in made.actions if isinstance(a, Create))
    assert fresh["metadata"]["annotations"]["fairlead.dev/restarted-at"] == "2026-11-21T10:00:00Z"


def test_going_back_to_pods_of_before_a_restart_keeps_to_the_bound() -> None:
    """The restart was asked for while the broken revision 2 was wanted: to revision 1 it is news."""
    status = ran(3, sizes={"v1": 2, "v2": 1}, activeRevision="shop-v2")
    status["rollout"] |= {"restartAt": "now", "bound": 3}
    app = make_app(replicas=3, status=status, restart_at="now", max_surge=0, max_unavailable=1)
    pods = (*make_pods(2), *make_pods(1, "v2", ready=False, restarted_at="now"))
    made = decide(app, (V1, V2), pods)
    assert written(app, made)["rollout"]["sizes"] == {"v1": 1, "v1~": 2}
    assert shown(made) == {"v1": 1, "v2": -1}


@pytest.mark.parametrize("taken_back_to", ["", "before"])
def test_a_restart_that_is_taken_back_while_paused_touches_no_pod(taken_back_to: str) -> None:
    status = ran(3, sizes={"v1": 0, "v1~": 3})
    status["rollout"] |= {"restartAt": "now", "bound": 4}
    app = make_app(replicas=3, status=status, restart_at=taken_back_to, paused=True)
    made = decide(app, (V1,), make_pods(3, restarted_at=taken_back_to))
    assert shown(made) == {}
    assert written(app, made)["rollout"]["sizes"]["v1"] == 3


def test_a_restart_that_is_done_is_done() -> None:
    status = ran(2)
    status["rollout"]["restartAt"] = "now"
    app = make_app(replicas=2, status=status, restart_at="now")
    assert decide(app, (V1,), make_pods(2, restarted_at="now")).actions == ()


def test_a_pod_that_gives_way_goes_when_another_serves_and_makes_no_revision() -> None:
    app = make_app(replicas=4, status=ran(4), max_surge=1, max_unavailable=0)
    giving = make_pods(1, prefix="old", gives_way=True)
    first = decide(app, (V1,), (*make_pods(3), *giving))
    assert shown(first) == {"v1": 1}
    assert not any(action.kind == "Revision" for action in first.actions)
    assert written(app, first)["rollout"]["sizes"] == {"v1": 4, "v1~": 1}

    later = msgspec.structs.replace(app, status=written(app, first))
    assert shown(decide(later, (V1,), (*make_pods(3), *make_pods(1, prefix="new", ready=False), *giving))) == {}
    made = decide(later, (V1,), (*make_pods(4), *giving))
    assert [action.name for action in made.actions if isinstance(action, Delete)] == [giving[0].name]


def test_one_more_pod_that_gives_way_does_not_go_before_another_serves() -> None:
    """Marked while the first is being replaced: nobody does that here, but a person can."""
    status = ran(4, sizes={"v1": 4, "v1~": 1})
    status["rollout"] |= {"bound": 5}
    app = make_app(replicas=4, status=status, max_surge=1, max_unavailable=0)
    new = make_pods(1, prefix="new", ready=False)
    giving = make_pods(2, prefix="old", gives_way=True)
    assert not [a for a in decide(app, (V1,), (*make_pods(2), *new, *giving)).actions if isinstance(a, Delete)]


def test_progress_deadline_says_what_is_awaited() -> None:
    status = ran(2, sizes={"v1": 2, "v2": 1}) | {
        "activeRevision": "shop-v2",
        "replicas": 3,
        "readyReplicas": 2,
        "updatedReplicas": 1,
    }
    status["conditions"] = [{"type": "Progressing", "status": "True", "reason": "RevisionUpdating"}]
    status["rollout"] |= {"startedAt": "1970-01-12T13:30:00Z", "lastProgressAt": "1970-01-12T13:30:00Z"}
    app = make_app(replicas=2, digest="v2", status=status, on_failure="Pause")
    stuck = make_pods(1, "v2", ready=False, problem="ImagePullBackOff", message="no such image")
    made = decide(app, (V1, V2), make_pods(2) + stuck)
    progressing = condition(app, made, "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert "1 × ImagePullBackOff (shop-v2-0: no such image)" in progressing["message"]
    assert condition(app, made, "Stalled")["status"] == "True"
    assert written(app, made)["summary"] == "Stuck: ImagePullBackOff"


def test_a_pod_that_its_node_does_not_start_is_told_after_half_a_minute() -> None:
    app = make_app(replicas=2, status=ran(2))
    (late,) = make_pods(1, prefix="late", ready=False, phase="Pending", node="n1", created=NOW - 20)
    early = decide(app, (V1,), (*make_pods(1), late))
    assert written(app, early)["problems"] == [] and early.requeue_after == pytest.approx(10)

    then = decide(app, (V1,), (*make_pods(1), msgspec.structs.replace(late, created=NOW - 30)))
    assert [(p["reason"], p["samplePod"]) for p in written(app, then)["problems"]] == [
        ("ContainerCreating", "shop-late-0")
    ]


def test_the_deadline_never_fires_after_completion() -> None:
    app = make_app(replicas=2, status=ran(2))
    made = decide(app, (V1,), make_pods(1) + make_pods(1, prefix="sick", ready=False, problem="CrashLoopBackOff"))
    assert condition(app, made, "Progressing")["reason"] == "NewRevisionAvailable"
    assert condition(app, made, "Ready")["status"] == "False"


def test_min_ready_seconds_asks_to_be_called_when_the_time_is_up() -> None:
    app = make_app(replicas=1, status=ran(1), min_ready_seconds=30)
    made = decide(app, (V1,), make_pods(1, ready_since=NOW - 10))
    assert made.requeue_after == pytest.approx(20.01)
    assert made.status is not None and made.status["availableReplicas"] == 0


def test_history_beyond_the_limit_goes_when_the_roll_is_complete() -> None:
    app = make_app(replicas=1, digest="v3", status=ran(1, "v3"), revision_history_limit=1)
    made = decide(app, (V1, V2, V3), make_pods(1, "v3"))
    assert [action.name for action in made.actions if isinstance(action, Delete)] == ["shop-v1"]


def test_history_stays_while_rolling() -> None:
    app = make_app(replicas=1, digest="v3", status=ran(1, "v2"), revision_history_limit=0)
    assert not any(
        isinstance(a, Delete) and a.kind == "Revision" for a in decide(app, (V1, V2, V3), make_pods(1, "v2")).actions
    )


def test_a_pod_that_lost_its_label_is_released_and_replaced() -> None:
    app = make_app(replicas=2, status=ran(2))
    lost = make_pods(1, prefix="lost", app="")
    made = decide(app, (V1,), make_pods(1) + lost)
    assert isinstance(made.actions[0], Release) and shown(made) == {"v1": 1}


def orphaned(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    return tuple(msgspec.structs.replace(pod, owner_uid="", owner_kind="", owner_name="") for pod in pods)


def test_an_orphan_of_a_known_revision_is_adopted_before_anything_is_made() -> None:
    app = make_app(replicas=3, status=ran(3))
    made = decide(app, (V1,), make_pods(1), orphans=orphaned(make_pods(1, prefix="orphan")))
    assert [(type(a), a.name) for a in made.actions] == [(Adopt, "shop-orphan-0")]


def test_an_app_made_again_takes_its_orphaned_revision_and_pods_back() -> None:
    loose = msgspec.structs.replace(V1, owner_uid="", owner_name="")
    made = decide(make_app(replicas=2), orphans=orphaned(make_pods(2)), orphan_revisions=(loose,))
    assert [(type(a), a.kind) for a in made.actions] == [(Adopt, "Pod"), (Adopt, "Pod"), (Adopt, "Revision")]


def test_orphans_of_the_template_are_taken_back_though_their_revision_is_gone() -> None:
    made = decide(make_app(replicas=2, digest="v1"), orphans=orphaned(make_pods(2)))
    assert [type(action) for action in made.actions] == [Adopt, Adopt]


def test_adoption_that_is_refused_does_not_stop_the_app() -> None:
    no = Failure("patch", "Pod", "shop-orphan-0", 403, "Forbidden", "no", NOW)
    made = decide(
        make_app(replicas=2, status=ran(2)),
        (V1,),
        make_pods(1),
        orphans=orphaned(make_pods(1, prefix="orphan")),
        failures=(no,),
    )
    assert shown(made) == {"v1": 1}


def test_an_orphan_of_no_revision_of_ours_is_reported_and_left_alone() -> None:
    app = make_app(replicas=1, status=ran(1))
    made = decide(app, (V1,), make_pods(1), orphans=orphaned(make_pods(1, "strange")))
    assert made.actions == ()
    problems = written(app, made)["problems"]
    assert [(p["reason"], p["samplePod"]) for p in problems] == [("SelectorConflict", "shop-strange-0")]


def test_pods_of_another_owner_are_never_adopted_by_label() -> None:
    app = make_app(replicas=1, status=ran(1))
    theirs = make_pods(1, prefix="theirs", owner_uid="other", owner_kind="ReplicaSet", owner_name="rs")
    made = decide(app, (V1,), make_pods(1), strangers=theirs)
    assert made.actions == () and written(app, made)["problems"][0]["reason"] == "SelectorConflict"


def test_a_quota_refusal_is_told_in_the_servers_words() -> None:
    failure = Failure(
        "create", "Pod", "shop-v1-x", 403, "Forbidden", "exceeded quota: small, requested: pods=1", NOW, 3, alike="v1"
    )
    app = make_app(replicas=2, status=ran(2))
    made = decide(app, (V1,), make_pods(1), failures=(failure,))
    told = written(app, made)["problems"][0]
    assert (told["reason"], told["revision"]) == ("QuotaExceeded", "shop-v1")
    assert "exceeded quota: small" in condition(app, made, "ReplicaFailure")["message"]


def test_a_refusal_is_told_no_more_when_the_app_was_scaled_to_what_its_quota_allows() -> None:
    failure = Failure("create", "Pod", "shop-v1-x", 403, "Forbidden", "exceeded quota: small", NOW)
    app = make_app(replicas=2, status=ran(3))
    said = written(app, decide(app, (V1,), make_pods(2), failures=(failure,)))
    assert said["problems"] == [] and find(said["conditions"], "ReplicaFailure") is None
    ready = find(said["conditions"], "Ready")
    assert ready is not None and ready["status"] == "True"


def test_a_spec_that_cannot_be_read_leaves_everything_as_it_is() -> None:
    app = make_app(replicas=2, status=ran(2), invalid="spec cannot be read: rollout.maxSurge")
    made = decide(app, (V1,), make_pods(2))
    assert made.actions == ()
    assert condition(app, made, "Stalled")["reason"] == "InvalidSpec"
    assert written(app, made)["activeRevision"] == "shop-v1"


def test_an_app_that_is_being_deleted_gets_no_new_pods() -> None:
    assert decide(make_app(replicas=3, deleting=True), (V1,), make_pods(1)) == Plan()


def test_scale_to_zero_reads_the_app_live_and_a_full_recreate_the_pods_too() -> None:
    assert decide(make_app(replicas=0, status=ran(2)), (V1,), make_pods(2)).confirm == "owner"
    assert (
        decide(make_app(replicas=2, digest="v2", status=ran(2), strategy="Recreate"), (V1,), make_pods(2)).confirm
        == "children"
    )


def test_a_revision_tells_how_many_pods_it_has() -> None:
    app = make_app(replicas=2, status=ran(2))
    made = decide(app, (V1,), make_pods(2))
    (child,) = made.statuses
    assert (child.kind, child.name, child.urgent) == ("Revision", "shop-v1", False)
    assert (child.status["phase"], child.status["readyReplicas"]) == ("Active", 2)
    told = msgspec.structs.replace(V1, status=child.status)
    assert decide(app, (told,), make_pods(2)).statuses == ()


def test_that_a_revision_gave_way_is_told_before_the_next_one_is_complete() -> None:
    """When is known only while the App calls it its stable one: told in its turn it might be lost, and with it the fast way back."""
    app = make_app(replicas=2, digest="v2", status=ran(2))
    told = {child.name: child for child in decide(app, (V1,), make_pods(2)).statuses}
    assert told["shop-v1"].urgent and told["shop-v1"].status["retiredAt"]


def test_pods_beyond_the_bound_go_before_any_comes() -> None:
    """Four pods were adopted by an App of two that also asks for a restart: none is made until there is room for it."""
    app = make_app(replicas=2, restart_at="2026-11-21T10:00:00Z", max_surge=1, max_unavailable=0)
    made = decide(app, (V1,), make_pods(4))
    assert shown(made) == {"v1": -2}
    after = decide(app, (V1,), make_pods(2))
    assert shown(after) == {"v1": 1}
