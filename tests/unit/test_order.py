"""Which tests come first, and what they share, as pytest itself plans it."""

from __future__ import annotations

import re
import sys

from support.commands import REPOSITORY, execute


def test_the_cluster_is_held_alone_once_and_let_go_before_those_who_share_it_of_which_the_slow_begin() -> None:
    """Let go in between, it goes to another process for minutes; and what is slow and comes last makes all processes wait."""
    said = execute([sys.executable, "-m", "pytest", "--setup-plan", str(REPOSITORY / "tests" / "e2e")]).stdout
    plan = [line.strip() for line in said.splitlines()]

    held = [line.split()[:3:2] for line in plan if re.match(r"(SETUP|TEARDOWN) +. _(alone|calm)\b", line)]
    assert held[:3] == [["SETUP", "_alone"], ["TEARDOWN", "_alone"], ["SETUP", "_calm"]]
    apps = REPOSITORY / "tests" / "e2e" / "apps"
    slow = {file.name for file in apps.glob("test_*.py") if "mark.slow" in file.read_text()}
    files = [line.rpartition("/")[2] for line in plan if line.startswith("tests/e2e/apps/") and line.endswith(".py")]
    assert slow and set(files[: len(slow)]) == slow
