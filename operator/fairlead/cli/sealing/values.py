"""The values to seal, and where they come from: manifests, files, the command line, standard input.

What goes wrong with them is told by place and name. No message holds a value, or any text a value may stand in: what a
command prints is kept by terminals and pipelines.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fairlead.cli.failures import Failed
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.cli.sealing.files import read
from fairlead.core.meta import GROUP, JSON
from fairlead.secrets.model import FORBIDDEN_TYPES

MOST_SECRET = 1024 * 1024  # bytes of all values of one Secret: upstream's MaxSecretSize
MOST_MANIFEST = 16 * 1024 * 1024
OPAQUE = "Opaque"
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # the whole Secret once more, values and all


@dataclass(frozen=True, slots=True)
class Plain:
    """A Secret as it is to be. `values` are the secrets themselves, so they are in no `repr`."""

    name: str = ""
    namespace: str = ""
    type: str = OPAQUE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)  # texts with ${KEY} in place of values


def from_manifests(names: Iterable[str]) -> Iterator[Plain]:
    """The Secrets in these files ("-" for standard input), in their order. Failed where there is something else."""
    for name in names:
        yield from secrets_in(_shown(name), _text(name))


def secrets_in(name: str, text: str) -> Iterator[Plain]:
    """The Secrets of one text."""
    try:
        found = list(documents(text))
    except Unreadable as error:
        # Its own words may quote what stands there.
        raise Failed(f"{name}:{error.line}: this is no YAML that can be read") from None
    for document in found:
        raw, line = document.value, document.line(())
        if not isinstance(raw, dict) or raw.get("kind") != "Secret" or raw.get("apiVersion") != "v1":
            raise Failed(f"{name}:{line}: this is no Secret (apiVersion: v1, kind: Secret): only Secrets can be sealed")
        if document.repeated:
            line, path = document.repeated[0]
            raise Failed(f"{name}:{line}: a key is there twice in {'.'.join(map(str, path[:-1])) or 'this Secret'}")
        yield secret(f"{name}:{line}", raw)


def secret(where: str, raw: JSON) -> Plain:
    """One Secret's manifest. `stringData` wins over `data`, as in the API server."""
    metadata = raw.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise Failed(f"{where}: metadata is no mapping")
    values = {key: _decoded(where, key, value) for key, value in _mapping(where, raw, "data").items()}
    for key, value in _mapping(where, raw, "stringData").items():
        if not isinstance(value, str):
            raise Failed(f"{where}: stringData[{key}] is no string: put it into quotes")
        values[key] = value.encode()
    plain = Plain(
        str(metadata.get("name") or ""),
        str(metadata.get("namespace") or ""),
        str(raw.get("type") or OPAQUE),
        carried(metadata.get("labels")),
        carried(metadata.get("annotations")),
        values,
    )
    checked(where, plain)
    return plain


def carried(found: Any) -> dict[str, str]:
    """The labels or annotations that go into the template: not ours, and not kubectl's copy of the whole Secret."""
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(key): str(value) for key, value in pairs if key != _LAST_APPLIED and f"{GROUP}/" not in str(key)}


def _mapping(where: str, raw: JSON, name: str) -> dict[str, Any]:
    found = raw.get(name) or {}
    if not isinstance(found, dict):
        raise Failed(f"{where}: {name} is no mapping of names to values")
    return found


def _decoded(where: str, key: str, value: Any) -> bytes:
    try:
        return base64.b64decode("".join(value.split()) if isinstance(value, str) else value or b"", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Failed(f"{where}: data[{key}] is no base64: plain text belongs into stringData") from None


def checked(where: str, plain: Plain) -> None:
    """Failed for what no Secret can be, or none that is sealed: found here, not after an apply."""
    if not plain.values:
        raise Failed(f"{where}: there is no value in it: an EncryptedSecret has at least one")
    for key, value in plain.values.items():
        data_key(where, key)
        if value.startswith(b"fl1:"):
            raise Failed(
                f"{where}: the value of {key} is sealed already: sealed once more, its app would get the envelope"
            )
    if plain.type in FORBIDDEN_TYPES:
        raise Failed(f"{where}: a Secret of type {plain.type} gives rights of its own and is not sealed")
    size = sum(map(len, plain.values.values()))
    if size > MOST_SECRET:
        raise Failed(
            f"{where}: its values have {size // 1024} KiB together: a Secret holds {MOST_SECRET // 1024} KiB; split it into several"
        )


def data_key(where: str, key: str) -> str:
    """A name a Secret may give to a value. The message does not repeat it: a value may have got into its place."""
    if not _KEY.fullmatch(key):
        raise Failed(f"{where}: a key of a Secret has letters, digits, '-', '_' and '.' alone, 253 at most")
    return key


# ---------------------------------------------------------------- from the command line


def from_literals(literals: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """KEY=VALUE each."""
    for literal in literals:
        key, equals, value = literal.partition("=")
        if not equals:
            raise Failed("--from-literal: write KEY=VALUE")
        yield data_key("--from-literal", key), value.encode()


def from_files(sources: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """KEY=PATH, or a PATH whose last part is the key; a folder gives one value per file in it."""
    for source in sources:
        key, equals, path = source.partition("=")
        if equals:
            yield data_key("--from-file", key), read(path, MOST_SECRET)
        elif Path(source).is_dir():
            for file in sorted(file for file in Path(source).iterdir() if file.is_file()):
                yield data_key(f"--from-file {source}", file.name), read(str(file), MOST_SECRET)
        else:
            yield data_key("--from-file", Path(source).name), read(source, MOST_SECRET)


def from_terminal_or_pipe(key: str) -> bytes:
    """One value: asked for twice and not shown on a terminal, else all bytes of standard input as they come."""
    if sys.stdin.isatty():
        value: str = click.prompt(f"Value of {key}", hide_input=True, confirmation_prompt="Once more", err=True)
        return value.encode()
    value_bytes = sys.stdin.buffer.read(MOST_SECRET + 1)
    if len(value_bytes) > MOST_SECRET:
        raise Failed(f"the value on standard input has more than {MOST_SECRET // 1024} KiB: no Secret holds that")
    return value_bytes


def together(pairs: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Failed where one key is given twice."""
    values: dict[str, bytes] = {}
    for key, value in pairs:
        if key in values:
            raise Failed(f"the key {key} is given twice")
        values[key] = value
    return values


def _text(name: str) -> str:
    data = sys.stdin.buffer.read(MOST_MANIFEST + 1) if name == "-" else read(name, MOST_MANIFEST)
    if len(data) > MOST_MANIFEST:
        raise Failed(f"{_shown(name)} has more than {MOST_MANIFEST // 1024 // 1024} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failed(f"{_shown(name)} is no UTF-8 text: byte {error.start} cannot be read") from None


def _shown(name: str) -> str:
    return "<stdin>" if name == "-" else name
