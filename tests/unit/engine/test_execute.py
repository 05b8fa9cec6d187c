"""Plans are carried out in order, within budgets; what is refused is kept for the next plan; nothing is made twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Action, Adopt, Apply, Create, Delete, Patch, Release, Try
from fairlead.core.children import child_manifest
from fairlead.core.meta import API_VERSION, JSON, LABEL_APP, owner_reference
from fairlead.core.podstate import project_pod
from fairlead.engine.controller import Source
from fairlead.engine.execute import Executor
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.failures import Failures
from fairlead.engine.job import Job, Outcome
from fairlead.engine.limiter import Lanes
from fairlead.engine.perform import Performer
from fairlead.engine.requests import Requests
from fairlead.engine.settings import EngineSettings
from fairlead.engine.store import Store
from fairlead.kube.errors import ApiError, Forbidden, Invalid, NotFound, Unavailable, Unreachable
from fairlead.kube.fake import FakeClient, FakeCluster, Faults, Origin, Stored, Write
from fairlead.kube.resources import APPS, NAMESPACES, PODS, REVISIONS, SERVICES, Resource
from fairlead.metrics.collect import Metrics
from support.rig import KEY, NAMESPACE, clock, new_cluster, pod_body, project

pytestmark = pytest.mark.looptime


class Trouble(Faults):
    """What befalls writes, in the order they come; None: nothing."""

    def __init__(self) -> None:
        self.befores: Callable[[Write], ApiError | None] = lambda write: None
        self.afters: Callable[[Write], ApiError | None] = lambda write: None
        self.in_flight: list[str] = []

    def before(self, write: Write) -> None:
        if error := self.befores(write):
            raise error

    def after(self, write: Write) -> None:
        if error := self.afters(write):
            raise error


class Bench:
    """An executor with its books, on a cluster with one App."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.cluster: FakeCluster = new_cluster()
        self.trouble = Trouble()
        self.client = FakeClient(self.cluster, faults=self.trouble)
        body = {"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
        self.app = project(self.cluster.create(APPS, NAMESPACE, body).data)
        self.store = Store()
        for source in (
            Source(PODS, project_pod, keys=lambda pod: []),
            Source(REVISIONS, project, keys=lambda thing: []),
            Source(SERVICES, project, keys=lambda thing: []),
        ):
            table = self.store.open(source)
            table.open_scope("")
            table.listener = partial(self._changed, table.kind)
        settings, metrics, rng = EngineSettings(), Metrics(), random.Random(1)
        lanes = Lanes((8, 64), (8, 64), (8, 32), 0.2, metrics)
        self.may_write = True
        requests = Requests(lanes, settings, rng, metrics, lambda: self.may_write)
        self.expectations = Expectations(300, loop.time)
        self.own_writes = OwnWrites(30, loop.time)
        self.failures = Failures((1, 300), clock=clock, monotonic=loop.time, rng=rng)
        performer = Performer(self.client, self.store.tables, requests, self.expectations, self.own_writes)
        self.executor = Executor(performer, requests.lanes, self.failures)
        self.interrupted: Callable[[], bool] = lambda: False

    def _changed(self, kind: str, old: Any, new: Any) -> None:
        self.expectations.saw(kind, old, new)

    async def run(self, *actions: Action, generation: int = 1) -> Outcome:
        job = Job(KEY, "App", self.app.uid, generation, actions, lambda: self.interrupted())
        return await self.executor.run(job)

    def create(self, name: str, alike: str = "") -> Create:
        body = msgspec.json.encode(pod_body(self.app, name))
        return Create("Pod", NAMESPACE, name, body, self.app.uid, alike=alike)

    def creates(self, count: int, alike: str = "") -> list[Create]:
        return [self.create(f"web-{number:04}", alike) for number in range(count)]

    def existing(self, name: str, *, owned: bool = True, known: bool = True, **meta: Any) -> JSON:
        body = pod_body(self.app, name)
        if not owned:
            del body["metadata"]["ownerReferences"]
        body["metadata"].update(meta)
        made = self.cluster.create(PODS, NAMESPACE, body)
        if known:
            self.store.tables["Pod"].learn(made.data)
        return made.meta

    def pods(self) -> list[str]:
        return [stored.meta["name"] for stored in self.cluster.all(PODS, NAMESPACE)]

    def asked(self) -> list[str]:
        return [f"{write.verb} {write.resource.kind} {write.name}" for write in self.client.writes]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def quota(write: Write) -> ApiError | None:
    if write.verb == "create" and write.resource is PODS:
        return Forbidden(403, "Forbidden", "exceeded quota: pods=5")
    return None


# -------------------------------------------------------------------- creating


async def test_pods_are_made_and_awaited(bench: Bench) -> None:
    outcome = await bench.run(*bench.creates(100))
    assert outcome == Outcome(succeeded=100)
    assert len(bench.pods()) == 100
    assert bench.expectations.wait(KEY) is not None


async def test_an_exhausted_quota_costs_one_request(bench: Bench) -> None:
    bench.trouble.befores = quota
    outcome = await bench.run(*bench.creates(100))
    assert outcome.refused
    assert len(bench.client.writes) == 1
    (failure,) = bench.failures.of(KEY)
    assert (failure.verb, failure.kind, failure.code, failure.reason) == ("create", "Pod", 403, "Forbidden")
    assert failure.message == "exceeded quota: pods=5"
    assert bench.expectations.wait(KEY) is None


async def test_a_refused_revision_holds_up_no_pod_of_another(bench: Bench) -> None:
    """What comes to mend a template that is refused would wait behind it for ever."""
    invalid = Invalid(422, "Invalid", "spec.affinity: Required value")
    bench.trouble.befores = lambda write: invalid if write.name.startswith("old") else None
    bad = [bench.create(f"old-{at}", "v1") for at in range(3)]
    outcome = await bench.run(*bad, bench.create("new-0", "v2"))
    assert (outcome.refused, bench.pods()) == (True, ["new-0"])
    assert bench.asked() == ["create Pod old-0", "create Pod new-0"]
    (failure,) = bench.failures.of(KEY)
    assert (failure.name, failure.alike) == ("old-0", "v1")
    await bench.run(*bad, bench.create("new-1", "v2"))
    assert bench.asked()[2:] == ["create Pod new-1"], "the others' pause is not over"


def leaving(meta: JSON, room_for: str = "") -> Delete:
    return Delete("Pod", NAMESPACE, meta["name"], meta["uid"], room_for=room_for)


async def test_a_pod_named_behind_a_deletion_takes_the_place_of_one_that_went(bench: Bench) -> None:
    old = [bench.existing(name) for name in ("old-1", "old-2")]
    early, *late = bench.creates(3)
    most = 0

    def count(write: Write) -> None:
        nonlocal most
        most = max(most, len(bench.pods()))

    bench.trouble.afters = count
    await bench.run(early, *map(leaving, old), *late)
    assert bench.pods() == ["web-0000", "web-0001", "web-0002"]
    assert most == 3, "never more than there were, and the one there was room for"


async def test_a_finished_pod_that_is_swept_away_makes_no_room(bench: Bench) -> None:
    old, finished = bench.existing("old-1"), bench.existing("finished-1")
    early, late, later = bench.creates(3)
    stays = Forbidden(403, "Forbidden", "protected by a policy")
    bench.trouble.befores = lambda write: stays if write.name == "old-1" else None
    await bench.run(early, leaving(old), late, later, leaving(finished))
    assert bench.pods() == ["old-1", "web-0000"], "what finished was counted for nothing before it went"


async def test_a_pod_that_cannot_be_deleted_is_not_replaced(bench: Bench) -> None:
    old = [bench.existing(name) for name in ("old-1", "old-2")]
    stays = Forbidden(403, "Forbidden", "protected by a policy")
    bench.trouble.befores = lambda write: stays if write.name == "old-1" else None
    outcome = await bench.run(*map(leaving, old), *bench.creates(2))
    assert outcome.refused
    assert len(bench.pods()) == 2


async def test_a_quota_met_on_the_way_stops_the_burst_within_what_is_under_way(bench: Bench) -> None:
    bench.trouble.befores = lambda write: quota(write) if len(bench.pods()) >= 20 else None
    outcome = await bench.run(*bench.creates(100))
    assert outcome.refused
    assert len(bench.pods()) == 20
    assert len(bench.client.writes) <= 20 + 21
    (failure,) = bench.failures.of(KEY)
    assert failure.count == 1, "several at once are one refusal"


async def test_a_refused_create_is_not_sent_again_before_its_pause_is_over(bench: Bench) -> None:
    bench.trouble.befores = quota
    await bench.run(*bench.creates(5))
    assert await bench.run(*bench.creates(5)) == Outcome()
    assert len(bench.client.writes) == 1
    await asyncio.sleep(1)
    await bench.run(*bench.creates(5))
    assert len(bench.client.writes) == 2
    await bench.run(*bench.creates(5), generation=2)
    assert len(bench.client.writes) == 3, "a new spec is tried at once"


async def test_a_create_whose_answer_was_lost_is_not_made_twice(bench: Bench) -> None:
    lost = iter([Unreachable(0, "Timeout", "no answer")])
    bench.trouble.afters = lambda write: next(lost, None)
    outcome = await bench.run(*bench.creates(1))
    assert outcome == Outcome(succeeded=1)
    assert bench.pods() == ["web-0000"]
    assert bench.asked() == ["create Pod web-0000"] * 2
    assert bench.expectations.wait(KEY) is None, "the live read showed it"


async def test_a_server_in_trouble_is_asked_again_with_the_same_name(bench: Bench) -> None:
    bad = iter([Unavailable(500, "InternalError", "etcdserver: leader changed")] * 2)
    bench.trouble.befores = lambda write: next(bad, None)
    assert (await bench.run(*bench.creates(1))).succeeded == 1
    assert bench.asked() == ["create Pod web-0000"] * 3


async def test_a_webhook_that_stays_down_is_a_refusal_the_status_can_name(bench: Bench) -> None:
    bench.trouble.befores = lambda write: Unavailable(500, "InternalError", 'failed calling webhook "x.example"')
    assert (await bench.run(*bench.creates(3))).refused
    (failure,) = bench.failures.of(KEY)
    assert "failed calling webhook" in failure.message


async def test_a_server_that_cannot_be_reached_is_no_refusal(bench: Bench) -> None:
    bench.trouble.befores = lambda write: Unreachable(0, "Unreachable", "connection refused")
    outcome = await bench.run(*bench.creates(3))
    assert (outcome.conflict, outcome.refused) == (True, False)
    assert bench.failures.of(KEY) == ()


async def test_a_name_taken_by_another_owner_is_a_refusal(bench: Bench) -> None:
    other = [owner_reference("App", "other", "another-uid")]
    bench.existing("web-0000", known=False, ownerReferences=other)
    outcome = await bench.run(bench.create("web-0000"), bench.create("web-0001"))
    assert outcome.refused
    (failure,) = bench.failures.of(KEY)
    assert (failure.reason, failure.name) == ("NameTaken", "web-0000")
    assert failure.message == 'Pod "web-0000" exists and is controlled by App "other"'
    assert (await bench.run(bench.create("web-0002"))).succeeded == 1, "another name may be tried at once"


async def test_a_name_whose_last_bearer_is_still_going_is_tried_again(bench: Bench) -> None:
    bench.existing("web-0000", finalizers=["example.com/hold"])
    bench.cluster.delete(PODS, NAMESPACE, "web-0000")
    outcome = await bench.run(bench.create("web-0000"))
    assert (outcome.conflict, outcome.refused, outcome.succeeded) == (True, False, 0)
    assert bench.expectations.wait(KEY) is None


async def test_a_terminating_namespace_is_told_by_its_name(bench: Bench) -> None:
    bench.cluster.edit(NAMESPACES, None, NAMESPACE, lambda ns: ns["metadata"].update(finalizers=["x/y"]))
    bench.cluster.delete(NAMESPACES, None, NAMESPACE)
    await bench.run(*bench.creates(5))
    (failure,) = bench.failures.of(KEY)
    assert failure.reason == "NamespaceTerminating"


async def test_an_invalid_pod_is_refused_with_the_servers_words(bench: Bench) -> None:
    bench.trouble.befores = lambda write: Invalid(422, "Invalid", "spec.containers[0].image: Required value")
    await bench.run(*bench.creates(5))
    assert len(bench.client.writes) == 1
    assert bench.failures.of(KEY)[0].reason == "Invalid"


async def test_success_clears_the_refusal(bench: Bench) -> None:
    bench.trouble.befores = quota
    await bench.run(*bench.creates(1))
    bench.trouble.befores = lambda write: None
    await asyncio.sleep(1)
    await bench.run(*bench.creates(1))
    assert bench.failures.of(KEY) == ()


async def test_a_burst_ends_when_the_spec_has_moved_on(bench: Bench) -> None:
    bench.interrupted = lambda: len(bench.pods()) >= 10
    outcome = await bench.run(*bench.creates(500))
    assert outcome.unfinished
    assert 10 <= len(bench.pods()) < 50


async def test_nothing_is_written_without_leadership(bench: Bench) -> None:
    bench.may_write = False
    outcome = await bench.run(*bench.creates(5))
    assert outcome.unfinished
    assert bench.client.writes == []
    assert bench.expectations.wait(KEY) is None


# -------------------------------------------------------------------- order


def revision(bench: Bench, name: str = "web-r1") -> Create:
    body = {
        "apiVersion": API_VERSION,
        "kind": "Revision",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {LABEL_APP: "web"},
            "ownerReferences": [owner_reference("App", "web", bench.app.uid)],
        },
        "spec": {"app": "web", "number": 1, "templateHash": "r1", "template": {}, "images": []},
    }
    return Create("Revision", NAMESPACE, name, msgspec.json.encode(body), bench.app.uid, alike="r1")


