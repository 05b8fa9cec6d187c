"""Upstream's own VerticalPodAutoscaler recommender and ours, given the same lives of a container: the same recommendation.

Upstream's is unmodified (upstream_vpa/main.go); it needs no cluster. FAIRLEAD_LIVES=5000 plays so many instead of sixty;
FAIRLEAD_SEEDS=12,34 those again.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from fairlead.autoscale.model import Sample
from fairlead.autoscale.vertical.histogram import CPU, MEMORY, percentile
from fairlead.autoscale.vertical.model import MEBIBYTE, ContainerPolicy, Estimate
from fairlead.autoscale.vertical.recommend import (
    DAY,
    LOWER,
    TARGET,
    UPPER,
    History,
    Slot,
    Watched,
    estimate,
    out_of_memory,
    watched,
)
from substrate import tools
from substrate.progress import Progress

LIVES = int(os.environ.get("FAIRLEAD_LIVES", "60"))
KEPT: tuple[int, ...] = ()  # seeds of lives that once ended in a difference
BEGAN = 1_700_000_000

Event = dict[str, Any]


def seeds() -> list[int]:
    asked = [int(seed) for seed in os.environ.get("FAIRLEAD_SEEDS", "").split(",") if seed]
    return asked or [*KEPT, *(random.randrange(10**9) for _ in range(LIVES))]


def life(seed: int) -> list[Event]:
    """Some pods, one after the other and beside one another, looked at every minute or more seldom for an hour or for weeks."""
    chance = random.Random(seed)
    step = chance.choice([60, 60, 300, 3600, 6 * 3600])
    length = chance.choice([1, 2, 30, 200, 400])
    pods = [f"p{number}" for number in range(chance.randint(1, 4))]
    cores, memory = chance.choice([5, 100, 700, 20_000]), chance.choice([2e6, 60e6, 900e6, 40e9])
    found: list[Event] = []
    for look in range(length):
        at = BEGAN + look * step
        cores *= chance.choice([1, 1, 1, 0.7, 1.4])
        for pod in pods:
            if chance.random() < 0.1:
                continue
            found.append(
                {
                    "pod": pod,
                    "at": at,
                    "cpu": int(max(0, chance.gauss(cores, cores / 3))),
                    "memory": int(memory * chance.choice([0.9, 1, 1, 1.1, 2])),
                }
            )
            if chance.random() < 0.02:
                found.append({"pod": pod, "at": at + 1, "oom": int(memory * chance.choice([1, 3]))})
        if chance.random() < 0.02:
            pods[0] = f"{pods[0]}'"
    return found


def ours(events: list[Event]) -> tuple[Estimate, History]:
    known = Watched()
    names = {event["pod"] for event in events}
    for event in events:
        pod, at = event["pod"], float(event["at"])
        if "oom" in event:
            known = out_of_memory(known, Slot(pod, "web"), event["oom"], at)
            continue
        cpu, memory = event["cpu"] / 1000, float(event["memory"])
        known = watched(known, {pod: {"web": Sample(cpu, at)}}, {pod: {"web": Sample(memory, at)}}, names, at)
    return estimate(known.histories["web"], ContainerPolicy("web", {}, {})), known.histories["web"]


@pytest.fixture(scope="module")
def upstream() -> Iterator[subprocess.Popen[bytes]]:
    tools.ensure(["upstream-vpa"], Progress(quiet=True))
    program = str(tools.TOOLS["upstream-vpa"].link)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def asked(process: subprocess.Popen[bytes], events: list[Event]) -> dict[str, dict[str, int]]:
    assert process.stdin and process.stdout
    process.stdin.write(msgspec.json.encode(events) + b"\n")
    process.stdin.flush()
    told: dict[str, dict[str, int]] = msgspec.json.decode(process.stdout.readline())
    return told


def tied(history: History, resource: str, share: float) -> bool:
    """A share that lies exactly between two buckets: the last bit of a sum decides, and there it is another one."""
    histogram, scale = (history.cpu, CPU) if resource == "cpu" else (history.memory, MEMORY)
    return percentile(histogram, scale, share - 1e-9) != percentile(histogram, scale, min(1.0, share + 1e-9))


def near(resource: str, theirs: int, ours: int, times: float) -> bool:
    """Upstream cuts a thousandth of a core off at each of its steps, before it widens the bounds so many times; memory is in whole
    mebibytes here."""
    if resource == "cpu":
        return -1 <= ours - theirs <= 2 + 2 * max(1.0, times)
    return abs(ours / MEBIBYTE - theirs / 1024**2) <= 1 + 1e-6 * theirs / 1024**2


def test_the_same_life_leads_to_the_same_recommendation(upstream: subprocess.Popen[bytes]) -> None:
    different = []
    for seed in seeds():
        events = life(seed)
        if not events:
            continue
        theirs, (mine, history) = asked(upstream, events), ours(events)
        wider = 1 + 1 / history.days if history.days else math.inf
        for bound, amounts, share, times in (
            ("Target", mine.target, TARGET, 1.0),
            ("Lower", mine.lower, LOWER, 1.0),
            ("Upper", mine.upper, UPPER, wider),
        ):
            wrong = {
                name: (theirs[bound][name], own)
                for name, own in amounts.items()
                if not near(name, theirs[bound][name], own, times) and not tied(history, name, share)
            }
            if wrong:
                different.append(f"seed {seed}, {bound}, upstream and ours: {wrong}")
    assert not different, "\n".join(different)


def test_lives_are_of_all_sorts() -> None:
    """Else they would show little: some last for more than a week, some run out of memory, some have one sample."""
    played = [life(seed) for seed in range(200)]
    assert any(events and events[-1]["at"] - BEGAN > 7 * DAY for events in played)
    assert sum(any("oom" in event for event in events) for events in played) > 20
    assert any(len(events) == 1 for events in played)
