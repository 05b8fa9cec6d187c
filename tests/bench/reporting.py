"""From samples to figures: medians, ratios, the table on the screen, and build/bench.json."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from bench.measuring import ACTS, Sample

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

PREFIXES = {"": "one App", "many_": "many Apps"}
CASES = tuple(prefix + act for prefix in PREFIXES for act in ACTS)
CROWD = "crowd_create"

_SAYS = {
    "create": "create: all pods Ready",
    "roll": "roll: all on the new image, Ready",
    "scale_down": "scale to 0: all gone",
    "many_create": "many, create: all pods Ready",
    "many_roll": "many, roll: all on the new image, Ready",
    "many_scale_down": "many, scale to 0: all gone",
    CROWD: "the crowd, create: all pods Ready",
}
_SHORT = {case: says.partition(":")[0] for case, says in _SAYS.items()}

# Told twice: with cpu from kubelets, and from metrics-server, where upstream has it from in either.
_AUTOSCALING = {
    ("react", "first"): ("s", "a step of the load to the first pod more, cpu from {way}"),
    ("react", "all"): ("s", "a step of the load to all pods it takes, cpu from {way}"),
    ("react", "worst"): ("s", "the same, the slowest step, cpu from {way}"),
    ("decide", "every"): ("s", "from one decision of an App to the next, cpu from {way}"),
    ("decide", "cpu"): ("µs each", "controller CPU for a decision, cpu from {way}"),
    ("decide", "share"): ("% of a core", "controller CPU meanwhile, cpu from {way}"),
    ("decide", "servers"): ("% of a core", "API server and etcd CPU meanwhile, cpu from {way}"),
    ("decide", "memory"): ("MB", "controller memory meanwhile, cpu from {way}"),
}

# In ms; told twice: of half of them, and of 99 of 100.
_ZERO = {
    "wake": "a request at zero to the pod there",
    "pass": "the pod's Ready to the request in it",
    "whole": "a request at zero to its answer",
    "named": "the pod's Ready to upstream's EndpointSlice of it",
    "aside": "the pod's Ready to the activators' way out",
}

# Figures that are no seconds of a case: their unit and what they are called.
SINGLES = {
    "event_cpu": ("µs per event", "a pod event, to the queue"),
    "write_cpu": ("µs per write", "a pod's create or delete, to its answer"),
    "memory": ("MB", "controller memory at its highest"),
    "memory_crowd": ("MB", "controller memory, the crowd"),
    "idle_cpu": ("% of a core", "controller CPU at rest, the crowd"),
    "restart": ("s", "restart to the first right write, the crowd"),
    "event_to_write_p50": ("ms", "event to write, half of them"),
    "event_to_write_p99": ("ms", "event to write, 99 of 100"),
    "event_rate": ("per s", "pod events meanwhile"),
    "canary": ("s", "a canary 10/50/100 without pauses; upstream: a plain roll"),
    "promotion": ("ms", "promotion to all the traffic moved, ten pods"),
    "secrets_start": ("s", "start to all EncryptedSecrets open"),
    "secrets_cpu": ("µs each", "controller CPU meanwhile, by EncryptedSecret"),
    "secrets_restart": ("s", "restart to a lost Secret made again, all others in place"),
    "unsealed_start": ("s", "start to all SealedSecrets open, in place of their own controller"),
    "unsealed_cpu": ("µs each", "controller CPU meanwhile, by SealedSecret"),
    "seal_rate": ("per s", "values sealed, by one core"),
    "open_rate": ("per s", "values opened, by one core"),
    **{
        f"{name}_{way}_{figure}": (unit, title.format(way=says))
        for way, says in {"kubelets": "kubelets", "api": "metrics-server"}.items()
        for (name, figure), (unit, title) in _AUTOSCALING.items()
    },
    **{
        f"zero_{name}_{figure}": ("ms", f"{says}, {share}")
        for name, says in _ZERO.items()
        for figure, share in {"p50": "half of them", "p99": "99 of 100"}.items()
    },
    "memory_pairs": ("MB", "controller memory with as many Apps that are not autoscaled"),
}

TITLES = {
    **_SAYS,
    **{f"cpu_{case}": f"controller CPU: {short}" for case, short in _SHORT.items()},
    **{f"kcm_cpu_{case}": f"kube-controller-manager CPU: {short}" for case, short in _SHORT.items()},
    **{f"server_cpu_{case}": f"API server and etcd CPU: {short}" for case, short in _SHORT.items()},
    **{f"scheduler_cpu_{case}": f"scheduler CPU: {short}" for case, short in _SHORT.items()},
    **{f"writes_{case}": f"API writes: {short}" for case, short in _SHORT.items()},
    **{name: title for name, (_, title) in SINGLES.items()},
}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must not exceed: a column of its row."""

    column: str
    limit: float
    digits: int = 2

    def met(self, row: Row) -> bool | None:
        """None where it was not measured.

        >>> Goal("ours", 25).met({"ours": 22.3}), Goal("ours", 25).met({"ours": 25.1}), Goal("ours", 25).met({"ours": None})
        (True, False, None)
        """
        value = row[self.column]
        return None if value is None else bool(value <= self.limit)


