"""The status of an EncryptedSecret or a SealingKey as it is written. Pure."""

from __future__ import annotations

from fairlead.core.conditions import Condition, stamp
from fairlead.core.meta import JSON
from fairlead.secrets.model import EncryptedSecret, SealingKey


def written(record: EncryptedSecret | SealingKey, status: JSON, summary: str, now: float) -> JSON:
    """`status` with its one condition, Ready, as kstatus wants it (Stalled beside it where somebody has to act), with the
    times of those there were, and `summary` for the table.

    >>> from fairlead.secrets.model import KeySpec
    >>> record = SealingKey(name="0f", uid="u", rv=1, generation=2, created=0.0, deleting=False, spec=KeySpec(), status={})
    >>> told = written(record, {"conditions": [Condition("Ready", "False", "KeyCorrupt", "no key")]}, "KeyCorrupt", 0.0)
    >>> [(one["type"], one["status"]) for one in told["conditions"]], told["observedGeneration"]
    ([('Ready', 'False'), ('Stalled', 'True')], 2)
    """
    said: Condition = status["conditions"][0]
    conditions = [said]
    if said.status == "False":
        conditions.append(Condition("Stalled", "True", said.reason, said.message))
    return {
        **status,
        "observedGeneration": record.generation,
        "summary": summary,
        "conditions": stamp(conditions, record.status.get("conditions") or (), record.generation, now),
    }
