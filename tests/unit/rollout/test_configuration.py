"""Configuration as part of a revision: what runs while it is not known, and what can be gone back to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.config.model import Pin
from fairlead.core.actions import Create
from fairlead.core.conditions import Condition, find, timestamp
from fairlead.core.meta import JSON
from fairlead.rollout.model import Asked, project_revision
from fairlead.rollout.revisions import choose, standing_rejection, standing_undo
from fairlead.rollout.status import summarise
from fairlead.rollout.testing import make_app, make_pods, make_revision
from unit.rollout.test_plan import NOW, V1, V2, condition, decide, ran, shown, written

PINS = (Pin("settings", mount_path="/etc/shop", copy="shop-settings-1", keys={"a": "x"}),)


def test_a_first_revision_records_what_it_runs_with() -> None:
    made = decide(make_app(digest="new"), pins=PINS)
    (body,) = (msgspec.json.decode(a.body) for a in made.actions if isinstance(a, Create) and a.kind == "Revision")
    assert body["spec"]["config"] == [
        {"name": "settings", "mountPath": "/etc/shop", "copy": "shop-settings-1", "keys": {"a": "x"}}
    ]
    read = project_revision(msgspec.json.encode(body))
    assert read.config == PINS and read.digest != project_revision(msgspec.json.encode(bare(body))).digest


def bare(body: JSON) -> JSON:
    return body | {"spec": {key: value for key, value in body["spec"].items() if key != "config"}}


def test_without_configuration_a_revision_is_what_it_was_before() -> None:
    made = decide(make_app())
    (body,) = (msgspec.json.decode(a.body) for a in made.actions if isinstance(a, Create) and a.kind == "Revision")
    assert "config" not in body["spec"]


def test_while_the_configuration_is_not_known_what_runs_goes_on() -> None:
    app = make_app(replicas=2, digest="", status=ran(2))
    made = decide(app, (V1,), make_pods(1))
    assert shown(made) == {"v1": 1}, "a pod that is missing is made, of the revision that runs"
    assert written(app, made)["activeRevision"] == "shop-v1"


def test_a_first_release_waits_for_its_configuration() -> None:
    app = make_app(digest="")
    made = decide(app)
    assert made.actions == ()
    assert condition(app, made, "Progressing")["reason"] == "ConfigPending"


def test_a_missing_config_map_is_the_reason_for_which_an_app_is_not_ready() -> None:
    app = make_app(replicas=2, digest="", status=ran(2))
    made = decide(app, (V1,), make_pods(2))
    said = Condition("Config", "False", "ConfigMapMissing", "there is no ConfigMap settings")
    joined = (made.status or {}) | {"conditions": [*(made.status or {})["conditions"], said]}
    status = summarise(app, joined, NOW)
    ready, stalled = find(status["conditions"], "Ready"), find(status["conditions"], "Stalled")
    assert ready and (ready["status"], ready["reason"]) == ("False", "ConfigMapMissing") and stalled is None
    assert status["summary"] == "Waiting: ConfigMapMissing"


def rejected(**more: Any) -> JSON:
    return ran(2) | {"rejected": {"digest": "v2", "revision": "shop-v2", "number": 2, "reason": "x"} | more}


def test_a_rejection_stands_while_the_configuration_is_not_known() -> None:
    app = make_app(replicas=2, digest="", status=rejected())
    assert standing_rejection(app, (V1, V2))
    target = choose(app, (V1, V2))
    assert target and target.hash == "v1" and written(app, decide(app, (V1, V2), make_pods(2)))["rejected"]


def test_a_release_that_fails_after_its_config_map_went_is_remembered_by_what_it_was() -> None:
    status = ran(2) | {"activeRevision": "shop-v2", "updatedReplicas": 0, "availableReplicas": 1}
    app = make_app(replicas=2, digest="", status=status, asked=Asked(abort="2"))
    assert written(app, decide(app, (V1, V2), make_pods(2)))["rejected"]["digest"] == "v2"


@pytest.mark.parametrize("later", ["", "v2", "v3"])
def test_an_undo_that_was_asked_for_while_nothing_was_known_holds(later: str) -> None:
    app = make_app(undo_to=1, digest="", status=ran(1, "v2"))
    undo = standing_undo(app)
    assert undo and undo.rejected == ""
    status = ran(1) | {"undo": {"to": 1, "revision": "shop-v1", "rejected": ""}}
    after = standing_undo(make_app(undo_to=1, digest=later, status=status))
    assert after and after.rejected == later


def test_a_known_undo_is_not_spent_by_a_config_map_that_goes() -> None:
    status = ran(1) | {"undo": {"to": 1, "revision": "shop-v1", "rejected": "v2"}}
    assert standing_undo(make_app(undo_to=1, digest="", status=status))
    assert standing_undo(make_app(undo_to=1, digest="v3", status=status)) is None


LOST = make_revision(lost=("shop-settings-1",))


def test_an_undo_to_a_revision_whose_configuration_is_gone_touches_no_pod() -> None:
    app = make_app(replicas=2, digest="v2", undo_to=1, status=ran(2, "v2"))
    made = decide(app, (LOST, V2), make_pods(2, "v2"))
    said = condition(app, made, "Accepted")
    assert made.actions == () and said["reason"] == "RollbackBlocked" and "shop-settings-1" in said["message"]
    assert condition(app, made, "Ready")["reason"] == "RollbackBlocked"


def test_a_revision_that_runs_already_is_not_left_for_a_copy_that_goes() -> None:
    status = ran(2) | {"undo": {"to": 1, "revision": "shop-v1", "rejected": "v2"}}
    target = choose(make_app(replicas=2, digest="v2", undo_to=1, status=status), (LOST, V2))
    assert target and target.hash == "v1" and target.blocked is None


def test_a_failed_release_is_not_taken_back_to_what_cannot_run() -> None:
    late = {
        "sizes": {"v1": 2, "v2": 1},
        "desired": 2,
        "bound": 3,
        "startedAt": timestamp(0),
        "lastProgressAt": timestamp(0),
    }
    status = ran(2) | {"activeRevision": "shop-v2", "updatedReplicas": 1, "rollout": late, "conditions": []}
    app = make_app(replicas=2, digest="v2", status=status | {"replicas": 3})
    pods = make_pods(2) + make_pods(1, "v2", ready=False)
    assert written(app, decide(app, (V1, V2), pods))["activeRevision"] == "shop-v1"
    assert written(app, decide(app, (LOST, V2), pods))["activeRevision"] == "shop-v2"
