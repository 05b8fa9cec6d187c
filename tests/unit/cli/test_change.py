"""The verbs that change an App: what they write, and nothing else."""

from __future__ import annotations

import json

import pytest
import yaml

from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS, REVISIONS, Resource
from unit.cli import objects
from unit.cli.conftest import Cli, Shop


@pytest.fixture
def history(rolling: Shop) -> Shop:
    """Two bad releases after the one that runs well: 1 is stable, 2 is kept, 3 is active."""
    rolling.status(objects.moving(activeRevision="shop-v3", revision=3))
    rolling.revision(3, "v3")
    return rolling


@pytest.mark.parametrize(
    ("arguments", "spec", "told"),
    [
        (["pause", "shop"], {"rollout": {"paused": True}}, "paused"),
        (["scale", "shop", "--replicas", "5"], {"replicas": 5}, "scaled from 3 to 5"),
        (["scale", "shop", "--replicas=0"], {"replicas": 0}, "scaled from 3 to 0"),
        (["undo", "shop"], {"rollout": {"undoTo": 1}}, "goes back to revision 1 (shop:1)"),
        (["undo", "shop", "--to", "2"], {"rollout": {"undoTo": 2}}, "goes back to revision 2 (shop:2)"),
    ],
)
def test_a_verb_is_one_merge_patch_of_the_spec_under_its_own_manager(
    history: Shop, cli: Cli, arguments: list[str], spec: dict[str, object], told: str
) -> None:
    result = cli(*arguments)
    assert (result.code, result.out, result.err) == (0, f"app.fairlead.dev/shop {told}\n", "")
    (patch,) = history.server.made("PATCH")
    assert patch.body == {"spec": spec}
    assert patch.headers["Content-Type"] == "application/merge-patch+json"
    assert patch.query == {"fieldManager": "fairlead-cli", "fieldValidation": "Strict"}


def scaled(shop: Shop, size: int, spec_replicas: int = 3) -> None:
    """Autoscaling has brought it to so many pods."""
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(autoscale={"max": 30}, replicas=spec_replicas))
    shop.status(objects.done(size, generation=2, autoscale={"replicas": size, "asked": spec_replicas}))


def test_scale_goes_through_the_scale_subresource_as_kubectls_does(shop: Shop, cli: Cli) -> None:
    cli("scale", "shop", "--replicas", "5")

    (patch,) = shop.server.made("PATCH")
    assert patch.path.endswith("/apps/shop/scale")
    entries = shop.server.get(APPS, "shop")["metadata"]["managedFields"]
    assert [entry["manager"] for entry in entries if entry.get("subresource") == "scale"] == ["fairlead-cli"]


def test_scale_of_an_autoscaled_app_says_for_how_long(shop: Shop, cli: Cli) -> None:
    scaled(shop, 9)

    told = cli("scale", "shop", "--replicas", "5").out
    assert told == "app.fairlead.dev/shop scaled from 9 to 5; spec.autoscale decides again after 10m\n"
    assert cli("scale", "shop", "--replicas", "0").out == "app.fairlead.dev/shop scaled from 9 to 0\n"


def test_scale_to_the_number_that_the_spec_has_and_the_app_has_not_says_why_it_cannot(shop: Shop, cli: Cli) -> None:
    scaled(shop, 9)

    result = cli("scale", "shop", "--replicas", "3")
    assert (result.code, shop.server.made("PATCH")) == (1, [])
    assert result.err == (
        "error: spec.replicas of App shop is 3 already, so that to write it would say nothing; scale to another number first, "
        "or change spec.autoscale\n"
    )


def test_undo_goes_to_the_last_revision_that_ran_well_and_not_to_the_bad_one_before(history: Shop, cli: Cli) -> None:
    cli("undo", "shop")
    assert history.server.get(APPS, "shop")["spec"]["rollout"] == {"undoTo": 1}


