"""A PodTemplateSpec as an API server publishes it (OpenAPI v3), turned into the structural schema a CRD may embed.

Kept: types, formats, required fields, enums, list and map kinds with their keys, the first sentence of each description, unless it
repeats that of its list.
Left out: what a structural schema may not say ($ref, allOf, patch strategies, unions) and defaults, except for the keys of
list maps (a port's protocol), without which the API server could not tell two items apart. The API server gives pods their
defaults when they are created; here they would only make every revision depend on the version that filled them in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

ROOT = "io.k8s.api.core.v1.PodTemplateSpec"
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# apimachinery's quantity regexp as controller-gen writes it, without the minus: no quantity of a pod may be negative.
QUANTITY_PATTERN = (
    r"^\+?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)

_REFERENCE = "#/components/schemas/"
_KEPT = (
    "type",
    "format",
    "enum",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)


def reachable(definitions: Mapping[str, Schema], root: str = ROOT) -> dict[str, Schema]:
    """The definitions `root` needs, itself included. Metadata is cut to labels and annotations: the rest of an object's
    metadata means nothing in a template.
    """
    found: dict[str, Schema] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _labels_and_annotations(definitions[name]) if name == METADATA else definitions[name]
        waiting.extend(_references(found[name]))
    return found


def _labels_and_annotations(metadata: Schema) -> Schema:
    properties = metadata["properties"]
    kept = {name: properties[name] for name in ("labels", "annotations")}
    return {"description": metadata["description"], "type": "object", "properties": kept}


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].removeprefix(_REFERENCE)] if "$ref" in node else []
    return own + [name for value in node.values() for name in _references(value)]


def schema(definitions: Mapping[str, Schema], rules: Mapping[str, Schema]) -> Schema:
    """The structural schema of the pod template, `rules` (by a definition's last name) laid over it."""
    unknown = set(rules) - {name.rpartition(".")[2] for name in definitions}
    if unknown:
        raise ValueError(f"template.rules.yaml speaks of definitions that are not there: {sorted(unknown)}")
    return _definition(ROOT, definitions, rules)


def _definition(name: str, definitions: Mapping[str, Schema], rules: Mapping[str, Schema]) -> Schema:
    described = _describe(definitions[name])
    if name == INT_OR_STRING:
        return {**described, "x-kubernetes-int-or-string": True}
    if name == QUANTITY:
        return {**described, "x-kubernetes-int-or-string": True, "minimum": 0, "pattern": QUANTITY_PATTERN}
    rule = rules.get(name.rpartition(".")[2], {})
    replaced = {field for field, over in rule.get("properties", {}).items() if "$replace" in over}
    definition = dict(definitions[name])
    if replaced:
        definition["properties"] = {f: s for f, s in definition["properties"].items() if f not in replaced}
    return overlay(_node(definition, definitions, rules), rule)


def _node(node: Schema, definitions: Mapping[str, Schema], rules: Mapping[str, Schema]) -> Schema:
    """One schema node, references inlined. What stands beside a reference (the field's own description) wins."""
    reference = node.get("$ref") or next((part["$ref"] for part in node.get("allOf", ())), None)
    if reference:
        target = _definition(reference.removeprefix(_REFERENCE), definitions, rules)
        return {**target, **_describe(node)}
    made = {**_describe(node), **{key: node[key] for key in _KEPT if key in node}}
    if "properties" in node:
        made["properties"] = {
            name: _node(child, definitions, rules) for name, child in sorted(node["properties"].items())
        }
    if "items" in node:
        made["items"] = _item(node, definitions, rules)
    if "additionalProperties" in node:
        made["additionalProperties"] = _bare(_node(node["additionalProperties"], definitions, rules))
    return made


def _item(node: Schema, definitions: Mapping[str, Schema], rules: Mapping[str, Schema]) -> Schema:
    """The schema of a list's items, with defaults for the keys of a list map: they must be there or have one."""
    item = _bare(_node(node["items"], definitions, rules))
    kind = next(iter(_references(node["items"])), "").rpartition(".")[2]
    if kind and node.get("description") and names_itself(kind, item.get("description", "")):
        item = {key: value for key, value in item.items() if key != "description"}
    for key in node.get("x-kubernetes-list-map-keys", ()):
        if key in item.get("required", ()):
            continue
        reference = _references(node["items"])[0]
        default = definitions[reference]["properties"][key]["default"]
        item = {**item, "properties": {**item["properties"], key: {**item["properties"][key], "default": default}}}
    return item


def _bare(node: Schema) -> Schema:
    """Without the description of an item or value that has no fields of its own: it repeats what the list says."""
    return node if "properties" in node else {key: value for key, value in node.items() if key != "description"}


def names_itself(kind: str, description: str) -> bool:
    """Whether a description says what its kind is, as the list of such has said already; others tell what is done with an item.

    >>> names_itself("HTTPHeader", "HTTPHeader describes a custom header to be used in HTTP probes")
    True
    >>> names_itself("NodeSelectorTerm", "A null or empty node selector term matches no objects.")
    False
    """
    words = re.sub(r"^an? ", "", description.lower()).replace(" ", "")
    return words.startswith(kind.lower())


def _describe(node: Schema) -> Schema:
    return {"description": first_sentence(node["description"])} if node.get("description") else {}


def first_sentence(text: str) -> str:
    """
    >>> first_sentence("Number of port, e.g. 80. This must be valid.")
    'Number of port, e.g. 80.'
    >>> first_sentence("TypeMeta\\n\\nPossible values:\\n - x")
    'TypeMeta'
    """
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    end = re.search(r"(?<!e\.g)(?<!i\.e)(?<!etc)[.:;](?= [A-Z]|$)", paragraph)
    if not end:
        return paragraph
    return paragraph[: end.start()].rstrip() + "." if paragraph[end.start()] != "." else paragraph[: end.end()]


def overlay(base: Schema, over: Schema) -> Schema:
    """`over` laid over `base`: objects are merged, everything else is replaced.

    >>> overlay({"type": "string", "enum": ["a"]}, {"maxLength": 3})
    {'type': 'string', 'enum': ['a'], 'maxLength': 3}
    """
    merged = dict(base)
    for key, value in over.items():
        if key == "$replace":
            continue
        below = merged.get(key)
        merged[key] = overlay(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return merged
