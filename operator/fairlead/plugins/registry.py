"""How parts find each other: entry points, the same for built-in ones and third parties'."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

STRATEGIES = "fairlead.strategies"
CHECKS = "fairlead.checks"
METRIC_SOURCES = "fairlead.metric_sources"


def load(group: str) -> dict[str, Any]:
    """One instance of everything registered under an entry-point group, by name: `load(STRATEGIES)["Rolling"]`.

    A plugin that cannot be loaded stops the start: an App that names it must not be left to guess.
    """
    return {point.name: point.load()() for point in _registered(group)}


@cache
def _registered(group: str) -> tuple[EntryPoint, ...]:
    """To look for them is to read what every installed package says of itself, which does not change in a process."""
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))
