"""`fairlead run`: the operator's own processes, started by the container image."""

from __future__ import annotations

from typing import Any

import click

from fairlead.cli.failures import Failed
from fairlead.cli.options import Verb
from fairlead.settings import Setting, Settings, SettingsError, describe, load

_METAVARS = {bool: "true|false", int: "N", float: "SECONDS", str: "TEXT", tuple: "A,B,…"}


@click.group()
def run() -> None:
    """Run a part of the operator; this is what the container image starts."""


def _option(setting: Setting) -> click.Option:
    default = ", ".join(setting.default) if isinstance(setting.default, tuple) else str(setting.default)
    known = f" Default: {default.lower() if isinstance(setting.default, bool) else default}." if default else ""
    text = f"{setting.help}{known} [{setting.variable}]"
    return click.Option([setting.flag], metavar=_METAVARS[type(setting.default)], help=text)


def _workloads(**flags: Any) -> int:
    try:
        settings = load(flags)
    except SettingsError as error:
        raise Failed(str(error)) from None
    return run_workloads(settings)


def run_workloads(settings: Settings) -> int:
    """Imported here only: kopf and the engine take a second, which no other verb has to wait for."""
    from fairlead import main

    return main.run_workloads(settings)


run.add_command(
    Verb(
        "workloads",
        params=[_option(setting) for setting in describe()],
        callback=_workloads,
        help="Run Apps: the controller that makes pods, Services and budgets of them. "
        "Each flag may be given as the environment variable in brackets instead.",
    )
)
