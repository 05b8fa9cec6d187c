"""Handlers registered with kopf's decorators hear of our kinds through our informer."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import kopf
import msgspec
import pytest

from fairlead.core.meta import JSON, Key
from fairlead.engine import intake
from fairlead.engine.intake import Intake
from fairlead.engine.queue import Queue
from fairlead.engine.settings import EngineSettings
from fairlead.kube.resources import APPS, PODS, REVISIONS
from fairlead.metrics.collect import Metrics

pytestmark = pytest.mark.looptime

KEY = Key("shop", "web")


def app(generation: int = 1, **meta: Any) -> bytes:
    body: JSON = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "App",
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "generation": generation, **meta},
        "spec": {"replicas": 3},
        "status": {"replicas": 1},
    }
    return msgspec.json.encode(body)


def test_a_handler_gets_what_kopf_gives() -> None:
    registry = kopf.OperatorRegistry()
    heard: list[dict[str, Any]] = []

    @kopf.on.event("fairlead.dev", "v1alpha1", "apps", registry=registry)
    def handler(**kwargs: Any) -> None:
        heard.append(kwargs)

    observe = Intake(registry).observer(APPS)
    assert observe is not None
    observe("ADDED", app(labels={"a": "b"}))
    (kwargs,) = heard
    assert (kwargs["type"], kwargs["namespace"], kwargs["name"], kwargs["uid"]) == ("ADDED", "shop", "web", "u")
    assert (kwargs["spec"]["replicas"], kwargs["status"]["replicas"], kwargs["labels"]) == (3, 1, {"a": "b"})
    assert kwargs["body"]["kind"] == "App"


def test_a_kind_without_handlers_is_not_decoded() -> None:
    registry = kopf.OperatorRegistry()
    intake.register(registry, APPS, _queue_stub())
    assert Intake(registry).observer(PODS) is None
    assert Intake(registry).observer(REVISIONS) is None


def test_a_handler_that_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    registry = kopf.OperatorRegistry()
    heard: list[str] = []

    @kopf.on.event("fairlead.dev", "v1alpha1", "apps", registry=registry)
    def bad(**_: Any) -> None:
        raise ZeroDivisionError

    @kopf.on.event("fairlead.dev", "v1alpha1", "apps", registry=registry)
    def good(name: str, **_: Any) -> None:
        heard.append(name)

    observe = Intake(registry).observer(APPS)
    assert observe is not None
    observe("ADDED", app())
    assert heard == ["web"]
    assert "a handler of apps failed" in caplog.text


async def taken(queue: Queue) -> tuple[Key, float]:
    """The next key, and how long it took to come."""
    began = asyncio.get_running_loop().time()
    key = await queue.get()
    queue.done(key)
    return key, asyncio.get_running_loop().time() - began


async def test_a_spec_a_person_changed_hurries_and_our_own_status_does_not() -> None:
    queue, registry = _queue_stub(), kopf.OperatorRegistry()
    intake.register(registry, APPS, queue)
    observe = Intake(registry).observer(APPS)
    assert observe is not None
    told = [(None, 1), ("MODIFIED", 1), ("MODIFIED", 2), ("MODIFIED", 2), ("DELETED", 2), ("ADDED", 1)]
    hurried = []
    for type, generation in told:
        observe(type, app(generation))
        key, waited = await taken(queue)
        assert key == KEY
        hurried.append(waited == 0)
    assert hurried == [False, False, True, False, False, True]


def _queue_stub() -> Queue:
    return Queue("test", EngineSettings(), random.Random(1), Metrics())