def test_undo_of_a_rollout_that_is_done_goes_to_the_one_before(history: Shop, cli: Cli) -> None:
    history.status(objects.done(generation=2, revision=3, hash="v3"))
    assert cli("undo", "shop").out == "app.fairlead.dev/shop goes back to revision 2 (shop:2)\n"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("7", "there is no revision 7; kept are 1 (shop:1), 2 (shop:2), 3 (shop:3)"),
        ("3", "revision 3 is the one that is active already; kept are 1 (shop:1), 2 (shop:2), 3 (shop:3)"),
    ],
)
def test_an_undo_that_cannot_be_meant_is_refused_and_lists_what_can(
    history: Shop, cli: Cli, number: str, words: str
) -> None:
    result = cli("undo", "shop", "--to", number)
    assert (result.code, result.err) == (1, f"error: cannot undo shop: {words}\n")
    assert not history.server.made("PATCH")


def test_undo_with_nothing_to_go_back_to_says_so(shop: Shop, cli: Cli) -> None:
    assert cli("undo", "shop").err.endswith("there is no earlier revision to go back to: only the active one is kept\n")


def test_revisions_of_a_namesake_that_is_gone_are_not_gone_back_to(shop: Shop, cli: Cli) -> None:
    shop.server.add(*_revision_of_another())
    assert "there is no earlier revision" in cli("undo", "shop").err


def _revision_of_another() -> tuple[Resource, JSON]:
    return REVISIONS, objects.revision(2, "old", uid="the-uid-of-one-deleted-last-week")


def test_restart_takes_the_api_servers_time_and_not_ours(shop: Shop, cli: Cli) -> None:
    shop.server.clock_ahead = 3600.0
    assert cli("restart", "shop").out == "app.fairlead.dev/shop restarts\n"
    at = parse_time(shop.server.made("PATCH")[0].body["spec"]["rollout"]["restartAt"])
    created = parse_time(shop.server.add(APPS, objects.app("other"))["metadata"]["creationTimestamp"])
    assert at is not None and created is not None
    assert abs(created - at) < 60


CONFIG: list[JSON] = [
    {"name": "settings", "mountPath": "/etc/shop", "configMap": "settings"},
    {"name": "db", "env": True, "secret": "shop-db"},
    {"name": "tls", "mountPath": "/tls", "secret": "shop-tls", "reload": "1"},
]


@pytest.fixture
def with_secrets(shop: Shop) -> Shop:
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(config=CONFIG))
    return shop


@pytest.mark.parametrize(
    ("entries", "reloaded", "told"),
    [
        ([], ["db", "tls"], "is released anew with Secret shop-db, Secret shop-tls"),
        (["db"], ["db"], "is released anew with Secret shop-db"),
    ],
)
def test_reload_writes_one_word_to_the_entries_that_name_a_secret(
    with_secrets: Shop, cli: Cli, entries: list[str], reloaded: list[str], told: str
) -> None:
    before = with_secrets.server.get(APPS, "shop")
    assert cli("reload", "shop", *entries).out == f"app.fairlead.dev/shop {told}\n"
    (patch,) = with_secrets.server.made("PATCH")
    assert patch.body["metadata"] == {"resourceVersion": before["metadata"]["resourceVersion"]}
    changed = [
        after["name"] for before, after in zip(CONFIG, patch.body["spec"]["config"], strict=True) if before != after
    ]
    assert changed == reloaded
    words = {entry["reload"] for entry in patch.body["spec"]["config"] if entry["name"] in reloaded}
    assert len(words) == 1 and parse_time(words.pop()) is not None


def test_reload_reads_no_secret(with_secrets: Shop, cli: Cli) -> None:
    cli("reload", "shop")
    assert not [request.path for request in with_secrets.server.requests if "secrets" in request.path]


def test_reload_of_what_is_not_there_says_what_is(with_secrets: Shop, cli: Cli) -> None:
    assert (
        'no entry "settings" with a Secret under spec.config; there are db, tls'
        in cli("reload", "shop", "settings").err
    )
    with_secrets.server.change(APPS, "shop", lambda o: o["spec"].pop("config"))
    result = cli("reload", "shop")
    assert result.code == 1 and "has no Secret under spec.config" in result.err
    assert "fairlead restart shop" in result.err
    assert not with_secrets.server.made("PATCH")


