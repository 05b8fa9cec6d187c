"""Text that comes from the cluster is data: nothing in it may steer the terminal that shows it."""

from __future__ import annotations

import re
from typing import Any

# Whole escape sequences: OSC, DCS, SOS, PM and APC up to their terminator (or the end), CSI with its final byte, the rest
# of the two-character ones; in their 7-bit (ESC x) and 8-bit (C1) forms.
_SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|\Z)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|\Z)"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
# What is left of C0 and C1 but for the line feed, and what reorders or hides text: bidirectional controls, zero-width characters.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# The three that separate words when they are gone.
_SPACE = re.compile("[\t\v\f\u2028\u2029\x85]")


def inert(text: str) -> str:
    r"""The text without escape sequences and control characters. Line feeds stay: the caller decides about lines.

    >>> inert("\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07\r\x08!")
    'red link!'
    >>> inert("good\u202etxt.exe"), inert("a\tb"), inert("Zürich ✓")
    ('goodtxt.exe', 'a b', 'Zürich ✓')
    """
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("", _SPACE.sub(" ", _SEQUENCE.sub("", text)))


def one_line(text: str) -> str:
    r"""Inert, and on one line: for table cells and list items.

    >>> one_line("0/3 nodes are available:\n  3 Insufficient cpu.\n")
    '0/3 nodes are available: 3 Insufficient cpu.'
    """
    return " ".join(inert(text).split())


def inert_object(value: Any) -> Any:
    r"""A decoded JSON value with every string in it made inert, keys included.

    >>> inert_object({"a\x1b[1m": ["\x07b", 1, None]})
    {'a': ['b', 1, None]}
    """
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, dict):
        return {inert(key): inert_object(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [inert_object(inner) for inner in value]
    return value
