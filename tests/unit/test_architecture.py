"""docs/architecture.md names files and functions: they are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.commands import REPOSITORY

PACKAGE = REPOSITORY / "operator" / "fairlead"
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()


def cells() -> Iterator[str]:
    """Where something happens: of the walk, and of the dangers."""
    for section, column in (("One event, from the watch to the write", 2), ("What keeps it safe", 3)):
        body = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
        for row in re.findall(r"^\|(.*)\|$", body, re.MULTILINE)[2:]:
            yield row.split("|")[column - 1].strip()


WHERE = [cell for cell in cells() if "`" in cell]


@cache
def names(file: Path) -> frozenset[str]:
    """What a module defines, methods with their class.

    >>> "Queue.add" in names(PACKAGE / "engine" / "queue.py")
    True
    """
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{one.name}"
                for one in node.body
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


@pytest.mark.parametrize("cell", WHERE)
def test_what_the_page_says_where_something_happens_is_there(cell: str) -> None:
    said = re.findall(r"`([^`]+)`", cell)
    files = [PACKAGE / word for word in said if word.endswith(".py")]
    assert [file for file in files if not file.exists()] == []
    # A method may be another file's than the one beside it: its class says whose. A function is of that file.
    here = frozenset().union(*map(names, files))
    anywhere = frozenset().union(*map(names, PACKAGE.rglob("*.py")))
    missing = {word for word in said if word not in (anywhere if "." in word or not files else here)}
    assert {word for word in missing if not word.endswith(".py")} == set()


def test_the_walk_is_read_at_all() -> None:
    assert "`engine/execute.py`, `Executor.run`" in WHERE
