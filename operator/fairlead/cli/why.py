"""`fairlead why`: what an App waits for, and what to do."""

from __future__ import annotations

import click

from fairlead.cli import render
from fairlead.cli.looking import evidence
from fairlead.cli.options import Verb, connection, name_argument, output
from fairlead.cli.session import session_of
from fairlead.view.why import explain


@click.command(cls=Verb)
@name_argument
@output("text", "json", "yaml")
@connection
@click.pass_context
def why(ctx: click.Context, name: str, output: str | None) -> None:
    """Explain in sentences what an App waits for and since when, which pods are not well, what they say, and what to do
    next. It reads the App's status, its pods, their events and the last lines of processes that ended."""
    session = session_of(ctx)
    app = session.app(name)
    found = evidence(session, app)
    now = session.cluster.now()
    told = explain(app, found, now, command=session.command, scope=session.scope())
    if output in ("json", "yaml"):
        return session.screen.objects(told, output)
    return session.screen.lines(render.explanation(told, now, session.screen.width))
