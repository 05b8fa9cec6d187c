"""Private keys that were sealed to a recovery key: a backup in a file, or what stands in the SealingKeys themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fairlead.cli.failures import Failed
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.cli.sealing.published import KIND
from fairlead.cli.sealing.sealers import text_of
from fairlead.core.meta import JSON
from fairlead.secrets.keys import private_from, public_from, unwrapped
from fairlead.secrets.suites import BadKey, PrivateKey, PublicKey


def recovery_key(file: str) -> PrivateKey:
    """The offline half, as `fairlead keys generate` wrote it."""
    try:
        return private_from(text_of(file))
    except BadKey as error:
        raise Failed(f"{file}: {error}; a recovery key is what fairlead keys generate made") from None


def recovery_public(file: str) -> PublicKey:
    try:
        return public_from(text_of(file))
    except BadKey as error:
        raise Failed(f"{file}: {error}; the public half is what fairlead keys generate wrote into FILE.pub") from None


def sealing_keys_in(file: str) -> list[JSON]:
    """The SealingKeys of a file as they are written there."""
    try:
        found: list[Any] = [document.value for document in documents(text_of(file))]
    except Unreadable as error:
        raise Failed(f"{file}:{error.line}: {error.message}") from None
    keys = [raw for raw in found if isinstance(raw, dict) and raw.get("kind") == KIND and _named(raw)]
    if not keys:
        raise Failed(f"{file}: there is no SealingKey in it; a backup comes from: fairlead keys export --private")
    return keys


def _named(raw: JSON) -> bool:
    return isinstance(raw.get("metadata"), dict) and isinstance(raw["metadata"].get("name"), str)


def opened(recovery: PrivateKey, keys: Iterable[JSON]) -> Iterator[tuple[JSON, PrivateKey | BadKey]]:
    """Each SealingKey with its private key, or why there is none for this recovery key."""
    for raw in keys:
        try:
            yield raw, unwrapped(recovery, raw)
        except (KeyError, TypeError, AttributeError):
            yield raw, BadKey(f"the SealingKey {raw['metadata']['name']} is damaged")
        except BadKey as error:
            yield raw, error
