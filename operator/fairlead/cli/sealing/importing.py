"""SealedSecrets of sealed-secrets as EncryptedSecrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from fairlead.cli.failures import Failed
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.cli.sealing import files
from fairlead.cli.sealing.ledger import Ledger
from fairlead.cli.sealing.making import rendered, sealed
from fairlead.cli.sealing.sealers import Sealers, text_of
from fairlead.cli.sealing.values import Plain, checked
from fairlead.core.meta import JSON
from fairlead.secrets import kubeseal
from fairlead.secrets.envelope import Scope
from fairlead.secrets.keys import LABEL_SECRET
from fairlead.secrets.kubeseal import SealedSecretError, Unsealed
from fairlead.secrets.model import ANNOTATION_ADOPT, SEALED_SECRET, SEALED_SECRET_API

ADOPT = (
    "each Secret that is there has to agree, or it stays as it is: kubectl annotate secret NAME "
    f"{ANNOTATION_ADOPT}=NAME, and: kubectl label secret NAME {LABEL_SECRET}=adopt; before that, delete its SealedSecret with --cascade=orphan"
)


def rsa_keys(names: Iterable[str]) -> list[RSAPrivateKey]:
    """The keys of all these backups. Failed for a file without any."""
    found: list[RSAPrivateKey] = []
    for name in names:
        text = text_of(name)
        keys = list(kubeseal.keys_in_pem(text.encode())) or list(kubeseal.keys_in_secrets(_objects(name, text)))
        if not keys:
            raise Failed(
                f"{name}: there is no private key of sealed-secrets in it: it holds PEM, or Secrets of type kubernetes.io/tls with tls.key"
            )
        found += keys
    return found


def unsealed(name: str, keys: list[RSAPrivateKey], namespace: str) -> Iterator[Unsealed]:
    """Every SealedSecret of a file, opened; `namespace` for those that name none. Failed where one cannot be."""
    found = [raw for raw in _objects(name, text_of(name)) if _is_sealed_secret(raw)]
    if not found:
        raise Failed(f"{name}: there is no SealedSecret in it")
    for raw in found:
        subject = (raw.get("metadata") or {}).get("name") or "?"
        try:
            yield kubeseal.opened(raw, namespace, keys)
        except SealedSecretError as error:
            raise Failed(f"{name}: SealedSecret {subject}: {error.reason}: {error.message}") from None


def converted(one: Unsealed, keys: Sealers, book: Ledger) -> JSON:
    """The EncryptedSecret: the same Secret for the same place."""
    if not one.namespace and one.scope != Scope.CLUSTER:
        raise Failed(f"SealedSecret {one.name} names no namespace: say with -n which it is for")
    if both := sorted(one.files.keys() & one.values.keys()):
        raise Failed(
            f"SealedSecret {one.name}: UnsupportedTemplate: spec.template.data[{both[0]}] takes the place of the value of that name, which an "
            "EncryptedSecret cannot say: give one of them another name"
        )
    plain = Plain(one.name, one.namespace, one.type, one.labels, one.annotations, one.values, one.files)
    checked(f"SealedSecret {one.name}", plain)
    return sealed(plain, one.scope, keys, book)


def adopting(made: JSON) -> JSON:
    """As one that takes over the Secret that is there."""
    return {**made, "spec": {**made["spec"], "adopt": True}}


def write(made: Mapping[str, list[JSON]], folder: str, format: str | None) -> None:
    """A file in `folder` for each that was read: all of them, or none."""
    targets = {name: Path(folder) / Path(name).name for name in made}
    taken = [str(path) for path in targets.values() if path.exists()]
    if len(set(targets.values())) < len(targets) or taken:
        raise Failed(
            f"{taken[0] if taken else folder}: is there already, or two files have one name: choose another --output-dir"
        )
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, path in targets.items():
        files.replace(path, rendered(made[name], format))
        click.echo(f"{path}: {len(made[name])} EncryptedSecret{'' if len(made[name]) == 1 else 's'}", err=True)


def _is_sealed_secret(raw: Any) -> bool:
    return isinstance(raw, dict) and (raw.get("apiVersion"), raw.get("kind")) == (SEALED_SECRET_API, SEALED_SECRET)


def _objects(name: str, text: str) -> list[Any]:
    try:
        return [document.value for document in documents(text)]
    except Unreadable as error:
        raise Failed(f"{name}:{error.line}: this is no YAML that can be read") from None
