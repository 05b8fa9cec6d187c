"""What the simulation once found, kept: the shortest story, or the run, with how time passed in it."""

from __future__ import annotations

from typing import NamedTuple

from sim.wild import Act


class Run(NamedTuple):
    """A scenario in a weather, by their names, and the seed of its time."""

    scenario: str
    weather: str
    seed: int


RUNS = [
    # The pause of a refused write ended during a pass that had begun before: nobody came back for the write.
    Run("a quota is exceeded then lifted", "slow requests", 47),
]

# name: (script, weather, seed)
STORIES: dict[str, tuple[list[Act], str, int]] = {
    "a pause of the limiter ended between two looks at the clock": (
        [
            Act(0.0, "scale", 2),
            Act(0.0, "node dies", "node-1"),
            Act(0.0, "image", "shop:1"),
            Act(0.2, "image", "shop:1"),
        ],
        "seed 0",
        8,
    ),
}
