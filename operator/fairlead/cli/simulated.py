"""A simulated course as lines of text: the loads, the sizes over them, the decisions, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from fairlead.autoscale.calculator import spelled
from fairlead.autoscale.model import Autoscale, Metric
from fairlead.autoscale.simulation import Change, Course, Summary, Trace, World
from fairlead.cli.loads import titles
from fairlead.cli.render import Cell, columns, folded, header
from fairlead.core.conditions import timestamp
from fairlead.core.quantity import milli
from fairlead.view.ages import duration
from fairlead.view.plot import EIGHTHS, HALF_DONE, Column, area, ceiling, sampled, time_axis

WIDTH = 100  # where there is no terminal
MARGIN = 9  # columns for an axis and its numbers
LOAD_ROWS, POD_ROWS = 4, 10
MOST_TOLD = 40  # decisions; -o json has all


class Run(NamedTuple):
    """All that is shown. clock: the trace's times are those of a clock."""

    name: str
    spec: Autoscale
    trace: Trace
    world: World
    course: Course
    summary: Summary
    clock: bool


def lines(run: Run, width: int | None) -> Iterator[Text]:
    """The whole, for a terminal so wide (None: no terminal)."""
    began = f" from {timestamp(run.world.began)}" if run.clock else ""
    yield Text.assemble((run.name, "bold"), f"  {duration(run.trace.length)}{began}")
    yield from folded(_taken(run), width, indent=2, style="dim")
    yield Text()
    yield from _plots(run, max(40, width or WIDTH) - MARGIN)
    yield Text()
    yield from _decisions(run)
    yield Text()
    yield from columns(list(_figures(run)), indent=2)


def _taken(run: Run) -> str:
    """What was taken for granted."""
    spec, world = run.spec, run.world
    capacity = [
        f"a pod carries at most {spelled(most, _unit(title))} {title}" for title, most in world.capacity.items()
    ]
    return " · ".join(
        [
            *(f"{metric.title} at {_target(metric)}" for metric in spec.metrics),
            f"{spec.min} to {spec.max} pods",
            f"a pod is ready after {duration(world.startup)}" if world.startup else "a pod is ready at once",
            *capacity,
            f"a decision every {world.period}s",
        ]
    )


def _target(metric: Metric) -> str:
    if resource := metric.resource or metric.container_resource:
        if resource.average_utilization is not None:
            return f"{resource.average_utilization} %"
        return f"{spelled(milli(resource.average_value or 0), resource.name)} for each pod"
    source = metric.object or metric.external
    if source is not None and source.value is not None:
        return spelled(milli(source.value))
    average = source.average_value if source is not None else metric.pods.average_value if metric.pods else None
    return f"{spelled(milli(average or 0))} for each pod"


def _unit(title: str) -> str:
    """Of which resource an amount is, as `spelled` asks."""
    name = title.partition(" of ")[0]
    return name if name in ("cpu", "memory") else ""


# ---------------------------------------------------------------- the plots


def _plots(run: Run, width: int) -> Iterator[Text]:
    moments = run.course.moments
    for title in titles(run.spec.metrics):
        loads = [moment.loads[title] or 0.0 for moment in moments]
        yield Text(f"  {title}", style="bold")
        highest = [max(values) for values in sampled(loads, width)]
        top = ceiling(max(highest) / 1000) * 1000
        rows = area([Column(value, value) for value in highest], top, LOAD_ROWS)
        yield from _panel(rows, spelled(round(top), _unit(title)), "cyan", width)
    yield Text.assemble(("  pods", "bold"), f"  {EIGHTHS[-1]} ready  {HALF_DONE} starting")
    each = [
        max(values, key=lambda column: column.total)
        for values in sampled([Column(one.ready, one.replicas) for one in moments], width)
    ]
    top = max(1, max(column.total for column in each))
    height = int(top) if top <= POD_ROWS else POD_ROWS
    top = top if top <= POD_ROWS else ceiling(top)
    yield from _panel(area(each, top, height), f"{top:g}", "green", width)
    yield Text(" " * MARGIN + time_axis(run.trace.length, width), style="dim")


def _panel(rows: Sequence[str], top: str, style: str, width: int) -> Iterator[Text]:
    for number, row in enumerate(rows):
        label = f"{top:>{MARGIN - 2}} ┤" if number == 0 else " " * (MARGIN - 1) + "│"
        yield Text.assemble((label, "dim"), (row.rstrip(), style))
    yield Text(f"{0:>{MARGIN - 2}} └" + "─" * width, style="dim")


# ---------------------------------------------------------------- the decisions, and the figures


def _decisions(run: Run) -> Iterator[Text]:
    told = run.course.told or (run.course.last,)
    rows: list[Sequence[Cell]] = [header(("AT", "PODS", "WHY"))]
    yield from columns([*rows, *(_decision(run, change) for change in told[:MOST_TOLD])], indent=2)
    if len(told) > MOST_TOLD:
        yield Text(f"  … {len(told) - MOST_TOLD} more; -o json has them all", style="dim")


def _decision(run: Run, change: Change) -> Sequence[Cell]:
    size = f"{change.before} → {change.after}" if change.before != change.after else f"{change.after}"
    return [moment(run, change.at), size, change.message]


def moment(run: Run, at: float) -> str:
    """A time as the trace has it: of a clock, or since the beginning."""
    return timestamp(run.world.began + at) if run.clock else stopwatch(at)


def stopwatch(seconds: float) -> str:
    """
    >>> stopwatch(5), stopwatch(605), stopwatch(3725)
    ('0:05', '10:05', '1:02:05')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _figures(run: Run) -> Iterator[Sequence[Cell]]:
    said = run.summary
    always = run.spec.max * said.seconds
    share = f", {100 * said.pod_seconds / always:.0f} % of those of max" if always else ""
    yield "pod-hours", f"{said.pod_seconds / 3600:.4g}{share}"
    yield "pods", f"{said.lowest} to {said.highest}; {_times(said.ups)} up, {_times(said.downs)} down"
    yield "over target", _span(said.over_target, said) + _worst(run)
    if run.world.capacity:
        yield "beyond what pods can carry", _span(said.over_capacity, said)
    if said.unserved:
        yield "load and no ready pod", _span(said.unserved, said)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(seconds: float, said: Summary) -> str:
    return f"{duration(seconds)} ({100 * seconds / said.seconds:.1f} %)" if seconds else "never"


def _worst(run: Run) -> str:
    worst = run.summary.worst
    return f"; at most {worst.overload:.3g} times the target, at {moment(run, worst.at)}" if worst else ""
