"""Operators that die, hang and wake, and whose clocks jump."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from substrate.prerequisites import PREREQUISITES, ensure
from support import account, figures
from support.lab import Lab
from support.operator import Operator
from support.proxy import Answer, Fault, Proxy, Request
from support.team import UNHURRIED, Team, image
from support.waiting import eventually

PAUSE = 60.0  # seconds
_LEADS = {"leader_election": "true", "lease_namespace": account.NAMESPACE}


class Killer(Fault):
    """Each time so many writes were carried out, the operator is killed before it hears of the last one."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._writes = 0
        self.due = threading.Event()

    async def after(self, request: Request, answer: Answer) -> Answer | None:
        if not request.writes or self.due.is_set():
            return answer
        self._writes += 1
        if self._writes % self._every:
            return answer
        self.due.set()
        return None


def test_trust_43_an_operator_killed_after_every_fourth_write_makes_and_ends_what_one_left_alone_does(
    team: Team, operator: Operator, proxy: Proxy
) -> None:
    team.run(replicas=6, rollout={"maxSurge": 1, "maxUnavailable": 0})
    killer = Killer(every=4)
    over = threading.Event()
    kills = 0

    def kubelet() -> None:
        """Starts it anew, as a kubelet does, until the roll is over."""
        nonlocal kills
        while not over.is_set():
            if killer.due.wait(0.1):
                operator.kill()
                kills += 1
                killer.due.clear()
                operator.start()

    keeper = threading.Thread(target=kubelet)
    with team.history() as history, proxy.suffers(killer):
        keeper.start()
        began = time.monotonic()
        team.patch({"template": image("2")})
        team.wait("jsonpath={.status.updatedReplicas}=6", seconds=120)
        team.wait("condition=Ready", seconds=60)
        took = time.monotonic() - began
        over.set()
        keeper.join()
    figures.tell(f"43: 6 pods rolled in {took:.1f} s by an operator that was killed {kills} times")
    assert kills >= 3
    assert len(history.new()) == 6 and len(history.lost()) == 6
    assert history.most <= 7 and history.fewest_ready >= 6
    assert took < 120


class Woken(NamedTuple):
    """What came of a leader that was stopped for a minute in the middle of a roll."""

    ended: int
    writes: list[tuple[str, int]]
    new: int
    fewest_ready: int
    most: int
    taken_over: float


def paused_leader(plane: Lab, folder: Path) -> Woken:
    plane.kubectl("create", "namespace", "paused-leader")
    team = Team(plane, "paused-leader")
    settings = _LEADS | {"namespaces": team.name}
    with Proxy(plane) as proxy:
        token = account.token(plane)
        kubeconfig = proxy.kubeconfig(folder / "first", token)
        first = Operator(plane, "paused-first", kubeconfig=kubeconfig, identity="first", **settings)
        second = Operator(plane, "paused-second", identity="second", **settings)
        with first:
            eventually(lambda: first.metric("fairlead_leader") == 1)
            team.run(**UNHURRIED)
            with second, team.history() as history:
                before = team.uids()
                team.patch({"template": image("2")})
                eventually(lambda: before - team.uids() != set())
                first.signal(signal.SIGSTOP)
                stopped = time.monotonic()
                eventually(lambda: second.metric("fairlead_leader") == 1, 60)
                taken_over = time.monotonic() - stopped
                team.wait("jsonpath={.status.updatedReplicas}=8", seconds=90)
                team.wait("condition=Ready")
                while time.monotonic() - stopped < PAUSE:
                    assert second.ready()
                    time.sleep(1)
                asked = len(proxy.requests)
                first.signal(signal.SIGCONT)
                ended = first.ends(within=30)
                writes = [(one.path, one.code) for one in proxy.requests[asked:] if one.writes]
                team.patch({"replicas": 9})
                team.wait("jsonpath={.status.availableReplicas}=9", seconds=60)
            return Woken(ended, writes, len(history.new()), history.fewest_ready, history.most, taken_over)


@pytest.mark.story.with_args(paused_leader)
@pytest.mark.runs_last
def test_trust_44_a_leader_that_wakes_after_a_minute_writes_nothing_and_ends(told: Woken) -> None:
    figures.tell(f"44: the standby led {told.taken_over:.1f} s after its leader was stopped")
    assert told.ended == 1, "with an error, so that it is started anew"
    assert {code for _, code in told.writes} <= {409}, "what was under way meets its preconditions"
    assert told.new == 8 + 1, "none was made by both"
    assert told.fewest_ready >= 8 and told.most <= 10
    assert told.taken_over < 25


def test_trust_45_a_clock_that_jumps_an_hour_ahead_and_back_costs_no_pod(
    team: Team, proxy: Proxy, tmp_path: Path
) -> None:
    """The process's own clock, by libfaketime; the proxy speaks plain HTTP, for certificates would not be valid yet."""
    ensure(["faketime"])
    (library,) = [path for path in PREREQUISITES["faketime"].found_by if Path(path).exists()]
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environ = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", account.token(team.lab))
    with Operator(team.lab, team.name, kubeconfig=kubeconfig, environ=environ, namespaces=team.name) as operator:
        team.run(**UNHURRIED)
        with team.history() as history:
            team.patch({"template": image("2")})
            eventually(lambda: len(history.ended) >= 1)
            clock.write_text("+3600")
            eventually(lambda: len(history.ended) >= 3)
            clock.write_text("-3600")
            passes = operator.metric("fairlead_reconciles_total")
            for turn in range(5):
                team.kubectl("annotate", "fapp/shop", f"turn={turn}", "--overwrite")
            eventually(lambda: operator.metric("fairlead_reconciles_total") >= passes + 5)
            clock.write_text("+0")
            began = time.monotonic()
            team.wait("jsonpath={.status.updatedReplicas}=8", seconds=90)
            team.wait("condition=Ready")
            took = time.monotonic() - began
        assert operator.healthy() and not operator.metric("fairlead_plan_errors_total")
    figures.tell(
        f"45: a roll was at its end {took:.1f} s after its clock had jumped an hour ahead, back two and was right"
    )
    assert len(history.new()) == 8
    assert history.fewest_ready >= 8 and history.most <= 10
    assert took < 45
