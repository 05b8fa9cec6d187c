"""What is behind the envelopes of an EncryptedSecret, as far as the cluster shows it to this user."""

from __future__ import annotations

import base64
import binascii

from fairlead.cli.session import Session
from fairlead.core.conditions import find
from fairlead.core.meta import JSON
from fairlead.kube.errors import Forbidden, NotFound
from fairlead.kube.resources import ENCRYPTED_SECRETS, SECRETS


def values_behind(session: Session, namespace: str, name: str) -> dict[str, bytes]:
    """Envelope -> value, by the version of the Secret that the operator made of them. Empty where the object is not applied or
    the user may not read Secrets."""
    cluster = session.cluster
    try:
        encrypted = cluster.get(ENCRYPTED_SECRETS, name, namespace=namespace)
        version = current_version(encrypted)
        if not version:
            return {}
        return paired(encrypted, cluster.get(SECRETS, version, namespace=namespace))
    except (Forbidden, NotFound):
        return {}


def current_version(encrypted: JSON) -> str:
    """The name of the immutable Secret that was made of the very spec, "" where there is none (yet).

    >>> ready = [{"type": "Ready", "status": "True", "reason": "Sealed", "message": ""}]
    >>> current_version({"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "version": "db-x", "conditions": ready}})
    'db-x'
    >>> stuck = [{**ready[0], "status": "False"}]  # the version is then that of an older spec
    >>> current_version({"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "version": "db-x", "conditions": stuck}})
    ''
    >>> current_version({"metadata": {"generation": 3}, "status": {"observedGeneration": 2, "version": "db-x", "conditions": ready}})
    ''
    """
    status = encrypted.get("status") or {}
    ready = find(status.get("conditions") or (), "Ready") or {}
    fresh = status.get("observedGeneration") == (encrypted.get("metadata") or {}).get("generation")
    return str(status.get("version") or "") if fresh and ready.get("status") == "True" else ""


def paired(encrypted: JSON, secret: JSON) -> dict[str, bytes]:
    """The envelopes with the values that the Secret has under the same keys."""
    spec, data = encrypted.get("spec") or {}, secret.get("data") or {}
    found: dict[str, bytes] = {}
    for key, envelope in (spec.get("values") or {}).items():
        try:
            found[envelope] = base64.b64decode(data[key], validate=True)
        except (KeyError, binascii.Error, ValueError, TypeError):
            continue
    return found
