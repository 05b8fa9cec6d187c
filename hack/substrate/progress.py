"""What a person sees while they wait: one line per step, saying what, whether it was cached, and how long it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_HEARTBEAT = 30.0  # seconds between signs of life where lines cannot be redrawn
_WIDTH = 52


class Failure(Exception):
    """Something a person has to know about and can act on: printed without a traceback."""


def seconds(value: float) -> str:
    """0.42 -> '0.4 s', 75 -> '1 min 15 s'."""
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02d} s"


class Step:
    """One step under way. `note` says in a word how it went: cached, built, started."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.note = ""
        self.began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began


class Progress:
    """Prints steps to stderr, so that a command's own output can be piped. On a terminal the running step counts up."""

    def __init__(self, quiet: bool = False) -> None:
        self._out = sys.stderr
        self._quiet = quiet
        self._terminal = self._out.isatty()
        unicode = (self._out.encoding or "").lower().startswith("utf")
        self._done, self._failed, self._busy = ("✓", "✗", "…") if unicode else ("ok", "FAILED", "..")
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        step = Step(title)
        finished = threading.Event()
        pulse = threading.Thread(target=self._pulse, args=(step, finished), daemon=True)
        pulse.start()
        try:
            yield step
        except BaseException:
            finished.set()
            pulse.join()
            self._print(self._failed, step, always=True)
            raise
        finished.set()
        pulse.join()
        self._print(self._done, step)

    def say(self, text: str) -> None:
        if not self._quiet:
            print(text, file=self._out, flush=True)

    def total(self) -> str:
        return seconds(time.monotonic() - self._began)

    def _pulse(self, step: Step, finished: threading.Event) -> None:
        if self._quiet:
            return
        while not finished.wait(0.5 if self._terminal else _HEARTBEAT):
            if self._terminal:
                self._out.write(f"\r\033[K{self._busy} {step.title}  {seconds(step.elapsed)}")
                self._out.flush()
            else:
                self.say(f"  {self._busy} {step.title}, {seconds(step.elapsed)} so far")

    def _print(self, mark: str, step: Step, always: bool = False) -> None:
        if self._quiet and not always:
            return
        clear = "\r\033[K" if self._terminal else ""
        line = f"{clear}{mark} {step.title:<{_WIDTH}} {step.note:<10} {seconds(step.elapsed):>12}"
        print(line, file=self._out, flush=True)
