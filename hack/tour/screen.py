"""What the reader of the demo sees: chapters, a few words, commands, and what came of them."""

import os
import sys
import textwrap
import time

from substrate.progress import seconds

_WIDTH = 100
_BOLD, _DIM, _RED, _GREEN, _CYAN = "1", "2", "31", "32", "36"


class Screen:
    """Colours on a terminal only, and not where NO_COLOR says so (no-color.org)."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._began = time.monotonic()
        self._chapter_began = self._began
        self._chapters = 0

    def chapter(self, title: str) -> None:
        self._close_chapter()
        self._chapters += 1
        print(f"\n{self._styled(f'{self._chapters}  {title}', _BOLD, _CYAN)}\n", flush=True)

    def tell(self, text: str) -> None:
        """A few sentences, folded."""
        for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False):
            print(line, flush=True)

    def command(self, line: str) -> None:
        print(self._styled(f"$ {line}", _BOLD), flush=True)

    def quiet(self, text: str) -> None:
        print(self._styled(text, _DIM), flush=True)

    def change(self, before: str, after: str) -> None:
        """One line of a manifest, as a diff shows it."""
        print(self._styled(f"  - {before}", _RED), flush=True)
        print(self._styled(f"  + {after}", _GREEN), flush=True)

    def good(self, text: str) -> None:
        print(self._styled(text, _BOLD, _GREEN), flush=True)

    def bad(self, text: str) -> None:
        print(self._styled(text, _BOLD, _RED), flush=True)

    def blank(self) -> None:
        print(flush=True)

    def end(self) -> None:
        self._close_chapter()
        self.quiet(f"The whole of it took {seconds(time.monotonic() - self._began)}.")

    def _close_chapter(self) -> None:
        now = time.monotonic()
        if self._chapters:
            self.quiet(f"({seconds(now - self._chapter_began)})")
        self._chapter_began = now

    def _styled(self, text: str, *codes: str) -> str:
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self._colours else text
