"""Where text goes: a terminal with colours, or a pipe without. Nothing else in the CLI writes to stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fairlead.view.inert import inert

# For terminals that cannot show the signs (LC_ALL=C on an old system).
_PLAIN = str.maketrans(
    {
        "━": "=",
        "╸": "-",
        "─": "-",
        "✓": "+",
        "✗": "x",
        "●": "*",
        "▸": ">",
        "├": "|",
        "└": "`",
        "│": "|",
        "→": ">",
        "…": ".",
        "·": "-",
        "‖": "=",
        "┤": "|",
        "░": ":",
        "▁": "_",
        **dict.fromkeys("▂▃▄▅▆▇█", "#"),
    }
)
PIPE_WIDTH = 100_000  # a pipe has no margin: nothing is cut or folded


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """rich would exit with 1; the program has a code of its own for it."""
        raise BrokenPipeError


class Screen:
    """Standard output. `width` is the terminal's, or None where lines must not be cut or folded."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._unicode = "utf" in (sys.stdout.encoding or "").lower()
        self.console = _Console(
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
            force_terminal=None if self.live else False,
            width=None if self.live else PIPE_WIDTH,
        )

    @property
    def width(self) -> int | None:
        return self.console.width if self.live else None

    def lines(self, lines: Iterable[Text]) -> None:
        for line in lines:
            self.console.print(self._showable(line), soft_wrap=True)

    def say(self, text: str) -> None:
        self.lines([Text(text)])

    def text(self, text: str) -> None:
        """Text as it is: manifests, for a file or a pipe. What is in it was made here."""
        sys.stdout.write(text)

    def objects(self, value: Any, format: str) -> None:
        """Any JSON value as JSON or YAML, with what could steer a terminal escaped."""
        plain = msgspec.to_builtins(value)
        if format == "json":
            sys.stdout.write(json.dumps(plain, indent=2) + "\n")
            return
        text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=self._unicode, width=PIPE_WIDTH)
        if inert(text) != text:
            text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=False, width=PIPE_WIDTH)
        sys.stdout.write(text)

    def frames(self) -> Live:
        """A live area at the end of the terminal, redrawn in place."""
        return Live(
            console=self.console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def frame(self, lines: Iterable[Text]) -> Group:
        height = max(5, self.console.height - 1)
        shown = [self._showable(line) for line in lines]
        if len(shown) > height:
            shown = [*shown[: height - 1], Text(f"… {len(shown) - height + 1} more lines", style="dim")]
        for line in shown:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*shown)

    def _showable(self, line: Text) -> Text:
        if self._unicode:
            return line
        line.plain = line.plain.translate(_PLAIN).encode("ascii", "replace").decode()
        return line
