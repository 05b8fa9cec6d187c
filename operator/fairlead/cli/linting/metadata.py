"""metadata as the API server checks it for every kind: apimachinery pkg/api/validation (objectmeta.go), pkg/util/validation."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from fairlead.cli.linting.schema import Finding, describe

_FIELDS = {
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
}
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_ANNOTATIONS_LIMIT = 256 * 1024  # bytes, of all together


def check_metadata(metadata: Any) -> Iterator[Finding]:
    if not isinstance(metadata, dict):
        yield Finding(("metadata",), "'metadata' with a name is missing" if metadata is None else "must be a mapping")
        return
    for key in metadata:
        if key not in _FIELDS:
            near = difflib.get_close_matches(key, _FIELDS, n=1, cutoff=0.7)
            yield Finding(
                ("metadata", key), f"there is no field {key!r} here" + (f": did you mean {near[0]!r}?" if near else "")
            )
    yield from _names(metadata)
    yield from labels(metadata.get("labels"), ("metadata", "labels"))
    yield from _annotations(metadata.get("annotations"))


def _names(metadata: dict[str, Any]) -> Iterator[Finding]:
    name = metadata.get("name")
    if name is None:
        if not metadata.get("generateName"):
            yield Finding(("metadata",), "'name' is missing")
    elif not isinstance(name, str):
        yield Finding(("metadata", "name"), f'must be a string: put it in quotes: "{describe(name)}"')
    elif not _SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield Finding(
            ("metadata", "name"),
            f"{describe(name)} is no name: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit",
        )
    namespace = metadata.get("namespace")
    if namespace is not None and not (
        isinstance(namespace, str) and len(namespace) <= 63 and re.fullmatch(_LABEL, namespace)
    ):
        yield Finding(("metadata", "namespace"), f"{describe(namespace)} is no name of a namespace")


def labels(found: Any, path: tuple[str, ...]) -> Iterator[Finding]:
    """Keys like [prefix/]name, values of at most 63 characters."""
    if found is None:
        return
    if not isinstance(found, dict):
        yield Finding(path, "must be a mapping")
        return
    for key, value in found.items():
        if not qualified(key):
            yield Finding(
                (*path, key),
                f"{describe(key)} is no key of a label: [prefix/]name, the name of at most 63 letters, digits, '-', '_' and '.'",
            )
        if not isinstance(value, str):
            yield Finding((*path, key), f'must be a string: put it in quotes: "{describe(value)}"')
        elif len(value) > 63 or (value and not _NAME_PART.fullmatch(value)):
            yield Finding(
                (*path, key),
                f"{describe(value)} is no value of a label: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
            )


def _annotations(found: Any) -> Iterator[Finding]:
    path = ("metadata", "annotations")
    if found is None:
        return
    if not isinstance(found, dict):
        yield Finding(path, "must be a mapping")
        return
    for key, value in found.items():
        if not qualified(key.lower()):
            yield Finding((*path, key), f"{describe(key)} is no key of an annotation")
        if not isinstance(value, str):
            yield Finding((*path, key), f'must be a string: put it in quotes: "{describe(value)}"')
    if sum(len(str(key).encode()) + len(str(value).encode()) for key, value in found.items()) > _ANNOTATIONS_LIMIT:
        yield Finding(path, "all annotations together must not have more than 262144 bytes")


def qualified(key: str) -> bool:
    """Whether a label's key is one.

    >>> qualified("app.kubernetes.io/name"), qualified("tier"), qualified("/x"), qualified("a b")
    (True, True, False, False)
    """
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and _NAME_PART.fullmatch(name) is not None