async def test_the_revision_comes_before_its_pods(bench: Bench) -> None:
    await bench.run(*bench.creates(2), revision(bench))
    assert bench.asked()[0] == "create Revision web-r1"
    assert len(bench.pods()) == 2


async def test_without_its_revision_no_pod_is_made(bench: Bench) -> None:
    bench.trouble.befores = lambda write: Invalid(422, "Invalid", "no") if write.resource is REVISIONS else None
    gone, finished = bench.existing("web-old"), bench.existing("web-finished")
    outcome = await bench.run(revision(bench), *bench.creates(2, "r1"), leaving(gone, room_for="r1"), leaving(finished))
    assert outcome.refused
    assert bench.pods() == ["web-old"], "nor is an old one taken away for it"
    assert await bench.run(revision(bench), *bench.creates(2, "r1")) == Outcome(), "nor while the revision is held back"
    assert bench.pods() == ["web-old"]


async def test_pods_of_another_revision_are_made_while_one_is_refused(bench: Bench) -> None:
    bench.trouble.befores = lambda write: Invalid(422, "Invalid", "no") if write.resource is REVISIONS else None
    surplus = bench.existing("old-1")
    lost, new = bench.create("old-0", "r0"), bench.create("new-0", "r1")
    for _ in range(2):  # refused, and held back after that
        await bench.run(revision(bench), lost, leaving(surplus, room_for="r0"), new)
        assert bench.pods() == ["old-0"]


