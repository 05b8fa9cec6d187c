"""Keys, files and cluster objects for the tests of sealing, and a search for secrets where none may be."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from fairlead.cli.linting.documents import documents
from fairlead.core.meta import API_VERSION, JSON
from fairlead.kube.resources import ENCRYPTED_SECRETS, NAMESPACES, SEALING_KEYS, SECRETS
from fairlead.secrets import keys as forms
from fairlead.secrets.envelope import Place, Scope, parse
from fairlead.secrets.sealing import seal, unseal
from fairlead.secrets.suites import PrivateKey, generate
from unit.cli.conftest import Cli, Result
from unit.cli.objects import condition
from unit.cli.served import ServedCluster

CANARY = "c4nary-hunter2-plain"
OTHER = "an0ther-c4nary-value"
NOW = 1_800_000_000.0


def key_manifest(key: PrivateKey, state: str = "Active", created: float = NOW, **spec: str | list[JSON]) -> JSON:
    """A SealingKey as the operator leaves it."""
    made = forms.sealing_key(key.public, created)
    made["spec"].update(spec)
    return {**made, "status": {"state": state, "objects": 0}}


def key_file(path: Path, *manifests: JSON) -> str:
    path.write_text(yaml.safe_dump_all(manifests))
    return str(path)


def secret(name: str = "db", namespace: str = "shop", **values: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": values,
        }
    )


def opened(key: PrivateKey, raw: JSON, **sealed: str) -> dict[str, str]:
    """What the operator would read out of it; `sealed` instead of spec.values."""
    metadata, spec = raw["metadata"], raw["spec"]
    scope = Scope(spec.get("scope", "Strict"))
    return {
        name: unseal(
            key, parse(text), Place(scope, metadata.get("namespace", ""), metadata["name"], name)
        ).value.decode()
        for name, text in (sealed or spec["values"]).items()
    }


def objects_of(text: str) -> list[JSON]:
    return [document.value for document in documents(text)]


def typed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def encrypted(key: PrivateKey, name: str = "db", namespace: str = "shop", **values: str) -> JSON:
    sealed = {
        data_key: seal(key.public, Place(Scope.STRICT, namespace, name, data_key), value.encode(), int(NOW))
        for data_key, value in values.items()
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "EncryptedSecret", "metadata": metadata, "spec": {"values": sealed}}


def applied(server: ServedCluster, raw: JSON, **values: str) -> None:
    """In the cluster, with the version that the operator makes of it."""
    metadata = raw["metadata"]
    server.add(NAMESPACES, {"metadata": {"name": metadata["namespace"]}}, "")
    status = {
        "observedGeneration": 1,
        "version": f"{metadata['name']}-v1",
        "conditions": [condition("Ready", "True", "Sealed")],
    }
    server.add(ENCRYPTED_SECRETS, {**raw, "status": status}, metadata["namespace"])
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    version = {"metadata": {"name": status["version"], "namespace": metadata["namespace"]}, "data": data}
    server.add(SECRETS, {"apiVersion": "v1", "kind": "Secret", **version}, metadata["namespace"])


def published(server: ServedCluster, *manifests: JSON) -> None:
    for manifest in manifests:
        server.add(SEALING_KEYS, manifest, "")


def found(texts: Iterable[str]) -> list[str]:
    """The texts that hold a canary, plain or in base64."""
    forms = [
        form for plain in (CANARY, OTHER) for form in (plain, base64.b64encode(plain.encode()).decode().rstrip("="))
    ]
    return [text for text in texts if any(form in text for form in forms)]


class Quiet:
    """The program, whose every word and every file is searched for canaries."""

    def __init__(self, cli: Cli, folder: Path, inputs: Callable[[Path], bool]) -> None:
        self._cli, self._folder, self._is_input = cli, folder, inputs

    def __call__(self, *arguments: str) -> Result:
        result = self._cli(*arguments)
        assert not found([result.out, result.err])
        assert not found(
            path.read_text("latin-1") for path in self._folder.rglob("*") if path.is_file() and not self._is_input(path)
        )
        return result


def new_key() -> PrivateKey:
    return generate("x")
