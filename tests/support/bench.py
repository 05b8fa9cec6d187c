"""hack/bench in a process of its own, as small as it gets."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.commands import REPOSITORY, environment


def measured(folder: Path, *parts: str, only: Sequence[str] = ("ours",)) -> dict[str, Any]:
    """The rows that Fairlead alone, or others too, give to these parts."""
    command = [sys.executable, "hack/bench", "--quick", "--pods", "10", "--crowd", "30"]
    done = subprocess.run(
        [*command, "--only", *only, "--parts", *parts, "--folder", str(folder)],
        cwd=REPOSITORY,
        env=environment({}),
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    rows: dict[str, Any] = json.loads((folder / "bench.json").read_text())
    return rows
