"""`fairlead status`: where a rollout stands, or following it to its end as a gate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from fairlead.cli import render
from fairlead.cli.failures import DEGRADED, OK, Degraded, Failed
from fairlead.cli.following import Following, Moment, Vanished
from fairlead.cli.options import AppName, Duration, Verb, connection, output
from fairlead.cli.session import Session, session_of
from fairlead.kube.resources import APPS
from fairlead.view.ages import duration
from fairlead.view.model import App, read
from fairlead.view.progress import Overview, Progress, overview, progress
from fairlead.view.why import headline

PLAIN_EVERY = 1.0  # seconds between lines in a log, however fast things move


@click.command(cls=Verb)
@click.argument("name", type=AppName(), required=False, metavar="[NAME]")
@click.option("-w", "--watch", is_flag=True, help="Follow the rollout until it ends.")
@click.option(
    "--timeout",
    type=Duration(),
    default=0.0,
    metavar="DURATION",
    help="With --watch: give up after this long, like 5m; 0 waits on (default).",
)
@click.option("-A", "--all-namespaces", is_flag=True, help="List the Apps of all namespaces.")
@click.option("-l", "--selector", default="", metavar="SELECTOR", help="List only Apps with these labels.")
@output("table", "wide", "name", "json", "yaml")
@connection
@click.pass_context
def status(
    ctx: click.Context,
    name: str | None,
    watch: bool,
    timeout: float,
    all_namespaces: bool,
    selector: str,
    output: str | None,
) -> int:
    """Show how an App's rollout stands: a bar per revision, what is awaited and since when, and what is wrong. With --watch
    it follows the rollout until it ends, which makes it a gate for pipelines. Without a NAME it lists Apps.

    Exit code 0: fine, with --watch: the rollout is done. 2: it failed, or did not end within --timeout. 1: any other error.

    \b
      fairlead status                      the Apps of this namespace
      fairlead status shop                 one of them
      fairlead status shop --watch --timeout 10m
    """
    session = session_of(ctx)
    if name is None:
        if watch:
            raise click.UsageError("--watch follows one App: give its NAME", ctx)
        _list(session, all_namespaces, selector, output)
        return OK
    if all_namespaces or selector:
        raise click.UsageError("-A and -l are for lists: leave out the NAME, or use -n", ctx)
    if watch:
        _follow(session, name, timeout, output)
        return OK
    return _once(session, name, output)


# ---------------------------------------------------------------- a list


def _list(session: Session, everywhere: bool, selector: str, output: str | None) -> None:
    found: list[Overview] = []
    for page in session.cluster.pages(APPS, namespace=None if everywhere else "", labels=selector):
        found += [overview(read(raw, App)) for raw in page]
    if output in ("json", "yaml"):
        return session.screen.objects(found, output)
    if output == "name":
        for entry in found:
            session.screen.say(f"app.fairlead.dev/{entry.name}")
        return None
    if not found:
        where = "in any namespace" if everywhere else f"in namespace {session.cluster.namespace}"
        click.echo(f"There is no App {where}.", err=True)
        return None
    session.screen.lines(render.overviews(found, session.cluster.now(), namespaces=everywhere, wide=output == "wide"))
    return None


# ---------------------------------------------------------------- one look


def _once(session: Session, name: str, output: str | None) -> int:
    app = session.app(name)
    revisions = session.allowed("revisions", lambda: session.revisions(app)) or []
    now = session.cluster.now()
    state = progress(app, revisions, now)
    _show(session, state, now, output)
    if state.verdict != "Failed":
        return OK
    if output in (None, "table", "wide"):
        session.screen.lines([render.notice(f"more: {session.command} why {name}{session.scope()}")])
    return DEGRADED


def _show(session: Session, state: Progress, now: float, output: str | None) -> None:
    if output in ("json", "yaml"):
        session.screen.objects(report(state), output)
    elif output == "name":
        session.screen.say(f"app.fairlead.dev/{state.name}")
    else:
        session.screen.lines(render.status(state, now, session.screen.width))


def report(state: Progress) -> Any:
    """The state for programs."""
    return msgspec.to_builtins(state)


# ---------------------------------------------------------------- to the end


def _follow(session: Session, name: str, timeout: float, output: str | None) -> None:
    """Follow, then tell how it ended."""
    app = session.app(name)
    started = time.monotonic()
    deadline = started + timeout if timeout else None
    with Following(session.cluster, app) as following:
        states = _states(session, following, deadline)
        if output in ("json", "yaml", "name"):
            last = _silently(states)
        elif session.screen.live:
            last = _drawn(session, states)
        else:
            last = _logged(session, states, started)
    now = session.cluster.now()
    if output in ("json", "yaml", "name"):
        _show(session, last, now, output)
    elif not session.screen.live:
        session.screen.lines(render.status(last, now, session.screen.width))
    _end(session, last, timeout)


def _states(session: Session, following: Following, deadline: float | None) -> Iterator[tuple[Progress, str]]:
    """States until the rollout is over or the time is; with each what troubles the connection."""
    try:
        for moment in following.moments():
            state = _state(session, moment)
            yield state, moment.trouble
            if state.over or (deadline is not None and time.monotonic() >= deadline):
                return
    except Vanished as gone:
        raise Failed(str(gone)) from None


def _state(session: Session, moment: Moment) -> Progress:
    return progress(moment.app, moment.revisions, session.cluster.now())


def _silently(states: Iterator[tuple[Progress, str]]) -> Progress:
    return [state for state, _ in states][-1]


def _drawn(session: Session, states: Iterator[tuple[Progress, str]]) -> Progress:
    """Redraw in place; the last picture stays."""
    last: Progress | None = None
    with session.screen.frames() as live:
        for state, trouble in states:
            lines = list(render.status(state, session.cluster.now(), session.screen.width))
            if trouble:
                lines.append(render.notice(trouble))
            live.update(session.screen.frame(lines), refresh=True)
            last = state
    assert last is not None
    return last


def _logged(session: Session, states: Iterator[tuple[Progress, str]], started: float) -> Progress:
    """A line whenever something changed, with the time since the start."""
    last: Progress | None = None
    shown, shown_at = "", 0.0
    for state, trouble in states:
        last = state
        text = trouble or render.plain_status(state)
        at = time.monotonic()
        if text != shown and (at - shown_at >= PLAIN_EVERY or state.over):
            session.screen.say(f"+{duration(at - started)}  {text}")
            shown, shown_at = text, at
    assert last is not None
    return last


def _end(session: Session, state: Progress, timeout: float) -> None:
    if state.verdict == "Done":
        return
    hint = f" See: {session.command} why {state.name}{session.scope()}"
    if state.verdict == "Failed":
        raise Degraded(headline(state) + hint)
    raise Degraded(f"not done after {duration(timeout)}: {headline(state)}{hint}")
