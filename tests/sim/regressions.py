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
    # An hour ahead for a second and a half, the release had missed its deadline and was taken back.
    Run("a bad image is fixed", "a clock that jumps", 0),
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
    "old pods that were to go had become ready when the next operator came": (
        [
            Act(1.5, "node is removed", "node-1", "shop-w7fr2fkg84"),
            Act(0.01, "undo", 2),
            Act(0.7, "image", "shop:crash", "shop-w7fr2fkg84"),
            Act(4.0, "min ready", 3, "shop-w7fr2fkg84"),
        ],
        "seed 412",
        12,
    ),
    "a restart was taken back while the rollout was paused, and all pods went": (
        [
            Act(31.0, "paused", True),
            Act(0.0, "restart"),
            Act(1.5, "min ready", 0),
            Act(0.01, "restore", 1),
        ],
        "seed 29",
        974,
    ),
}
