"""Feeds handlers that are registered with kopf's decorators from our own informer (docs/adr/0002).

The handlers are kopf's: `@kopf.on.event(group, version, plural, registry=…)`, with the arguments kopf gives. What calls
them is not kopf's watch stream, which loses deletions over a relist and ends the process on most errors, but the
informer of the kind. They are plain functions, run in the loop, and do one thing: put a key in the queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import kopf
import msgspec

from fairlead.core.meta import Key
from fairlead.engine.informer import Observer
from fairlead.engine.queue import Queue
from fairlead.kube.resources import Resource

log = logging.getLogger(__name__)


class Intake:
    """The `on.event` handlers of a kopf registry, by kind."""

    def __init__(self, registry: kopf.OperatorRegistry) -> None:
        self._registry = registry
        self._memos: dict[str, kopf.Memo] = {}  # by uid, as kopf keeps them: for as long as the object lives

    def observer(self, resource: Resource) -> Observer | None:
        """What the informer of `resource` calls with each object; None where no handler is registered for it."""
        handlers = self._handlers(resource)
        if not handlers:
            return None

        def observe(type: str | None, body: bytes) -> None:
            content = kopf.Body(msgspec.json.decode(body))
            meta = content.meta
            uid = str(meta.get("uid", ""))
            memo = self._memos.setdefault(uid, kopf.Memo())
            for handler in handlers:
                try:
                    handler(
                        type=type,
                        event={"type": type, "object": content},
                        body=content,
                        meta=meta,
                        spec=content.spec,
                        status=content.status,
                        namespace=meta.get("namespace", ""),
                        name=meta.get("name", ""),
                        uid=uid,
                        labels=meta.labels,
                        annotations=meta.annotations,
                        memo=memo,
                        resource=resource,
                        logger=log,
                    )
                except Exception:
                    log.exception("a handler of %s failed", resource.plural)
            if type == "DELETED":
                self._memos.pop(uid, None)

        return observe

    def _handlers(self, resource: Resource) -> list[Callable[..., Any]]:
        """kopf has no public way to ask a registry what is in it; tests/unit/engine/test_intake.py holds this one to it."""
        name = (resource.group, resource.version, resource.plural)
        found = []
        for handler in self._registry._watching.get_all_handlers():
            selector = handler.selector
            if (
                selector is not None
                and (selector.group, selector.version, selector.plural or selector.any_name) == name
            ):
                found.append(handler.fn)
        return found


def register(registry: kopf.OperatorRegistry, parent: Resource, queue: Queue) -> None:
    """The handler of a parent kind: enqueue it, at once where a person changed its spec.

    The generation moves with the spec and with nothing else, so our own status writes wait their turn, and so do the
    10,000 objects of the first list.
    """

    @kopf.on.event(parent.group, parent.version, parent.plural, registry=registry, id=f"enqueue-{parent.plural}")
    def enqueue(type: str | None, namespace: str | None, name: str, meta: Any, memo: Any, **_: Any) -> None:
        generation, known = meta.get("generation", 0), memo.get("generation")
        memo["generation"] = generation
        key = Key(namespace or "", name)
        if type in ("ADDED", "MODIFIED") and generation != known:
            queue.hurry(key)
        else:
            queue.add(key)
