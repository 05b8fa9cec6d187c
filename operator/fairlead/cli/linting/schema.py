"""A CRD's schema as the API server applies it: structural checks, unknown fields, list maps, then the CEL rules."""

from __future__ import annotations

import copy
import difflib
import re
from collections import deque
from collections.abc import Callable, Iterator, Sized
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError, validators

from fairlead.cli.linting.cel import Undefined, holds, is_transition, re2
from fairlead.cli.linting.documents import Path
from fairlead.core.conditions import parse_time

Schema = dict[str, Any]
Found = Iterator[ValidationError]


class Finding(NamedTuple):
    """Something the API server would refuse, where and why."""

    path: Path
    message: str


def check(value: Any, schema: Schema) -> list[Finding]:
    """What the API server would say. The CEL rules are asked with the schema's defaults filled in, as it does."""
    value = without_nulls(value, schema)
    structural = [_finding(error, schema) for error in _Validator(schema).iter_errors(value)]
    rules = list(broken_rules(with_defaults(value, schema), schema, ()))
    # A rule over a field that is wrong in itself only says the same once more.
    wrong = [finding.path for finding in structural]
    return structural + [finding for finding in rules if not any(_touches(finding.path, path) for path in wrong)]


def _finding(error: ValidationError, root: Schema) -> Finding:
    path, message = tuple(error.absolute_path), error.message
    if error.validator == "properties" and isinstance(error.schema, dict):
        message += suggestion(str(path[-1]), error.schema["properties"], root)
    return Finding(path, message)


def _touches(rule: Path, wrong: Path) -> bool:
    return wrong[: len(rule)] == rule and len(wrong) - len(rule) <= 1


# ---------------------------------------------------------------- defaults


