"""View-models as lines of text: columns, colours by meaning, folding to the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from fairlead.view import gates
from fairlead.view.ages import age, duration
from fairlead.view.awaiting import pods
from fairlead.view.bars import bar
from fairlead.view.history import Entry
from fairlead.view.images import short_images
from fairlead.view.inert import one_line
from fairlead.view.model import Condition, Problem
from fairlead.view.progress import Overview, Progress
from fairlead.view.rows import Row
from fairlead.view.tree import Node
from fairlead.view.verdict import Tone
from fairlead.view.why import Cause, Explanation

STYLES: dict[Tone, str] = {"good": "green", "busy": "cyan", "bad": "bold red", "held": "yellow", "quiet": "dim"}
SIGNS: dict[Tone, str] = {"good": "✓", "busy": "●", "bad": "✗", "held": "‖", "quiet": "·"}
MOST_PROBLEMS = 6

Cell = str | Text


def columns(rows: Sequence[Sequence[Cell]], *, gap: int = 2, indent: int = 0) -> list[Text]:
    """Rows as lines with aligned columns; nothing is cut, and no line ends in blanks."""
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((row[i].cell_len for row in cells if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in cells:
        line = Text(" " * indent)
        for i, cell in enumerate(row):
            line.append_text(cell)
            if i < len(row) - 1:
                line.append(" " * (widths[i] - cell.cell_len + gap))
        line.rstrip()
        lines.append(line)
    return lines


def cropped(lines: Iterable[Text], width: int | None) -> Iterator[Text]:
    """Lines that do not go past the terminal's edge: what is cut can be read elsewhere."""
    for line in lines:
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        yield line


