"""SealedSecrets and their keys as sealed-secrets makes them, written from its wire format: it shares no code with what opens
them. tests/integration has the real kubeseal."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fairlead.core.meta import JSON

ANNOTATION = "sealedsecrets.bitnami.com/"
YEAR = 365 * 86_400.0

# As much of the kind's definition as Fairlead relies on: what its own project installs says more.
DEFINITION: JSON = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "sealedsecrets.bitnami.com"},
    "spec": {
        "group": "bitnami.com",
        "scope": "Namespaced",
        "names": {
            "plural": "sealedsecrets",
            "singular": "sealedsecret",
            "kind": "SealedSecret",
            "listKind": "SealedSecretList",
        },
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {
                                "type": "object",
                                "properties": {
                                    "observedGeneration": {"type": "integer", "format": "int64"},
                                    "conditions": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "required": ["type", "status"],
                                            "properties": {
                                                **{
                                                    name: {"type": "string"}
                                                    for name in ("type", "status", "reason", "message")
                                                },
                                                **{
                                                    name: {"type": "string", "format": "date-time"}
                                                    for name in ("lastUpdateTime", "lastTransitionTime")
                                                },
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


def pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    """As its controller makes one of each key: self-signed, without a name."""
    nobody, now = x509.Name([]), time.time()
    made = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(now - 60, UTC))
        .not_valid_after(datetime.fromtimestamp(now + YEAR, UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def hybrid(key: rsa.RSAPrivateKey, value: bytes, label: bytes) -> str:
    """A value as it stands in spec.encryptedData."""
    session = os.urandom(32)
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)
    wrapped = key.public_key().encrypt(session, scheme)
    blob = len(wrapped).to_bytes(2, "big") + wrapped + AESGCM(session).encrypt(bytes(12), value, None)
    return base64.b64encode(blob).decode()


def sealed_secret(
    key: rsa.RSAPrivateKey,
    values: Mapping[str, str],
    label: bytes = b"shop/db",
    *,
    template: JSON | None = None,
    **annotations: str,
) -> JSON:
    """The SealedSecret shop/db; annotations without their prefix, as namespace_wide="true"."""
    named = {ANNOTATION + name.replace("_", "-"): value for name, value in annotations.items()}
    return {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "shop", "annotations": named},
        "spec": {
            "encryptedData": {name: hybrid(key, value.encode(), label) for name, value in values.items()},
            "template": template or {},
        },
    }


def key_secret(key: rsa.RSAPrivateKey, namespace: str, name: str = "sealed-secrets-key7x2qp") -> JSON:
    """The Secret in which its controller keeps a key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {f"{ANNOTATION}sealed-secrets-key": "active"}},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": "", "tls.key": base64.b64encode(pem(key)).decode()},
    }


def deployment(namespace: str, replicas: int = 1) -> JSON:
    """Its controller, as its manifest has it."""
    labels = {"name": "sealed-secrets-controller"}
    container = {"name": "sealed-secrets-controller", "image": "docker.io/bitnami/sealed-secrets-controller:0.27.1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sealed-secrets-controller", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
