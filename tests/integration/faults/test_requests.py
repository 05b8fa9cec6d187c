"""Single requests that go wrong: refused for a conflict, carried out without an answer, all of them refused for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from substrate.api import Api
from support import account, figures
from support.lab import Lab
from support.operator import Operator
from support.proxy import Answer, Fault, Proxy, Request, Unavailable
from support.team import UNHURRIED, Team, image
from support.waiting import eventually
from support.watch import PodHistory


class Rival(Fault):
    """Somebody else changes the App right before each of our first status writes: they were made for an older one."""

    def __init__(self, team: Team, turns: int) -> None:
        self._team = team
        self._turns = iter(range(1, turns + 1))

    async def before(self, request: Request) -> Answer | None:
        if request.method == "PATCH" and request.path.endswith("/apps/shop/status"):
            turn = next(self._turns, None)
            if turn is not None:
                await asyncio.to_thread(self._team.kubectl, "annotate", "fapp/shop", f"turn={turn}", "--overwrite")
        return None


class LostAnswers(Fault):
    """The first so many pod creates are carried out, and nobody hears of it."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def after(self, request: Request, answer: Answer) -> Answer | None:
        if self.left and answer.status == 201 and request.kind == "pods":
            self.left -= 1
            return None
        return answer


def test_trust_29_a_conflict_is_read_again_and_overwrites_nothing(team: Team, operator: Operator, proxy: Proxy) -> None:
    team.run(replicas=6)
    rival = Rival(team, 5)
    with team.history() as history, proxy.suffers(rival):
        began = time.monotonic()
        team.patch({"template": image("2")})
        team.wait("jsonpath={.status.revision}=2")
        team.wait("condition=Ready")
        took = time.monotonic() - began
    conflicts = [one for one in proxy.writes("PATCH", "apps") if one.code == 409]
    figures.tell(f"29: 6 pods rolled in {took:.1f} s with {len(conflicts)} conflicts")
    assert len(conflicts) == 5
    assert team.shop()["metadata"]["annotations"]["turn"] == "5", "what the other wrote stands"
    assert len(history.new()) == 6 and history.fewest_ready >= 5
    assert took < 30


def test_trust_30_creates_without_an_answer_make_no_second_pod(team: Team, operator: Operator, proxy: Proxy) -> None:
    lost = LostAnswers(8)
    began = time.monotonic()
    with proxy.suffers(lost):
        team.run(replicas=12)
    took = time.monotonic() - began
    figures.tell(f"30: 12 pods were ready in {took:.1f} s though 8 answers were lost")
    assert lost.left == 0
    again = [one for one in proxy.writes("POST", "pods") if one.code == 409]
    assert again, "it asked again under the same name, and heard that it is there"
    created = [one for one in proxy.writes("POST", "pods") if one.code == 201]
    assert len(created) + 8 == 12
    assert len(team.pods()) == 12
    assert took < 30


def test_trust_35_a_roll_goes_on_after_a_time_in_which_everything_is_refused(
    team: Team, operator: Operator, proxy: Proxy
) -> None:
    def all_refused() -> None:
        with proxy.suffers(Unavailable()):
            before = len(proxy.requests)
            team.kubectl("annotate", "pods", "--all", "storm=yes")  # a line for each stream
            eventually(lambda: len(proxy.requests) > before + 40, 90)
            assert operator.healthy() and operator.ready()

    history, took = rolled_through(all_refused, team, proxy)
    figures.tell(f"35: a roll was at its end {took:.1f} s after 40 requests were refused with 503")
    assert len(history.new()) == 8 and history.fewest_ready >= 8
    assert took < 60


def test_trust_35_a_storm_of_429_by_priority_and_fairness_is_sat_out(
    team: Team, operator: Operator, proxy: Proxy
) -> None:
    """The API server itself lets next to nothing of the operator through, and says when to come again."""

    def refused() -> int:
        return sum(one.code == 429 for one in list(proxy.requests))

    def storm() -> None:
        with crowded(team.lab):
            eventually(lambda: refused() >= 10)

    history, took = rolled_through(storm, team, proxy)
    figures.tell(f"35: a roll was at its end {took:.1f} s after {refused()} answers of 429")
    assert len(history.new()) == 8 and history.fewest_ready >= 8
    assert not team.shop()["status"].get("problems"), "a busy server has refused nothing"
    assert took < 60


def rolled_through(trouble: Callable[[], None], team: Team, proxy: Proxy) -> tuple[PodHistory, float]:
    """A roll of eight pods with trouble in its middle: its pods, and how long it took from the end of the trouble."""
    team.run(**UNHURRIED)
    with team.history() as history:
        team.patch({"template": image("2")})
        eventually(lambda: bool(proxy.writes("DELETE", "pods")))
        trouble()
        began = time.monotonic()
        team.wait("jsonpath={.status.updatedReplicas}=8")
        team.wait("condition=Ready")
        return history, time.monotonic() - began


@contextmanager
def crowded(lab: Lab) -> Iterator[None]:
    """By a priority level of one seat, and six clients of the same account that never leave it alone."""
    limited = {
        "nominalConcurrencyShares": 0,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Reject"},
    }
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    who = {"kind": "ServiceAccount", "serviceAccount": {"name": account.NAME, "namespace": account.NAMESPACE}}
    version = "flowcontrol.apiserver.k8s.io/v1"
    level = {"type": "Limited", "limited": limited}
    schema = {
        "priorityLevelConfiguration": {"name": "no-seat"},
        "matchingPrecedence": 2,
        "rules": [{"subjects": [who], "resourceRules": [everything]}],
    }
    lab.apply(
        {"apiVersion": version, "kind": "PriorityLevelConfiguration", "metadata": {"name": "no-seat"}, "spec": level},
        {"apiVersion": version, "kind": "FlowSchema", "metadata": {"name": "no-seat"}, "spec": schema},
    )
    over = threading.Event()
    token = account.token(lab)

    def ask() -> None:
        api = Api(lab.url, token, lab.ca)
        while not over.is_set():
            api.request("GET", "/api/v1/pods")
        api.close()

    crowd = [threading.Thread(target=ask) for _ in range(6)]
    for one in crowd:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in crowd:
            one.join()
        lab.kubectl("delete", "flowschema,prioritylevelconfiguration", "no-seat")