def folded(text: str, width: int | None, *, indent: int, style: str = "", hang: int = 0) -> Iterator[Text]:
    """A sentence folded to the terminal, or on one line where there is none; `hang` indents what follows further."""
    first, rest = " " * indent, " " * (indent + hang)
    if width is None:
        yield Text(first + text, style=style)
        return
    room = max(40, width)
    for line in textwrap.wrap(text, room, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [
        first
    ]:
        yield Text(line, style=style)


def header(names: Iterable[str]) -> list[Text]:
    return [Text(name, style="bold") for name in names]


# ---------------------------------------------------------------- status of one App


def status(state: Progress, now: float, width: int | None) -> Iterator[Text]:
    yield _title(state, now)
    yield from _revisions(state, now)
    yield from _awaited(state, now, width)
    for gate in state.gates:
        yield from folded(gates.line(gate, now), width, indent=2, style="dim" if gate.phase == "Passed" else "")
    for problem in state.problems[:MOST_PROBLEMS]:
        yield from _problem(problem, now, width)
    if len(state.problems) > MOST_PROBLEMS:
        yield Text(f"  … and {len(state.problems) - MOST_PROBLEMS} more problems", style="dim")
    for trouble in state.troubles:
        yield from _trouble(trouble, now, width)
    for note in state.notes:
        yield from folded(note, width, indent=2, style="dim")


def _title(state: Progress, now: float) -> Text:
    style = STYLES[state.tone]
    title = Text.assemble((f"{SIGNS[state.tone]} ", style), (state.name, "bold"), "  ", (state.summary, style))
    facts = [f"namespace {state.namespace}", state.strategy]
    if state.created is not None:
        facts.append(age(state.created, now))
    title.append("  " + " · ".join(facts), style="dim")
    return title


def _revisions(state: Progress, now: float) -> list[Text]:
    return columns([_revision(row, state, now) for row in state.revisions], indent=2)


def _revision(row: Row, state: Progress, now: float) -> list[Cell]:
    done, rest = bar(row.done, max(state.desired, row.replicas))
    style = STYLES[row.tone]
    bars = Text.assemble((done, style if row.active else ""), (rest, "dim"))
    mark = Text("▸" if row.active else " ", style="bold")
    number = Text(str(row.number), style="bold" if row.active else "")
    images = Text(short_images(row.images) or row.name)
    since = Text(age(row.created, now), style="dim")
    return [Text.assemble(mark, " ", number), images, bars, row.counts, Text(row.state, style=style), since]


def _awaited(state: Progress, now: float, width: int | None) -> Iterator[Text]:
    if not state.waiting_for:
        return
    text = f"waits for {state.waiting_for}"
    if state.waiting_since is not None:
        text += f", for {age(state.waiting_since, now)}"
    if state.gives_up_at is not None and state.gives_up_at > now:
        text += f" (gives up in {duration(state.gives_up_at - now)})"
    yield from folded(text, width, indent=2)


def _problem(problem: Problem, now: float, width: int | None) -> Iterator[Text]:
    line = Text.assemble("  ", ("✗ ", "bold red"), (problem.reason, "bold red"))
    if problem.count:
        line.append(f"  {problem.count} {pods(problem.count)}")
    if problem.since_epoch is not None:
        line.append(f", for {age(problem.since_epoch, now)}", style="dim")
    if problem.sample_pod:
        where = f"  {problem.sample_pod}" + (f", container {problem.container}" if problem.container else "")
        line.append(where, style="dim")
    yield line
    if problem.message:
        yield from folded(one_line(problem.message), width, indent=4)


def _trouble(trouble: Condition, now: float, width: int | None) -> Iterator[Text]:
    line = Text.assemble("  ", ("✗ ", "bold red"), (f"{trouble.type}: {trouble.reason}", "bold red"))
    if trouble.since is not None:
        line.append(f"  for {age(trouble.since, now)}", style="dim")
    yield line
    if trouble.message:
        yield from folded(one_line(trouble.message), width, indent=4)


def plain_status(state: Progress) -> str:
    """The state in one line, for logs.

    >>> plain_status(Progress("shop", "d", "Moving", "Rolling 4/6", 3, "", False, 6, 4, 6, 4, 7, 0, (), (), False, (), waiting_for="2 pods to become ready"))
    'Rolling 4/6: 4/6 ready, 6 updated; waits for 2 pods to become ready'
    """
    rows = [f"revision {row.number} {row.counts}" for row in state.revisions]
    text = f"{state.summary}: " + (", ".join(rows) or f"{state.ready}/{state.desired} ready, {state.updated} updated")
    if state.waiting_for:
        text += f"; waits for {state.waiting_for}"
    if state.problems:
        text += "; " + ", ".join(f"{p.reason} ({p.count} {pods(p.count)})" for p in state.problems[:MOST_PROBLEMS])
    return text


# ---------------------------------------------------------------- many Apps


def overviews(found: Sequence[Overview], now: float, *, namespaces: bool, wide: bool) -> list[Text]:
    names = [*(["NAMESPACE"] if namespaces else []), "NAME", "STATUS", "READY", "UPDATED", "REVISION", "AGE"]
    names += ["AVAILABLE", "IMAGES"] if wide else []
    return columns([header(names), *(_overview(o, now, namespaces=namespaces, wide=wide) for o in found)], gap=3)


def _overview(o: Overview, now: float, *, namespaces: bool, wide: bool) -> list[Cell]:
    cells: list[Cell] = [o.namespace] if namespaces else []
    cells += [
        o.name,
        Text(o.summary, style=STYLES[o.tone]),
        f"{o.ready}/{o.desired}",
        str(o.updated),
        str(o.revision or ""),
    ]
    cells.append(age(o.created, now))
    return [*cells, str(o.available), ",".join(o.images)] if wide else cells


# ---------------------------------------------------------------- tree


def tree(root: Node, now: float, width: int | None) -> Iterator[Text]:
    """Kubernetes objects under one another, in columns: name, state, age, details."""
    rows: list[list[Cell]] = []
    _branch(root, "", "", now, rows)
    return cropped(columns(rows, gap=3), width)


def _branch(node: Node, lead: str, below: str, now: float, rows: list[list[Cell]]) -> None:
    name = Text.assemble(
        (lead, "dim"), (f"{node.kind}/", "dim"), (node.name, "bold" if node.kind in ("App", "Revision") else "")
    )
    state = Text(f"{SIGNS[node.tone]} {node.state}" if node.state else "", style=STYLES[node.tone])
    rows.append([name, state, Text(age(node.created, now), style="dim"), Text("  ".join(node.detail))])
    for index, child in enumerate(node.children):
        last = index == len(node.children) - 1
        _branch(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), now, rows)


