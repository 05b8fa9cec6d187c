"""`fairlead run`: the operator's own processes, started by the container image."""

from __future__ import annotations

import sys

import click

from fairlead.cli.options import Verb


@click.group()
def run() -> None:
    """Run a part of the operator; this is what the container image starts. Settings come from the environment."""


@run.command(cls=Verb)
def workloads() -> None:
    """Run Apps: the controller that makes pods, Services and budgets of them."""
    from fairlead.main import run_workloads

    sys.exit(run_workloads())
