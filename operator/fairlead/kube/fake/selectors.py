"""Label and field selectors, as the API server reads them from a query string."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fairlead.core.meta import JSON
from fairlead.kube.errors import Invalid

Match = Callable[[JSON], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^=!\s]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[^=!\s(),]+)$")

# What each kind can be selected by, beside metadata.name and metadata.namespace.
FIELDS: dict[str, frozenset[str]] = {
    "Pod": frozenset(
        {
            "spec.nodeName",
            "status.phase",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.podIP",
        }
    ),
    "Namespace": frozenset({"status.phase"}),
    "Event": frozenset(
        {
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "reason",
            "type",
        }
    ),
    "Node": frozenset({"spec.unschedulable"}),
}


def label_match(selector: str) -> Match:
    """
    >>> match = label_match("app=shop,tier in (web, api),!old")
    >>> match({"metadata": {"labels": {"app": "shop", "tier": "web"}}}), match({"metadata": {"labels": {"app": "shop"}}})
    (True, False)
    """
    tests = [_label_test(term.strip()) for term in re.split(r",(?![^(]*\))", selector) if term.strip()]

    def match(obj: JSON) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return match


def _label_test(term: str) -> Callable[[JSON], bool]:
    if found := _SET.match(term):
        key, wanted = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: labels.get(key) not in wanted
    if found := _EQUAL.match(term):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(term):
        key, present = found["key"], not found["no"]
        return lambda labels: (key in labels) is present
    raise Invalid(400, "BadRequest", f"unable to parse requirement: {term!r}")


def field_match(kind: str, selector: str) -> Match:
    """
    >>> field_match("Pod", "spec.nodeName=,metadata.name!=b")({"metadata": {"name": "a"}, "spec": {}})
    True
    """
    tests = []
    for term in filter(None, (part.strip() for part in selector.split(","))):
        found = _EQUAL.match(term)
        if not found:
            raise Invalid(400, "BadRequest", f"invalid field selector {selector!r}")
        if found["key"] not in {"metadata.name", "metadata.namespace"} | FIELDS.get(kind, frozenset()):
            raise Invalid(400, "BadRequest", f"field label not supported: {found['key']}")
        tests.append((found["key"].split("."), found["value"], found["op"] != "!="))

    def match(obj: JSON) -> bool:
        return all((_field(obj, path) == value) is equal for path, value, equal in tests)

    return match


def _field(obj: JSON, path: list[str]) -> str:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def both(kind: str, labels: str, fields: str) -> Match | None:
    """One test for both selectors, None where everything matches."""
    if not labels and not fields:
        return None
    by_label, by_field = label_match(labels), field_match(kind, fields)
    return lambda obj: by_label(obj) and by_field(obj)


def label_selector_match(selector: JSON | None) -> Match:
    """A metav1.LabelSelector; an empty one matches everything, none matches nothing.

    >>> label_selector_match({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]})({"metadata": {"labels": {"a": "1"}}})
    True
    """
    if selector is None:
        return lambda _obj: False
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for wish in selector.get("matchExpressions") or ():
        values = ",".join(wish.get("values") or ())
        terms.append(
            {
                "In": f"{wish['key']} in ({values})",
                "NotIn": f"{wish['key']} notin ({values})",
                "Exists": wish["key"],
                "DoesNotExist": f"!{wish['key']}",
            }[wish["operator"]]
        )
    return label_match(",".join(terms))
