"""SealingKeys as they are published, in a cluster or in a file that was exported from one, and which of them seals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fairlead.cli.failures import Failed
from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON
from fairlead.secrets.suites import BadKey, PublicKey
from fairlead.view.ages import age

KIND = "SealingKey"
DAY = 86_400.0
OLD = 30 * DAY  # the operator renews its keys that often unless it was told otherwise
ACTIVE, COMPROMISED, RETIRED = "Active", "Compromised", "Retired"


class Published(msgspec.Struct, frozen=True):
    """One SealingKey. `state` by the operator, `wish` by a person; `created` in seconds since 1970; `objects` that still use it,
    None where nobody has counted."""

    kid: str
    suite: str
    public: str
    state: str = ""
    wish: str = ""
    created: float | None = None
    objects: int | None = None

    @property
    def seals(self) -> bool:
        """A wish counts before the operator has seen it."""
        return self.state == ACTIVE and not self.wish

    @property
    def compromised(self) -> bool:
        return COMPROMISED in (self.state, self.wish)

    @property
    def key(self) -> PublicKey:
        """Failed where what is published is no key, or another one than its name says."""
        try:
            found = PublicKey.decode(self.suite, self.public)
        except BadKey as error:
            raise Failed(f"SealingKey {self.kid}: {error}") from None
        if found.kid != self.kid:
            raise Failed(f"SealingKey {self.kid} is the name of another key than the one in it: do not seal with it")
        return found


def published(raw: JSON) -> Published:
    """A SealingKey's manifest.

    >>> found = published({"metadata": {"name": "ab"}, "spec": {"suite": "x", "wish": "Compromised"}, "status": {"state": "Active"}})
    >>> found.state, found.seals, found.compromised
    ('Active', False, True)
    """
    metadata, spec, status = raw.get("metadata") or {}, raw.get("spec") or {}, raw.get("status") or {}
    created = spec.get("createdAt") or metadata.get("creationTimestamp")
    return Published(
        str(metadata.get("name") or ""),
        str(spec.get("suite") or ""),
        str(spec.get("publicKey") or ""),
        str(status.get("state") or ""),
        str(spec.get("wish") or ""),
        parse_time(created),
        status.get("objects"),
    )


def newest(keys: Iterable[Published]) -> list[Published]:
    """The youngest first; by name where two are of one second, as the operator does."""
    return sorted(keys, key=lambda key: (-(key.created or 0.0), key.kid))


def sealer(keys: Sequence[Published], where: str) -> Published:
    """The key that seals: the newest of the active ones. Failed where none may (trust 68).

    >>> sealer([Published("ab", "x", "", "Active", created=0.0), Published("cd", "x", "", "Active", created=9.0)], "keys.yaml").kid
    'cd'
    """
    active = [key for key in newest(keys) if key.seals]
    if not active:
        raise Failed(_none(keys, where))
    return active[0]


def staleness(key: Published, file: str, now: float) -> str:
    """What is to be said of a key that comes from a file: it cannot say what became of it since. "" for a young one.

    >>> key = Published("ab", "x", "", "Active", created=0.0)
    >>> staleness(key, "key.yaml", 45 * DAY)
    'key.yaml: the key ab is 45d old, and may have been renewed or called compromised since; fetch it anew: fairlead keys export > key.yaml'
    >>> staleness(key, "key.yaml", 60.0)
    ''
    """
    if key.created is None or now - key.created <= OLD:
        return ""
    return (
        f"{file}: the key {key.kid} is {age(key.created, now)} old, and may have been renewed or called compromised since; "
        f"fetch it anew: fairlead keys export > {file}"
    )


def _none(keys: Sequence[Published], where: str) -> str:
    refused = [f"{key.kid} is {key.wish or key.state or 'in no known state'}" for key in newest(keys)]
    if refused:
        return f"{where}: no key there may seal ({', '.join(refused)}); the one that does: fairlead keys export"
    return f"{where}: there is no SealingKey there; they come from: fairlead keys export"


def listed(objects: Iterable[Any]) -> list[Published]:
    """The SealingKeys among the objects of a file."""
    return [published(raw) for raw in objects if isinstance(raw, dict) and raw.get("kind") == KIND]