async def test_what_all_pods_need_holds_all_of_them_back(bench: Bench) -> None:
    bench.trouble.befores = lambda write: Invalid(422, "Invalid", "no") if write.resource is REVISIONS else None
    everything = msgspec.structs.replace(revision(bench), alike="")
    await bench.run(everything, bench.create("old-0", "r0"), bench.create("new-0", "r1"))
    assert bench.pods() == []


async def test_what_a_revision_is_to_make_is_not_tried_while_it_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.trouble.befores = lambda write: Invalid(422, "Invalid", "no") if write.resource is REVISIONS else None
    asked: list[str] = []

    def hear() -> None:
        asked.append("a dry run")

    judge_dry_runs(bench, monkeypatch, hear)
    old, new = bench.existing("old-0"), bench.create("new-0", "r1")
    tried = Try("Pod", NAMESPACE, new.name, new.body, "r1")
    for _ in range(2):  # refused, and held back after that
        await bench.run(revision(bench), tried, leaving(old, room_for="r1"), new)
    assert asked == [] and bench.pods() == ["old-0"]
    bench.trouble.befores = lambda write: None
    await asyncio.sleep(bench.failures.wait(KEY) or 0.0)
    await bench.run(revision(bench), tried, leaving(old, room_for="r1"), new)
    assert asked == ["a dry run"] and bench.pods() == ["new-0"]


