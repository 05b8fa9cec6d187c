"""Progress bars as characters."""

from __future__ import annotations

from typing import NamedTuple

FULL, HALF, EMPTY = "━", "╸", "─"


class Bar(NamedTuple):
    """The part that is done and the part that is not, together always as long as asked for."""

    done: str
    rest: str


def bar(done: int, total: int, width: int = 16) -> Bar:
    """A bar of `width` cells in half-cell steps. One of many shows already, all but one is not yet full: what a person
    reads from it is true.

    >>> bar(3, 6, 8), bar(1, 1000, 8), bar(999, 1000, 8)
    (Bar(done='━━━━', rest='────'), Bar(done='╸', rest='───────'), Bar(done='━━━━━━━╸', rest=''))
    >>> bar(0, 0, 8), bar(9, 6, 8)
    (Bar(done='', rest='────────'), Bar(done='━━━━━━━━', rest=''))
    """
    if total <= 0 or done <= 0:
        return Bar("", EMPTY * width)
    halves = 2 * width * min(done, total) // total
    halves = max(1, halves)
    if done < total:
        halves = min(halves, 2 * width - 1)
    text = FULL * (halves // 2) + HALF * (halves % 2)
    return Bar(text, EMPTY * (width - len(text)))
