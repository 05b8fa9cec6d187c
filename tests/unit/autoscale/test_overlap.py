"""Looks at one App that overlap: a request that waits for the first pod does not wait for metrics that are still being read."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from fairlead.autoscale.controller import AutoscalePart, Autoscaler, Memory
from fairlead.autoscale.history import Recommendation, State
from fairlead.autoscale.model import Autoscale, ExternalMetric, Identifier, Idle, Metric, Reading, Standby
from fairlead.autoscale.plan import Decision
from fairlead.autoscale.report import KNOWN, AutoscaleObserved, Course, Look
from fairlead.autoscale.testing import autoscaled, decided
from fairlead.core.actions import Errand
from fairlead.core.meta import Key

JOBS = Metric(external=ExternalMetric(Identifier("jobs"), average_value=1))
SLEEPY = Autoscale(max=2, min=0, metrics=(JOBS,), idle=Idle(300))
NOTHING = (Reading(values=(0.0,)),)
ZERO = autoscaled(0, spec=SLEEPY)
RESTS = Decision(0, "Idle", "jobs 0", State(0, asked=1, to_zero=True, recommendations=(Recommendation(100, 0),)))
LAST = decided(0, "jobs 0", at=100, readings=NOTHING, metrics=(JOBS,))


class Source:
    """A reader and its glance, which answers when a test lets it."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    def at(self, *_: Any) -> Source:
        return self

    async def read(self, *_: Any) -> tuple[Reading, ...]:
        await self.answers.wait()
        return NOTHING


class Scene:
    """The App `shop` at zero, looked at five seconds ago."""

    def __init__(self) -> None:
        self.memory, self.source = Memory(), Source()
        self.waiting: float | None = None
        self.part = AutoscalePart(
            lambda *_: (), lambda *_: {}, self.memory, lambda *_: Standby(1, waiting=self.waiting)
        )
        self.autoscaler = Autoscaler(self.source, self.memory)  # type: ignore[arg-type]
        self.memory.note(ZERO, None, msgspec.structs.replace(LAST, decision=RESTS))

    def get(self, *_: Any) -> Any:
        return ZERO

    def observed(self) -> AutoscaleObserved:
        seen = self.part.observe(self, Key("default", "shop"), ())  # type: ignore[arg-type]
        assert seen is not None
        return seen

    def errand(self, now: float) -> Errand:
        (one,) = self.part.plan(self.observed(), now).errands
        return one

    def begins(self, errand: Errand) -> asyncio.Task[Course | None]:
        look: Look = errand.task
        return asyncio.create_task(self.autoscaler.run(look, None))  # type: ignore[arg-type]

    def size(self) -> int:
        course = self.memory.of(ZERO)
        assert course is not None and course.decision is not None
        return course.decision.replicas


@pytest.mark.looptime
async def test_a_request_at_zero_does_not_wait_for_a_look_that_is_under_way() -> None:
    scene = Scene()
    reading = scene.errand(105.0)
    slow = scene.begins(reading)
    await asyncio.sleep(1)
    scene.waiting = 106.0
    woken = scene.errand(106.0)
    assert woken.slot != reading.slot and woken.kind == KNOWN
    assert await scene.begins(woken) is not None
    assert scene.size() == 1 and not slow.done()

    scene.source.answers.set()
    assert await slow is not None, "the App is planned anew"
    assert scene.size() == 1, "what it decided is about an App that nobody asked for yet"


@pytest.mark.looptime
async def test_one_that_ends_first_has_the_request_looked_at_once_more() -> None:
    scene = Scene()
    slow = scene.begins(scene.errand(105.0))
    await asyncio.sleep(1)
    scene.waiting = 106.0
    woken = scene.errand(106.0)
    scene.source.answers.set()
    await slow
    assert await scene.begins(woken) is not None and scene.size() == 0
    assert await scene.begins(scene.errand(106.1)) is not None and scene.size() == 1
