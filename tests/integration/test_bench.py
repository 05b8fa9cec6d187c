"""The benchmark itself, as small as it gets: every part runs on a real control plane and gives every figure. What waits for an
autoscaler is in a file of its own, which runs beside this one."""

from pathlib import Path

from bench.command import PARTS
from bench.reporting import AUTOSCALING_GOALS, GOALS
from support.bench import measured


def test_a_small_run_gives_every_figure_that_has_a_goal(tmp_path: Path) -> None:
    rows = measured(tmp_path, *(part for part in PARTS if part not in ("autoscale", "zero")))
    goals = GOALS.keys() - AUTOSCALING_GOALS.keys()
    assert goals <= set(rows)
    assert all(rows[name]["ours"] is not None and rows[name]["ours"] >= 0 for name in goals)
    assert all(
        rows[name]["ours"] > 0
        for name in ("create", "many_roll", "memory_crowd", "event_cpu", "restart", "canary", "promotion")
    )
