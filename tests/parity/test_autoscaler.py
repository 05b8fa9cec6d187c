"""Upstream's own HorizontalPodAutoscaler controller and ours, given the same lives: the same size after each sync, the same
measured values, held back for the same reasons. A life is some fifteen syncs.

Upstream's is unmodified and runs in virtual time (upstream_hpa/main.go). It needs no cluster.

FAIRLEAD_LIVES=20000 plays so many instead of four hundred; FAIRLEAD_SEEDS=12,34 those again.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from fairlead.autoscale.calculator import spelled
from fairlead.autoscale.model import Metric
from fairlead.autoscale.plan import Decision
from fairlead.core.conditions import find
from fairlead.core.quantity import milli
from parity.lives import JSON, Life, lived
from substrate import tools
from substrate.progress import Progress

LIVES = int(os.environ.get("FAIRLEAD_LIVES", "400"))
KEPT: tuple[int, ...] = ()  # seeds of lives that once ended in a difference


def seeds() -> list[int]:
    asked = [int(seed) for seed in os.environ.get("FAIRLEAD_SEEDS", "").split(",") if seed]
    return asked or [*KEPT, *(random.randrange(10**9) for _ in range(LIVES))]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    tools.ensure(["upstream-hpa"], Progress(quiet=True))
    with Upstream(str(tools.TOOLS["upstream-hpa"].link)) as made:
        yield made


class Upstream:
    """The program, and one answer for each life."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __enter__(self) -> Upstream:
        self._process = subprocess.Popen([self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()

    def answer(self, life: Life) -> list[JSON]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(msgspec.json.encode(life.case) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        told = msgspec.json.decode(line)
        assert not told.get("error"), told["error"]
        steps: list[JSON] = told["steps"]
        return steps


def differences(metrics: tuple[Metric, ...], decision: Decision, after: JSON) -> Iterator[str]:
    """In what one sync came out otherwise."""
    if after["replicas"] != decision.replicas:
        yield f"size: upstream {after['replicas']}, ours {decision.replicas}"
    conditions = after["status"].get("conditions") or []
    active, limited, able = (
        find(conditions, kind) or {} for kind in ("ScalingActive", "ScalingLimited", "AbleToScale")
    )
    if decision.reason == "Stopped" and active.get("reason") != "ScalingDisabled":
        yield f"upstream is not disabled: {active}"
    if decision.reason == "MetricsUnavailable" and active.get("status") != "False":
        yield f"upstream knows enough: {active}"
    if decision.reason not in ("Followed", "Limited"):
        return
    if active.get("status") != "True":
        yield f"upstream knows too little: {active}"
    ours = (
        decision.normalized.limited.reason
        if decision.normalized and decision.normalized.limited
        else "DesiredWithinRange"
    )
    if limited.get("reason") != ours:
        yield f"limited: upstream {limited.get('reason')}, ours {ours}"
    held = (
        decision.normalized.stabilized.reason
        if decision.normalized and decision.normalized.stabilized
        else "ReadyForNewScale"
    )
    if able.get("reason") not in (held, "SucceededRescale"):
        yield f"held: upstream {able.get('reason')}, ours {held}"
    for metric, proposal, current in zip(metrics, decision.proposals, after["status"]["currentMetrics"], strict=True):
        if bool(proposal.error) == bool(current["type"]):
            yield f"{proposal.metric}: upstream's status {current}, our error {proposal.error!r}"
        elif current["type"] and (usage := measured(metric, current)) not in ("", proposal.usage):
            yield f"{proposal.metric}: upstream {usage}, ours {proposal.usage}"


def measured(metric: Metric, current: JSON) -> str:
    """An average over pods, or a total, as upstream's status has it; "" where it has another figure than ours: of values for
    each pod it divides the total by the pods."""
    kind = (
        "containerResource"
        if metric.container_resource
        else next((k for k in ("resource", "pods") if getattr(metric, k)), "")
    )
    if kind:
        figures = current[kind]["current"]
        if "averageUtilization" in figures and (metric.resource or metric.container_resource):
            return f"{figures['averageUtilization']} %"
        resource = metric.resource or metric.container_resource
        return spelled(milli(figures["averageValue"]), resource.name if resource else "")
    figures = current["object" if metric.object else "external"]["current"]
    return spelled(milli(figures["value"])) if "value" in figures else ""


def test_sizes_and_reasons_are_upstreams_at_each_sync(upstream: Upstream) -> None:
    wrong: list[str] = []
    tally: Counter[str] = Counter()
    for seed in seeds():
        life = lived(seed)
        for number, (decision, after) in enumerate(zip(life.decisions, upstream.answer(life), strict=True), 1):
            tally[decision.reason] += 1
            found = list(differences(life.spec.metrics, decision, after))
            if found:
                wrong.append(f"FAIRLEAD_SEEDS={seed} sync {number}: {'; '.join(found)} ({decision.message})")
                break  # from here on the two live different lives
    print(f"{sum(tally.values())} syncs: {dict(tally)}", *wrong, sep="\n")
    assert wrong == []
    if LIVES >= 400 and not os.environ.get("FAIRLEAD_SEEDS"):
        assert (
            min(tally[reason] for reason in ("Followed", "Limited", "OutOfBounds", "MetricsUnavailable", "Stopped")) > 0
        )
