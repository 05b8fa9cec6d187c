"""How parts find each other: entry points, the same for built-in ones and third parties'."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

STRATEGIES = "fairlead.strategies"
CHECKS = "fairlead.checks"


def load(group: str) -> dict[str, Any]:
    """One instance of everything registered under an entry-point group, by name: `load(STRATEGIES)["Rolling"]`.

    A plugin that cannot be loaded stops the start: an App that names it must not be left to guess.
    """
    return {point.name: point.load()() for point in sorted(entry_points(group=group), key=lambda point: point.name)}
