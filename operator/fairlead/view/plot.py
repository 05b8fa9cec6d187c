"""Values over time as characters: areas whose height is the value, for terminals and files alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

T = TypeVar("T")

EIGHTHS = " ▁▂▃▄▅▆▇█"
HALF_DONE = "░"
_STEPS = (1, 5, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)  # seconds people count in


class Column(NamedTuple):
    """What one column shows: `total` high, the lower part of it, `done`, filled."""

    done: float
    total: float


def sampled(values: Sequence[T], width: int) -> list[list[T]]:
    """The values of each of `width` columns: as many for each as can be, and each value in at least one.

    >>> sampled([1, 2, 3, 4], 2), sampled([1, 2], 4)
    ([[1, 2], [3, 4]], [[1], [1], [2], [2]])
    """
    count = len(values)
    starts = [column * count // width for column in range(width + 1)]
    return [list(values[start : max(end, start + 1)]) for start, end in pairwise(starts)]


def area(columns: Sequence[Column], top: float, height: int) -> list[str]:
    """Rows from the top down. One row is `top / height` of the value, in eighths where it ends; whatever is not nothing can be seen.

    >>> area([Column(0, 0), Column(1, 1), Column(1, 2), Column(2, 2)], 2, 2)
    ['  ░█', ' ███']
    >>> area([Column(0.1, 0.1), Column(5, 5)], 8, 1)
    ['▁▅']
    """
    return ["".join(_cell(column, row, top / height) for column in columns) for row in reversed(range(height))]


def _cell(column: Column, row: int, unit: float) -> str:
    """How much of a cell is filled, from below; where what fills it is not done, it is filled with dots or not at all."""
    done, total = column.done / unit - row, column.total / unit - row
    if done >= 1 or (done > 0 and total - done < 1 / 8):
        return EIGHTHS[max(1, min(8, math.floor(done * 8)))]
    if total >= 1 / 2:
        return HALF_DONE
    return EIGHTHS[max(1, math.floor(done * 8))] if done > 0 else " "


def ceiling(value: float) -> float:
    """A round number that is not below, for the top of an axis.

    >>> [ceiling(value) for value in (0, 0.7, 3, 11, 12.5, 80, 801)]
    [1.0, 0.8, 3.0, 12.0, 15.0, 80.0, 1000.0]
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    rounds = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return next(round(step * power, 9) for step in rounds if step * power >= value * (1 - 1e-9))


def time_axis(seconds: float, width: int) -> str:
    """Times below the columns, each at its own: as close as can be read, in steps that people count in.

    >>> time_axis(1800, 30)
    '0         10m       20m'
    """
    room = 8
    step = next((step for step in _STEPS if seconds / step * room <= width), None) or _days(seconds, width // room)
    line = ""
    for count in range(math.ceil(seconds / step)):
        at = int(count * step / seconds * width)
        line = line.ljust(at) + _tick(int(count * step)) if at >= len(line) + bool(line) else line
    return line[:width].rstrip()


def _tick(seconds: int) -> str:
    """
    >>> [_tick(seconds) for seconds in (0, 45, 600, 3600, 5400, 172_800)]
    ['0', '45s', '10m', '1h', '1h30m', '2d']
    """
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0"


def _days(seconds: float, ticks: int) -> float:
    return 86_400.0 * math.ceil(seconds / 86_400 / max(1, ticks))
