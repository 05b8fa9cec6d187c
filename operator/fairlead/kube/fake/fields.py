"""Server-side apply: who owns which field, what an apply changes, takes back and conflicts with.

A field is a path: names, and for lists with keys `Item` steps. The rules are structured-merge-diff's, less what
Fairlead never meets (version conversion, unions, deduced types).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fairlead.core.meta import JSON
from fairlead.kube.errors import Conflict
from fairlead.kube.fake.kinds import DEFAULT_KEYS, SET, atomic_map, list_keys


class Item(NamedTuple):
    """A step into a list with keys: `(("name", "web"),)`; into a set: `(("", "the value"),)`."""

    keys: tuple[tuple[str, Any], ...]


class Writer(NamedTuple):
    """Field managers are told apart by how and where they write, too."""

    manager: str
    operation: str  # Apply or Update
    subresource: str


Path = tuple[Any, ...]
Owners = dict[Writer, frozenset[Path]]

_PRESENT = "\0present"  # the leaf that stands for "this list item is there"
SYSTEM = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "generateName",
)


def relevant(obj: JSON, *, status: bool, main: bool) -> JSON:
    """The part of an object that can be owned: no system metadata, and the status only through /status."""
    part: JSON = {}
    if main:
        part = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "status", "metadata")}
        meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in SYSTEM}
        if meta:
            part["metadata"] = meta
    if status and "status" in obj:
        part["status"] = obj["status"]
    return part


def flatten(kind: str, value: Any) -> dict[Path, Any]:
    """Every field with its value.

    >>> flatten("Service", {"spec": {"ports": [{"port": 80}]}})
    {('spec', 'ports', Item(keys=(('port', 80), ('protocol', 'TCP')))): '\\x00present', \
('spec', 'ports', Item(keys=(('port', 80), ('protocol', 'TCP'))), 'port'): 80}
    """
    found: dict[Path, Any] = {}
    _walk(kind, value, (), (), found)
    return found


def _walk(kind: str, value: Any, path: Path, names: tuple[str, ...], found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value and not atomic_map(kind, names):
        for key, inner in value.items():
            _walk(kind, inner, (*path, key), (*names, key), found)
        return
    keys = list_keys(kind, names) if isinstance(value, list) and value else None
    if keys is None:
        if path:
            found[path] = value
        return
    for inner in value:
        step = _step(keys, inner)
        found[(*path, step)] = _PRESENT
        if keys != SET:
            _walk(kind, inner, (*path, step), names, found)


def _step(keys: tuple[str, ...], item: Any) -> Item:
    if keys == SET:
        return Item((("", item),))
    return Item(tuple((key, item.get(key, DEFAULT_KEYS.get(key))) for key in keys))


def apply(kind: str, live: JSON, config: JSON, owners: Owners, writer: Writer, *, force: bool) -> tuple[JSON, Owners]:
    """The merged object (a fresh one, `live` is left alone) and who owns what now. Conflict unless forced.

    `live` and `config` are the relevant parts only.
    """
    wanted, present = flatten(kind, config), flatten(kind, live)
    others = {other: fields for other, fields in owners.items() if other != writer}
    changed = {path for path, value in wanted.items() if path in present and present[path] != value}
    contested = [(other, sorted(map(render, changed & fields))) for other, fields in others.items() if changed & fields]
    if contested and not force:
        raise _conflict(contested)
    merged = _copy(live)
    for path, value in wanted.items():
        if not (value in ({}, []) and _granular(kind, path, value) and _get(merged, path)):
            _put(merged, path, value)
    kept: set[Path] = set().union(*others.values()) if others else set()
    gone = owners.get(writer, frozenset()) - wanted.keys() - kept
    for path in sorted(gone, key=len, reverse=True):
        _drop(merged, path, kept | wanted.keys())
    result = {other: fields - changed for other, fields in others.items()}
    result[writer] = frozenset(wanted)
    return merged, {other: fields for other, fields in result.items() if fields}


def _granular(kind: str, path: Path, value: Any) -> bool:
    """Whether an empty object or list there says nothing about what others put into it."""
    names = tuple(step for step in path if not isinstance(step, Item))
    return list_keys(kind, names) is not None if isinstance(value, list) else not atomic_map(kind, names)


def update(kind: str, before: JSON, after: JSON, owners: Owners, writer: Writer) -> Owners:
    """Who owns what after a PUT, POST or other patch: what it changed is the writer's, what it removed is nobody's."""
    old, new = flatten(kind, before), flatten(kind, after)
    missing = object()
    changed = {path for path, value in new.items() if old.get(path, missing) != value}
    removed = old.keys() - new.keys()
    if not changed and not removed:
        return owners
    result = {other: fields - removed - (changed if other != writer else set()) for other, fields in owners.items()}
    result[writer] = frozenset((result.get(writer, frozenset()) | changed) & new.keys())
    return {other: fields for other, fields in result.items() if fields}


def _conflict(contested: list[tuple[Writer, list[str]]]) -> Conflict:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{other.manager}"', "field": field}
        for other, fields in contested
        for field in fields
    ]
    count = "1 conflict" if len(causes) == 1 else f"{len(causes)} conflicts"
    lines = ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    return Conflict(409, "Conflict", f"Apply failed with {count}: {lines}", details={"causes": causes})


# ---------------------------------------------------------------- reading and writing by path


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _find(items: list[Any], step: Item) -> int | None:
    for index, item in enumerate(items):
        if step.keys[0][0] == "":
            if item == step.keys[0][1]:
                return index
        elif all(item.get(key, DEFAULT_KEYS.get(key)) == value for key, value in step.keys):
            return index
    return None


def _get(root: Any, path: Path) -> Any:
    node = root
    for step in path:
        if isinstance(step, Item):
            found = _find(node, step) if isinstance(node, list) else None
            node = None if found is None else node[found]
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node


def _put(root: Any, path: Path, value: Any) -> None:
    node = root
    for position, step in enumerate(path[:-1]):
        following = path[position + 1]
        if isinstance(step, Item):
            found = _find(node, step)
            node = node[_insert(node, step) if found is None else found]
            continue
        empty: Any = [] if isinstance(following, Item) else {}
        if not isinstance(node.get(step), type(empty)):
            node[step] = empty
        node = node[step]
    last = path[-1]
    if not isinstance(last, Item):
        node[last] = _copy(value)
    elif _find(node, last) is None:
        _insert(node, last)


def _insert(items: list[Any], step: Item) -> int:
    items.append(step.keys[0][1] if step.keys[0][0] == "" else dict(step.keys))
    return len(items) - 1


def _drop(root: Any, path: Path, kept: Iterable[Path]) -> None:
    """Remove the field, and the objects and lists that it leaves empty. A list item stays while someone owns a part of it."""
    trail: list[tuple[Any, Any]] = []
    node = root
    for step in path[:-1]:
        index = _find(node, step) if isinstance(step, Item) else step
        if index is None or (not isinstance(step, Item) and step not in node):
            return
        trail.append((node, index))
        node = node[index]
    last = path[-1]
    if isinstance(last, Item):
        index = _find(node, last)
        if index is None or any(other[: len(path)] == path for other in kept):
            return
        node.pop(index)
    else:
        holder = path[-2] if len(path) > 1 else None
        if isinstance(holder, Item) and any(key == last for key, _ in holder.keys):
            return  # a key of a list item goes with the item
        node.pop(last, None)
    for parent, index in reversed(trail):
        if parent[index] or isinstance(parent, list):
            break
        del parent[index]


# ---------------------------------------------------------------- managedFields


def render(path: Path) -> str:
    """As kubectl prints a conflict.

    >>> render(("spec", "ports", Item((("port", 80), ("protocol", "TCP"))), "targetPort"))
    '.spec.ports[port=80,protocol="TCP"].targetPort'
    """
    text = ""
    for step in path:
        if isinstance(step, Item):
            text += (
                "["
                + ",".join(f"{key}={json.dumps(value)}" if key else f"={json.dumps(value)}" for key, value in step.keys)
                + "]"
            )
        else:
            text += f".{step}"
    return text


def managed_fields(owners: Owners, times: Mapping[Writer, str], api_version: str) -> list[JSON]:
    """The owners as metadata.managedFields."""
    entries = []
    for writer, paths in owners.items():
        tree: JSON = {}
        for path in sorted(paths, key=render):
            node = tree
            for step in path:
                node = node.setdefault(_label(step), {})
            if isinstance(path[-1], Item):
                node.setdefault(".", {})
        entry = {
            "manager": writer.manager,
            "operation": writer.operation,
            "apiVersion": api_version,
            "time": times[writer],
            "fieldsType": "FieldsV1",
            "fieldsV1": tree,
        }
        if writer.subresource:
            entry["subresource"] = writer.subresource
        if writer.subresource == "scale":  # of custom resources the server notes who, and not when
            del entry["time"]
        entries.append(entry)
    return entries


def _label(step: Any) -> str:
    if not isinstance(step, Item):
        return f"f:{step}"
    if step.keys[0][0] == "":
        return "v:" + json.dumps(step.keys[0][1])
    return "k:" + json.dumps(dict(step.keys), separators=(",", ":"))
