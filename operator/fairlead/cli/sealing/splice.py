"""Values put into a YAML or JSON text where they stand, so that not one other character of it changes.

No YAML library writes back what it has read without laying it out anew, and a change of one sealed value should be one line
of a diff. So the library tells where things are, and the text is cut there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from fairlead.cli.linting.documents import Path, Unreadable, documents

WIDE = 2**31  # no line is folded


class Edit(NamedTuple):
    """`value` at `path`: put in place of a scalar that is there, or added to the mapping or list that is there."""

    path: Path
    value: Any


class CannotEdit(Exception):
    """The text is laid out in a way (aliases, a merge key, a missing parent) in which it cannot be changed in place."""


class _Cut(NamedTuple):
    start: int
    end: int
    text: str


def spliced(text: str, index: int, edits: Sequence[Edit]) -> str:
    """The text with these edits made in its document number `index` (as `documents` counts them). CannotEdit otherwise.

    >>> print(spliced("spec:  # ours\\n  values:\\n    a: old  # mine\\n", 0, [Edit(("spec", "values", "a"), "new"), Edit(("spec", "values", "b"), "more")]))
    spec:  # ours
      values:
        a: new  # mine
        b: more
    <BLANKLINE>
    """
    document = list(documents(text))[index]
    cuts = [_cut(text, document.root, edit) for edit in edits]
    result = _applied(text, cuts)
    if _values(result) != _expected(text, index, edits):
        raise CannotEdit
    return result


def _values(text: str) -> list[Any] | None:
    try:
        return [document.value for document in documents(text)]
    except Unreadable:
        return None


def _expected(text: str, index: int, edits: Sequence[Edit]) -> list[Any]:
    """What the text is to mean afterwards: the net under everything above."""
    found = _values(text) or []
    for edit in edits:
        parent = found[index]
        for step in edit.path[:-1]:
            parent = parent[step]
        if isinstance(parent, list) and edit.path[-1] == len(parent):
            parent.append(edit.value)
        else:
            parent[edit.path[-1]] = edit.value
    return found


def _applied(text: str, cuts: list[_Cut]) -> str:
    parts, at = [], 0
    for cut in sorted(cuts, key=lambda cut: (cut.start, cut.end)):  # stable: additions to one place keep their order
        parts += [text[at : cut.start], cut.text]
        at = cut.end
    return "".join([*parts, text[at:]])


def _cut(text: str, root: Node, edit: Edit) -> _Cut:
    parent = _found(root, edit.path[:-1])
    there = _child(parent, edit.path[-1])
    if isinstance(there, ScalarNode):
        return _replaced(text, there, edit.value)
    if there is not None or not isinstance(parent, CollectionNode) or not parent.value:
        raise CannotEdit
    return _added(text, parent, edit)


def _found(node: Node, path: Path) -> Node:
    for step in path:
        inner = _child(node, step)
        if inner is None:
            raise CannotEdit
        node = inner
    return node


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        pairs: list[tuple[Node, Node]] = node.value
        return next((value for key, value in pairs if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int):
        items: list[Node] = node.value
        return items[step] if step < len(items) else None
    return None


def _replaced(text: str, node: ScalarNode, value: Any) -> _Cut:
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    block = old[:1] in ("|", ">")
    return _Cut(start, end, _scalar(value, old[:1]) + (_newline(text) if block and old.endswith("\n") else ""))


def _scalar(value: Any, quote: str) -> str:
    if quote == '"' or not isinstance(value, str):
        return json.dumps(value)
    if quote == "'":
        return "'" + value.replace("'", "''") + "'"
    return yaml.safe_dump(value, width=WIDE).removesuffix("\n").removesuffix("\n...")


def _added(text: str, parent: CollectionNode, edit: Edit) -> _Cut:
    if parent.flow_style:
        entry = parent.value[-1]
        end = (entry[1] if isinstance(parent, MappingNode) else entry).end_mark.index
        return _Cut(end, end, _flow(text, parent, edit))
    at = _line_end(text, _last(parent).end_mark.index)
    newline = _newline(text)
    lines = newline.join(_block(parent, edit))
    if at and text[at - 1] != "\n":
        return _Cut(at, at, newline + lines)
    return _Cut(at, at, lines + newline)


def _flow(text: str, parent: CollectionNode, edit: Edit) -> str:
    """What follows the last entry of `{…}` or `[…]`: on a line of its own where the last one is."""
    first = parent.value[-1][0] if isinstance(parent, MappingNode) else parent.value[-1]
    start = text.rfind("\n", 0, first.start_mark.index) + 1
    lead = text[start : first.start_mark.index]
    between = _newline(text) + lead if start and not lead.strip() else " "
    key = f"{json.dumps(edit.path[-1])}: " if isinstance(parent, MappingNode) else ""
    return f",{between}{key}{json.dumps(edit.value)}"


def _block(parent: CollectionNode, edit: Edit) -> Iterator[str]:
    first = parent.value[0][0] if isinstance(parent, MappingNode) else parent
    value = {edit.path[-1]: edit.value} if isinstance(parent, MappingNode) else [edit.value]
    for line in yaml.safe_dump(value, width=WIDE, sort_keys=False).splitlines():
        yield " " * first.start_mark.column + line


def _last(node: Node) -> Node:
    """The innermost last node: its end is the end of what is written. A block's own end is only where the next thing begins."""
    while isinstance(node, CollectionNode) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    return node


def _line_end(text: str, at: int) -> int:
    """Behind the end of the line in which `at` is; `at` itself where a block scalar ends, which is the start of a line."""
    if at and text[at - 1] == "\n":
        return at
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
