"""Names, labels and identities every part of Fairlead agrees on."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

GROUP = "fairlead.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LABEL_APP = f"{GROUP}/app"  # the App's name: what Services, budgets and scale selectors select on
LABEL_REVISION = f"{GROUP}/revision"  # the template's hash
LABEL_CONFIG = f"{GROUP}/config"  # on copies of configuration: the name of the entry of spec.config
LABEL_JUDGES = f"{GROUP}/judges"  # on pods that a gate has run: the App's name
LABEL_GATE = f"{GROUP}/gate"  # and the gate's
LABEL_TRACK = f"{GROUP}/track"  # stable, canary, preview
LABEL_SERVING = f"{GROUP}/serving"  # "true" while the pod may get traffic
ANNOTATION_PROMOTE = f"{GROUP}/promote"  # on Apps: what a person asked of one release
ANNOTATION_ABORT = f"{GROUP}/abort"
ANNOTATION_RETRY = f"{GROUP}/retry"
ANNOTATION_APPROVE = f"{GROUP}/approve"
ANNOTATION_RESTARTED_AT = f"{GROUP}/restarted-at"  # on pods: the spec.rollout.restartAt they were made under
ANNOTATION_GIVES_WAY = (
    f"{GROUP}/gives-way"  # on pods: another one of their revision is to take their place; and for what
)
HEALTH_GATE = f"gates.{GROUP}/"  # condition types on pods: readinessGates of spec.health.gates, by their names
TRACK_STABLE = "stable"
MANAGED_BY = "fairlead"

MANAGER = "fairlead-workloads"  # field manager of children
MANAGER_STATUS = "fairlead-status"  # field manager of /status

JSON = dict[str, Any]

# Letters and digits that spell no words and cannot be mistaken for one another (apimachinery util/rand).
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Key(NamedTuple):
    """What the queue holds: one App (or another parent) by namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Owner(NamedTuple):
    """The controlling owner of an object (the ownerReference with controller: true)."""

    api_version: str
    kind: str
    name: str
    uid: str


def owner_reference(kind: str, name: str, uid: str) -> JSON:
    """A controlling owner reference: garbage collection, drain and disruption budgets all need `controller: true`."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(meta: JSON) -> Owner | None:
    """The controlling owner in an object's metadata, None for an orphan.

    >>> controller_of({"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "1", "controller": True}]})
    Owner(api_version='v1', kind='X', name='x', uid='1')
    """
    for ref in meta.get("ownerReferences") or ():
        if ref.get("controller"):
            return Owner(ref["apiVersion"], ref["kind"], ref["name"], ref["uid"])
    return None


def safe_digits(number: int, width: int) -> str:
    """`number` written in the safe alphabet, `width` characters, modulo what fits.

    >>> safe_digits(0, 5), safe_digits(28, 5)
    ('bbbbb', 'bbbcc')
    """
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(SAFE_ALPHABET))
        digits.append(SAFE_ALPHABET[digit])
    return "".join(reversed(digits))


def stable_hash(data: bytes, width: int = 10) -> str:
    """A name-safe hash of `data`: the same on every machine and in every version.

    >>> stable_hash(b"shop") == stable_hash(b"shop"), len(stable_hash(b"shop"))
    (True, 10)
    """
    return safe_digits(int.from_bytes(hashlib.sha256(data).digest()[:16], "big"), width)


def truncate(name: str, limit: int) -> str:
    """`name` itself where it fits, else its start and a hash of the whole, so that two long names stay two.

    >>> truncate("shop", 10)
    'shop'
    >>> len(truncate("a" * 70, 52)), truncate("a" * 70, 52) == truncate("a" * 71, 52)
    (52, False)
    """
    if len(name) <= limit:
        return name
    return f"{name[: limit - 7].rstrip('-.')}-{stable_hash(name.encode(), 6)}"
