"""SealedSecrets of sealed-secrets (bitnami.com/v1alpha1), opened with its keys by its wire format. Pure.

Each value of spec.encryptedData is base64 of: two bytes, big-endian, n; n bytes RSA-OAEP (SHA-256 for hash and MGF1) around a
session key; the rest AES-256-GCM under it, with a nonce of zeros (the key is used once) and no additional data. What binds it to
its place is the OAEP label: namespace/name, namespace, or nothing, by annotations of the SealedSecret. There is no key id,
so every key is tried.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fairlead.core.meta import JSON
from fairlead.secrets.envelope import Scope

LABEL_KEY = "sealedsecrets.bitnami.com/sealed-secrets-key"  # on the Secrets that hold the keys: "active"
_ANNOTATION = "sealedsecrets.bitnami.com/"
_NONCE = bytes(12)
_SESSION_KEY = 32
_PEM = re.compile(rb"-----BEGIN (?:RSA )?PRIVATE KEY-----.+?-----END (?:RSA )?PRIVATE KEY-----", re.DOTALL)
_REFERENCE = re.compile(r"""\{\{\s*(?:\.([A-Za-z_][A-Za-z0-9_]*)|index\s+\.\s+"([-._a-zA-Z0-9]+)")\s*\}\}""")


class SealedSecretError(Exception):
    """What keeps a SealedSecret from being opened: a reason and words that hold no value."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True, slots=True)
class Unsealed:
    """A SealedSecret, opened. `values` are the secrets themselves, so they are in no `repr`."""

    name: str
    namespace: str
    scope: Scope
    type: str = "Opaque"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # spec.template.data, in our own words: ${KEY}
    immutable: bool = False
    owned: bool = True  # whether the Secret goes with the SealedSecret
    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)


# ---------------------------------------------------------------- keys


def keys_in_pem(data: bytes) -> Iterator[RSAPrivateKey]:
    """The RSA keys of a text with PEM blocks (PKCS#1 or PKCS#8); certificates and all else are passed over."""
    for block in _PEM.findall(data):
        try:
            key = serialization.load_pem_private_key(block, password=None)
        except (ValueError, TypeError):
            continue
        if isinstance(key, RSAPrivateKey):
            yield key


def keys_in_secrets(objects: Iterable[Any]) -> Iterator[RSAPrivateKey]:
    """The keys of a backup: Secrets of type kubernetes.io/tls, as `kubectl get secret -o yaml` prints them."""
    for raw in objects:
        if isinstance(raw, dict) and raw.get("kind") == "Secret":
            encoded = (raw.get("data") or {}).get("tls.key") or ""
            try:
                yield from keys_in_pem(base64.b64decode(encoded))
            except (binascii.Error, ValueError, TypeError):
                continue


# ---------------------------------------------------------------- opening


def opened(raw: JSON, namespace: str, keys: Sequence[RSAPrivateKey]) -> Unsealed:
    """A SealedSecret with all its values; `namespace` is for one that names none. SealedSecretError otherwise."""
    try:
        return _opened(raw, namespace, keys)
    except (AttributeError, TypeError):
        raise SealedSecretError("Malformed", "it has not the fields of a SealedSecret") from None


def _opened(raw: JSON, namespace: str, keys: Sequence[RSAPrivateKey]) -> Unsealed:
    metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    name, where = str(metadata.get("name") or ""), str(metadata.get("namespace") or namespace)
    scope = scope_of(metadata.get("annotations") or {})
    template = spec.get("template") or {}
    about = template.get("metadata") or {}
    label, keys = label_of(scope, where, name), list(keys)
    values = {key: _value(key, text, keys, label) for key, text in (spec.get("encryptedData") or {}).items()}
    if not values and spec.get("data"):
        values = _legacy(_value("data", spec["data"], keys, label))
    return Unsealed(
        name,
        where,
        scope,
        str(template.get("type") or raw.get("type") or "Opaque"),
        _kept(about.get("labels")),
        _kept(about.get("annotations")),
        {file: rewritten(file, str(text), values.keys()) for file, text in (template.get("data") or {}).items()},
        template.get("immutable") is True,
        (about.get("annotations") or {}).get(f"{_ANNOTATION}skip-set-owner-references") != "true",
        values,
    )


