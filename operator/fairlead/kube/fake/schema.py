"""What a CustomResourceDefinition does to every object that is written: unknown fields go, defaults come, wrong values
are refused. CEL rules are not run here; tests/integration has them on a real API server."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fairlead.core.meta import JSON
from fairlead.kube.fake.kinds import invalid
from fairlead.kube.resources import Resource

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "int-or-string": (int, str),
}
_RANGES = {"int32": 2**31, "int64": 2**63}


class Wrong(ValueError):
    """A value the schema does not allow; args are the field and why."""


@cache
def load(path: Path) -> Callable[[Resource, JSON], None]:
    """The shaping of a CRD's objects, in place: for `FakeCluster.schemas`. Reads the file once."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    versions = yaml.load(path.read_text(), loader)["spec"]["versions"]
    root = versions[0]["schema"]["openAPIV3Schema"]
    parts = {key: value for key, value in root["properties"].items() if key in ("spec", "status")}

    def shape(resource: Resource, obj: JSON) -> None:
        for key in [key for key in obj if key not in ("kind", "apiVersion", "metadata", *parts)]:
            del obj[key]
        try:
            for key, schema in parts.items():
                if key in obj:
                    obj[key] = _shape(schema, obj[key], key)
                elif key in root.get("required", ()):
                    raise Wrong(key, "Required value")
        except Wrong as wrong:
            field, why = wrong.args
            raise invalid(resource, obj["metadata"]["name"], field, why) from None

    return shape


def _shape(schema: JSON, value: Any, field: str) -> Any:
    """The value without what the schema does not know and with what it adds.

    >>> schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}, "b": {"type": "string"}}}
    >>> _shape(schema, {"b": "x", "c": True}, "spec")
    {'b': 'x', 'a': 1}
    """
    if value is None and not schema.get("nullable"):
        return value
    _check(schema, value, field)
    if isinstance(value, dict):
        return _shape_object(schema, value, field)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return _shape_list(schema, value, field)
    return value


def _shape_object(schema: JSON, value: JSON, field: str) -> JSON:
    properties: JSON = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    shaped: JSON = {}
    for key, inner in value.items():
        if key in properties:
            if inner is None and not properties[key].get("nullable"):
                continue  # a null for a field that cannot be null is as good as none
            shaped[key] = _shape(properties[key], inner, f"{field}.{key}")
        elif isinstance(rest, dict):
            shaped[key] = _shape(rest, inner, f"{field}[{key}]")
        elif schema.get("x-kubernetes-preserve-unknown-fields") or rest:
            shaped[key] = inner
    for key, inner in properties.items():
        if key not in shaped and "default" in inner:
            shaped[key] = _shape(inner, _copy(inner["default"]), f"{field}.{key}")
    for key in schema.get("required", ()):
        if key not in shaped:
            raise Wrong(f"{field}.{key}", "Required value")
    return shaped


def _shape_list(schema: JSON, value: list[Any], field: str) -> list[Any]:
    shaped = [_shape(schema["items"], inner, f"{field}[{index}]") for index, inner in enumerate(value)]
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        seen: set[tuple[Any, ...]] = set()
        for index, inner in enumerate(shaped):
            key = tuple(inner.get(name) for name in keys)
            if key in seen:
                raise Wrong(f"{field}[{index}]", f"Duplicate value: {dict(zip(keys, key, strict=True))}")
            seen.add(key)
    return shaped


def _check(schema: JSON, value: Any, field: str) -> None:
    expected = "int-or-string" if schema.get("x-kubernetes-int-or-string") else schema.get("type", "")
    if expected and (not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "boolean")):
        raise Wrong(field, f"Invalid value: {value!r}: {field} must be of type {expected}")
    if "enum" in schema and value not in schema["enum"]:
        raise Wrong(field, f"Unsupported value: {value!r}: supported values: {', '.join(map(repr, schema['enum']))}")
    if isinstance(value, int) and not isinstance(value, bool):
        _check_number(schema, value, field)
    if isinstance(value, str):
        _check_text(schema, value, field)
    if isinstance(value, list | dict):
        _check_size(schema, len(value), field)


def _check_number(schema: JSON, value: int, field: str) -> None:
    limit = _RANGES.get(schema.get("format", ""), 2**63)
    if not max(schema.get("minimum", -limit), -limit) <= value <= min(schema.get("maximum", limit - 1), limit - 1):
        raise Wrong(field, f"Invalid value: {value}: out of range")


def _check_text(schema: JSON, value: str, field: str) -> None:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        raise Wrong(field, f"Invalid value: {value[:50]!r}: wrong length")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        raise Wrong(field, f"Invalid value: {value!r}: should match {schema['pattern']!r}")


def _check_size(schema: JSON, size: int, field: str) -> None:
    least = max(schema.get("minItems", 0), schema.get("minProperties", 0))
    most = min(schema.get("maxItems", size), schema.get("maxProperties", size))
    if not least <= size <= most:
        raise Wrong(field, f"Invalid value: {size} entries, allowed are {least} to {most}")


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
