"""What `fairlead status` shows, and how it ends as a gate."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable

import pytest
import yaml

from fairlead.cli import following
from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS, NAMESPACES, REVISIONS
from fairlead.view.model import App, Revision, read_revisions
from support.waiting import PATIENCE
from unit.cli import objects
from unit.cli.conftest import Cli, Shop
from unit.cli.served import ServedCluster


def test_an_app_that_is_done_is_shown_with_its_revision(shop: Shop, cli: Cli) -> None:
    result = cli("status", "shop")
    assert result.code == 0
    assert result.lines[0].startswith("✓ shop  Ready  namespace default · Rolling, surge 25%, unavailable 25%")
    assert "▸ 1  shop:1  ━━━━━━━━━━━━━━━━  3/3 ready  running" in result.lines[1]
    assert result.err == ""


@pytest.mark.parametrize("name", ["shop", "app/shop", "apps/shop", "fapp/shop", "apps.fairlead.dev/shop", "App/shop"])
def test_every_spelling_kubectl_takes_names_the_app(shop: Shop, cli: Cli, name: str) -> None:
    assert cli("status", name, "-o", "name").out == "app.fairlead.dev/shop\n"


def test_a_rollout_under_way_has_a_bar_for_each_revision_and_says_what_it_waits_for(rolling: Shop, cli: Cli) -> None:
    result = cli("status", "shop")
    assert result.code == 0
    assert "● shop  Rolling 1/3" in result.lines[0]
    assert "▸ 2  shop:2  ────────────────  0/3 ready  rolling in" in result.lines[1]
    assert "  1  shop:1  ━━━━━━━━━━━━━━━━  3 left     leaving" in result.lines[2]
    assert "waits for 2 of 3 updated pods to be created" in result.lines[3]


def test_a_stuck_rollout_names_its_problem_and_exits_2(rolling: Shop, cli: Cli) -> None:
    rolling.status(objects.stuck())
    result = cli("status", "shop")
    assert result.code == 2
    assert "✗ shop  Stuck: ImagePullBackOff" in result.lines[0]
    assert 'Back-off pulling image "shop:2"' in result.out
    assert result.out.count("ImagePullBackOff") == 2, "the deadline's condition does not say it once more"
    assert "more: fairlead why shop" in result.out


def test_json_and_yaml_carry_the_same_for_programs(rolling: Shop, cli: Cli) -> None:
    told = json.loads(cli("status", "shop", "-o", "json").out)
    assert told == yaml.safe_load(cli("status", "shop", "-o", "yaml").out)
    assert (told["verdict"], told["desired"], told["updated"]) == ("Moving", 3, 1)
    assert [row["number"] for row in told["revisions"]] == [2, 1]


def test_a_change_the_operator_has_not_seen_is_not_judged_by_the_old_status(shop: Shop, cli: Cli) -> None:
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(replicas=5))
    told = json.loads(cli("status", "shop", "-o", "json").out)
    assert (told["verdict"], told["summary"]) == ("Unseen", "Waiting for the operator")


def test_revisions_that_may_not_be_read_leave_the_apps_own_counts(shop: Shop, cli: Cli) -> None:
    shop.server.forbid("list", "revisions")
    result = cli("status", "shop")
    assert result.code == 0
    assert "▸ 1  shop:1  ━━━━━━━━━━━━━━━━  3/3 ready  running" in result.out


# ---------------------------------------------------------------- lists


def test_without_a_name_the_apps_of_the_namespace_are_listed(shop: Shop, cli: Cli) -> None:
    result = cli("status")
    assert result.lines[0].split() == ["NAME", "STATUS", "READY", "UPDATED", "REVISION", "AGE"]
    assert result.lines[1].split()[:5] == ["shop", "Ready", "3/3", "3", "1"]


def test_all_namespaces_and_selectors_choose_what_is_listed(shop: Shop, cli: Cli) -> None:
    shop.server.add(NAMESPACES, {"metadata": {"name": "other"}}, namespace="")
    shop.server.add(APPS, objects.app("blog") | {"metadata": {"name": "blog", "labels": {"team": "red"}}}, "other")
    assert [line.split()[1] for line in cli("status", "-A").lines[1:]] == ["shop", "blog"]
    assert [line.split()[1] for line in cli("status", "-A", "-l", "team=red").lines[1:]] == ["blog"]
    assert cli("status", "-n", "other", "-o", "name").out == "app.fairlead.dev/blog\n"
    assert cli("-n", "other", "status", "-o", "name").out == "app.fairlead.dev/blog\n", (
        "flags may stand before the verb"
    )


def test_wide_adds_the_images_in_full(shop: Shop, cli: Cli) -> None:
    assert cli("status", "-o", "wide").lines[1].endswith("registry.example/shop:1")


def test_a_long_list_is_read_page_by_page(server: ServedCluster, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.cli.cluster.PAGE", 3)
    for index in range(8):
        server.add(APPS, objects.app(f"app-{index}"))
    assert len(cli("status").lines) == 9
    assert [request.query["limit"] for request in server.made("GET")] == ["3"] * 3


def test_an_empty_namespace_says_so_on_stderr(server: ServedCluster, cli: Cli) -> None:
    result = cli("status")
    assert (result.code, result.out, result.err) == (0, "", "There is no App in namespace default.\n")


# ---------------------------------------------------------------- following to the end


def soon(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.005)


@pytest.fixture
def meanwhile() -> Callable[[Callable[[], None]], threading.Thread]:
    """Do something on another thread while the CLI follows."""

    def start(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    return start


Meanwhile = Callable[[Callable[[], None]], threading.Thread]


def test_a_rollout_that_is_done_ends_the_wait_at_once(shop: Shop, cli: Cli) -> None:
    result = cli("status", "shop", "--watch")
    assert result.code == 0
    assert re.fullmatch(r"\+\d+s  Ready: revision 1 3/3 ready", result.lines[0])


def test_a_gate_opens_when_the_rollout_is_done(
    rolling: Shop, cli: Cli, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, heard = rolling.server, list[JSON]()

    def hear(revisions: list[JSON], app: App) -> list[Revision]:
        heard[:] = revisions
        return read_revisions(revisions, app)

    def operator() -> None:
        soon(lambda: server.watching() == 2)
        server.set_status(REVISIONS, "shop-v1", {})
        server.set_status(REVISIONS, "shop-v2", {"replicas": 3, "readyReplicas": 3, "availableReplicas": 3})
        # Revisions come by a watch of their own: the App's end may overtake them, and would be the last that is heard.
        soon(lambda: any(one["status"].get("readyReplicas") == 3 and "v2" in one["metadata"]["name"] for one in heard))
        rolling.status(objects.done(generation=2, revision=2, hash="v2"))

    monkeypatch.setattr(following, "read_revisions", hear)
    thread = meanwhile(operator)
    result = cli("status", "shop", "--watch", "--timeout", "90s")
    thread.join()
    assert result.code == 0
    first = "Rolling 1/3: revision 2 0/3 ready, revision 1 3 left; waits for 2 of 3"
    assert result.lines[0].partition("s  ")[2].startswith(first)
    assert any(line.endswith("Ready: revision 2 3/3 ready") for line in result.lines)
    assert result.err == ""


def test_a_gate_closes_with_2_when_the_rollout_fails(rolling: Shop, cli: Cli, meanwhile: Meanwhile) -> None:
    def operator() -> None:
        soon(lambda: rolling.server.watching() == 2)
        rolling.status(objects.stuck())

    thread = meanwhile(operator)
    result = cli("status", "shop", "--watch")
    thread.join()
    assert result.code == 2
    assert result.err == (
        "error: shop is stuck: revision 2 does not get further, 0 of its 3 pods are ready. See: fairlead why shop\n"
    )


def test_a_gate_closes_with_2_when_the_time_is_up(rolling: Shop, cli: Cli) -> None:
    result = cli("status", "shop", "--watch", "--timeout", "300ms", "-o", "json")
    assert result.code == 2
    assert json.loads(result.out)["verdict"] == "Moving"
    assert result.err.startswith("error: not done after 0s: shop is rolling: revision 2 is coming in")


def test_an_app_that_is_deleted_meanwhile_is_an_error(rolling: Shop, cli: Cli, meanwhile: Meanwhile) -> None:
    def someone() -> None:
        soon(lambda: rolling.server.watching() == 2)
        rolling.server.delete(APPS, "shop")

    thread = meanwhile(someone)
    result = cli("status", "shop", "--watch")
    thread.join()
    assert (result.code, result.err) == (1, "error: App shop was deleted while it was followed\n")


def test_an_app_that_is_made_anew_meanwhile_is_another_one(rolling: Shop, cli: Cli, meanwhile: Meanwhile) -> None:
    def someone() -> None:
        soon(lambda: rolling.server.watching() == 2)
        rolling.server.delete(APPS, "shop")
        rolling.server.add(APPS, objects.app() | {"status": objects.done()})

    thread = meanwhile(someone)
    result = cli("status", "shop", "--watch")
    thread.join()
    assert result.code == 1
    assert "while it was followed" in result.err


@pytest.mark.parametrize("trouble", ["close", "compact", "errors", "cut"])
def test_trouble_on_the_way_is_waited_out(
    rolling: Shop, cli: Cli, meanwhile: Meanwhile, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RETRY", 0.01)
    server = rolling.server

    def operator() -> None:
        soon(lambda: server.watching() == 2)
        if trouble == "compact":
            server.compact()
        else:
            server.break_next(*{"close": [], "errors": [503, 500, 429], "cut": [0, 0]}[trouble])
            server.close_watches()
        soon(lambda: server.watching() == 2)
        rolling.status(objects.done(generation=2, revision=2, hash="v2"))

    thread = meanwhile(operator)
    result = cli("status", "shop", "--watch", "--timeout", "90s")
    thread.join()
    assert result.code == 0, result


def test_who_may_read_but_not_watch_is_served_by_asking_again(
    rolling: Shop, cli: Cli, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "POLL", 0.01)
    rolling.server.forbid("watch", "apps")

    def operator() -> None:
        soon(lambda: len([r for r in rolling.server.made("GET") if "watch" in r.query]) > 3)
        rolling.status(objects.done(generation=2, revision=2, hash="v2"))

    thread = meanwhile(operator)
    result = cli("status", "shop", "--watch", "--timeout", "90s")
    thread.join()
    assert result.code == 0


def test_who_may_not_list_apps_is_told_instead_of_left_waiting(rolling: Shop, cli: Cli) -> None:
    rolling.server.forbid("list", "apps")
    result = cli("status", "shop", "--watch")
    assert (result.code, result.err[:60]) == (1, "error: not allowed: jane may not list apps.fairlead.dev in n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "--watch"], "--watch follows one App: give its NAME"),
        (["status", "shop", "-A"], "-A and -l are for lists"),
        (["status", "deploy/shop"], "'deploy/shop' is no App"),
        (["status", "Shop_1"], "'Shop_1' is no name of an App"),
        (["status", "shop", "-w", "--timeout", "soon"], "--timeout: 'soon' is no duration"),
        (["status", "shop", "-o", "xml"], "--output: 'xml' is not one of"),
        (["stauts"], "there is no verb 'stauts': did you mean status?"),
    ],
)
def test_a_mistake_in_what_was_typed_is_one_line_and_exit_code_1(cli: Cli, arguments: list[str], words: str) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: ") and words in result.err
    assert len(result.err.splitlines()) == 1
