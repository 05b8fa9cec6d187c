"""As much of Markdown as our pages use: headings, their anchors, links and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(
    r"^ *(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *(?P=fence) *$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block and the line its first line has in the page."""

    language: str
    body: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page.

    >>> list(blocks("a\\n```sh\\nls\\n```\\n"))
    [Block(language='sh', body='ls\\n', line=3)]
    """
    for found in _FENCE.finditer(text):
        yield Block(found["language"], found["body"], text.count("\n", 0, found.start("body")) + 1)


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text)


def headings(text: str) -> list[str]:
    """The headings, without their hashes.

    >>> headings("# A\\n```sh\\n# no heading\\n```\\n## B `c`\\n")
    ['A', 'B `c`']
    """
    return [found[2] for found in _HEADING.finditer(prose(text))]


def anchor(heading: str) -> str:
    """The fragment GitHub gives a heading.

    >>> anchor("ErrImagePull, `ImagePullBackOff`"), anchor("What's new?")
    ('errimagepull-imagepullbackoff', 'whats-new')
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(text: str) -> list[str]:
    """The targets of a page's links.

    >>> links("[a](b.md#c) and [`d`](https://e.example)")
    ['b.md#c', 'https://e.example']
    """
    return [found["target"] for found in _LINK.finditer(prose(text))]