async def test_a_revision_that_is_there_already_is_ours(bench: Bench) -> None:
    await bench.run(revision(bench))
    assert (await bench.run(revision(bench), *bench.creates(1))).succeeded == 2


# -------------------------------------------------------------------- deleting


async def test_deletes_are_awaited_by_uid(bench: Bench) -> None:
    metas = [bench.existing(f"web-{number}") for number in range(30)]
    outcome = await bench.run(*(Delete("Pod", NAMESPACE, meta["name"], meta["uid"]) for meta in metas))
    assert outcome.succeeded == 30
    assert bench.pods() == []
    assert bench.expectations.wait(KEY) is not None


async def test_what_is_gone_already_leaves_the_store(bench: Bench) -> None:
    meta = bench.existing("web-0")
    bench.cluster.remove(PODS, NAMESPACE, "web-0")
    outcome = await bench.run(Delete("Pod", NAMESPACE, "web-0", meta["uid"]))
    assert outcome.succeeded == 1
    assert bench.store.get("Pod", NAMESPACE, "web-0") is None
    assert bench.expectations.wait(KEY) is None


async def test_a_successor_of_the_same_name_is_not_deleted(bench: Bench) -> None:
    meta = bench.existing("web-0")
    bench.cluster.remove(PODS, NAMESPACE, "web-0")
    bench.existing("web-0", known=False)
    outcome = await bench.run(Delete("Pod", NAMESPACE, "web-0", meta["uid"]))
    assert outcome.conflict
    assert bench.pods() == ["web-0"]
    assert bench.expectations.wait(KEY) is None


