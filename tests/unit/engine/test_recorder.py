"""Events are aggregated, rationed, and lost rather than in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fairlead.core.actions import Event
from fairlead.core.meta import JSON
from fairlead.engine.recorder import Recorder, Subject
from fairlead.engine.settings import EngineSettings
from fairlead.kube.errors import Forbidden
from fairlead.kube.fake import FakeClient, FakeCluster, Faults, Write
from fairlead.kube.resources import APPS, EVENTS
from fairlead.metrics.collect import Metrics
from support.rig import NAMESPACE, clock, new_cluster, until

pytestmark = pytest.mark.looptime

WEB = Subject(APPS, NAMESPACE, "web", "uid-web", 7)


class Refuse(Faults):
    on = False

    def counts(self, write: Write) -> bool:
        return True

    def before(self, write: Write) -> None:
        if self.on:
            raise Forbidden(403, "Forbidden", "namespace is being terminated")


class Bench:
    def __init__(self, rate: float = 10.0) -> None:
        self.cluster: FakeCluster = new_cluster()
        self.trouble = Refuse()
        self.client = FakeClient(self.cluster, faults=self.trouble)
        self.metrics = Metrics()
        self.may_write = True
        self.running: asyncio.Task[None] | None = None
        settings = EngineSettings(event_rate=rate)
        self.recorder = Recorder(self.client, settings, clock, "me", self.metrics, lambda: self.may_write)

    def say(self, message: str, subject: Subject = WEB, type: str = "Normal") -> None:
        if self.running is None:  # not in the fixture: looptime's clock starts with the test
            self.running = asyncio.create_task(self.recorder.run())
        self.recorder.record(subject, Event(type, "Scaled", message))  # type: ignore[arg-type]

    def events(self) -> list[JSON]:
        return [stored.object for stored in self.cluster.all(EVENTS, NAMESPACE)]

    def result(self, name: str) -> float:
        return self.metrics.registry.get_sample_value("fairlead_events_total", {"result": name}) or 0.0


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    if bench.running is not None:
        bench.running.cancel()
        await asyncio.gather(bench.running, return_exceptions=True)


async def test_an_event_says_what_and_about_whom(bench: Bench) -> None:
    bench.say("to 3")
    await until(lambda: len(bench.events()) == 1)
    (event,) = bench.events()
    assert event["involvedObject"] == {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "App",
        "namespace": NAMESPACE,
        "name": "web",
        "uid": "uid-web",
        "resourceVersion": "7",
    }
    assert (event["reason"], event["message"], event["type"], event["count"]) == ("Scaled", "to 3", "Normal", 1)
    assert event["source"] == {"component": "fairlead"}


async def test_the_same_again_is_counted_not_repeated(bench: Bench) -> None:
    for _ in range(1000):
        bench.say("to 3")
        await asyncio.sleep(0.01)
    await until(lambda: bool(bench.events()) and bench.events()[0]["count"] == 1000)
    (event,) = bench.events()
    assert event["lastTimestamp"] > event["firstTimestamp"]
    assert len(bench.client.writes) <= 20


async def test_an_object_that_chatters_is_cut_off_and_others_are_not(bench: Bench) -> None:
    for number in range(200):
        bench.say(f"to {number}")
    bench.say("hello", Subject(APPS, NAMESPACE, "other", "uid-other"))
    await asyncio.sleep(30)
    assert len(bench.events()) == 26
    assert bench.result("dropped") == 175


async def test_the_process_has_a_budget() -> None:
    bench = Bench(rate=2.0)
    for number in range(100):
        bench.say("hello", Subject(APPS, NAMESPACE, f"app-{number}", f"uid-{number}"))
    await asyncio.sleep(30)
    assert 20 <= len(bench.events()) <= 30
    assert bench.running is not None
    bench.running.cancel()


async def test_a_refused_event_is_lost_and_the_next_is_written(bench: Bench) -> None:
    bench.trouble.on = True
    bench.say("to 3")
    await until(lambda: bench.result("failed") == 1)
    bench.trouble.on = False
    bench.say("to 4")
    await until(lambda: len(bench.events()) == 1)


async def test_an_event_that_expired_is_written_anew(bench: Bench) -> None:
    bench.say("to 3")
    await until(lambda: len(bench.events()) == 1)
    bench.cluster.remove(EVENTS, NAMESPACE, bench.events()[0]["metadata"]["name"])
    bench.say("to 3")
    await until(lambda: len(bench.events()) == 1)
    assert bench.events()[0]["count"] == 2


async def test_what_is_pending_is_written_at_the_end(bench: Bench) -> None:
    bench.say("to 3")
    await bench.recorder.flush()
    assert len(bench.events()) == 1


async def test_who_does_not_lead_says_nothing(bench: Bench) -> None:
    bench.may_write = False
    bench.say("to 3")
    await asyncio.sleep(5)
    assert bench.events() == []


async def test_a_message_longer_than_the_api_takes_is_cut(bench: Bench) -> None:
    bench.say("x" * 5000)
    await until(lambda: len(bench.events()) == 1)
    assert len(bench.events()[0]["message"]) == 1024
