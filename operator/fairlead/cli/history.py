"""`fairlead history`: an App's revisions, and what one changed."""

from __future__ import annotations

import click

from fairlead.cli import render
from fairlead.cli.failures import Failed
from fairlead.cli.options import AppName, Verb, connection, output
from fairlead.cli.session import session_of
from fairlead.view import history as view
from fairlead.view.model import Revision


@click.command(cls=Verb)
@click.argument("arguments", nargs=-1, metavar="NAME")
@click.option("--diff", metavar="N [M]", help="Show what revision N changed against the one before, or M against N.")
@output("table", "wide", "name", "json", "yaml")
@connection
@click.pass_context
def history(ctx: click.Context, arguments: tuple[str, ...], diff: str | None, output: str | None) -> None:
    """List an App's revisions: what ran, who wrote it, why, and what can be gone back to.

    \b
      fairlead history shop
      fairlead history shop --diff 3       what revision 3 changed
      fairlead history shop --diff 2 4     what is different in 4 against 2
    """
    name, first, second = _arguments(ctx, arguments, diff)
    session = session_of(ctx)
    app = session.app(name)
    revisions = session.revisions(app)
    if first is not None:
        try:
            before, after = _pair(revisions, first, second)
        except view.NoSuchRevision as error:
            raise Failed(str(error)) from None
        lines = view.diff(before, after)
        if not lines:
            click.echo(
                f"revisions {before.number} and {after.number} have the same template and configuration", err=True
            )
        return session.screen.lines(render.difference(lines))
    entries = view.history(app, revisions)
    if output in ("json", "yaml"):
        return session.screen.objects(entries, output)
    if output == "name":
        for entry in entries:
            session.screen.say(f"revision.fairlead.dev/{entry.name}")
        return None
    if not entries:
        click.echo(f"App {name} has no revision yet; see: {session.command} why {name}{session.scope()}", err=True)
        return None
    session.screen.lines(render.history(entries, session.cluster.now(), wide=output == "wide"))
    return None


def _arguments(ctx: click.Context, arguments: tuple[str, ...], diff: str | None) -> tuple[str, int | None, int | None]:
    """NAME and the numbers: `--diff` takes one or two of them, and the second may stand before or after NAME."""
    rest = list(arguments)
    numbers = diff.split("..") if diff else []
    if diff and len(numbers) == 1 and len(rest) == 2:
        second = next((word for word in reversed(rest) if word.isdigit()), None)
        if second is not None:
            rest.remove(second)
            numbers.append(second)
    if len(rest) != 1:
        raise click.UsageError("give one NAME" if rest else "give the NAME of an App", ctx)
    if not all(number.isdigit() for number in numbers) or len(numbers) > 2:
        raise click.UsageError(
            f"--diff takes one or two revision numbers, like --diff 3 or --diff 2 4, not {diff!r}", ctx
        )
    name = AppName().convert(rest[0], None, ctx)
    first, second_number = ([int(number) for number in numbers] + [None, None])[:2]
    return name, first, second_number


def _pair(revisions: list[Revision], first: int, second: int | None) -> tuple[Revision, Revision]:
    found = view.find(revisions, first)
    if second is None:
        return view.predecessor(revisions, first), found
    return found, view.find(revisions, second)
