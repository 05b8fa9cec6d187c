"""Conditions: metav1.Condition lists that Helm, Flux, Argo CD and `kubectl wait` understand (kstatus)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec

from fairlead.core.meta import JSON

MESSAGE_LIMIT = 4096  # the schema allows 32768; an etcd object is no log file


class Condition(msgspec.Struct, frozen=True):
    """What a plan says of one aspect; `stamp` adds the times."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def timestamp(epoch: float) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=4096)  # of whole seconds there are few: 10,000 pods of one burst share a dozen
def parse_time(text: str | None) -> float | None:
    """Epoch seconds of an RFC 3339 time, None for none or for nonsense.

    >>> parse_time("1970-01-01T00:01:00Z"), parse_time("1970-01-01T00:01:00.5Z"), parse_time("soon")
    (60.0, 60.5, None)
    """
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def stamp(wanted: Iterable[Condition], previous: Iterable[JSON], generation: int, now: float) -> list[JSON]:
    """The wanted conditions as JSON, sorted by type; lastTransitionTime moves only when the status does.

    >>> old = [{"type": "Ready", "status": "False", "lastTransitionTime": "1970-01-01T00:00:00Z"}]
    >>> stamp([Condition("Ready", "False", "Waiting")], old, 2, 60)[0]["lastTransitionTime"]
    '1970-01-01T00:00:00Z'
    >>> stamp([Condition("Ready", "True", "Done")], old, 2, 60)[0]["lastTransitionTime"]
    '1970-01-01T00:01:00Z'
    """
    before = {condition.get("type"): condition for condition in previous}
    stamped = []
    for condition in sorted(wanted, key=lambda c: c.type):
        old = before.get(condition.type, {})
        same = old.get("status") == condition.status and old.get("lastTransitionTime")
        stamped.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message[:MESSAGE_LIMIT],
                "observedGeneration": generation,
                "lastTransitionTime": old["lastTransitionTime"] if same else timestamp(now),
            }
        )
    return stamped


def find(conditions: Iterable[JSON], type: str) -> JSON | None:
    """The condition of that type, None where it is not there.

    >>> find([{"type": "Ready", "status": "True"}], "Ready")["status"]
    'True'
    """
    return next((condition for condition in conditions if condition.get("type") == type), None)