async def test_a_forbidden_delete_is_kept_and_others_go_on(bench: Bench) -> None:
    service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = bench.cluster.create(SERVICES, NAMESPACE, service)
    bench.trouble.befores = lambda write: (
        Forbidden(403, "Forbidden", "services is forbidden") if write.resource is SERVICES else None
    )
    pod = bench.existing("web-0")
    outcome = await bench.run(
        Delete("Service", NAMESPACE, "web", made.meta["uid"]), Delete("Pod", NAMESPACE, "web-0", pod["uid"])
    )
    assert (outcome.refused, outcome.succeeded) == (True, 1)
    assert [(failure.verb, failure.kind) for failure in bench.failures.of(KEY)] == [("delete", "Service")]


# -------------------------------------------------------------------- applying and patching


def service(bench: Bench, port: int = 80) -> Apply:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": NAMESPACE,
            "ownerReferences": [owner_reference("App", "web", bench.app.uid)],
        },
        "spec": {"ports": [{"port": port}]},
    }
    return Apply("Service", NAMESPACE, "web", msgspec.json.encode(body), bench.app.uid)


async def test_a_service_is_applied_and_waited_for(bench: Bench) -> None:
    assert (await bench.run(service(bench))).succeeded == 1
    assert bench.own_writes.wait(KEY, bench.store.tables) is not None
    bench.store.tables["Service"].advance("", bench.cluster.rv)
    assert bench.own_writes.wait(KEY, bench.store.tables) is None
    assert (await bench.run(service(bench, 81))).succeeded == 1, "it is ours, as a live read finds"
    assert bench.cluster.get(SERVICES, NAMESPACE, "web").object["spec"]["ports"][0]["port"] == 81


async def test_a_service_that_is_refused_again_and_again_is_told_with_the_servers_words(bench: Bench) -> None:
    """And not that another keeps changing it, or deletes it as often as it is made: nothing of it has ever stood there."""
    bad = Invalid(422, "Invalid", "loadBalancerSourceRanges[0]: must be a valid CIDR value")
    bench.trouble.befores = lambda write: bad
    for _ in range(8):
        assert (await bench.run(service(bench))).refused
        (failure,) = bench.failures.of(KEY)
        assert (failure.reason, failure.message) == (
            "Invalid",
            "loadBalancerSourceRanges[0]: must be a valid CIDR value",
        )
        await asyncio.sleep(bench.failures.wait(KEY) or 0.0)
    bench.trouble.befores = lambda write: None
    assert (await bench.run(service(bench))).succeeded == 1


REFUSALS: dict[str, tuple[ApiError | None, bool]] = {
    "it would be taken": (None, True),
    "it is wrong": (Invalid(422, "Invalid", "spec.clusterIP: provided IP is already allocated"), False),
    "a policy forbids it": (Forbidden(403, "Forbidden", "no Service of type LoadBalancer here"), False),
    "its place is still taken": (Forbidden(403, "Forbidden", "exceeded quota: services"), True),
    "a webhook knows no dry run": (Invalid(400, "BadRequest", "admission webhook does not support dry run"), True),
    "the server is in trouble": (Unreachable(0, "Unreachable", "connection refused"), False),
}


def judge_dry_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Callable[[], ApiError | None]) -> None:
    """What the API server says to a create that is only tried; the in-memory one lets no fault meet it, since it writes nothing."""
    create = bench.client.create

    async def judged(*place: Any, dry_run: bool = False, **more: Any) -> bytes:
        if dry_run and (no := error()):
            raise no
        return await create(*place, dry_run=dry_run, **more)

    monkeypatch.setattr(bench.client, "create", judged)


