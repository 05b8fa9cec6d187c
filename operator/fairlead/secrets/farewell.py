"""What is told of an EncryptedSecret that was deleted: what becomes of its Secrets, who still runs with them, and the way back. Pure.

It is said when it is over: nothing of ours keeps an object from being deleted (docs/limits.md, 42).
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.actions import Event
from fairlead.secrets.model import LABEL_ENCRYPTED_SECRET, EncryptedSecret

_NAMED = 5  # Revisions in a message


def farewell(record: EncryptedSecret, users: Sequence[str]) -> tuple[Event, ...]:
    """`record` as it was last seen; `users`: the Revisions that run with one of its versions. Of one that has never made a
    Secret there is nothing to say.

    >>> from fairlead.secrets.model import Spec
    >>> gone = EncryptedSecret("shop", "db", "u", 1, 1, False, Spec(), {"version": "db-fhwxjrm5kp"})
    >>> [(event.type, event.reason) for event in (*farewell(gone, []), *farewell(gone, ["web-1"]))]
    [('Normal', 'SecretsDeleted'), ('Warning', 'SecretsDeleted')]
    """
    if not record.status.get("version"):
        return ()
    kept = _why_they_stay(record)
    if kept:
        again = f"an EncryptedSecret of this name takes them up again; to delete them: {_delete(record)}"
        return (Event("Normal", "SecretsRetained", f"the Secret {record.name} and its versions stay, {kept}: {again}"),)
    gone = f"the Secret {record.name} and its versions are deleted with it (spec.deletionPolicy is Delete)"
    if not users:
        return (Event("Normal", "SecretsDeleted", f"{gone}; applied again it makes them again"),)
    words = f"{gone}, but for those that run: {_running(users)}, and they stay for as long as that is so. Applied again as it was, it takes them up again"
    return (Event("Warning", "SecretsDeleted", words),)


def _why_they_stay(record: EncryptedSecret) -> str:
    if record.spec.deletion_policy == "Retain":
        return "for spec.deletionPolicy is Retain"
    return "for it was deleted with --cascade=orphan" if record.orphaning else ""


def _delete(record: EncryptedSecret) -> str:
    return f"`kubectl delete secrets --namespace {record.namespace} --selector {LABEL_ENCRYPTED_SECRET}={record.label}`"


def _running(users: Sequence[str]) -> str:
    """
    >>> _running(["web-1"]), _running(["a-1", "b-1"])
    ('the Revision web-1 runs with one of them', 'the Revisions a-1, b-1 run with some of them')
    """
    named = ", ".join(users[:_NAMED]) + (", …" if len(users) > _NAMED else "")
    one = len(users) == 1
    return f"the Revision {named} runs with one of them" if one else f"the Revisions {named} run with some of them"
