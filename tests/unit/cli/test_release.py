"""promote, abort and retry: annotations that name the release they are about."""

from __future__ import annotations

import pytest

from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS
from unit.cli import objects
from unit.cli.conftest import Cli, Shop

AT_ITS_PAUSE = {"step": 1, "steps": 3, "weight": 25, "share": 25, "heldAt": "2026-11-21T10:00:00Z"}
REJECTED = {
    "digest": "v2",
    "revision": "shop-v2",
    "number": 2,
    "reason": "Aborted",
    "message": "it was aborted by hand",
}


@pytest.fixture
def canary(rolling: Shop) -> Shop:
    """A release at the second of its three steps."""
    moving = objects.moving()
    rolling.status(moving | {"rollout": moving.get("rollout", {}) | AT_ITS_PAUSE})
    return rolling


def annotations(shop: Shop) -> JSON:
    found: JSON = shop.server.get(APPS, "shop")["metadata"].get("annotations") or {}
    return found


def test_promote_passes_the_step_of_now_and_no_other(canary: Shop, cli: Cli) -> None:
    assert cli("promote", "shop").out == "app.fairlead.dev/shop revision 2 passes step 2 of 3\n"
    assert annotations(canary) == {"fairlead.dev/promote": "2/2"}
    (patch,) = canary.server.made("PATCH")
    assert set(patch.body) == {"metadata"}, "the spec is left alone"


def test_promote_of_a_preview_that_is_still_coming_up_moves_the_traffic_once_it_is(rolling: Shop, cli: Cli) -> None:
    moving = objects.moving(generation=3)
    rolling.server.change(APPS, "shop", lambda o: o["spec"].update(rollout={"strategy": "BlueGreen"}))
    rolling.status(moving | {"rollout": moving.get("rollout", {}) | {"step": 0, "steps": 4, "weight": 0}})
    assert cli("promote", "shop").out == "app.fairlead.dev/shop revision 2 passes step 2 of 4\n"


def test_promote_full_passes_all_steps(canary: Shop, cli: Cli) -> None:
    assert cli("promote", "shop", "--full").out == "app.fairlead.dev/shop revision 2 passes all its steps\n"
    assert annotations(canary) == {"fairlead.dev/promote": "2"}


def test_there_is_nothing_to_promote_without_steps(rolling: Shop, cli: Cli) -> None:
    result = cli("promote", "shop")
    assert (result.code, result.err) == (
        1,
        "error: cannot promote shop: its release has no step before it; see: fairlead status shop\n",
    )
    assert not rolling.server.made("PATCH")


def test_abort_names_the_revision(canary: Shop, cli: Cli) -> None:
    assert cli("abort", "shop").out == "app.fairlead.dev/shop revision 2 is taken back\n"
    assert annotations(canary) == {"fairlead.dev/abort": "2"}


def test_a_completed_release_is_undone_and_not_aborted(shop: Shop, cli: Cli) -> None:
    assert cli("abort", "shop").err == (
        "error: cannot abort shop: revision 1 is completed; to leave it: fairlead undo shop\n"
    )


def test_a_first_release_has_nothing_to_be_taken_back_to(rolling: Shop, cli: Cli) -> None:
    status = objects.moving()
    del status["stableRevision"]
    rolling.status(status)
    assert "this is its first release, there is nothing to go back to" in cli("abort", "shop").err


def test_retry_takes_the_api_servers_time_and_takes_the_abort_away(canary: Shop, cli: Cli) -> None:
    canary.server.change(APPS, "shop", lambda o: o["metadata"].update(annotations={"fairlead.dev/abort": "2"}))
    canary.status(objects.done(generation=2) | {"rejected": REJECTED})
    assert cli("retry", "shop").out == "app.fairlead.dev/shop tries revision 2 again\n"
    assert list(annotations(canary)) == ["fairlead.dev/retry"]
    assert parse_time(annotations(canary)["fairlead.dev/retry"]) is not None


def test_there_is_nothing_to_retry_where_nothing_was_taken_back(shop: Shop, cli: Cli) -> None:
    assert "no release of its template was taken back" in cli("retry", "shop").err


def test_a_pause_of_a_step_cannot_be_late(canary: Shop, cli: Cli) -> None:
    assert "gives up" not in cli("status", "shop").out


def test_a_release_that_was_taken_back_fails_the_gate_and_says_what_runs(canary: Shop, cli: Cli) -> None:
    why = "revision 2 was taken back: it was aborted by hand; revision 1 runs what ran before"
    status = objects.done(generation=2) | {"rejected": REJECTED}
    status["conditions"] = [
        objects.condition("Ready", "False", "RolledBack", why),
        objects.condition("RolledBack", "True", "ReleaseAborted", why),
        objects.condition("Stalled", "True", "RolledBack", why),
        objects.condition("Progressing", "True", "NewRevisionAvailable"),
    ]
    canary.status(status)
    result = cli("status", "shop", "--watch")
    assert result.code == 2
    assert why in result.out
    assert "brought back" in result.out