# No slower than upstream; and each App once in a period of five seconds, give or take a tenth.
AUTOSCALING_GOALS = {
    **{f"react_{way}_all": Goal("ratio_unthrottled", 1.0) for way in ("kubelets", "api")},
    **{f"decide_{way}_every": Goal("ours", 5.5, 1) for way in ("kubelets", "api")},
}
# Set before there was a line of code. Upstream without its limits is the one to be compared with.
_FASTER = {"create": 0.95, "roll": 0.8, "scale_down": 0.8}
GOALS = {
    **{prefix + act: Goal("ratio_unthrottled", limit) for prefix in PREFIXES for act, limit in _FASTER.items()},
    **{f"cpu_{case}": Goal("ratio_unthrottled", 1.0) for case in CASES},
    "memory_crowd": Goal("ratio_unthrottled", 0.6),
    "event_cpu": Goal("ours", 25, 0),
    "event_to_write_p99": Goal("ours", 50, 0),
    "idle_cpu": Goal("ours", 1.0),
    "restart": Goal("ours", 5, 1),
    "secrets_start": Goal("ours", 60, 0),
    **AUTOSCALING_GOALS,
}

# Bare pods are made by the benchmark itself, which watches them too.
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
    singles: Mapping[str, float] = field(default_factory=dict)
    """Figures by their names in SINGLES, in their unit."""


Figure = Callable[[Turn, Sample], float | None]


def figures(turns: Sequence[Turn]) -> dict[str, Row]:
    """Per case the median of each contender's rounds and the ratios of ours to the others; None where there is no such
    figure: {case: {ours, stock, unthrottled, floor, …, ratio_unthrottled, ratio_stock, ratio_floor, unit}}."""
    cases = [case for case in (*CASES, CROWD) if any(sample.case == case for turn in turns for sample in turn.samples)]
    table = {case: _row(turns, case, "s", lambda turn, sample: sample.seconds) for case in cases}
    for name, process in (
        ("cpu", _controller_cpu),
        ("kcm_cpu", _of("kcm")),
        ("server_cpu", _of(*_SERVERS)),
        ("scheduler_cpu", _of("scheduler")),
    ):
        table |= {f"{name}_{case}": _row(turns, case, "µs per pod", process) for case in cases}
    table |= {
        f"writes_{case}": _row(turns, case, "per pod", lambda turn, sample: sum(sample.writes.values()) / turn.pods)
        for case in cases
    }
    for name, (unit, _) in SINGLES.items():
        row = _medians({contender: _singles(turns, contender, name) for contender in CONTENDERS}, unit)
        if any(row[contender] is not None for contender in CONTENDERS):
            table[name] = row
    return table


def noise(turns: Iterable[Turn]) -> float:
    """The greatest share of the machine anyone else used during a case."""
    return max((sample.foreign for turn in turns for sample in turn.samples), default=0.0)


