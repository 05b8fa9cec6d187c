"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902), on parsed JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlead.kube.errors import Invalid


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, anything else (lists too) replaces.

    >>> merge_patch({"a": {"b": 1, "c": 2}, "l": [1, 2]}, {"a": {"b": None}, "l": [3]})
    {'a': {'c': 2}, 'l': [3]}
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(
    target: Any, patch: Any, keys: Callable[[tuple[str, ...]], tuple[str, ...] | None], path: tuple[str, ...] = ()
) -> Any:
    """A strategic merge patch without directives: as a merge patch, but in lists with one key each item is merged by itself.

    >>> live = {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}
    >>> strategic_patch(live, {"conditions": [{"type": "B", "status": "False"}]}, lambda path: ("type",))
    {'conditions': [{'type': 'A', 'status': 'True'}, {'type': 'B', 'status': 'False'}]}
    """
    if isinstance(patch, list) and (by := keys(path)) and len(by) == 1:
        items = {item[by[0]]: item for item in target or ()}
        for item in patch:
            items[item[by[0]]] = strategic_patch(items.get(item[by[0]]), item, keys, path)
        return list(items.values())
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = strategic_patch(result.get(name), value, keys, (*path, name))
    return result


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902 on `document`, in place where it can be; a `test` that fails is a refusal (422), as the API server has it.

    >>> json_patch({"a": [1, 2]}, [{"op": "test", "path": "/a/0", "value": 1}, {"op": "add", "path": "/a/-", "value": 3}])
    {'a': [1, 2, 3]}
    """
    if not isinstance(operations, list):
        raise Invalid(400, "BadRequest", "a JSON patch is a list of operations")
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation.get("op"), _pointer(operation.get("path", ""))
    if kind == "test":
        if _lookup(document, path) != operation.get("value"):
            raise _refused(f"testing path {operation.get('path')} failed: test failed")
        return document
    if kind == "add":
        return _add(document, path, operation.get("value"))
    if kind == "remove":
        return _remove(document, path)
    if kind == "replace":
        _lookup(document, path)
        return _add(_remove(document, path), path, operation.get("value"))
    if kind in ("move", "copy"):
        source = _pointer(operation.get("from", ""))
        value = _lookup(document, source)
        return _add(_remove(document, source) if kind == "move" else document, path, value)
    raise Invalid(400, "BadRequest", f"unknown JSON patch operation {kind!r}")


def _refused(message: str) -> Invalid:
    return Invalid(422, "Invalid", f"the server rejected our request due to an error in our request: {message}")


def _pointer(text: str) -> list[str]:
    """
    >>> _pointer("/metadata/labels/fairlead.dev~1app")
    ['metadata', 'labels', 'fairlead.dev/app']
    """
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _lookup(document: Any, path: list[str]) -> Any:
    for part in path:
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise _refused(f"path /{'/'.join(path)} does not exist") from None
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _lookup(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else int(path[-1]), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise _refused(f"nothing can be added at /{'/'.join(path)}")
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        return None
    _lookup(document, path)
    parent = _lookup(document, path[:-1])
    if isinstance(parent, list):
        parent.pop(int(path[-1]))
    else:
        del parent[path[-1]]
    return document
