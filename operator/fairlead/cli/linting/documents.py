"""Manifests as text to values, each with its line: YAML as the API server's own reader takes it, not as PyYAML does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MOST_NODES = 200_000  # a manifest whose aliases unfold to more is a bomb, not a manifest
Path = tuple[str | int, ...]


class Unreadable(Exception):
    """Text that is no YAML, or YAML that is no JSON. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


class Document(NamedTuple):
    """One object. `root` knows the lines; `repeated` are keys written twice: (line, path)."""

    value: Any
    root: Node
    repeated: tuple[tuple[int, Path], ...] = ()

    def line(self, path: Path) -> int:
        """The line of a path, or of as much of it as is there."""
        node, line = self.root, self.root.start_mark.line + 1
        for step in path:
            found = _step(node, step)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        return line


def _step(node: Node, step: str | int) -> tuple[Node, Node] | None:
    """(what names it, what it is): a mapping's key and value, or a list's item twice."""
    if isinstance(node, MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars as sigs.k8s.io/yaml does: no dates, no sexagesimal numbers, no merge of a missing tag."""


# PyYAML's own table would make a date of 2026-01-01 and a float of nothing like 1e3.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, expression)
        for tag, expression in resolvers
        if tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0x[0-9a-fA-F]+|0o?[0-7]+|0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^(?:[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+.0123456789"),
)


def documents(text: str) -> Iterator[Document]:
    """The documents of a file that are not empty; the items of a List one by one. Unreadable where it is no YAML."""
    try:
        for root in yaml.compose_all(text, Loader=_Loader):
            reader = _Reader()
            value = reader.value(root, ())
            if value is not None:
                yield from _items(Document(value, root, tuple(reader.repeated)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, _hinted(f"this is no YAML: {error.problem}", text)) from None
    except yaml.YAMLError as error:
        raise Unreadable(1, _hinted(f"this is no YAML: {' '.join(str(error).split())}", text)) from None
    except Unreadable as error:
        raise Unreadable(error.line, _hinted(error.message, text)) from None


def _hinted(message: str, text: str) -> str:
    """The message with the most likely cause, where the text gives it away."""
    if "{{" in text:
        return f"{message}; it looks like a template: lint what `helm template` makes of it"
    if "\\t" in message:
        return f"{message}; indent with spaces"
    return message


def _items(document: Document) -> Iterator[Document]:
    """A List's items as documents of their own."""
    value, root = document.value, document.root
    if not (isinstance(value, dict) and value.get("kind") == "List" and isinstance(value.get("items"), list)):
        yield document
        return
    found = _step(root, "items")
    assert found is not None
    for index, (item, node) in enumerate(zip(value["items"], found[1].value, strict=True)):
        prefix: Path = ("items", index)
        repeated = tuple((line, path[2:]) for line, path in document.repeated if path[:2] == prefix)
        yield Document(item, node, repeated)


class _Reader:
    """Nodes to JSON values."""

    def __init__(self) -> None:
        self._left = MOST_NODES
        self._inside: set[int] = set()
        self.repeated: list[tuple[int, Path]] = []

    def value(self, node: Node, path: Path) -> Any:
        self._left -= 1
        line = node.start_mark.line + 1
        if self._left < 0:
            raise Unreadable(line, "the aliases in this document unfold to too much")
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if id(node) in self._inside:
            raise Unreadable(line, "this refers to itself by an alias")
        self._inside.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, path)
        finally:
            self._inside.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        inherited: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                inherited = self._merged(value_node, path) | inherited
                continue
            if not isinstance(key_node, ScalarNode):
                raise Unreadable(key_node.start_mark.line + 1, "a key must be a word")
            key = str(key_node.value)
            if key in result:
                self.repeated.append((key_node.start_mark.line + 1, (*path, key)))
            result[key] = self.value(value_node, (*path, key))
        return inherited | result

    def _merged(self, node: Node, path: Path) -> dict[str, Any]:
        """What `<<:` takes over: a mapping, or several of which the first wins."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in parts:
            value = self.value(part, path)
            if not isinstance(value, dict):
                raise Unreadable(node.start_mark.line + 1, "<< needs a mapping")
            result = value | result
        return result


_TRUE = {"true", "yes", "on", "y"}


def _scalar(node: ScalarNode) -> Any:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() in _TRUE
        case "int":
            return _integer(text)
        case "float":
            return float(
                text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".NaN", "nan")
            )
    return text


def _integer(text: str) -> int:
    """As Go reads it: 0x hexadecimal, 0o and a bare leading 0 octal.

    >>> _integer("0644"), _integer("-12"), _integer("0x1F")
    (420, -12, 31)
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    if digits.lower().startswith("0x"):
        return sign * int(digits, 16)
    if len(digits) > 1 and digits.startswith("0"):
        return sign * int(digits.lower().replace("0o", "", 1), 8)
    return sign * int(digits)