@pytest.mark.parametrize("case", REFUSALS)
async def test_what_stands_is_deleted_only_for_a_successor_that_would_be_taken(
    bench: Bench, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, goes = REFUSALS[case]
    judge_dry_runs(bench, monkeypatch, lambda: error)
    stands = bench.cluster.create(SERVICES, NAMESPACE, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    other = bench.cluster.create(
        SERVICES, NAMESPACE, {"metadata": {"name": "web-v1"}, "spec": {"ports": [{"port": 80}]}}
    )
    successor = msgspec.json.encode({"metadata": {"generateName": "web-"}, "spec": {"clusterIP": "None"}})
    await bench.run(
        Try("Service", NAMESPACE, "web", successor),
        Delete("Service", NAMESPACE, "web", stands.meta["uid"], room_for="web"),
        Delete("Service", NAMESPACE, "web-v1", other.meta["uid"]),
    )
    assert [one.meta["name"] for one in bench.cluster.all(SERVICES, NAMESPACE)] == ([] if goes else ["web"])
    refused = isinstance(error, Invalid | Forbidden) and not goes
    assert [failure.message for failure in bench.failures.of(KEY)] == ([error.message] if error and refused else [])


async def test_no_pod_goes_for_one_that_would_be_refused_and_pods_of_others_still_come(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = True
    judge_dry_runs(bench, monkeypatch, lambda: Forbidden(403, "Forbidden", "violates PodSecurity") if refuses else None)
    old, finished = leaving(bench.existing("old-0"), room_for="v2"), leaving(bench.existing("old-done"))
    lost, new = bench.create("old-1", "v1"), bench.create("new-0", "v2")
    tried = Try("Pod", NAMESPACE, new.name, new.body, "v2")
    assert (await bench.run(lost, tried, old, new, finished)).refused
    assert bench.pods() == ["old-0", "old-1"], "and what has finished is swept away all the same"
    (failure,) = bench.failures.of(KEY)
    assert (failure.verb, failure.kind, failure.alike) == ("create", "Pod", "v2")
    assert not (await bench.run(tried, old, new)).refused, "it is not asked again before its pause is over"
    assert bench.pods() == ["old-0", "old-1"]
    refuses = False
    await asyncio.sleep(bench.failures.wait(KEY) or 0.0)
    await bench.run(tried, old, new)
    assert bench.pods() == ["new-0", "old-1"] and not bench.failures.of(KEY)


@pytest.mark.parametrize("owner", ["nobody", "another"])
@pytest.mark.parametrize("known", [True, False])
async def test_somebody_elses_service_is_left_alone(bench: Bench, owner: str, known: bool) -> None:
    meta: JSON = {"name": "web"}
    if owner == "another":
        meta["ownerReferences"] = [owner_reference("App", "other", "another-uid")]
    made = bench.cluster.create(SERVICES, NAMESPACE, {"metadata": meta, "spec": {"ports": [{"port": 1}]}})
    if known:
        bench.store.tables["Service"].learn(made.data)
    assert (await bench.run(service(bench))).refused
    assert bench.asked() == [], "nothing was written"
    (failure,) = bench.failures.of(KEY)
    assert failure.reason == "NotOwned"
    assert ('controlled by App "other"' in failure.message) == (owner == "another")


@pytest.mark.parametrize(("app", "taken"), [("web", True), ("other", False)])
async def test_a_service_that_was_orphaned_is_taken_back_by_the_app_of_that_name(
    bench: Bench, app: str, taken: bool
) -> None:
    meta = {"name": "web", "labels": {"fairlead.dev/app": app}, "annotations": {"fairlead.dev/applied": "bcdfg"}}
    bench.cluster.create(SERVICES, NAMESPACE, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
    outcome = await bench.run(service(bench))
    assert outcome.succeeded == taken, bench.failures.of(KEY)
    references = bench.cluster.get(SERVICES, NAMESPACE, "web").meta.get("ownerReferences") or []
    assert [reference["uid"] for reference in references] == ([bench.app.uid] if taken else [])


async def test_a_service_is_not_taken_back_by_an_app_that_is_leaving_it_behind(bench: Bench) -> None:
    """Its watch may tell that it has no owner any more before the App's tells why."""
    meta = {"name": "web", "labels": {"fairlead.dev/app": "web"}, "annotations": {"fairlead.dev/applied": "bcdfg"}}
    bench.cluster.create(SERVICES, NAMESPACE, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
    bench.cluster.edit(APPS, NAMESPACE, "web", lambda app: app["metadata"].update(finalizers=["orphan"]))
    bench.cluster.delete(APPS, NAMESPACE, "web")
    outcome = await bench.run(service(bench))
    assert (outcome.conflict, outcome.untaken, outcome.succeeded) == (True, True, 0)
    assert "ownerReferences" not in bench.cluster.get(SERVICES, NAMESPACE, "web").meta


async def test_an_orphaned_child_of_another_name_is_known_by_the_label_it_is_applied_with(bench: Bench) -> None:
    labels = {"fairlead.dev/app": "web"}
    meta = {"name": "web-preview", "labels": labels, "annotations": {"fairlead.dev/applied": "bcdfg"}}
    bench.cluster.create(SERVICES, NAMESPACE, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
    wanted = child_manifest(
        "v1", "Service", "web", NAMESPACE, bench.app.uid, {"ports": [{"port": 80}]}, {}, meta["name"]
    )
    action = Apply("Service", NAMESPACE, "web-preview", msgspec.json.encode(wanted), bench.app.uid)
    assert (await bench.run(action)).succeeded == 1, bench.failures.of(KEY)


async def test_a_patch_that_finds_the_object_changed_is_a_conflict(bench: Bench) -> None:
    meta = bench.existing("web-0")
    bench.cluster.edit(PODS, NAMESPACE, "web-0", lambda pod: pod["metadata"]["labels"].update(x="y"))
    body = msgspec.json.encode({"metadata": {"resourceVersion": meta["resourceVersion"], "labels": {"x": "z"}}})
    outcome = await bench.run(Patch("Pod", NAMESPACE, "web-0", body))
    assert (outcome.conflict, outcome.refused) == (True, False)


async def test_a_patch_that_finds_another_object_of_that_name_is_a_conflict(bench: Bench) -> None:
    bench.existing("web-0")
    body = msgspec.json.encode({"metadata": {"uid": "another-uid", "labels": {"x": "z"}}})
    outcome = await bench.run(Patch("Pod", NAMESPACE, "web-0", body))
    assert (outcome.conflict, outcome.refused) == (True, False)


async def test_a_server_that_cannot_be_asked_has_refused_nothing(bench: Bench) -> None:
    """A Service was called refused, and the App stalled, because one read met an API server that was restarting."""

    def down(verb: str, resource: Resource) -> None:
        raise Unavailable(503, "ServiceUnavailable", "apiserver is shutting down")

    bench.trouble.read = down  # type: ignore[method-assign]
    outcome = await bench.run(service(bench))
    assert (outcome.conflict, outcome.refused) == (True, False)
    assert bench.failures.of(KEY) == ()


# -------------------------------------------------------------------- adopting and releasing


def adopt(bench: Bench, meta: JSON, uid: str = "") -> Adopt:
    return Adopt("Pod", NAMESPACE, meta["name"], meta["uid"], "App", "web", uid or bench.app.uid)


def owners(bench: Bench, name: str) -> list[str]:
    references = bench.cluster.get(PODS, NAMESPACE, name).meta.get("ownerReferences") or []
    return [reference["uid"] for reference in references]


async def test_an_orphan_is_adopted_and_keeps_its_other_references(bench: Bench) -> None:
    other = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "node-uid"}
    meta = bench.existing("web-0", owned=False, ownerReferences=[other])
    assert (await bench.run(adopt(bench, meta))).succeeded == 1
    assert owners(bench, "web-0") == ["node-uid", bench.app.uid]


async def test_nothing_is_adopted_for_a_parent_that_is_going(bench: Bench) -> None:
    meta = bench.existing("web-0", owned=False)
    bench.cluster.edit(APPS, NAMESPACE, "web", lambda app: app["metadata"].update(finalizers=["x/y"]))
    bench.cluster.delete(APPS, NAMESPACE, "web")
    assert (await bench.run(adopt(bench, meta))).conflict
    assert owners(bench, "web-0") == []


async def test_nothing_is_adopted_for_a_parent_of_another_life(bench: Bench) -> None:
    meta = bench.existing("web-0", owned=False)
    assert (await bench.run(adopt(bench, meta, "an-older-uid"))).conflict
    assert owners(bench, "web-0") == []


async def test_what_another_has_adopted_first_is_left_alone(bench: Bench) -> None:
    meta = bench.existing("web-0", owned=False)
    theirs = [owner_reference("App", "other", "another-uid")]
    bench.cluster.edit(PODS, NAMESPACE, "web-0", lambda pod: pod["metadata"].update(ownerReferences=theirs))
    await bench.run(adopt(bench, meta))
    assert owners(bench, "web-0") == ["another-uid"]


async def test_release_drops_our_reference_only(bench: Bench) -> None:
    meta = bench.existing("web-0")
    assert (await bench.run(Release("Pod", NAMESPACE, "web-0", meta["uid"], bench.app.uid))).succeeded == 1
    assert owners(bench, "web-0") == []
    writes = len(bench.client.writes)
    await bench.run(Release("Pod", NAMESPACE, "web-0", meta["uid"], bench.app.uid))
    assert len(bench.client.writes) == writes, "once is enough"


def stored(bench: Bench) -> list[Stored]:
    return bench.cluster.all(PODS, NAMESPACE)


def condition(pod: str, uid: str) -> Patch:
    told = {"type": "gates.fairlead.dev/warm", "status": "True"}
    body = msgspec.json.encode({"metadata": {"uid": uid}, "status": {"conditions": [told]}})
    return Patch("Pod", NAMESPACE, pod, body, subresource="status", type="strategic")


async def test_a_condition_of_a_pod_is_written_beside_those_of_others(bench: Bench) -> None:
    await bench.run(*bench.creates(1))
    (pod,) = stored(bench)
    theirs = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    bench.cluster.patch(PODS, NAMESPACE, pod.meta["name"], theirs, "merge", Origin("patch", "kubelet", "", "status"))

    assert (await bench.run(condition(pod.meta["name"], pod.meta["uid"]))).succeeded == 1
    types = {one["type"] for one in stored(bench)[0].object["status"]["conditions"]}
    assert types >= {"Ready", "gates.fairlead.dev/warm"}


async def test_a_condition_for_another_pod_of_that_name_is_not_written(bench: Bench) -> None:
    await bench.run(*bench.creates(1))
    outcome = await bench.run(condition(stored(bench)[0].meta["name"], "00000000-0000-4000-8000-000000000009"))

    assert (outcome.succeeded, outcome.conflict, outcome.refused) == (0, True, False)


async def test_who_may_not_write_pods_statuses_may_still_write_pods(bench: Bench) -> None:
    await bench.run(*bench.creates(2))
    no = Forbidden(403, "Forbidden", "cannot patch resource pods/status")
    bench.trouble.befores = lambda write: no if write.subresource == "status" else None
    patches = [condition(pod.meta["name"], pod.meta["uid"]) for pod in stored(bench)]

    assert (await bench.run(*patches)).refused
    (failure,) = bench.failures.of(KEY)
    assert (failure.verb, failure.kind) == ("patch", "Pod/status"), "one refusal of all"
    name = stored(bench)[0].meta["name"]
    labels = msgspec.json.encode({"metadata": {"labels": {"x": "1"}}})
    assert (await bench.run(Patch("Pod", NAMESPACE, name, labels))).succeeded == 1


# ---------------------------------------------------------------- resizes in place


def resize(pod: str, uid: str, cpu: str = "300m") -> Patch:
    spec = {"containers": [{"name": "web", "resources": {"requests": {"cpu": cpu}}}]}
    return Patch(
        "Pod", NAMESPACE, pod, msgspec.json.encode({"metadata": {"uid": uid}, "spec": spec}), "resize", "strategic"
    )


def sized(bench: Bench) -> Stored:
    """A pod that requests a core."""
    web = {"name": "web", "image": "shop:1", "resources": {"requests": {"cpu": "1"}}}
    return bench.cluster.create(PODS, NAMESPACE, {"metadata": {"name": "one"}, "spec": {"containers": [web]}})


async def test_a_cluster_that_knows_no_resize_refuses_it_and_the_pod_is_not_gone(bench: Bench) -> None:
    pod = sized(bench)
    unknown = NotFound(404, "", "404 page not found")
    bench.trouble.befores = lambda write: unknown if write.subresource == "resize" else None

    outcome = await bench.run(resize(pod.meta["name"], pod.meta["uid"]))
    assert (outcome.refused, outcome.conflict) == (True, False)
    (failure,) = bench.failures.of(KEY)
    assert (failure.verb, failure.kind, failure.code) == ("patch", "Pod/resize", 404)


async def test_a_node_without_room_is_told_from_a_right_that_is_missing(bench: Bench) -> None:
    pod = sized(bench)
    full = Forbidden(403, "Forbidden", "no room", details={"causes": [{"reason": "NodeCapacity"}]})
    bench.trouble.befores = lambda write: full if write.subresource == "resize" else None

    assert (await bench.run(resize(pod.meta["name"], pod.meta["uid"]))).refused
    (failure,) = bench.failures.of(KEY)
    assert (failure.reason, failure.alone) == ("NodeCapacity", True)


async def test_a_resize_of_a_pod_that_is_gone_is_no_refusal(bench: Bench) -> None:
    outcome = await bench.run(resize("gone", "00000000-0000-4000-8000-000000000009"))
    assert (outcome.refused, outcome.conflict) == (False, True)


async def test_a_resize_that_does_not_last_is_given_up_for_a_while(bench: Bench) -> None:
    """A VerticalPodAutoscaler at the same pod, or a webhook that knows better."""
    pod = sized(bench)
    patch = resize(pod.meta["name"], pod.meta["uid"])
    outcomes = [await bench.run(patch) for _ in range(6)]
    assert [outcome.succeeded for outcome in outcomes] == [1, 1, 1, 1, 1, 0]
    (failure,) = bench.failures.of(KEY)
    assert failure.reason == "Contested"
