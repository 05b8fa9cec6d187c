"""`fairlead tree`: an App and everything that hangs on it."""

from __future__ import annotations

import sys

import click

from fairlead.cli import render
from fairlead.cli.looking import around
from fairlead.cli.options import Verb, connection, name_argument, output
from fairlead.cli.session import session_of
from fairlead.view import tree as view

MOST_PODS = 20


@click.command(cls=Verb)
@name_argument
@click.option(
    "--all-pods", is_flag=True, help=f"Show every pod; else {MOST_PODS} of a revision, those with a problem first."
)
@output("table", "json", "yaml")
@connection
@click.pass_context
def tree(ctx: click.Context, name: str, all_pods: bool, output: str | None) -> None:
    """Show an App with its revisions and their pods, its Service and its disruption budget, each with its state."""
    session = session_of(ctx)
    app = session.app(name)
    revisions = session.allowed("Revisions", lambda: session.revisions(app)) or []
    found = around(session, app)
    now = session.cluster.now()
    root = view.tree(app, revisions, found, now, most=sys.maxsize if all_pods else MOST_PODS)
    if output in ("json", "yaml"):
        return session.screen.objects(root, output)
    session.screen.lines(render.tree(root, now, session.screen.width))
    if session.unreadable:
        click.echo(f"not shown, as you may not read them: {', '.join(session.unreadable)}", err=True)
    return None
