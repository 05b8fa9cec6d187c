"""EncryptedSecrets as manifests: made of sealed values, and read out of files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fairlead.cli.failures import Failed
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.cli.sealing.values import OPAQUE, Plain
from fairlead.core.meta import API_VERSION, JSON
from fairlead.secrets.envelope import Place, Scope

KIND = "EncryptedSecret"
MOST_VALUES = 1_400_000  # characters, by the rule in the CRD: as much as a Secret of 1 MiB comes to
MOST_OBJECT = 1_500_000  # bytes; etcd takes a little more


class Found(NamedTuple):
    """An EncryptedSecret in a file: its place among the file's documents, and itself."""

    position: int
    line: int
    raw: JSON

    @property
    def name(self) -> str:
        return str((self.raw.get("metadata") or {}).get("name") or "")

    @property
    def namespace(self) -> str:
        """Where it is, or where it was sealed for: files for kustomize often leave it out."""
        hint = self.spec.get("sealedFor") or {}
        return str((self.raw.get("metadata") or {}).get("namespace") or hint.get("namespace") or "")

    @property
    def spec(self) -> JSON:
        spec: JSON = self.raw.get("spec") or {}
        return spec

    @property
    def scope(self) -> Scope:
        return Scope(self.spec.get("scope") or Scope.STRICT)

    @property
    def values(self) -> dict[str, str]:
        return dict(self.spec.get("values") or {})

    def recipient(self, name: str) -> tuple[int, dict[str, str]] | None:
        """Where in spec.recipients that one is, and its values."""
        for index, entry in enumerate(self.spec.get("recipients") or ()):
            if entry.get("name") == name:
                return index, dict(entry.get("values") or {})
        return None

    @property
    def recipients(self) -> list[str]:
        return [str(entry.get("name")) for entry in self.spec.get("recipients") or ()]

    def place(self, key: str) -> Place:
        return Place(self.scope, self.namespace, self.name, key)


def found_in(file: str, text: str) -> Iterator[Found]:
    """The EncryptedSecrets of a text; other objects are passed over. Failed where it cannot be read, or one is misshapen."""
    try:
        everything = list(documents(text))
    except Unreadable as error:
        raise Failed(f"{file}:{error.line}: this is no YAML that can be read") from None
    for index, document in enumerate(everything):
        raw = document.value
        if not isinstance(raw, dict) or raw.get("kind") != KIND:
            continue
        line = document.line(())
        lack = _misshapen(raw)
        if lack or document.repeated:
            raise Failed(f"{file}:{line}: {lack or 'a key is there twice'}; see: fairlead lint -f {file}")
        yield Found(index, line, raw)


def check_size(raw: JSON) -> None:
    """Failed for an object that the API server would not take: by its rule for the values, or as a whole (trust 67)."""
    name, spec = raw["metadata"]["name"], raw.get("spec") or {}
    for values in (spec.get("values") or {}, *(one.get("values") or {} for one in spec.get("recipients") or ())):
        size = sum(map(len, values.values()))
        if size > MOST_VALUES:
            raise Failed(
                f"EncryptedSecret {name}: its sealed values have {size} characters, {MOST_VALUES} at most: split it into several"
            )
    size = len(json.dumps(raw, separators=(",", ":")))
    if size > MOST_OBJECT:
        raise Failed(
            f"EncryptedSecret {name}: with all its recipients it has {size // 1024} KiB, and the API server takes {MOST_OBJECT // 1024}: "
            "split it into several"
        )


def _misshapen(raw: JSON) -> str:
    """What keeps an EncryptedSecret from being read at all, "" for nothing."""
    spec, metadata = raw.get("spec"), raw.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return "this EncryptedSecret has no metadata.name"
    if not isinstance(spec, dict):
        return "this EncryptedSecret has no spec"
    if spec.get("scope") not in (None, *Scope):
        return f"spec.scope is none of {', '.join(Scope)}"
    if not _texts(spec.get("values")):
        return "spec.values is no mapping of keys to texts"
    recipients = spec.get("recipients") or []
    if not isinstance(recipients, list) or not all(
        isinstance(one, dict) and _texts(one.get("values")) for one in recipients
    ):
        return "spec.recipients is no list of names with values"
    return ""


def _texts(found: Any) -> bool:
    return found is None or (isinstance(found, dict) and all(isinstance(text, str) for text in found.values()))


def made(plain: Plain, scope: Scope, values: Mapping[str, str], recipients: Mapping[str, Mapping[str, str]]) -> JSON:
    """The manifest of a new EncryptedSecret, as short as it can be: what is the default is left out.

    >>> made(Plain("db", "shop"), Scope.STRICT, {"password": "fl1:…"}, {})["spec"]
    {'values': {'password': 'fl1:…'}, 'sealedFor': {'namespace': 'shop', 'name': 'db'}}
    """
    metadata: JSON = {"name": plain.name, **({"namespace": plain.namespace} if plain.namespace else {})}
    template: JSON = {"type": plain.type} if plain.type != OPAQUE else {}
    if plain.labels:
        template["labels"] = dict(plain.labels)
    if plain.annotations:
        template["annotations"] = dict(plain.annotations)
    if plain.files:
        template["data"] = dict(plain.files)
    spec: JSON = {} if scope == Scope.STRICT else {"scope": scope.value}
    spec["values"] = dict(values)
    if recipients:
        spec["recipients"] = [{"name": name, "values": dict(sealed)} for name, sealed in recipients.items()]
    if template:
        spec["template"] = template
    spec["sealedFor"] = {key: metadata[key] for key in ("namespace", "name") if key in metadata}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