# ---------------------------------------------------------------- history


_STATE_TONES: dict[str, Tone] = {"active": "good", "stable": "held", "undone": "bad", "failed": "bad", "kept": "quiet"}


def history(entries: Sequence[Entry], now: float, *, wide: bool) -> list[Text]:
    names = ["  REVISION", "STATE", "PODS", "AGE", "BY", "IMAGES", "CAUSE"] + (["NAME"] if wide else [])
    return columns([header(names), *(_entry(entry, now, wide) for entry in entries)], gap=3)


def _entry(entry: Entry, now: float, wide: bool) -> list[Cell]:
    mark = Text.assemble(
        ("▸ " if entry.active else "  ", "bold green"), (str(entry.number), "bold" if entry.active else "")
    )
    count = f"{entry.ready}/{entry.replicas}" if entry.replicas else "0"
    state = Text(entry.state, style=STYLES[_STATE_TONES[entry.state]])
    cells: list[Cell] = [
        mark,
        state,
        count,
        age(entry.created, now),
        one_line(entry.who) or "-",
        ",".join(entry.images) if wide else short_images(entry.images),
    ]
    return [*cells, one_line(entry.cause) or "-", entry.name] if wide else [*cells, one_line(entry.cause)]


def difference(lines: Iterable[str]) -> Iterator[Text]:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in lines:
        bold = "bold" if line.startswith(("+++", "---")) else styles.get(line[:1], "")
        yield Text(line, style=bold)


# ---------------------------------------------------------------- why


def explanation(told: Explanation, now: float, width: int | None) -> Iterator[Text]:
    yield from folded(f"{SIGNS[told.tone]} {told.headline}", width, indent=0, style=STYLES[told.tone], hang=2)
    for sentence in told.sentences:
        yield from folded(sentence, width, indent=2)
    for cause in told.causes:
        yield Text()
        yield from _cause(cause, now, width)
    if told.steps:
        yield Text()
        yield Text("What to do next", style="bold")
        commands = [[Text(step.command, style="cyan"), Text(step.purpose, style="dim")] for step in told.steps]
        yield from columns(commands, gap=3, indent=2)
    if told.events:
        yield Text()
        yield Text("What happened", style="bold")
        yield from cropped(_events(told, now), width)


def _cause(cause: Cause, now: float, width: int | None) -> Iterator[Text]:
    line = Text.assemble(("✗ ", "bold red"), (cause.reason, "bold red"))
    if cause.meaning:
        line.append(f": {cause.meaning}")
    yield line
    about = []
    if cause.count:
        about.append(f"{cause.count} {pods(cause.count)}")
    if cause.since is not None:
        about.append(f"for {age(cause.since, now)}")
    if cause.sample:
        about.append(
            f"such as {cause.sample.pod}" + (f", container {cause.sample.container}" if cause.sample.container else "")
        )
    if about:
        yield from folded(", ".join(about), width, indent=2, style="dim")
    if cause.words:
        yield from folded(f"“{cause.words}”", width, indent=2, hang=1)
    if cause.sample and cause.sample.log:
        yield Text("  the end of its log:", style="dim")
        for logged in cause.sample.log:
            yield from folded(logged, width, indent=4)
    for todo in cause.todo:
        yield from folded(f"→ {todo}", width, indent=2, hang=2)


def _events(told: Explanation, now: float) -> list[Text]:
    rows: list[list[Cell]] = []
    for event in told.events:
        when = age(event.at, now) + (f" (x{event.times})" if event.times > 1 else "")
        style = STYLES["held"] if event.warning else "dim"
        rows.append([Text(when, style="dim"), Text(event.reason, style=style), event.about, event.message])
    return columns(rows, indent=2)


def notice(text: str) -> Text:
    """A line about the picture itself."""
    return Text(f"  {one_line(text)}", style="yellow")