def in_words(turn: Turn) -> str:
    """A turn in one line, for who waits beside it."""
    said = [f"{sample.case.replace('_', ' ')} {sample.seconds:.2f} s" for sample in turn.samples]
    said += [f"{name.replace('_', ' ')} {value:.1f} {SINGLES[name][0]}" for name, value in turn.singles.items()]
    others = f"  (others {noise([turn]):.0%})" if turn.samples else ""
    return f"{HEADINGS[turn.contender]:<26} {', '.join(said)}{others}"


def table(rows: Mapping[str, Row], present: Sequence[str]) -> Table:
    """What is printed at the end of a run: every figure, and the goal where there is one."""
    made = Table(title_justify="left")
    made.add_column("")
    for contender in present:
        made.add_column(HEADINGS[contender], justify="right")
    for name in ("unthrottled", "stock", "floor"):
        made.add_column(f"÷ {name}", justify="right")
    made.add_column("goal")
    for case, row in rows.items():
        cells = [shown(row[contender], row["unit"]) for contender in present]
        ratios = [ratio(row[f"ratio_{name}"]) for name in ("unthrottled", "stock", "floor")]
        said = _in_short(GOALS[case], row) if case in GOALS else ""
        made.add_row(f"{TITLES[case]} ({row['unit']})", *cells, *ratios, said, end_section=case.endswith(ACTS[-1]))
    return made


def _in_short(goal: Goal, row: Row) -> str:
    against = " ÷ unthrottled" if goal.column == "ratio_unthrottled" else ""
    return f"≤ {goal.limit:g}{against}: {verdict(goal, row)}"


def shown(value: float | None, unit: str) -> str:
    """
    >>> shown(7.614, "s"), shown(312.4, "µs per pod"), shown(None, "s")
    ('7.61', '312', '')
    """
    if value is None:
        return ""
    return f"{value:.2f}" if unit in ("s", "per pod", "% of a core") else f"{value:.0f}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def goals(rows: Mapping[str, Row]) -> list[tuple[str, Goal, float | None]]:
    """Every goal whose figure is among the rows, with what was measured."""
    return [(name, goal, rows[name][goal.column]) for name, goal in GOALS.items() if name in rows]


def verdict(goal: Goal, row: Row) -> str:
    """In one word whether a goal is met.

    >>> verdict(Goal("ours", 5), {"ours": 6.0}), verdict(Goal("ours", 5), {"ours": 4.0}), verdict(Goal("ours", 5), {"ours": None})
    ('short', 'met', 'not measured')
    """
    return {True: "met", False: "short", None: "not measured"}[goal.met(row)]


def _row(turns: Sequence[Turn], case: str, unit: str, figure: Figure) -> Row:
    found: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
    for turn in turns:
        for sample in turn.samples:
            value = figure(turn, sample) if sample.case == case else None
            if value is not None:
                found[turn.contender].append(value)
    return _medians(found, unit)


def _singles(turns: Sequence[Turn], contender: str, name: str) -> list[float]:
    return [turn.singles[name] for turn in turns if turn.contender == contender and name in turn.singles]


def _medians(found: Mapping[str, Sequence[float]], unit: str) -> Row:
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
    name = controller(turn.contender)
    return sample.cpu[name] / turn.pods * 1e6 if name else None


def _of(*processes: str) -> Figure:
    return lambda turn, sample: sum(sample.cpu[name] for name in processes) / turn.pods * 1e6


def controller(contender: str) -> str | None:
    """Whose CPU and memory are the contender's own; None where nobody decides anything."""
    return _CONTROLLER.get(contender)


def peak_memory(contender: str, samples: Sequence[Sample]) -> dict[str, float]:
    """The controller's highest memory by the end of the first load, as a single figure."""
    name, last = controller(contender), next(sample for sample in samples if sample.case == ACTS[-1])
    return {"memory": last.peak[name] / 1e6} if name else {}