def scope_of(annotations: Mapping[str, Any]) -> Scope:
    """By the annotations of the SealedSecret itself, never by those of its template (CVE-2026-22728); cluster-wide wins.

    >>> scope_of({"sealedsecrets.bitnami.com/namespace-wide": "true"}).value, scope_of({}).value
    ('Namespace', 'Strict')
    """
    if annotations.get(f"{_ANNOTATION}cluster-wide") == "true":
        return Scope.CLUSTER
    if annotations.get(f"{_ANNOTATION}namespace-wide") == "true":
        return Scope.NAMESPACE
    return Scope.STRICT


def label_of(scope: Scope, namespace: str, name: str) -> bytes:
    """What RSA-OAEP was bound to.

    >>> label_of(Scope.STRICT, "shop", "db"), label_of(Scope.NAMESPACE, "shop", "db"), label_of(Scope.CLUSTER, "shop", "db")
    (b'shop/db', b'shop', b'')
    """
    return {Scope.STRICT: f"{namespace}/{name}", Scope.NAMESPACE: namespace, Scope.CLUSTER: ""}[scope].encode()


def _value(key: str, text: Any, keys: list[RSAPrivateKey], label: bytes) -> bytes:
    """`keys` in the order in which they are tried: the one that opened the last value is the likeliest to open the next."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise SealedSecretError("Malformed", f"{key} is damaged: it is no base64") from None
    size = int.from_bytes(blob[:2], "big")
    wrapped, sealed = blob[2 : 2 + size], blob[2 + size :]
    if len(wrapped) != size or len(sealed) < 16:
        raise SealedSecretError("Malformed", f"{key} is damaged: it ends too early")
    for private in keys:
        value = _tried(private, wrapped, sealed, label)
        if value is not None:
            keys.remove(private)
            keys.insert(0, private)
            return value
    raise SealedSecretError(
        "CannotOpen",
        f"{key} is opened by none of these {len(keys)} keys: the key it was sealed with is not among them, or it was sealed for "
        "another name, namespace or scope",
    )


def _tried(private: RSAPrivateKey, wrapped: bytes, sealed: bytes, label: bytes) -> bytes | None:
    """None for everything that can go wrong: which of it did is nobody's business."""
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)
    try:
        session = private.decrypt(wrapped, scheme)
        return AESGCM(session).decrypt(_NONCE, sealed, None) if len(session) == _SESSION_KEY else None
    except (ValueError, InvalidTag):
        return None


def _legacy(plain: bytes) -> dict[str, bytes]:
    """Old SealedSecrets hold a whole Secret as JSON in one value."""
    try:
        data = json.loads(plain).get("data") or {}
        return {str(key): base64.b64decode(value, validate=True) for key, value in data.items()}
    except (ValueError, TypeError, AttributeError):
        raise SealedSecretError("Malformed", "spec.data holds no Secret") from None


def _kept(found: Any) -> dict[str, str]:
    """Labels or annotations of the template, without what only sealed-secrets reads."""
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(key): str(value) for key, value in pairs if not str(key).startswith(_ANNOTATION)}


def rewritten(file: str, text: str, keys: Iterable[str]) -> str:
    """A template's text with `{{ .key }}` and `{{ index . "key" }}` as `${key}`, and `${` as `$${`. Everything else that Go's
    templates can do is SealedSecretError with the reason UnsupportedTemplate, and so is a $ right before one of these: `$${`
    means something else.

    >>> rewritten("my.cnf", 'user={{ .user }} pass={{ index . "db-pass" }} home=${HOME}', ["user", "db-pass"])
    'user=${user} pass=${db-pass} home=$${HOME}'
    """
    used = {found[1] or found[2] for found in _REFERENCE.finditer(text)}
    result = _REFERENCE.sub(lambda found: "${" + (found[1] or found[2]) + "}", text.replace("${", "$${"))
    if "${{" in text or "{{" in result or not used <= set(keys):
        raise SealedSecretError(
            "UnsupportedTemplate",
            f'spec.template.data[{file}]: only {{{{ .key }}}} and {{{{ index . "key" }}}} of keys it has, with no $ before them, can be taken over: write the file '
            "by hand as spec.template.data of an EncryptedSecret",
        )
    return result
