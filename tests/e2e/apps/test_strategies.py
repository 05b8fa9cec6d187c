"""Releases by other strategies than Rolling: Recreate, Canary, BlueGreen."""

from __future__ import annotations

import pytest

from e2e.dsl import Given, Scene, Then, When, apps

pytestmark = pytest.mark.slow


def test_recreate_never_runs_two_versions_at_once(given: Given, when: When, then: Then) -> None:
    given.a_ready_app(apps.idle(replicas=2, rollout={"strategy": "Recreate"}))

    with then.history() as history:
        when.released(2)
        then.ready()
        then.pods_ready(2)

    assert history.most_kinds == 1
    assert history.most == 2


CANARY = {
    "strategy": "Canary",
    "maxSurge": 1,
    "maxUnavailable": 0,
    "progressDeadlineSeconds": 8,
    "steps": [{"weight": 25}, {"pause": {}}, {"weight": 50}],
}


def test_a_canary_that_does_not_come_up_takes_itself_back_and_costs_no_request(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=4, rollout=CANARY))
    before = {pod["metadata"]["uid"] for pod in scene.pods()}

    with then.history() as history, when.requested(rate=20) as reports:
        when.image_is(apps.NOWHERE)
        back = then.condition("RolledBack", "True", "ReleaseFailed")
        after = {pod["metadata"]["uid"] for pod in then.pods_ready(4)}
        gate = when.fairlead("status", "shop", "--watch", "--timeout=30s")

    assert "no progress for 8 s" in back["message"], back
    assert after == before, "the pods that served go on"
    assert history.fewest_ready >= 4
    assert reports[0].lost == 0, reports[0]
    assert gate.returncode == 2, gate.stdout + gate.stderr
    assert apps.container(scene.app())["image"] == apps.NOWHERE, "the user's spec is never written"


def test_a_canary_is_promoted_and_another_is_aborted_by_the_command_line_while_requests_are_answered(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=4, rollout=CANARY | {"progressDeadlineSeconds": 300}))

    with then.history() as history, when.requested(rate=20) as reports:
        when.released(2)
        then.condition("Progressing", "True", "StepPaused")
        then.pods_ready(4)
        assert then.status(lambda status: status["rollout"]["share"] == 25)
        promoted = when.fairlead("promote", "shop")
        assert promoted.returncode == 0, promoted.stderr
        then.ready()
        second = {pod["metadata"]["uid"] for pod in then.pods_ready(4)}
        when.released(3)
        then.condition("Progressing", "True", "StepPaused")
        aborted = when.fairlead("abort", "shop")
        assert aborted.returncode == 0, aborted.stderr
        then.condition("RolledBack", "True", "ReleaseAborted")
        third = {pod["metadata"]["uid"] for pod in then.pods_ready(4)}

    assert len(second & third) >= 3, "one pod had given way to the canary"
    assert history.fewest_ready >= 4
    assert reports[0].lost == 0, reports[0]


BLUE_GREEN = {
    "strategy": "BlueGreen",
    "maxUnavailable": 0,
    "progressDeadlineSeconds": 300,
    "blueGreen": {"autoPromote": False, "scaleDownDelaySeconds": 600},
}


def test_a_blue_green_switch_and_the_way_back_cost_no_request(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=3, rollout=BLUE_GREEN))
    first = {pod["metadata"]["uid"] for pod in scene.pods()}

    with then.history() as history, when.requested(rate=50, kept_rate=10) as reports:
        when.released(2)
        then.condition("Progressing", "True", "StepPaused")
        then.pods_ready(6)
        waiting = when.fairlead("status", "shop")
        promoted = when.fairlead("promote", "shop")
        then.status(lambda status: status["summary"] == "Switched 3/3")
        second = {pod["metadata"]["uid"] for pod in scene.pods()} - first
        aborted = when.fairlead("abort", "shop")
        then.condition("RolledBack", "True", "ReleaseAborted")
        back = {pod["metadata"]["uid"] for pod in then.pods_ready(3)}

    assert "the preview of revision 2 to be promoted" in waiting.stdout, waiting.stdout + waiting.stderr
    assert promoted.returncode == aborted.returncode == 0, promoted.stderr + aborted.stderr
    assert back == first, "the way back made no pod"
    assert {pod["metadata"]["uid"] for pod in history.new()} == second and len(second) == 3
    assert all(report.lost == 0 for report in reports), reports
    assert apps.container(scene.app())["env"][0]["value"] == "2", "the user's spec is never written"
