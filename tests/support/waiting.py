"""Waiting for what other programs do, and announce nowhere."""

import time
from collections.abc import Callable

PATIENCE = 90.0
"""Seconds for what takes a moment on an idle machine. Only a test that fails waits for so long."""


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Returns as soon as it holds; AssertionError when it does not in time. Twice as long is paused as asking took: what is
    waited for needs the machine too."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if holds():
            return
        now = time.monotonic()
        assert now < deadline, f"not within {seconds:.0f} s"
        time.sleep(max(0.05, 2 * (now - asked)))
