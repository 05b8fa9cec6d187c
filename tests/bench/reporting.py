"""From samples to figures: medians, ratios, the table on the screen, and build/bench.json."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from bench.measuring import CASES, Sample

JSON = dict[str, Any]
Row = dict[str, Any]

# The contenders, in the order they are printed.
OURS, UNSPREAD, STOCK, UNTHROTTLED, FLOOR, SCHEDULED = (
    "ours",
    "ours_unspread",
    "stock",
    "unthrottled",
    "floor",
    "floor_scheduled",
)
CONTENDERS = (OURS, UNSPREAD, STOCK, UNTHROTTLED, FLOOR, SCHEDULED)

HEADINGS = {
    OURS: "Fairlead",
    UNSPREAD: "Fairlead, no spreading",
    STOCK: "Deployment, stock",
    UNTHROTTLED: "Deployment, unthrottled",
    FLOOR: "bare pods, bound at birth",
    SCHEDULED: "bare pods, scheduled",
}

TITLES = {
    "create": "create: all pods Ready",
    "roll": "roll: all on the new image, Ready",
    "scale_down": "scale to 0: all gone",
    "cpu_create": "controller CPU: create",
    "cpu_roll": "controller CPU: roll",
    "cpu_scale_down": "controller CPU: scale to 0",
    "kcm_cpu_create": "kube-controller-manager CPU: create",
    "kcm_cpu_roll": "kube-controller-manager CPU: roll",
    "kcm_cpu_scale_down": "kube-controller-manager CPU: scale to 0",
    "server_cpu_create": "API server and etcd CPU: create",
    "server_cpu_roll": "API server and etcd CPU: roll",
    "server_cpu_scale_down": "API server and etcd CPU: scale to 0",
    "writes_create": "API writes: create",
    "writes_roll": "API writes: roll",
    "writes_scale_down": "API writes: scale to 0",
    "event_cpu": "a pod event, to the queue",
    "memory": "controller memory at its highest",
}

# Whose CPU and memory are the contender's own. Bare pods are made by the benchmark itself, which watches them too.
_CONTROLLER = {OURS: "fairlead", UNSPREAD: "fairlead", STOCK: "kcm", UNTHROTTLED: "kcm"}
_SERVERS = ("apiserver", "etcd")

NOISY = 0.10
"""A machine of which others used more than this share makes walls that say little; ratios within one run still do."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's turn in one round."""

    contender: str
    pods: int
    samples: Sequence[Sample]
    event: float | None = None
    """CPU seconds that one pod event costs Fairlead, where it was measured."""


Figure = Callable[[Turn, Sample], float | None]


def figures(turns: Sequence[Turn]) -> dict[str, Row]:
    """Per case the median of each contender's rounds and the ratios of ours to the others; None where there is no such
    figure: {case: {ours, stock, unthrottled, floor, …, ratio_unthrottled, ratio_stock, ratio_floor, unit}}."""
    table = {case: _row(turns, case, "s", lambda turn, sample: sample.seconds) for case in CASES}
    table |= {f"cpu_{case}": _row(turns, case, "µs per pod", _controller_cpu) for case in CASES}
    table |= {f"kcm_cpu_{case}": _row(turns, case, "µs per pod", _kcm_cpu) for case in CASES}
    table |= {f"server_cpu_{case}": _row(turns, case, "µs per pod", _server_cpu) for case in CASES}
    table |= {
        f"writes_{case}": _row(turns, case, "per pod", lambda turn, sample: sample.writes / turn.pods) for case in CASES
    }
    table["event_cpu"] = _row(turns, CASES[-1], "µs per event", lambda turn, _: turn.event and turn.event * 1e6)
    table["memory"] = _row(turns, CASES[-1], "MB", _memory)
    return table


def spread(turns: Sequence[Turn], contender: str, case: str) -> list[float]:
    """The seconds of each round, in order: how far the rounds agree."""
    return [
        sample.seconds
        for turn in turns
        if turn.contender == contender
        for sample in turn.samples
        if sample.case == case
    ]


def noise(turns: Iterable[Turn]) -> float:
    """The greatest share of the machine anyone else used during a case."""
    return max((sample.foreign for turn in turns for sample in turn.samples), default=0.0)


def table(rows: Mapping[str, Row], present: Sequence[str]) -> Table:
    """What is printed at the end of a run."""
    made = Table(title_justify="left")
    made.add_column("")
    for contender in present:
        made.add_column(HEADINGS[contender], justify="right")
    for name in ("unthrottled", "stock", "floor"):
        made.add_column(f"÷ {name}", justify="right")
    for case, row in rows.items():
        cells = [shown(row[contender], row["unit"]) for contender in present]
        ratios = [ratio(row[f"ratio_{name}"]) for name in ("unthrottled", "stock", "floor")]
        made.add_row(f"{TITLES[case]} ({row['unit']})", *cells, *ratios, end_section=case.endswith(CASES[-1]))
    return made


def shown(value: float | None, unit: str) -> str:
    """
    >>> shown(7.614, "s"), shown(312.4, "µs per pod"), shown(None, "s")
    ('7.61', '312', '')
    """
    if value is None:
        return ""
    return f"{value:.2f}" if unit in ("s", "per pod") else f"{value:.0f}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _row(turns: Sequence[Turn], case: str, unit: str, figure: Figure) -> Row:
    found: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
    for turn in turns:
        for sample in turn.samples:
            value = figure(turn, sample) if sample.case == case else None
            if value is not None:
                found[turn.contender].append(value)
    row: Row = {name: round(statistics.median(values), 4) if values else None for name, values in found.items()}
    for name, rival in (
        ("unthrottled", UNTHROTTLED),
        ("stock", STOCK),
        ("floor", FLOOR),
        ("floor_scheduled", SCHEDULED),
    ):
        row[f"ratio_{name}"] = _ratio(row[OURS], row[rival])
    return {**row, "unit": unit}


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours is not None and theirs else None


def _controller_cpu(turn: Turn, sample: Sample) -> float | None:
    name = _CONTROLLER.get(turn.contender)
    return sample.cpu[name] / turn.pods * 1e6 if name else None


def _kcm_cpu(turn: Turn, sample: Sample) -> float | None:
    return sample.cpu["kcm"] / turn.pods * 1e6


def _server_cpu(turn: Turn, sample: Sample) -> float | None:
    return sum(sample.cpu[name] for name in _SERVERS) / turn.pods * 1e6


def _memory(turn: Turn, sample: Sample) -> float | None:
    name = _CONTROLLER.get(turn.contender)
    return sample.peak[name] / 1e6 if name else None
