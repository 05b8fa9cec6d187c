"""The program as a whole: its help, its names, completion, and running the operator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli import run as running
from fairlead.cli.completion import complete_for_kubectl
from fairlead.cli.failures import DEGRADED, ERROR, OK
from fairlead.cli.main import CLOSED_PIPE, INTERRUPTED, called_as, program
from fairlead.core.meta import API_VERSION
from fairlead.kube.resources import SEALING_KEYS
from fairlead.settings import SecretSettings, Settings, WorkloadSettings, describe
from support.commands import REPOSITORY
from unit.cli.conftest import Cli, Shop

VERBS = [
    "status",
    "why",
    "tree",
    "history",
    "undo",
    "restart",
    "reload",
    "pause",
    "resume",
    "promote",
    "abort",
    "retry",
    "scale",
    "autoscale",
    "seal",
    "reseal",
    "keys",
    "lint",
    "version",
    "completion",
    "run",
    "options",
]
WITHOUT_A_CLUSTER = {"autoscale", "lint", "completion", "run", "options"}
GROUPS = {"keys"}


def test_help_names_every_verb_and_says_where_to_read_on(cli: Cli) -> None:
    result = cli("--help")
    assert result.code == 0
    assert all(f"  {verb} " in result.out for verb in VERBS)
    assert max(map(len, result.lines)) <= 100


def test_without_a_verb_the_help_goes_to_stderr_and_is_an_error(cli: Cli) -> None:
    result = cli()
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Usage: fairlead ")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(cli: Cli, verb: str) -> None:
    result = cli(verb, "-h")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: fairlead {verb}")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in WITHOUT_A_CLUSTER | GROUPS])
def test_verbs_that_ask_a_cluster_take_kubectls_flags(verb: str) -> None:
    command = program.get_command(program.make_context("fairlead", ["status"], resilient_parsing=True), verb)
    assert command is not None
    known = {name for param in command.params for name in param.opts}
    wanted = ["--context", "--namespace", "-n", "--kubeconfig", "--as", "--as-group", "--request-timeout", "--server"]
    assert set(wanted) <= known


@pytest.mark.parametrize("verb", ["undo", "restart", "reload", "pause", "resume", "promote", "abort", "retry", "scale"])
def test_trust_75_verbs_that_write_take_dry_run_and_field_manager(verb: str) -> None:
    command = program.get_command(program.make_context("fairlead", ["status"], resilient_parsing=True), verb)
    assert command is not None
    assert {"--dry-run", "--field-manager"} <= {name for param in command.params for name in param.opts}


def test_options_lists_the_flags_that_help_leaves_out(cli: Cli) -> None:
    assert "--as-group" not in cli("status", "--help").out
    assert "--as-group" in cli("options").out


def test_called_through_kubectl_the_usage_says_so(cli: Cli) -> None:
    assert cli("status", "--help", name=called_as("/usr/bin/kubectl-fairlead")).out.startswith(
        "Usage: kubectl fairlead status"
    )
    assert cli("status", "-w", name="kubectl fairlead").err.endswith("see: kubectl fairlead status --help\n")


def test_the_module_runs_as_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fairlead", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path("operator"),
    )
    assert done.stdout.startswith("fairlead 0.")


def test_the_page_about_the_command_line_has_every_verb_and_every_exit_code(cli: Cli) -> None:
    page = (REPOSITORY / "docs" / "cli.md").read_text()
    assert [verb for verb in VERBS if f"fairlead {verb}" not in page and verb != "run"] == []
    assert all(f"| {code} |" in page for code in (OK, ERROR, DEGRADED, INTERRUPTED, CLOSED_PIPE))


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (["st"], ["status"]),
        (["status", ""], ["shop"]),
        (["status", "s"], ["shop"]),
        (["status", "app/s"], ["app/shop"]),
        (["status", "-n", "other", ""], []),
        (["status", "x"], []),
        (["pause", "shop", "--dry-run", "s"], ["server"]),
        (["keys", "re"], ["recover", "retire"]),
        (["keys", "retire", ""], ["0f" * 16]),
        (["keys", "retire", "x"], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["autoscale", ""], ["simulate"]),
        (["autoscale", "simulate", "--p"], ["--pod-capacity", "--period"]),
    ],
)
def test_kubectl_gets_candidates_and_a_directive(
    shop: Shop,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    candidates: list[str],
) -> None:
    key = {"apiVersion": API_VERSION, "kind": "SealingKey", "metadata": {"name": "0f" * 16}}
    shop.server.add(SEALING_KEYS, key, "")
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-fairlead", *words])
    complete_for_kubectl()
    *found, directive = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in found] == candidates
    assert directive == ":4"


def test_completion_without_a_cluster_is_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-fairlead", "status", ""])
    complete_for_kubectl()
    assert tuple(capsys.readouterr()) == (":4\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_for_the_program(cli: Cli, shell: str) -> None:
    result = cli("completion", shell)
    assert result.code == 0 and "_FAIRLEAD_COMPLETE" in result.out


# ---------------------------------------------------------------- run


def test_run_hands_flags_and_environment_to_the_operator_and_gives_back_its_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[WorkloadSettings] = []

    def operator(settings: WorkloadSettings) -> int:
        given.append(settings)
        return 7

    monkeypatch.setattr(running, "run_workloads", operator)
    monkeypatch.setenv("FAIRLEAD_WORKERS", "3")
    monkeypatch.setenv("FAIRLEAD_LOG_LEVEL", "debug")
    result = cli("run", "workloads", "--log-level", "error", "--leader-election=false", "--namespaces", "a,b")
    assert result.code == 7
    (settings,) = given
    assert (settings.workers, settings.log_level, settings.leader_election) == (3, "error", False)
    assert settings.namespaces == ("a", "b")


@pytest.mark.parametrize(("process", "kind"), [("workloads", WorkloadSettings), ("secrets", SecretSettings)])
def test_run_explains_every_setting_with_its_variable(cli: Cli, process: str, kind: type[Settings]) -> None:
    text = " ".join(cli("run", process, "--help").out.split())
    for setting in describe(kind):
        assert setting.flag in text and f"[{setting.variable}]" in text


def test_run_secrets_has_settings_of_its_own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[SecretSettings] = []
    monkeypatch.setattr(running, "run_secrets", lambda settings: given.append(settings) or 0)
    assert cli("run", "secrets", "--key-renew-period", "60", "--cluster-scope=true").code == 0
    assert (given[0].key_renew_period, given[0].cluster_scope) == (60.0, True)
    assert cli("run", "secrets", "--gate-allow", "x").code != 0


def test_a_setting_that_cannot_be_is_an_error_and_nothing_starts(cli: Cli) -> None:
    result = cli("run", "workloads", "--workers", "many")
    assert (result.code, result.err) == (1, "error: --workers (FAIRLEAD_WORKERS): 'many' is no whole number\n")
