"""A sealing key as objects: the Secret that holds its private part, the SealingKey that publishes the other; and as text.

One place says what these look like: the key ring mints by it, and `fairlead keys` imports and restores by it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from fairlead.core.conditions import timestamp
from fairlead.core.meta import API_VERSION, GROUP, JSON, MANAGED_BY
from fairlead.secrets.envelope import EnvelopeError, Place, Scope, parse
from fairlead.secrets.model import SEALING_KEY_TYPE
from fairlead.secrets.sealing import CannotOpen, seal, unseal
from fairlead.secrets.suites import BadKey, PrivateKey, PublicKey

# Every Secret of ours carries this label, so that one watch with one selector sees them all and no other Secret.
LABEL_SECRET = f"{GROUP}/secret"
ROLE_KEY = "sealing-key"  # the private part of a key
ROLE_NEXT = "sealing-key-next"  # of the key that is being minted: the same, under a name that two minters share
ROLE_CURRENT = "current"  # what an EncryptedSecret makes: the Secret of its name
ROLE_VERSION = "version"  # and an immutable copy
ROLE_UNSEALED = "unsealed"  # what a SealedSecret makes

LABEL_SEALING_KEY = f"{GROUP}/sealing-key"  # on the Secret of a private key: the kid
ANNOTATION_CREATED_AT = f"{GROUP}/created-at"  # when the key was minted: a restored Secret is younger than its key
KEY_PRIVATE = "private-key"  # the data key


def secret_name(kid: str) -> str:
    """The name of the Secret that holds a private key.

    >>> secret_name("0f" * 16)
    'fairlead-sealing-0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f'
    """
    return f"fairlead-sealing-{kid}"


# ---------------------------------------------------------------- text


def key_text(key: PublicKey | PrivateKey) -> str:
    """A key with its suite, as it stands in files, Helm values and Secrets.

    >>> key_text(PublicKey("x", bytes(32)))
    'x:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    """
    return f"{key.suite}:{key.encode()}"


def public_from(text: str) -> PublicKey:
    """The reverse of `key_text`; blank lines and lines that begin with # are passed over. BadKey for anything else."""
    return PublicKey.decode(*line_of(text))


def private_from(text: str) -> PrivateKey:
    """As `public_from`, of a private key. What BadKey says holds none of the text."""
    return PrivateKey.from_text(*line_of(text))


def line_of(text: str) -> tuple[str, str]:
    """The two halves of a key's one line, blank lines and comments aside. BadKey for any other text; it holds none of it."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("#")]
    suite, colon, encoded = said[0].partition(":") if len(said) == 1 else ("", "", "")
    if not colon:
        raise BadKey("a key is one line, SUITE:BASE64, such as xw:…")
    return suite, encoded


# ---------------------------------------------------------------- objects


def key_secret(private: PrivateKey, namespace: str, created: float) -> JSON:
    """The Secret that holds a private key. `created`: when it was minted, epoch seconds."""
    labels = {LABEL_SECRET: ROLE_KEY, LABEL_SEALING_KEY: private.kid}
    return _secret(secret_name(private.kid), private, namespace, created, labels)


def next_secret(name: str, private: PrivateKey, namespace: str, created: float) -> JSON:
    """The Secret by which a key is minted: its name is the same for all who would mint now, so only one of them can."""
    return _secret(name, private, namespace, created, {LABEL_SECRET: ROLE_NEXT})


def _secret(name: str, private: PrivateKey, namespace: str, created: float, labels: dict[str, str]) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**labels, "app.kubernetes.io/managed-by": MANAGED_BY},
            "annotations": {ANNOTATION_CREATED_AT: timestamp(created)},
        },
        "type": SEALING_KEY_TYPE,
        "immutable": True,
        "data": {KEY_PRIVATE: base64.b64encode(key_text(private).encode()).decode()},
    }


def sealing_key(public: PublicKey, created: float, recovery: Sequence[JSON] = ()) -> JSON:
    """The SealingKey that publishes a key. `created` as in `key_secret`; `recovery` as `wrapped` gives it."""
    spec: JSON = {"suite": public.suite, "publicKey": public.encode(), "createdAt": timestamp(created)}
    if recovery:
        spec["recovery"] = list(recovery)
    return {"apiVersion": API_VERSION, "kind": "SealingKey", "metadata": {"name": public.kid}, "spec": spec}


# ---------------------------------------------------------------- recovery


def wrapped(private: PrivateKey, recovery: Iterable[PublicKey], now: float) -> list[JSON]:
    """The private key sealed to each recovery key: the backup that stands in the SealingKey itself (`spec.recovery`).

    >>> from fairlead.secrets.suites import generate
    >>> offline, key = generate("x"), generate("x")
    >>> spec = {"recovery": wrapped(key, [offline.public], 0)}
    >>> unwrapped(offline, {"spec": spec, "metadata": {"name": key.kid}}).kid == key.kid
    True
    """
    text = key_text(private).encode()
    return [{"kid": to.kid, "sealed": seal(to, _place(private.kid), text, int(now))} for to in recovery]


def unwrapped(recovery: PrivateKey, sealing_key: JSON) -> PrivateKey:
    """The private key of a SealingKey, by a recovery key. BadKey where it was not sealed to this one, or was changed."""
    kid = str(sealing_key["metadata"]["name"])
    entries = (sealing_key.get("spec") or {}).get("recovery") or ()
    sealed = next((entry["sealed"] for entry in entries if entry["kid"] == recovery.kid), None)
    if sealed is None:
        raise BadKey(f"the SealingKey {kid} was not sealed to the recovery key {recovery.kid}")
    try:
        private = private_from(unseal(recovery, parse(sealed), _place(kid)).value.decode())
    except (CannotOpen, EnvelopeError, UnicodeDecodeError):
        raise BadKey(f"what the SealingKey {kid} holds for the recovery key {recovery.kid} was changed") from None
    if private.kid != kid:
        raise BadKey(f"the SealingKey {kid} holds another key for the recovery key {recovery.kid}")
    return private


def _place(kid: str) -> Place:
    """What a wrapped key is bound to: whose it is."""
    return Place(Scope.CLUSTER, "", "", kid)
