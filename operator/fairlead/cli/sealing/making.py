"""A new EncryptedSecret of a Secret, and how it is written down."""

from __future__ import annotations

import json
from typing import Any

import yaml

from fairlead.cli.failures import Failed
from fairlead.cli.screen import PIPE_WIDTH
from fairlead.cli.sealing import manifest
from fairlead.cli.sealing.ledger import Ledger
from fairlead.cli.sealing.sealers import Sealers
from fairlead.cli.sealing.values import Plain
from fairlead.core.meta import JSON
from fairlead.secrets.envelope import EnvelopeError, Place, Scope, parse

# Of PyYAML's two writers the one in C, where it is there: a manifest may have a megabyte.
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def sealed(plain: Plain, scope: Scope, keys: Sealers, book: Ledger) -> JSON:
    """The manifest, each value sealed to the cluster's key and to every recipient's. Failed where it gets too large."""
    others: dict[str, dict[str, str]] = {name: {} for name in keys.others}
    own: dict[str, str] = {}
    for key, value in plain.values.items():
        place = Place(scope, plain.namespace, plain.name, key)
        own[key] = keys.seal(place, value)
        book.note(own[key], value)
        for name, theirs in others.items():
            theirs[key] = keys.seal_for(name, place, value)
    made = manifest.made(plain, scope, own, others)
    manifest.check_size(made)
    return made


def rendered(objects: list[JSON], format: str | None) -> str:
    """As `kubectl apply -f -` takes them."""
    if format == "json":
        whole = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": objects}
        return json.dumps(whole, indent=2) + "\n"
    texts = [yaml.dump(one, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=PIPE_WIDTH) for one in objects]
    return "---\n".join(texts)


def checked_envelope(file: str, key: str, envelope: str) -> str:
    """Failed, with fixed words, for a value that is no envelope: it may be somebody's secret (trust 64)."""
    try:
        parse(envelope)
    except EnvelopeError as error:
        raise Failed(f"{file}: spec.values[{key}] {error.message}") from None
    return envelope
