"""The immutable copies that an App's revisions run with: made before them, collected after them. Pure."""

from __future__ import annotations

import msgspec

from fairlead.config.model import ConfigObserved, Copy
from fairlead.config.pins import KIND
from fairlead.core.actions import Action, Create, Delete, Plan, merge_requeue
from fairlead.core.children import APPLIED
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON, LABEL_APP, LABEL_CONFIG, MANAGED_BY, owner_reference

# A copy is left alone for so long: a Revision that was made for it by an operator that is gone may not have been told of yet.
COLLECT_SECONDS = 60.0


def plan(observed: ConfigObserved, now: float) -> Plan:
    """Make the copies that are missing, delete those that nothing refers to, and say how it stands in `Config`.

    >>> from fairlead.config.model import ConfigMap, Wanted
    >>> old = ConfigMap("default", "shop-s-1", "u1", 1, created=0.0)
    >>> seen = ConfigObserved("default", "shop", "u", False, False, Wanted(), (old,), frozenset(), strays=False)
    >>> [type(action).__name__ for action in plan(seen, 100.0).actions], plan(seen, 10.0).requeue_after
    (['Delete'], 50.0)
    >>> plan(msgspec.structs.replace(seen, kept=frozenset({"shop-s-1"})), 100.0).actions
    ()
    """
    if observed.deleting:
        return Plan()  # garbage collection takes the copies with the App
    there = {copy.name for copy in observed.copies}
    made: list[Action] = [
        Create(KIND, observed.namespace, copy.name, msgspec.json.encode(manifest(observed, copy)), observed.app_uid)
        for copy in {copy.name: copy for copy in observed.wanted.copies}.values()
        if copy.name not in there
    ]
    gone, later = collect(observed, now)
    status = {"conditions": [condition(observed)]} if observed.configured or observed.lost else None
    return Plan(actions=(*made, *gone), status=status, requeue_after=later, reads=observed.wanted.reads)


def collect(observed: ConfigObserved, now: float) -> tuple[list[Delete], float | None]:
    """The copies that no Revision and no wish refers to, and when the next one may be called unused."""
    if observed.strays:
        return [], None
    used = observed.kept | {copy.name for copy in observed.wanted.copies}
    unused = [copy for copy in observed.copies if copy.name not in used]
    waits = {copy.uid: copy.created + COLLECT_SECONDS - now for copy in unused}
    gone = [Delete(KIND, copy.namespace, copy.name, copy.uid) for copy in unused if waits[copy.uid] <= 0]
    return gone, merge_requeue(*(wait for wait in waits.values() if wait > 0))


def manifest(observed: ConfigObserved, copy: Copy) -> JSON:
    """The copy as an object. The App owns it: which revisions it serves changes, and its owner must not."""
    content = {"data": copy.content.data, "binaryData": copy.content.binary}
    return {
        "apiVersion": "v1",
        "kind": KIND,
        "metadata": {
            "name": copy.name,
            "namespace": observed.namespace,
            "labels": {
                LABEL_APP: observed.app,
                LABEL_CONFIG: copy.entry,
                "app.kubernetes.io/name": observed.app,
                "app.kubernetes.io/instance": observed.app,
                "app.kubernetes.io/managed-by": MANAGED_BY,
            },
            "annotations": {APPLIED: copy.name.rpartition("-")[2]},
            "ownerReferences": [owner_reference("App", observed.app, observed.app_uid)],
        },
        "immutable": True,
        **{field: values for field, values in content.items() if values},
    }


def condition(observed: ConfigObserved) -> Condition:
    """What `Config` says: what is missing before what was refused before that all is there."""
    if observed.wanted.lacks:
        lacks = observed.wanted.lacks
        more = f" (and {len(lacks) - 1} more)" if len(lacks) > 1 else ""
        match lacks[0].reason:
            case "ConfigMapMissing":
                return Condition("Config", "False", "ConfigMapMissing", lacks[0].message + more)
            case "ConfigMapKeyMissing":
                return Condition("Config", "False", "ConfigMapKeyMissing", lacks[0].message + more)
            case "EncryptedSecretMissing":
                return Condition("Config", "False", "EncryptedSecretMissing", lacks[0].message + more)
            case "EncryptedSecretNotReady":
                return Condition("Config", "False", "EncryptedSecretNotReady", lacks[0].message + more)
            case "EncryptedSecretKeyMissing":
                return Condition("Config", "False", "EncryptedSecretKeyMissing", lacks[0].message + more)
            case "ConfigTooLarge":
                return Condition("Config", "False", "ConfigTooLarge", lacks[0].message + more)
            case _:
                return Condition("Config", "False", "ConfigClash", lacks[0].message + more)
    if observed.refused:
        reason, words = observed.refused
        if reason == "NameTaken":
            said = f"a ConfigMap has the name that a copy of spec.config is to have, and is not this App's: delete it ({words})"
            return Condition("Config", "False", "NameTaken", said)
        said = f"the API server refuses a copy of spec.config: {words}"
        return Condition("Config", "False", "ConfigRefused", said)
    if observed.lost:
        said = f"ConfigMap {observed.lost[0]} was deleted, and with it what the active revision runs with: pods that run go on, new ones cannot start; release anew, with the content in spec.config"
        return Condition("Config", "False", "ConfigCopyMissing", said)
    return Condition("Config", "True", "ConfigPinned", "the revisions have their copies of spec.config")