@pytest.mark.parametrize(
    ("spec", "arguments", "told"),
    [
        ({"rollout": {"paused": True}}, ["pause", "shop"], "is paused already"),
        ({}, ["resume", "shop"], "is not paused"),
        ({}, ["scale", "shop", "--replicas", "3"], "has 3 replicas already"),
    ],
)
def test_what_is_so_already_is_not_written_again(
    shop: Shop, cli: Cli, spec: dict[str, object], arguments: list[str], told: str
) -> None:
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(spec))
    result = cli(*arguments)
    assert (result.code, result.out) == (0, f"app.fairlead.dev/shop {told}\n")
    assert not shop.server.made("PATCH")


def test_resume_lets_a_paused_app_go_on(shop: Shop, cli: Cli) -> None:
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(rollout={"paused": True}))
    assert cli("resume", "shop").out == "app.fairlead.dev/shop resumed\n"
    assert shop.server.get(APPS, "shop")["spec"]["rollout"] == {"paused": False}


@pytest.mark.parametrize("arguments", [["restart", "shop"], ["undo", "shop"]])
def test_what_waits_because_of_a_pause_says_so(history: Shop, cli: Cli, arguments: list[str]) -> None:
    history.server.change(APPS, "shop", lambda o: o["spec"].update(rollout={"paused": True}))
    assert "it is paused: it moves when it is resumed" in cli(*arguments).out


# ---------------------------------------------------------------- trust.md 4, number 75: --dry-run everywhere

EVERY_CHANGE = [
    ["pause", "shop"],
    ["restart", "shop"],
    ["undo", "shop"],
    ["scale", "shop", "--replicas", "9"],
]


@pytest.mark.parametrize("arguments", EVERY_CHANGE, ids=lambda a: a[0])
def test_trust_75_a_client_dry_run_writes_nothing_and_shows_what_would_be(
    history: Shop, cli: Cli, arguments: list[str]
) -> None:
    before = history.server.get(APPS, "shop")
    result = cli(*arguments, "--dry-run=client", "-o", "yaml")
    assert result.code == 0
    assert yaml.safe_load(result.out)["spec"] != before["spec"]
    assert not history.server.made("PATCH")


@pytest.mark.parametrize("arguments", EVERY_CHANGE, ids=lambda a: a[0])
def test_trust_75_a_server_dry_run_asks_the_server_and_changes_nothing(
    history: Shop, cli: Cli, arguments: list[str]
) -> None:
    before = history.server.get(APPS, "shop")
    result = cli(*arguments, "--dry-run=server")
    assert result.out.endswith(" (server dry run)\n")
    assert history.server.made("PATCH")[0].query["dryRun"] == "All"
    assert history.server.get(APPS, "shop") == before


def test_the_object_that_was_written_can_be_had_as_json_without_its_managed_fields(shop: Shop, cli: Cli) -> None:
    written = json.loads(cli("scale", "shop", "--replicas", "4", "-o", "json").out)
    assert (written["kind"], written["spec"]["replicas"]) == ("App", 4)
    assert "managedFields" not in written["metadata"]
    assert cli("pause", "shop", "-o", "name").out == "app.fairlead.dev/shop\n"


def test_another_field_manager_can_be_named(shop: Shop, cli: Cli) -> None:
    cli("pause", "shop", "--field-manager", "release-bot")
    assert shop.server.made("PATCH")[0].query["fieldManager"] == "release-bot"


def test_an_app_that_is_being_deleted_is_not_changed_any_more(shop: Shop, cli: Cli) -> None:
    shop.server.change(APPS, "shop", lambda o: o["metadata"].update(finalizers=["example.com/keep"]))
    shop.server.delete_by_user(APPS, "shop")
    result = cli("scale", "shop", "--replicas", "9")
    assert (result.code, result.err) == (1, "error: App shop is being deleted: it cannot be changed any more\n")


def test_a_refusal_is_told_in_the_servers_words(shop: Shop, cli: Cli) -> None:
    shop.server.forbid("patch", "apps")
    result = cli("pause", "shop", "-n", "default")
    assert result.err == (
        "error: not allowed: jane may not patch apps.fairlead.dev in namespace default; "
        "see: kubectl auth can-i patch apps.fairlead.dev -n default\n"
    )
