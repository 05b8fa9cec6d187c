"""The benchmark itself, as small as it gets: every part runs on a real control plane and gives every figure."""

import json
import subprocess
import sys
from pathlib import Path

from bench.reporting import GOALS
from support.commands import REPOSITORY, environment


def test_a_small_run_gives_every_figure_that_has_a_goal(tmp_path: Path) -> None:
    command = [sys.executable, "hack/bench", "--quick", "--pods", "10", "--crowd", "30", "--only", "ours"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=REPOSITORY, env=environment({}), capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    rows = json.loads((tmp_path / "bench.json").read_text())
    assert set(GOALS) <= set(rows)
    assert all(rows[name]["ours"] is not None and rows[name]["ours"] >= 0 for name in GOALS)
    assert all(
        rows[name]["ours"] > 0
        for name in ("create", "many_roll", "memory_crowd", "event_cpu", "restart", "canary", "promotion")
    )
