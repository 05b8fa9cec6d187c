"""The API server and its etcd: restarted, frozen, away for minutes, restored from a backup, with other keys."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from support import account, figures
from support.crds import app, install
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.proxy import Answer, Fault, Proxy, Request
from support.team import UNHURRIED, Team, image
from support.waiting import eventually

UPSTREAM = ("kcm", "scheduler", "kwok")  # which have to be started anew after a restore; Fairlead has not
OUTAGE = 180.0  # seconds


class Stalled(Fault):
    """Streams are cut; what is asked anew gets through only when it is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    async def before(self, request: Request) -> Answer | None:
        await asyncio.to_thread(self.over.wait, 60)
        return None

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        return lines if self.over.is_set() else None


def test_an_api_server_that_is_restarted_in_the_middle_of_a_roll_costs_no_pod(crew: Team, steward: Operator) -> None:
    crew.run(**UNHURRIED)
    before = crew.uids()
    crew.patch({"template": image("2")})
    eventually(lambda: before - crew.uids() != set())
    crew.lab.kill("apiserver")
    crew.lab.start("apiserver")
    began = time.monotonic()
    with crew.history() as history:
        crew.wait("jsonpath={.status.updatedReplicas}=8")
        crew.wait("condition=Ready")
        took = time.monotonic() - began
    figures.tell(f"a roll was at its end {took:.1f} s after the API server was back")
    assert history.fewest_ready >= 8 and history.most <= 10
    assert steward.metric("fairlead_writes_total", kind="Pod", verb="create", code="200") == 16
    assert took < 45


def test_trust_31_after_a_restart_the_api_server_knows_no_history_and_deletions_are_found(
    crew: Team, tmp_path: Path
) -> None:
    """The real 410: pods go while the operator is cut off, and the API server that it meets again remembers nothing."""
    with Proxy(crew.lab) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig")
        with Operator(crew.lab, crew.name, kubeconfig=kubeconfig, namespaces=crew.name) as operator:
            crew.run(replicas=4)
            victims = crew.pods()[:2]
            stalled = Stalled()
            with proxy.suffers(stalled):
                crew.kubectl("annotate", "pods", "--all", "cut=yes")  # a line for the stream to end with
                eventually(lambda: operator.metric("fairlead_watch_restarts_total", kind="Pod") > 0)
                for victim in victims:
                    crew.kubectl("delete", "pod", victim["metadata"]["name"], "--grace-period=0", "--force")
                crew.lab.kill("apiserver")
                crew.lab.compact()
                crew.lab.start("apiserver")
                with crew.history() as history:
                    stalled.over.set()
                    began = time.monotonic()
                    eventually(lambda: len(crew.pods()) == 4)
                    crew.wait("jsonpath={.status.availableReplicas}=4")
                    took = time.monotonic() - began
            gone = operator.metric("fairlead_watch_restarts_total", kind="Pod", cause="gone")
    figures.tell(f"31: what went during an API server's restart was replaced in {took:.1f} s")
    assert gone >= 1
    assert len(history.made) == 4 and not history.lost()
    assert took < 45


def test_an_etcd_that_hangs_for_twenty_seconds_in_the_middle_of_a_roll_costs_no_pod(
    crew: Team, steward: Operator
) -> None:
    crew.run(**UNHURRIED)
    before = crew.uids()
    crew.patch({"template": image("2")})
    eventually(lambda: before - crew.uids() != set())
    crew.lab.pause("etcd")
    paused = time.monotonic()
    eventually(lambda: not steward.healthy() or time.monotonic() - paused > 20, 30)
    assert steward.healthy() and steward.ready()
    crew.lab.resume("etcd")
    began = time.monotonic()
    crew.wait("jsonpath={.status.updatedReplicas}=8", seconds=90)
    crew.wait("condition=Ready")
    took = time.monotonic() - began
    figures.tell(f"a roll was at its end {took:.1f} s after etcd went on")
    assert len(crew.pods()) == 8 and not before & crew.uids()
    created = steward.metric("fairlead_writes_total", kind="Pod", verb="create", code="200")
    assert created == 16, "none was made twice"
    assert took < 60


def test_trust_37_an_etcd_restored_from_a_backup_is_believed_and_no_pod_of_it_is_harmed(
    crew: Team, steward: Operator
) -> None:
    """The App was scaled up and down meanwhile: some pods come back, others never were."""
    crew.run(replicas=5)
    before = crew.uids()
    data = crew.lab.directory / "etcd"
    backup = crew.lab.directory / "backup"
    for component in ("apiserver", "etcd"):
        crew.lab.kill(component)
    shutil.copytree(data, backup)
    for component in ("etcd", "apiserver"):
        crew.lab.start(component)
    crew.patch({"replicas": 9})
    crew.wait("jsonpath={.status.availableReplicas}=9", seconds=90)
    crew.patch({"template": image("2")})
    crew.wait("jsonpath={.status.updatedReplicas}=9", seconds=90)
    crew.wait("condition=Ready")
    for component in (*UPSTREAM, "apiserver", "etcd"):
        crew.lab.kill(component)
    shutil.rmtree(data)
    backup.rename(data)
    for component in ("etcd", "apiserver", *UPSTREAM):
        crew.lab.start(component)
    with crew.history() as history:
        began = time.monotonic()
        crew.patch({"replicas": 6})
        crew.wait("jsonpath={.status.availableReplicas}=6", seconds=90)
        took = time.monotonic() - began
        assert before < crew.uids() and len(crew.pods()) == 6
    figures.tell(f"37: an App was as its restored spec says {took:.1f} s after etcd was back")
    assert not history.lost() and len(history.new()) == 1
    assert steward.metric("fairlead_resource_version_regressions_total", kind="Pod") >= 1
    assert took < 60