def with_defaults(value: Any, schema: Schema) -> Any:
    """A copy with the defaults of absent fields.

    >>> with_defaults({"a": {}}, {"properties": {"a": {"properties": {"b": {"default": 1}}}, "c": {"default": {}}}})
    {'a': {'b': 1}, 'c': {}}
    """
    if isinstance(value, dict):
        result = dict(value)
        for key, inner in (schema.get("properties") or {}).items():
            if key not in result and "default" in inner:
                result[key] = copy.deepcopy(inner["default"])
        return {key: with_defaults(inner, _below(key, schema)) for key, inner in result.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [with_defaults(item, schema["items"]) for item in value]
    return value


def without_nulls(value: Any, schema: Schema) -> Any:
    """A copy without the nulls the API server takes for absent: of every known field that may not be null
    (apiextensions pkg/apiserver/schema/defaulting/prune.go). In a list they stay, and are errors.

    >>> without_nulls({"a": None, "b": [None], "c": None}, {"properties": {"a": {}, "b": {}}})
    {'b': [None], 'c': None}
    """
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if inner is not None or not _dropped(key, schema)}
        return {key: without_nulls(inner, _below(key, schema)) for key, inner in kept.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [without_nulls(item, schema["items"]) for item in value]
    return value


def _dropped(key: str, schema: Schema) -> bool:
    known = key in (schema.get("properties") or {}) or isinstance(schema.get("additionalProperties"), dict)
    return known and not _below(key, schema).get("nullable")


def _below(key: str, schema: Schema) -> Schema:
    """The schema of a field, or of a map's values; an empty one for what is not known."""
    extra = schema.get("additionalProperties")
    found: Schema = (schema.get("properties") or {}).get(key) or (extra if isinstance(extra, dict) else {})
    return found


# ---------------------------------------------------------------- CEL


def broken_rules(value: Any, schema: Schema, path: Path) -> Iterator[Finding]:
    """Every rule that does not hold, here and below. Not of a list that is too long: the API server asks none there either,
    for some take the square of its length."""
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        yield from _ask(rule, value, path, schema.get("type", ""))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from broken_rules(inner, _below(key, schema), (*path, key))
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from broken_rules(item, schema["items"], (*path, index))


_TYPES = {"object": dict, "array": list, "string": str}


def _of_type(value: Any, type: str) -> bool:
    """A value of another type breaks the structure, which is said already; a rule has nothing to add."""
    return isinstance(value, _TYPES.get(type, object))


def _ask(rule: Schema, value: Any, path: Path, rule_type: str) -> Iterator[Finding]:
    if is_transition(rule["rule"]) or not _of_type(value, rule_type):
        return
    try:
        if holds(rule["rule"], value):
            return
    except Undefined:
        return  # what keeps it from being told is an error of its own, or one only the API server finds
    field = re.findall(r"\.(\w+)|\['([^']+)'\]", rule.get("fieldPath", ""))
    message = rule.get("message") or f"breaks the rule {rule['rule']}"
    yield Finding((*path, *(plain or quoted for plain, quoted in field)), message)


# ---------------------------------------------------------------- structure, by jsonschema with Kubernetes' own keywords


def _type(validator: Any, type: str, value: Any, schema: Schema) -> Found:
    if value is None and schema.get("nullable"):
        return
    if not validator.is_type(value, type):
        if _secret(schema):
            yield ValidationError(f"must be {_article(type)}; what stands there is not shown, for it may be a secret")
            return
        yield ValidationError(f"must be {_article(type)}, not {describe(value)}{_repair(value, type)}")


def _secret(schema: Schema) -> bool:
    """Whether what is wrong there must not be repeated: a password, or a map of them.

    >>> _secret({"type": "string", "format": "password"}), _secret({"additionalProperties": {"format": "password"}}), _secret({})
    (True, True, False)
    """
    extra = schema.get("additionalProperties")
    return "password" in (schema.get("format"), extra.get("format") if isinstance(extra, dict) else None)


def _article(type: str) -> str:
    return {"integer": "a whole number", "object": "a mapping", "array": "a list", "boolean": "true or false"}.get(
        type, f"a {type}"
    )


def describe(value: Any) -> str:
    """A value in a few words.

    >>> describe("ten"), describe(None), describe([1]), describe(True)
    ('"ten"', 'null', 'a list', 'true')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "…"
        return f'"{text}"'
    return str(value)


def _repair(value: Any, type: str) -> str:
    """What most likely was meant."""
    if value is None:
        return ": remove the field, or give it a value"
    if type == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return ": remove the quotes"
    if type == "string" and isinstance(value, (int, float)):
        return f': put it in quotes: "{describe(value)}"'
    if type == "array" and isinstance(value, dict):
        return ": begin each item with a dash"
    return ""


def _int_or_string(validator: Any, wanted: bool, value: Any, schema: Schema) -> Found:
    fits = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    if wanted and not fits and not (value is None and schema.get("nullable")):
        hint = f': put it in quotes: "{value}"' if isinstance(value, float) else ""
        yield ValidationError(f"must be a whole number or a string, not {describe(value)}{hint}")


def _properties(validator: Any, properties: Schema, value: Any, schema: Schema) -> Found:
    """Descend, and name what is not known: the API server drops unknown fields or, asked to be strict, refuses them."""
    if not isinstance(value, dict):
        return
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties")
    for key, inner in value.items():
        if key in properties:
            yield from validator.descend(inner, properties[key], path=key, schema_path=key)
        elif not open_ended:
            error = ValidationError(f"there is no field {key!r} here")
            error.path.append(key)
            yield error


def suggestion(key: str, properties: Schema, root: Schema) -> str:
    """What an unknown field may have been meant to be: one spelt like it, else one of that name elsewhere."""
    lower = {name.lower(): name for name in properties}
    near = difflib.get_close_matches(key.lower(), lower, n=1, cutoff=0.7)
    if near:
        return f": did you mean {lower[near[0]]!r}?"
    other = elsewhere(key, root)
    if other:
        return f": it belongs in {other}"
    if len(properties) <= 12:
        return f": there is {', '.join(sorted(properties))}"
    return ""


def elsewhere(key: str, root: Schema) -> str:
    """Where in the spec a field of that very name is, the shallowest place first; "" where nowhere.

    >>> elsewhere("maxSurge", {"properties": {"spec": {"properties": {"rollout": {"properties": {"maxSurge": {}}}}}}})
    'spec.rollout.maxSurge'
    """
    queue: deque[tuple[str, Schema]] = deque([("spec", (root.get("properties") or {}).get("spec") or {})])
    while queue:
        path, schema = queue.popleft()
        if path.count(".") > 4:
            return ""
        properties = schema.get("properties") or {}
        if key in properties:
            return f"{path}.{key}"
        for name, inner in properties.items():
            items = inner.get("items")
            queue.append((f"{path}.{name}[]", items) if isinstance(items, dict) else (f"{path}.{name}", inner))
    return ""


def _additional(validator: Any, extra: Any, value: Any, schema: Schema) -> Found:
    if not isinstance(value, dict) or not isinstance(extra, dict):
        return
    known = schema.get("properties") or {}
    for key, inner in value.items():
        if key not in known:
            yield from validator.descend(inner, extra, path=key)


def _required(validator: Any, required: list[str], value: Any, schema: Schema) -> Found:
    if not isinstance(value, dict):
        return
    for key in required:
        if key not in value:
            yield ValidationError(f"{key!r} is missing")


def _enum(validator: Any, allowed: list[Any], value: Any, schema: Schema) -> Found:
    if value in allowed or value is None:
        return
    lower = {str(item).lower(): item for item in allowed}
    near = difflib.get_close_matches(str(value).lower(), lower, n=1, cutoff=0.6)
    hint = f": did you mean {lower[near[0]]}?" if near else ""
    yield ValidationError(f"must be one of {', '.join(str(item) for item in allowed)}, not {describe(value)}{hint}")


def _pattern(validator: Any, pattern: str, value: Any, schema: Schema) -> Found:
    if isinstance(value, str) and not re.search(re2(pattern), value):
        yield ValidationError(f"{describe(value)} does not fit {pattern}")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _minimum(validator: Any, least: float, value: Any, schema: Schema) -> Found:
    if _number(value) and not value >= least:  # so that NaN is refused
        yield ValidationError(f"must be at least {least}, not {describe(value)}")


def _maximum(validator: Any, most: float, value: Any, schema: Schema) -> Found:
    if _number(value) and not value <= most:
        yield ValidationError(f"must be at most {most}, not {describe(value)}")


def _bounded(kind: type[Sized], wrong: Callable[[int, int], bool], words: str) -> Callable[..., Found]:
    def keyword(validator: Any, bound: int, value: Any, schema: Schema) -> Found:
        if isinstance(value, kind) and wrong(len(value), bound):
            yield ValidationError(words.format(bound=bound, count=len(value)))

    return keyword


def _format(validator: Any, format: str, value: Any, schema: Schema) -> Found:
    if format in ("int32", "int64") and isinstance(value, int) and "maximum" not in schema:
        bits = 31 if format == "int32" else 63
        if not -(2**bits) <= value < 2**bits:
            yield ValidationError(f"{value} does not fit a {format}")
    elif format == "date-time" and isinstance(value, str) and ("T" not in value or parse_time(value) is None):
        yield ValidationError(f"{describe(value)} is no time: write it like 2026-01-31T12:00:00Z")


def _list_type(validator: Any, kind: str, value: Any, schema: Schema) -> Found:
    """No item twice: by its keys in a map, as a whole in a set."""
    if not isinstance(value, list) or kind == "atomic":
        return
    seen: dict[str, int] = {}
    for index, item in enumerate(value):
        identity = _identity(item, schema) if kind == "map" else describe(item)
        if identity is None:
            continue
        if identity in seen:
            error = ValidationError(f"{identity} is there twice: item {seen[identity] + 1} has it too")
            error.path.append(index)
            yield error
        seen.setdefault(identity, index)


def _identity(item: Any, schema: Schema) -> str | None:
    """What makes an item of a list map that item, in words; None for what is no item at all."""
    if not isinstance(item, dict):
        return None
    fields = (schema.get("items") or {}).get("properties") or {}
    keys = schema.get("x-kubernetes-list-map-keys") or []
    return ", ".join(f"{key} {describe(item.get(key, fields.get(key, {}).get('default')))}" for key in keys)


_KEYWORDS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": Draft202012Validator.VALIDATORS["items"],
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _bounded(str, int.__lt__, "must have at least {bound} characters, not {count}"),
    "maxLength": _bounded(str, int.__gt__, "must have at most {bound} characters, not {count}"),
    "minItems": _bounded(list, int.__lt__, "must have at least {bound} items, not {count}"),
    "maxItems": _bounded(list, int.__gt__, "must have at most {bound} items, not {count}"),
    "minProperties": _bounded(dict, int.__lt__, "must have at least {bound} fields, not {count}"),
    "maxProperties": _bounded(dict, int.__gt__, "must have at most {bound} fields, not {count}"),
    "format": _format,
    "x-kubernetes-int-or-string": _int_or_string,
    "x-kubernetes-list-type": _list_type,
}
_Validator: Any = validators.create(
    meta_schema={}, validators=_KEYWORDS, type_checker=Draft202012Validator.TYPE_CHECKER
)
