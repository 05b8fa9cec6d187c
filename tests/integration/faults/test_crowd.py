"""Very many Apps when the operator starts. FAIRLEAD_CROWD says how many: 400, or 5000 where there is time."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from substrate.api import Api
from support import figures
from support.crds import app, install
from support.lab import Lab
from support.operator import Operator
from support.team import Team
from support.waiting import eventually

CROWD = int(os.environ.get("FAIRLEAD_CROWD", "400"))
RUNNING = CROWD // 10  # have a pod; the others are scaled to zero
_PATH = "/apis/fairlead.dev/v1alpha1/namespaces/crowd/apps"


class Crowd(NamedTuple):
    healthy: float
    hurried: float
    backlog: int
    """Apps nobody had looked at yet when the one in a hurry had its pods."""
    all: float
    pods: int
    again: float
    kept: bool
    writes: float
    """After a restart."""


def crowd(_plane: Lab, _folder: Path) -> Crowd:
    with Lab("crowd") as lab:  # no scheduler and no nodes: what counts is what the operator makes
        install(lab)
        lab.kubectl("create", "namespace", "crowd")
        team = Team(lab, "crowd")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda part: create(lab, range(part, CROWD, 8)), range(8)))
        operator = Operator(lab, "crowd", namespaces=team.name)
        try:
            began = time.monotonic()
            operator.spawn()
            eventually(operator.healthy)
            healthy = time.monotonic() - began
            eventually(operator.ready)
            asked = time.monotonic()
            team.apply(app("hurry", replicas=3))
            eventually(lambda: len(team.pods("fairlead.dev/app=hurry")) == 3)
            hurried = time.monotonic() - asked
            backlog = CROWD - len(team.get("frev")["items"])
            eventually(lambda: operator.metric("fairlead_store_objects", kind="Revision") == CROWD + 1, 240)
            eventually(lambda: all("observedGeneration" in one.get("status", {}) for one in apps(team)), 120)
            all_done = time.monotonic() - began
            uids = {pod["metadata"]["uid"] for pod in team.get("pods")["items"]}
            operator.stop()
            operator.start()
            asked = time.monotonic()
            team.patch({"replicas": 4}, "hurry")
            eventually(lambda: len(team.pods("fairlead.dev/app=hurry")) == 4)
            again = time.monotonic() - asked
            eventually(lambda: operator.metric("fairlead_reconciles_total", result="done") >= CROWD, 120)
            after = {pod["metadata"]["uid"] for pod in team.get("pods")["items"]}
            writes = operator.metric("fairlead_writes_total", kind="Pod")
            return Crowd(healthy, hurried, backlog, all_done, len(after), again, uids < after, writes)
        finally:
            operator.kill()


def create(lab: Lab, numbers: range) -> None:
    api = Api(lab.url, lab.token, lab.ca, timeout=30)
    for number in numbers:
        status, said = api.request("POST", _PATH, app(f"app-{number}", replicas=1 if number < RUNNING else 0))
        assert status == 201, said
    api.close()


def apps(team: Team) -> list[dict[str, dict[str, object]]]:
    found: list[dict[str, dict[str, object]]] = team.get("fapp")["items"]
    return found


@pytest.mark.story.with_args(crowd)
@pytest.mark.runs_last
def test_trust_50_very_many_apps_at_the_start_keep_nobody_in_a_hurry_waiting(told: Crowd) -> None:
    figures.tell(
        f"50: with {CROWD} Apps to begin with it was healthy after {told.healthy:.1f} s, an App in a hurry had its pods "
        f"after {told.hurried:.1f} s ({told.backlog} others were still waiting), all were done after {told.all:.0f} s; "
        f"after a restart a change took {told.again:.1f} s"
    )
    assert told.pods == RUNNING + 4
    assert told.kept and told.writes == 1, "a restart makes the one pod that was asked for"
    assert (
        told.healthy < 40 and told.hurried < 20 and told.again < 20
    )  # on a machine that is busy with the other faults
    assert told.all < 240
