"""`fairlead lint`: manifests checked without a cluster, for editors, commit hooks and pipelines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from fairlead.cli.failures import Failed
from fairlead.cli.linting.check import Linter, Remark, Report
from fairlead.cli.linting.packaged import NoCRDs
from fairlead.cli.options import Verb, output
from fairlead.cli.screen import Screen

SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 16 * 1024 * 1024  # of one file


@click.command(cls=Verb)
@click.option(
    "-f",
    "--filename",
    "names",
    multiple=True,
    metavar="FILE",
    help="A file, a directory, or - for standard input; may be repeated.",
)
@click.argument("more", nargs=-1, metavar="[FILE]...")
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@output("text", "json", "yaml")
def lint(names: tuple[str, ...], more: tuple[str, ...], strict: bool, output: str | None) -> int:
    """Check Apps in manifests the way the API server would, without one: by the schema and the rules of the CRDs that came
    with this program. Unknown fields are named, with what may have been meant. Beyond that it warns of what the API
    server accepts and users regret. Objects of other APIs are passed over.

    Exit code 0: no errors. 1: errors, or files that cannot be read.

    \b
      fairlead lint -f app.yaml -f deploy/
      helm template . | fairlead lint -f -
    """
    sources = [*names, *more]
    if not sources:
        raise click.UsageError("give a file with -f, or -f - for standard input", click.get_current_context())
    linter = Linter()
    try:
        for name, text in read_texts(sources):
            linter.file(name, text)
    except NoCRDs as error:
        raise Failed(str(error)) from None
    screen = Screen()
    if output in ("json", "yaml"):
        report = linter.report
        screen.objects(
            {
                "findings": report.remarks,
                "checked": report.checked,
                "skipped": report.skipped,
                "errors": report.errors,
                "warnings": report.warnings,
            },
            output,
        )
    else:
        screen.lines(_line(remark) for remark in linter.report.remarks)
        click.echo(_summary(linter.report), err=True)
    failed = linter.report.errors or (strict and linter.report.warnings)
    return 1 if failed else 0


def read_texts(sources: list[str]) -> Iterator[tuple[str, str]]:
    """(name, text) of every file, directories taken apart."""
    for source in sources:
        if source == "-":
            yield "<stdin>", _decoded("<stdin>", sys.stdin.buffer.read(MOST_BYTES + 1))
            continue
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
            if not files:
                raise Failed(f"{source}: there is no {', '.join(SUFFIXES)} in this directory")
        else:
            files = [path]
        for file in files:
            try:
                with file.open("rb") as opened:
                    yield str(file), _decoded(str(file), opened.read(MOST_BYTES + 1))
            except OSError as error:
                raise Failed(f"{file} cannot be read: {error.strerror}") from None


def _decoded(name: str, data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise Failed(f"{name} has more than {MOST_BYTES // 1024 // 1024} MiB: no manifest is as big as that")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failed(f"{name} is no UTF-8 text: byte {error.start} cannot be read") from None


def _line(remark: Remark) -> Text:
    """As compilers write it, so that editors find the place."""
    style = "bold red" if remark.level == "error" else "yellow"
    line = Text.assemble(f"{remark.file}:{remark.line}: ", (f"{remark.level}: ", style))
    if remark.object:
        line.append(f"{remark.object}: ")
    if remark.path and not remark.message.startswith(remark.path):
        line.append(f"{remark.path}: ", style="bold")
    return line.append(remark.message)


def _summary(report: Report) -> str:
    parts = [
        f"{report.checked} object{'' if report.checked == 1 else 's'} checked",
        _count(report.errors, "error"),
        _count(report.warnings, "warning"),
    ]
    if report.skipped:
        parts.append(f"{report.skipped} of other APIs passed over")
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
