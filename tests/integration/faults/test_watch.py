"""Watches that lie: silent, cut, too old, doubled, out of order, or fed from an older etcd member."""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

import pytest

from support import account, figures
from support.crds import app
from support.lab import Lab
from support.operator import Operator
from support.proxy import Answer, Fault, Proxy, Request
from support.team import JSON, Team, image
from support.waiting import eventually

GONE = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}'


class Mute(Fault):
    """Streams that are open say nothing more; those opened later are well."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    async def before(self, request: Request) -> Answer | None:
        self._known.add(id(request))
        return None

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        return lines if id(request) in self._known else []


class Expired(Fault):
    """Each stream of pods ends with a 410, once, and what happened before is not told."""

    def __init__(self) -> None:
        self.told = 0

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        if request.kind == "pods" and not self.told:
            self.told += 1
            return [GONE]
        return lines


class Cut(Fault):
    """Every stream ends with its first lines, of which half are lost; the operator has to come back for them."""

    def __init__(self) -> None:
        self.cuts = 0

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        if self.cuts >= 40:
            return lines
        self.cuts += 1
        return None


class Shuffle(Fault):
    """Lines come twice, and those that come together in any order."""

    def __init__(self) -> None:
        self._random = random.Random(4)

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        lines = [*lines, *lines]
        self._random.shuffle(lines)
        return lines


class OldMember(Fault):
    """Pods are listed as they were at some time, and their streams end: an etcd member, or a cache, that is behind."""

    def __init__(self) -> None:
        self.then: bytes = b""
        self.behind = False
        self.served = 0

    async def after(self, request: Request, answer: Answer) -> Answer | None:
        if request.method != "GET" or request.kind != "pods" or not request.path.endswith("/pods"):
            return answer
        if not self.then and not self.behind:
            self.then = answer.body
        if self.behind and "labelSelector" not in request.query and not self.served:
            self.served += 1
            return Answer(200, self.then)
        return answer

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        return [GONE] if self.behind and not self.served and request.kind == "pods" else lines


class Held(Fault):
    """What is said of Apps comes later, all at once."""

    def __init__(self) -> None:
        self.released = False
        self._held: list[bytes] = []

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        if request.kind != "apps":
            return lines
        self._held += lines
        if not self.released:
            return []
        held, self._held = self._held, []
        return held


def test_trust_31_a_watch_that_is_too_old_is_begun_anew_and_what_was_missed_is_found(
    team: Team, operator: Operator, proxy: Proxy
) -> None:
    team.run(replicas=4)
    victim = team.pods()[0]["metadata"]
    with team.history() as history, proxy.suffers(Expired()):
        relists = operator.metric("fairlead_relists_total", kind="Pod")
        began = time.monotonic()
        team.kubectl("delete", "pod", victim["name"], "--grace-period=0", "--force")
        eventually(lambda: len(team.pods()) == 4)
        team.wait("jsonpath={.status.availableReplicas}=4")
        took = time.monotonic() - began
    figures.tell(f"31: a pod that went unseen before a 410 was replaced in {took:.1f} s")
    assert operator.metric("fairlead_relists_total", kind="Pod") > relists
    assert operator.metric("fairlead_watch_restarts_total", kind="Pod", cause="gone") == 1
    assert len(history.new()) == 1 and history.lost() == {victim["uid"]}
    assert took < 20


def test_trust_33_a_list_from_the_past_leads_to_nothing(team: Team, proxy: Proxy, tmp_path: Path) -> None:
    """As it was before the App had any pods: believed, it would make them all a second time."""
    past = OldMember()
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", account.token(team.lab))
    with proxy.suffers(past), Operator(team.lab, team.name, kubeconfig=kubeconfig, namespaces=team.name) as operator:
        team.run(replicas=6)
        past.behind = True
        with team.history() as history:
            writes = len(proxy.writes(kind="pods"))
            began = time.monotonic()
            team.kubectl("annotate", "pod", team.pods()[0]["metadata"]["name"], "turn=1")
            eventually(lambda: past.served == 1)
            team.patch({"replicas": 7})
            team.wait("jsonpath={.status.availableReplicas}=7")
            took = time.monotonic() - began
            assert operator.metric("fairlead_resource_version_regressions_total", kind="Pod") == 1
        figures.tell(f"33: right again {took:.1f} s after a list from the past")
        assert not history.lost()
        assert len(history.new()) == 1, "the one that was asked for"
        assert len(proxy.writes(kind="pods")) == writes + 1
    assert took < 20


@pytest.mark.parametrize("fault", [Cut, Shuffle])
def test_trust_34_events_missed_doubled_or_in_another_order_end_the_same(
    team: Team, operator: Operator, proxy: Proxy, fault: type[Fault]
) -> None:
    team.run(replicas=6)
    with team.history() as history, proxy.suffers(fault()):
        began = time.monotonic()
        team.patch({"template": image("2"), "replicas": 8})
        team.wait("jsonpath={.status.updatedReplicas}=8", seconds=90)
        team.wait("condition=Ready")
        took = time.monotonic() - began
    figures.tell(f"34: 8 pods rolled in {took:.1f} s with watches that suffer {fault.__name__.lower()}")
    assert len(history.new()) == 8, "all of the new, and none of the old for the scale"
    assert len(team.pods()) == 8
    assert history.fewest_ready >= 5
    assert took < 60


def test_trust_51_an_app_made_anew_within_one_batch_gets_pods_of_its_own(
    team: Team, operator: Operator, proxy: Proxy
) -> None:
    """Deletion and creation arrive together: the pods of the first belong to nobody by then."""
    team.run(replicas=3)
    before = team.uids()
    hold = Held()
    began = time.monotonic()
    with proxy.suffers(hold):
        team.kubectl("delete", "fapp", "shop", "--cascade=orphan")
        stranger = team.pods()[0]["metadata"]
        team.kubectl("label", "pods", "--all", "fairlead.dev/app-")  # nobody's pods in earnest
        team.apply(app("shop", replicas=3))
        hold.released = True
        team.kubectl("annotate", "fapp/shop", "turn=1")
    team.wait("condition=Ready")
    eventually(lambda: len(team.pods()) == 3)
    took = time.monotonic() - began
    figures.tell(f"51: an App made anew within one batch was ready in {took:.1f} s")
    assert not before & team.uids()
    assert stranger["uid"] in {pod["metadata"]["uid"] for pod in team.get("pods")["items"]}, "let alone"
    assert took < 30


def test_a_watch_that_the_server_closes_because_nobody_reads_it_is_taken_up_again(
    team: Team, operator: Operator
) -> None:
    """The operator is stopped while others change a great deal: the API server gives up on its stream of pods."""
    team.run(replicas=3)
    victim = team.pods()[0]["metadata"]
    ends = operator.metric("fairlead_watch_restarts_total", kind="Pod")
    team.lab.apply(*(bulky(f"bulk-{number}", team.name) for number in range(16)))
    with team.history() as history:
        operator.signal(signal.SIGSTOP)
        for turn in range(10):
            team.kubectl("annotate", "pods", "--all", f"turn={turn}", "--overwrite")
        team.kubectl("delete", "pod", victim["name"], "--grace-period=0", "--force")
        eventually(lambda: terminated_watchers(team.lab) > 0)
        operator.signal(signal.SIGCONT)
        began = time.monotonic()
        eventually(lambda: len(team.pods()) == 3)
        team.wait("jsonpath={.status.availableReplicas}=3")
        took = time.monotonic() - began
    figures.tell(f"what happened after a stream was closed for slowness was put right in {took:.1f} s")
    assert operator.metric("fairlead_watch_restarts_total", kind="Pod") > ends
    assert len(history.new()) == 1 and history.lost() == {victim["uid"]}
    assert took < 20


def bulky(name: str, namespace: str) -> JSON:
    """A pod of 250 KB that is nobody's."""
    meta = {"name": name, "namespace": namespace, "annotations": {"bulk": "x" * 250_000}}
    spec = {"containers": [{"name": "main", "image": "other:1"}], "schedulerName": "nobody"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def terminated_watchers(lab: Lab) -> float:
    """How many streams of pods the API server closed because they were not read."""
    page = lab.kubectl("get", "--raw", "/metrics")
    counts = re.findall(r'^apiserver_terminated_watchers_total\{.*resource="pods"\} (\S+)$', page, re.MULTILINE)
    return sum(map(float, counts))


def silence(plane: Lab, folder: Path) -> tuple[float, bool, set[str], set[str], int]:
    """Streams that are open and dead. Seconds until a lost pod was replaced, readiness all the while, uids."""
    plane.kubectl("create", "namespace", "silence")
    team = Team(plane, "silence")
    with Proxy(plane) as proxy:
        kubeconfig = proxy.kubeconfig(folder / "kubeconfig", account.token(plane))
        with Operator(plane, team.name, kubeconfig=kubeconfig, namespaces=team.name) as operator:
            team.run(replicas=4)
            with team.history() as history, proxy.suffers(Mute()):
                ready = True

                def replaced() -> bool:
                    nonlocal ready
                    ready = ready and operator.ready() and operator.healthy()
                    return len(team.pods()) == 4

                victim = team.pods()[0]["metadata"]
                began = time.monotonic()
                team.kubectl("delete", "pod", victim["name"], "--grace-period=0", "--force")
                eventually(replaced, 120)
                took = time.monotonic() - began
            silent = operator.metric("fairlead_watch_restarts_total", kind="Pod", cause="silent")
            assert silent == 1
            return took, ready, {victim["uid"]}, history.lost(), len(history.new())


@pytest.mark.story.with_args(silence)
@pytest.mark.runs_last
def test_trust_32_a_watch_that_is_dead_without_saying_so_is_noticed(
    told: tuple[float, bool, set[str], set[str], int],
) -> None:
    took, ready, victim, lost, new = told
    figures.tell(f"32: what a dead watch hid was put right after {took:.0f} s")
    assert ready, "nobody restarts an operator for this"
    assert (lost, new) == (victim, 1)
    assert took < 90
