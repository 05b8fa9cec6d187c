"""`fairlead run`: the operator's own processes, started by the container image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fairlead.cli.failures import Failed
from fairlead.cli.options import Verb
from fairlead.settings import (
    ActivatorSettings,
    P,
    SecretSettings,
    Setting,
    SettingsError,
    WorkloadSettings,
    describe,
    load,
)

_METAVARS = {bool: "true|false", int: "N", float: "SECONDS", str: "TEXT", tuple: "A,B,…"}


@click.group()
def run() -> None:
    """Run a part of the operator; this is what the container image starts."""


def _option(setting: Setting) -> click.Option:
    default = ", ".join(setting.default) if isinstance(setting.default, tuple) else str(setting.default)
    known = f" Default: {default.lower() if isinstance(setting.default, bool) else default}." if default else ""
    text = f"{setting.help}{known} [{setting.variable}]"
    return click.Option([setting.flag], metavar=_METAVARS[type(setting.default)], help=text)


def _process(name: str, kind: type[P], start: Callable[[P], int], help: str) -> Verb:
    """The verb that runs one process of the operator."""

    def callback(**flags: Any) -> int:
        try:
            settings = load(kind, flags)
        except SettingsError as error:
            raise Failed(str(error)) from None
        return start(settings)

    told = f"{help} Each flag may be given as the environment variable in brackets instead."
    return Verb(name, params=[_option(setting) for setting in describe(kind)], callback=callback, help=told)


def run_secrets(settings: SecretSettings) -> int:
    """As `run_workloads`."""
    from fairlead import main

    return main.run_secrets(settings)


def run_activator(settings: ActivatorSettings) -> int:
    """As `run_workloads`."""
    from fairlead import main

    return main.run_activator(settings)


def run_workloads(settings: WorkloadSettings) -> int:
    """Imported here only: kopf and the engine take a second, which no other verb has to wait for."""
    from fairlead import main

    return main.run_workloads(settings)


run.add_command(
    _process(
        "workloads",
        WorkloadSettings,
        lambda settings: run_workloads(settings),
        "Run Apps: the controller that makes pods, Services and budgets of them.",
    )
)
run.add_command(
    _process(
        "secrets",
        SecretSettings,
        lambda settings: run_secrets(settings),
        "Open EncryptedSecrets: the controller that makes Secrets of them, and keeps the keys.",
    )
)
run.add_command(
    _process(
        "activator",
        ActivatorSettings,
        lambda settings: run_activator(settings),
        "Hold requests for Apps that are at zero, until a pod of theirs takes them.",
    )
)
