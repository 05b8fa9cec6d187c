"""`fairlead gate test`: a gate, measured once from here, to see what it would say of a release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec
from rich.text import Text

from fairlead.cli.asking import Asker
from fairlead.cli.failures import Failed
from fairlead.cli.lint import read_texts
from fairlead.cli.linting.documents import documents
from fairlead.cli.options import AppName, Verb, connection, output
from fairlead.cli.session import Session, session_of
from fairlead.core.meta import JSON
from fairlead.gates.counting import joined
from fairlead.gates.model import AskRun, Check, GateSpec, Result, Subject
from fairlead.gates.runs import in_words
from fairlead.plugins import registry

_STYLES = {"Passed": "green", "Failed": "bold red", "Inconclusive": "yellow", "Error": "yellow"}
_EXIT = {"Passed": 0, "Failed": 2, "Inconclusive": 2, "Error": 1}


@click.group()
def gate() -> None:
    """Try gates before a release depends on them."""


@gate.command("test", cls=Verb)
@click.option(
    "-f",
    "--filename",
    "filename",
    required=True,
    metavar="FILE",
    help="The Gate, or an App with gates; - for standard input.",
)
@click.option(
    "--app",
    "name",
    type=AppName(),
    metavar="NAME",
    help="The App whose active revision is judged; that of the file where it is one.",
)
@click.option("--gate", "only", metavar="NAME", help="This one of the file's gates only.")
@click.option(
    "--url", metavar="URL", help="Ask this address instead: Prometheus' own, or a whole URL for an http check."
)
@output("text", "json", "yaml")
@connection
@click.pass_context
def test(
    ctx: click.Context, filename: str, name: str | None, only: str | None, url: str | None, output: str | None
) -> int:
    """Measure every check of a gate once, and print what it found. Pods and Services are asked through the API server's
    proxy, with your rights; other addresses from this machine, whatever the operator's own allow list says. What a check would
    run is told, and not run: it may change something.

    Exit code 0: all passed. 2: something failed, or is inconclusive. 1: something could not be measured.

    \b
      fairlead gate test -f gate.yaml --app shop
      fairlead gate test -f gate.yaml --app shop --url http://localhost:9090
    """
    found = [pair for pair in _gates(filename) if only in (None, pair[0])]
    if not found:
        raise Failed(f"{filename}: there is no gate{f' {only}' if only else ''} in it that has checks")
    session = session_of(ctx)
    checks = registry.load(registry.CHECKS)
    subject = _subject(session, name or _app_of(filename))
    measured = {gate: list(_measured(session, spec, checks, subject, url)) for gate, spec in found}
    if output in ("json", "yaml"):
        session.screen.objects(
            {gate: [{"check": kind, **msgspec.to_builtins(r)} for kind, r in rows] for gate, rows in measured.items()},
            output,
        )
    else:
        session.screen.lines(_lines(measured))
    worst = joined([result for rows in measured.values() for _, result in rows])
    return _EXIT[worst.outcome]


def _measured(
    session: Session, spec: GateSpec, checks: dict[str, Check], subject: Subject, url: str | None
) -> Iterator[tuple[str, Result]]:
    """Each check with what it found; what waits for a person or a time says so, and is not measured."""
    asker = Asker(session, subject, url)
    for raw in spec.checks:
        for kind, parameters in raw.items():
            if kind not in checks:
                yield kind, Result("Error", "UnknownCheck", "no such check is installed here")
                continue
            yield kind, _one(checks[kind], parameters or {}, subject, asker)


def _one(check: Check, parameters: JSON, subject: Subject, asker: Asker) -> Result:
    try:
        wait = check.waits(parameters, subject, time.time())
        if wait is not None:
            return Result("Inconclusive", "Waits", f"it waits for {wait.message}")
        ask = check.asks(parameters, subject)
        if isinstance(ask, AskRun):
            return Result("Inconclusive", "NotRun", f"a release would run {in_words(ask)}; nothing is run from here")
        return check.judge(parameters, asker.ask(ask) if ask is not None else None)
    except msgspec.ValidationError as error:
        return Result("Error", "Unreadable", f"it cannot be read: {error}; see: fairlead lint")


def _gates(filename: str) -> list[tuple[str, GateSpec]]:
    """The gates of a file by name: Gates, and those of Apps that have checks of their own."""
    found: list[tuple[str, GateSpec]] = []
    for body in _objects(filename):
        name, spec = (body.get("metadata") or {}).get("name") or "gate", body.get("spec") or {}
        entries = [(name, spec)] if body.get("kind") == "Gate" else []
        if body.get("kind") == "App":
            gates = (spec.get("rollout") or {}).get("gates") or ()
            entries = [(str(entry.get("name")), entry) for entry in gates if entry.get("checks")]
        for entry_name, raw in entries:
            try:
                found.append((entry_name, msgspec.convert(raw, GateSpec)))
            except msgspec.ValidationError as error:
                raise Failed(f"{filename}: gate {entry_name}: {error}; see: fairlead lint -f {filename}") from None
    return found


def _app_of(filename: str) -> str | None:
    return next((body["metadata"]["name"] for body in _objects(filename) if body.get("kind") == "App"), None)


def _objects(filename: str) -> list[JSON]:
    texts = read_texts([filename])
    found: list[Any] = [document.value for _, text in texts for document in documents(text)]
    return [body for body in found if isinstance(body, dict)]


def _subject(session: Session, name: str | None) -> Subject:
    """What is judged: the App's active revision; without an App nothing of its own can be asked."""
    if name is None:
        return Subject(session.cluster.namespace, "", "", "", 0)
    app = session.app(name)
    revisions = session.revisions(app)
    active = next((revision for revision in revisions if revision.name == app.status.active_revision), None)
    if active is None:
        raise Failed(f"App {name} runs no revision yet: there is nothing to be judged")
    return Subject(
        app.metadata.namespace,
        name,
        app.metadata.uid,
        active.spec.template_hash,
        app.status.revision or 0,
        image=first_image(active.spec.template),
    )


def first_image(template: JSON) -> str:
    """The image of a template's first container.

    >>> first_image({"spec": {"containers": [{"name": "web", "image": "shop:2"}]}})
    'shop:2'
    """
    containers: list[JSON] = (template.get("spec") or {}).get("containers") or []
    return str(containers[0].get("image") or "") if containers else ""


def _lines(measured: dict[str, list[tuple[str, Result]]]) -> Iterator[Text]:
    for gate, rows in measured.items():
        yield Text(f"gate {gate}", style="bold")
        for kind, result in rows:
            yield Text.assemble("  ", (result.outcome, _STYLES[result.outcome]), f"  {kind}: {result.message}")