def test_trust_39_a_token_that_ends_is_read_anew_from_its_file(crew: Team, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(bound_token(crew, "first"))
    kubeconfig = tmp_path / "kubeconfig"
    config = json.loads(crew.lab.kubeconfig.read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    kubeconfig.write_text(json.dumps(config))
    with Operator(crew.lab, crew.name, kubeconfig=kubeconfig, namespaces=crew.name) as operator:
        crew.run(replicas=3)
        before, pid = crew.uids(), operator.pid
        crew.lab.kubectl("delete", "secret", "first", "-n", account.NAMESPACE)
        eventually(lambda: unauthorized(crew, token.read_text()))
        crew.patch({"replicas": 4})
        token.write_text(bound_token(crew, "second"))
        began = time.monotonic()
        crew.wait("jsonpath={.status.availableReplicas}=4", seconds=90)
        took = time.monotonic() - began
        assert operator.pid == pid and operator.ready()
    figures.tell(f"39: work went on {took:.1f} s after a new token came for one that had ended")
    assert before < crew.uids()
    assert took < 45


def bound_token(team: Team, name: str) -> str:
    """A token of the operator's that lives as long as a Secret of that name."""
    team.lab.kubectl("create", "secret", "generic", name, "-n", account.NAMESPACE)
    bound = ["--bound-object-kind=Secret", f"--bound-object-name={name}"]
    return team.lab.kubectl("create", "token", account.NAME, "-n", account.NAMESPACE, *bound).strip()


def unauthorized(team: Team, token: str) -> bool:
    return "Unauthorized" in team.lab.kubectl("get", "pods", f"--token={token}", check=False)


def test_trust_39_an_authority_that_is_replaced_is_read_anew_from_its_file(crew: Team, steward: Operator) -> None:
    """The API server comes back with other keys. Comes last: clients that do not look again are locked out."""
    crew.run(replicas=3)
    before, pid = crew.uids(), steward.pid
    crew.lab.kill("apiserver")
    crew.lab.new_keys()
    crew.lab.start("apiserver")
    began = time.monotonic()
    crew.patch({"replicas": 4})
    eventually(lambda: len(crew.pods()) == 4, 90)
    took = time.monotonic() - began
    assert steward.pid == pid and steward.ready()
    figures.tell(f"39: work went on {took:.1f} s after the API server's authority was replaced")
    assert before < crew.uids()
    assert took < 75


class Outage(NamedTuple):
    """What three minutes without an API server came to."""

    before: set[str]
    after: set[str]
    new: int
    lost: set[str]
    attempts: float
    kinds: int
    made: float
    took: float


def outage(_plane: Lab, _folder: Path) -> Outage:
    with whole_lab("outage") as lab:
        install(lab)
        lab.kubectl("create", "namespace", "outage")
        team = Team(lab, "outage")
        with Operator(lab, "outage", namespaces=team.name) as operator:
            team.run(replicas=20)
            before = team.uids()
            tried = operator.metric("fairlead_watch_restarts_total", cause="refused")
            lab.kill("apiserver")
            down = time.monotonic()
            while time.monotonic() - down < OUTAGE:
                assert operator.healthy() and operator.ready(), "nobody restarts it for this"
                time.sleep(5)
            attempts = operator.metric("fairlead_watch_restarts_total", cause="refused") - tried
            kinds = operator.count("fairlead_watch_restarts_total", cause="refused")
            lab.start("apiserver")
            began = time.monotonic()
            with team.history() as history:
                team.apply(app("shop", replicas=21))
                eventually(lambda: len(history.new()) == 1, 120)
                made = time.monotonic() - began
                # The scheduler and the kubelets were without an API server as well, and come back in their own time.
                team.wait("jsonpath={.status.availableReplicas}=21", seconds=120)
                took = time.monotonic() - began
                return Outage(before, team.uids(), len(history.new()), history.lost(), attempts, kinds, made, took)


@pytest.mark.story.with_args(outage)
@pytest.mark.runs_last
def test_trust_36_three_minutes_without_an_api_server_harm_no_pod(told: Outage) -> None:
    figures.tell(
        f"36: an App's pod was made {told.made:.1f} s after {OUTAGE:.0f} s without an API server, and ready after {told.took:.1f} s; "
        f"of {told.kinds} kinds each tried {told.attempts / told.kinds:.0f} times to reach it"
    )
    assert told.before < told.after and not told.lost
    assert told.new == 1, "the one that was asked for"
    assert told.attempts < told.kinds * 15, "each ever more seldom, and every 30 s at last"
    assert told.made < 45
