"""The whole loop on an API server in memory: gates, plans, confirmations, statuses, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Apply, ChildStatus, Event, Patch, Plan
from fairlead.core.children import child_manifest
from fairlead.core.conditions import Condition
from fairlead.core.meta import API_VERSION, JSON, LABEL_APP, owner_reference
from fairlead.engine.settings import EngineSettings
from fairlead.kube.errors import ApiError, Conflict, Forbidden, TooManyRequests, Unavailable, Unreachable
from fairlead.kube.fake import Commit, FakeClient, FakeCluster, Faults, Write
from fairlead.kube.resources import APPS, EVENTS, PODS, REVISIONS, SERVICES, Resource
from support.rig import (
    KEY,
    NAMESPACE,
    REVISION_SOURCE,
    SERVICE_SOURCE,
    Rig,
    Room,
    Seen,
    as_many_as_wanted,
    create_pod,
    delete_pod,
    new_cluster,
    pod_body,
    rig,
)

pytestmark = pytest.mark.looptime


async def test_desired_becomes_actual_and_then_nothing_is_written() -> None:
    async with rig() as r:
        r.app(replicas=5)
        await r.until(lambda: r.status() == {"replicas": 5})
        assert len(r.pods()) == 5
        await r.settled()
        before = len(r.client.writes)
        await asyncio.sleep(600)
        assert len(r.client.writes) == before


async def test_the_same_story_makes_the_same_writes() -> None:
    async def story() -> list[str]:
        async with rig() as r:
            for number in range(5):
                r.app(f"app-{number}", replicas=20)
            await asyncio.sleep(0.1)
            r.app("app-3", replicas=2)
            r.client.close_watches()
            await r.settled()
            return [str(write) for write in r.client.writes]

    assert await story() == await story()


async def test_a_pod_that_vanishes_is_replaced() -> None:
    async with rig() as r:
        r.app(replicas=2)
        await r.until(lambda: len(r.pods()) == 2)
        r.cluster.remove(PODS, NAMESPACE, "web-0")
        await r.until(lambda: len(r.pods()) == 2 and len(r.writes("create", PODS)) == 3)


async def test_no_pod_is_made_twice_however_slow_the_watch_is() -> None:
    def slow(cluster: FakeCluster) -> FakeClient:
        return FakeClient(cluster, lag=5.0)

    async with rig(client=slow) as r:
        r.app(replicas=30)
        await r.until(lambda: r.status() == {"replicas": 30}, within=120)
        assert len(r.writes("create", PODS)) == 30
        r.app(replicas=0)
        await r.until(lambda: r.status() == {"replicas": 0}, within=120)
        assert len(r.writes("delete", PODS)) == 30


async def test_nothing_is_decided_before_everything_is_listed() -> None:
    cluster = new_cluster()

    class NoPods(FakeClient):
        allowed = False

        async def list(self, resource: Resource, namespace: str | None = None, **options: Any) -> bytes:
            if resource is PODS and not self.allowed:
                raise Forbidden(403, "Forbidden", "pods is forbidden")
            return await super().list(resource, namespace, **options)

    door = NoPods(cluster)
    room = Room(as_many_as_wanted)
    async with asyncio.timeout(200):
        context = rig(room=room, cluster=cluster, client=lambda _: door)
        opening = asyncio.create_task(context.__aenter__())
        await asyncio.sleep(20)
        assert room.seen == []
        app = {"apiVersion": API_VERSION, "kind": "App", "metadata": {"name": "web"}, "spec": {"replicas": 1}}
        cluster.create(APPS, NAMESPACE, app)
        door.allowed = True
        r = await opening
        await r.until(lambda: len(r.pods()) == 1)
        await context.__aexit__(None, None, None)


async def test_a_person_goes_before_the_crowd() -> None:
    """Many Apps are busy; the one whose spec just changed is next."""
    async with rig(settings=EngineSettings(workers=1)) as r:
        for number in range(40):
            r.app(f"app-{number}", replicas=1)
        await asyncio.sleep(0.02)
        r.app("hasty", replicas=1)
        began = asyncio.get_running_loop().time()
        await r.until(lambda: "hasty-0" in r.pods())
        assert asyncio.get_running_loop().time() - began < 1


async def test_a_new_spec_interrupts_a_long_burst() -> None:
    async with rig() as r:
        r.app(replicas=2000)
        await r.until(lambda: len(r.pods()) > 50)
        r.app(replicas=10)
        await r.until(lambda: r.status() == {"replicas": 10})
        assert len(r.writes("create", PODS)) < 1000
        assert len(r.pods()) == 10


async def test_the_status_moves_during_a_long_burst() -> None:
    def slow(cluster: FakeCluster) -> FakeClient:
        return FakeClient(cluster, latency=0.1)

    async with rig(client=slow) as r:
        r.app(replicas=3000)
        await r.until(lambda: len(r.pods()) == 3000, within=300)
        statuses = len(r.writes("patch", APPS, "status"))
        assert statuses >= 2
        await r.until(lambda: r.status() == {"replicas": 3000})


# -------------------------------------------------------------------- what goes wrong


async def test_a_plan_that_raises_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    def decide(seen: Seen, now: float) -> Plan:
        if seen.app.name == "bad" and seen.replicas < 5:
            raise ZeroDivisionError("bad")
        return as_many_as_wanted(seen, now)

    async with rig(decide) as r:
        r.app("bad", replicas=1)
        r.app("good", replicas=1)
        await r.until(lambda: r.pods() == ["good-0"])
        await asyncio.sleep(600)
        told = caplog.text.count("the plan of toy failed")
        assert 5 <= told <= 20, "with a backoff"
        registry = r.engine.metrics.registry
        assert registry.get_sample_value("fairlead_plan_errors_total", {"controller": "toy", "part": "toy"}) == told
        r.app("bad", replicas=5)
        await r.until(lambda: len(r.pods()) == 6, within=1)


async def test_events_do_not_hurry_a_plan_that_raises() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        if seen.pods:
            raise ZeroDivisionError("bad")
        return as_many_as_wanted(seen, now)

    async with rig(decide) as r:
        r.app(replicas=1)
        await r.until(lambda: len(r.room.seen) >= 2)
        for number in range(500):
            r.cluster.edit(PODS, NAMESPACE, "web-0", lambda pod, n=number: pod["metadata"]["labels"].update(n=str(n)))  # type: ignore[misc]
            await asyncio.sleep(0.02)
        assert len(r.room.seen) < 12


async def test_the_next_plan_sees_the_refusal_and_the_status_says_it() -> None:
    class Quota(Faults):
        def before(self, write: Write) -> None:
            if write.verb == "create" and write.resource is PODS:
                raise Forbidden(403, "Forbidden", "exceeded quota")

    def decide(seen: Seen, now: float) -> Plan:
        plan = as_many_as_wanted(seen, now)
        said = [f"{failure.verb} {failure.kind}: {failure.message}" for failure in seen.failures]
        return msgspec.structs.replace(plan, status={"replicas": len(seen.pods), "said": said})

    async with rig(decide, client=lambda cluster: FakeClient(cluster, faults=Quota())) as r:
        r.app(replicas=3)
        await r.until(lambda: r.status().get("said") == ["create Pod: exceeded quota"])
        assert len(r.writes("patch", APPS, "status")) == 1, "the plan before the refusal said nothing"
        await asyncio.sleep(600)
        assert 8 <= len(r.writes("create", PODS)) <= 14, "tried again with a growing pause"
        assert len(r.writes("patch", APPS, "status")) == 1, "and nothing new to say"


async def test_a_pause_that_ends_during_a_pass_is_not_forgotten() -> None:
    """The write was held back at the pass's beginning, and its pause was over at the end: nothing else wakes the key."""

    class Quota(Faults):
        used_up = True

        def before(self, write: Write) -> None:
            if self.used_up and write.verb == "create" and write.resource is PODS:
                raise Forbidden(403, "Forbidden", "exceeded quota")

    def decide(seen: Seen, now: float) -> Plan:
        plan = as_many_as_wanted(seen, now)
        return msgspec.structs.replace(plan, status={"said": [failure.message for failure in seen.failures]})

    def slow(cluster: FakeCluster) -> FakeClient:
        client = FakeClient(cluster, faults=quota, latency=0.6)  # a write takes longer than the first pause
        client.lags["App"] = 300  # and the event of our own status does not come to the rescue
        return client

    quota = Quota()
    async with rig(decide, client=slow) as r:
        r.app(replicas=3)
        await r.until(lambda: r.status().get("said") == ["exceeded quota"], within=400)
        quota.used_up = False
        await r.until(lambda: len(r.pods()) == 3, within=120)


async def test_a_refusal_that_is_over_is_taken_out_of_the_status_without_an_event() -> None:
    """The plan stops to want what was refused: nothing happens in the cluster that would wake the key."""

    class Closed(Faults):
        def before(self, write: Write) -> None:
            if write.verb == "create":
                raise Forbidden(403, "Forbidden", "exceeded quota")

    def tries_once(seen: Seen, now: float) -> Plan:
        refusals = [failure.message for failure in seen.failures]
        tries.append(bool(refusals))
        actions = () if any(tries) else (create_pod(seen.app, "web-0"),)
        return Plan(actions=actions, status={"refusals": refusals})

    tries: list[bool] = []
    async with rig(tries_once, client=lambda cluster: FakeClient(cluster, faults=Closed())) as r:
        r.app(replicas=1)
        await r.until(lambda: r.status() == {"refusals": ["exceeded quota"]})
        await r.until(lambda: r.status() == {"refusals": []})


async def test_a_status_that_is_refused_is_not_sent_with_every_event(caplog: pytest.LogCaptureFixture) -> None:
    class NoStatus(Faults):
        def before(self, write: Write) -> None:
            if write.subresource == "status":
                raise Forbidden(403, "Forbidden", "apps/status is forbidden")

    def decide(seen: Seen, now: float) -> Plan:
        return Plan(status={"pods": len(seen.pods), "conditions": [{"type": "Ready", "reason": str(len(seen.pods))}]})

    async with rig(decide, client=lambda cluster: FakeClient(cluster, faults=NoStatus())) as r:
        app = r.app()
        for number in range(200):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
            await asyncio.sleep(0.1)
        assert 3 <= len(r.writes("patch", APPS, "status")) <= 7
        assert "apps/status is forbidden" in caplog.text


async def test_one_apps_pod_does_not_stand_behind_all_the_others() -> None:
    async with rig(client=lambda cluster: FakeClient(cluster, latency=0.05)) as r:
        for number in range(12):
            r.app(f"big-{number}", replicas=300)
        await r.until(lambda: len(r.pods()) > 1000)
        began = asyncio.get_running_loop().time()
        r.app("small", replicas=1)
        await r.until(lambda: "small-0" in r.pods())
        assert asyncio.get_running_loop().time() - began < 0.6


async def test_a_fight_over_the_status_ends_in_the_next_pass() -> None:
    class Fight(Faults):
        left = 3

        def before(self, write: Write) -> None:
            if write.subresource == "status" and self.left:
                self.left -= 1
                raise Conflict(409, "Conflict", "the object has been modified")

    async with rig(client=lambda cluster: FakeClient(cluster, faults=Fight())) as r:
        r.app(replicas=1)
        await r.until(lambda: r.status() == {"replicas": 1})


async def test_an_app_that_is_deleted_is_forgotten() -> None:
    async with rig() as r:
        r.app(replicas=1)
        await r.until(lambda: r.status() == {"replicas": 1})
        await r.settled()
        r.cluster.delete(APPS, NAMESPACE, "web")
        await r.until(lambda: r.engine.store.get("App", NAMESPACE, "web") is None)
        await r.settled()
        seen = len(r.room.seen)
        r.cluster.remove(PODS, NAMESPACE, "web-0")
        await r.settled()
        assert len(r.room.seen) == seen, "there is nobody to plan for"


# -------------------------------------------------------------------- confirmation


def stale_scale_down(confirm: Any) -> Any:
    """Takes away all pods but the wanted, ready ones first: only right when it sees all of them."""

    def decide(seen: Seen, now: float) -> Plan:
        active = [pod for pod in seen.pods if pod.active]
        spare = active[: max(0, len(active) - seen.replicas)]
        return Plan(actions=tuple(delete_pod(pod) for pod in spare), confirm=confirm if spare else "")

    return decide


async def test_a_scale_down_the_parent_has_taken_back_is_not_carried_out() -> None:
    async with rig(stale_scale_down("owner")) as r:
        app = r.app(replicas=3)
        for number in range(3):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
        await r.settled()
        r.client.hold_watches("App")
        r.cluster.edit(APPS, NAMESPACE, "web", lambda a: a["spec"].update(replicas=3, note="x"))
        _believe(r, replicas=0)
        await asyncio.sleep(5)
        assert len(r.pods()) == 3
        assert r.writes("delete", PODS) == []


async def test_a_scale_down_is_decided_on_the_children_that_are() -> None:
    """Two of three pods went while the watch was silent: the third must stay."""
    async with rig(stale_scale_down("children")) as r:
        app = r.app(replicas=3)
        for number in range(3):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
        await r.settled()
        r.client.hold_watches("Pod")
        r.cluster.remove(PODS, NAMESPACE, "web-0")
        r.cluster.remove(PODS, NAMESPACE, "web-1")
        r.app(replicas=1)
        await r.settled()
        await asyncio.sleep(5)
        assert r.pods() == ["web-2"]
        assert r.writes("delete", PODS) == []
        assert [pod.name for pod in r.engine.store.by("Pod", "app", tuple(KEY))] == ["web-2"]


async def test_a_child_that_only_lost_its_label_is_not_taken_for_gone() -> None:
    async with rig(stale_scale_down("children")) as r:
        app = r.app(replicas=2)
        for number in range(2):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
        await r.settled()
        r.client.hold_watches("Pod")
        r.cluster.edit(PODS, NAMESPACE, "web-0", lambda pod: pod["metadata"].update(labels={}))
        r.app(replicas=1)
        await r.until(lambda: not r.engine.store.by("Pod", "app", tuple(KEY)) or len(r.room.seen) > 3)
        await r.settled()
        record = r.engine.store.get("Pod", NAMESPACE, "web-0")
        assert record is not None
        assert record.app == ""


# -------------------------------------------------------------------- status


def counts_pods(seen: Seen, now: float) -> Plan:
    return Plan(status={"replicas": len(seen.pods)})


async def many_counted(r: Rig, count: int) -> list[JSON]:
    """So many Apps that have told that they have no pods."""
    apps = [r.app(f"app-{number}", replicas=0) for number in range(count)]
    await r.until(lambda: all(r.status(f"app-{number}") == {"replicas": 0} for number in range(count)))
    return apps


async def test_counters_are_written_at_most_once_in_the_interval() -> None:
    async with rig(counts_pods) as r:
        app = r.app(replicas=0)
        await r.until(lambda: r.status() == {"replicas": 0})
        began = asyncio.get_running_loop().time()
        for number in range(100):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
            await asyncio.sleep(0.02)
        await r.until(lambda: r.status() == {"replicas": 100})
        took = asyncio.get_running_loop().time() - began
        assert len(r.writes("patch", APPS, "status")) <= took / 0.2 + 2


async def test_a_verdict_is_written_at_once() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        ready = "True" if len(seen.pods) >= 5 else "False"
        return Plan(status={"replicas": len(seen.pods), "conditions": [Condition("Ready", ready, "Because")]})  # type: ignore[arg-type]

    room = Room(decide)
    async with rig(room=room) as r:
        _summarise(r, lambda app, status, now: {**status, "conditions": [_plain(c) for c in status["conditions"]]})
        app = r.app(replicas=0)
        await r.until(lambda: "conditions" in r.status())
        for number in range(5):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
            await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await r.until(lambda: r.status()["conditions"][0]["status"] == "True")
        assert asyncio.get_running_loop().time() - began < 0.05


async def test_the_counters_of_many_parents_are_written_in_turn() -> None:
    async with rig(counts_pods, settings=EngineSettings(status_turns=(10.0, 5.0))) as r:
        apps = await many_counted(r, 20)
        began, before = asyncio.get_running_loop().time(), len(r.writes("patch", APPS, "status"))
        for round in range(15):
            for number, app in enumerate(apps):
                r.cluster.create(PODS, NAMESPACE, _pod(app, f"app-{number}-{round}"))
            await asyncio.sleep(0.2)
        moved = asyncio.get_running_loop().time() - began
        assert len(r.writes("patch", APPS, "status")) - before <= 10 * moved + 1
        await r.until(lambda: all(r.status(f"app-{number}") == {"replicas": 15} for number in range(20)), within=6)


async def test_what_many_parents_could_not_tell_in_turn_is_not_written_at_the_same_moment() -> None:
    async with rig(counts_pods, settings=EngineSettings(status_turns=(1.0, 4.0))) as r:
        apps = await many_counted(r, 100)
        for number, app in enumerate(apps):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"app-{number}-0"))
        written = []
        for _ in range(10):  # of 0.5 s
            before = len(r.writes("patch", APPS, "status"))
            await asyncio.sleep(0.5)
            written.append(len(r.writes("patch", APPS, "status")) - before)
        assert sum(written) == 100 and max(written) < 40, written


async def test_a_verdict_does_not_wait_for_other_parents_counters() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        status: JSON = {"replicas": len(seen.pods)}
        if seen.app.name == "web" and seen.pods:
            status["conditions"] = [{"type": "Ready", "status": "True"}]
        return Plan(status=status)

    async with rig(decide, settings=EngineSettings(status_turns=(1.0, 5.0))) as r:
        apps = [r.app(f"app-{number}", replicas=0) for number in range(20)]
        web = r.app("web")
        await r.settled()
        for number, app in enumerate(apps):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"app-{number}-0"))
        r.cluster.create(PODS, NAMESPACE, _pod(web, "web-0"))
        await r.until(lambda: bool(r.status().get("conditions")), within=0.1)


async def test_what_a_status_that_waits_has_to_tell_is_told_with_it_once() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        begun = seen.replicas and "size" not in seen.app.status
        status = {"observedGeneration": seen.app.generation, **({"size": 1} if seen.replicas else {})}
        return Plan(status=status, events=(Event("Normal", "Began", "from 0 to 1"),) if begun else ())

    async with rig(decide) as r:
        app = r.app(replicas=0)
        await r.settled()
        r.app(replicas=1)
        r.cluster.create(PODS, NAMESPACE, _pod(app, "web-0"))
        await asyncio.sleep(0.1)
        assert "size" not in r.status() and not r.cluster.all(EVENTS, NAMESPACE), "nobody waits for it"
        await r.until(lambda: "size" in r.status(), within=0.2)
        await r.until(lambda: bool(r.cluster.all(EVENTS, NAMESPACE)))
        await r.settled()
        (event,) = r.cluster.all(EVENTS, NAMESPACE)
        assert event.object.get("count", 1) == 1


async def test_a_child_is_told_of_once_a_second_whatever_happens() -> None:
    def revision() -> JSON:
        found = cluster.find(REVISIONS, NAMESPACE, "web-r1")
        return (found.object.get("status") or {}) if found else {}

    def decide(seen: Seen, now: float) -> Plan:
        wanted = {"replicas": len(seen.pods), "phase": f"Phase{len(seen.pods)}"}
        return Plan(statuses=(ChildStatus("Revision", "web-r1", wanted),) if seen.pods and revision() != wanted else ())

    cluster = new_cluster()
    async with rig(decide, cluster=cluster, sources=(REVISION_SOURCE,)) as r:
        app = r.app()
        cluster.create(REVISIONS, NAMESPACE, _revision(app))
        for number in range(9):
            cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
            await asyncio.sleep(0.1)
        assert not r.writes("patch", REVISIONS, "status"), "its first second"
        await r.until(lambda: revision() == {"replicas": 9, "phase": "Phase9"}, within=1.0)
        assert len(r.writes("patch", REVISIONS, "status")) == 1


async def test_a_field_that_disappears_from_the_plan_disappears_from_the_status() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        status: JSON = {"replicas": seen.replicas}
        if seen.replicas == 1:
            status["rollout"] = {"startedAt": "now", "waitingFor": "x"}
        if seen.replicas == 2:
            status["rollout"] = {"startedAt": "now"}
        return Plan(status=status)

    async with rig(decide) as r:
        r.app(replicas=1)
        await r.until(lambda: "waitingFor" in r.status().get("rollout", {}))
        r.app(replicas=2)
        await r.until(lambda: r.status() == {"replicas": 2, "rollout": {"startedAt": "now"}})
        r.app(replicas=3)
        await r.until(lambda: r.status() == {"replicas": 3})


async def test_parts_add_up_to_one_status() -> None:
    def first(seen: Seen, now: float) -> Plan:
        return Plan(status={"replicas": 1, "conditions": [Condition("A", "True", "X")]}, requeue_after=50)

    def second(seen: Seen, now: float) -> Plan:
        return Plan(status={"port": 80, "conditions": [Condition("B", "False", "Y")]}, requeue_after=5)

    joined: list[JSON] = []

    def summarise(app: Any, status: JSON, now: float) -> JSON:
        joined.append(status)
        return {**status, "conditions": [_plain(c) for c in status["conditions"]]}

    async with rig(first) as r:
        reconciler = r.engine.reconcilers[0]
        reconciler.controller = msgspec.structs.replace(
            reconciler.controller, parts=(r.room, Room(second)), summarise=summarise
        )
        r.app()
        await r.until(lambda: bool(joined))
        assert [condition.type for condition in joined[0]["conditions"]] == ["A", "B"]
        await r.settled()
        seen = len(r.room.seen)
        await asyncio.sleep(5.1)
        assert len(r.room.seen) == seen + 1, "the soonest wish counts"


async def test_a_decision_is_stored_before_what_follows_from_it() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        if seen.pods:
            return Plan()
        return Plan(actions=(create_pod(seen.app, "web-0"),), status={"sizes": {"r1": 1}}, status_first=True)

    async with rig(decide) as r:
        r.app()
        await r.until(lambda: bool(r.pods()))
        verbs = [(write.verb, write.resource.kind) for write in r.client.writes]
        assert verbs == [("patch", "App"), ("create", "Pod")]


async def test_a_decision_that_could_not_be_stored_is_not_acted_on() -> None:
    class Fight(Faults):
        def before(self, write: Write) -> None:
            if write.subresource == "status":
                raise Conflict(409, "Conflict", "the object has been modified")

    def decide(seen: Seen, now: float) -> Plan:
        return Plan(actions=(create_pod(seen.app, "web-0"),), status={"sizes": {"r1": 1}}, status_first=True)

    async with rig(decide, client=lambda cluster: FakeClient(cluster, faults=Fight())) as r:
        r.app()
        await asyncio.sleep(10)
        assert r.pods() == []


async def test_a_childs_status_is_written_when_the_plan_says_it_differs() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        wanted = {"replicas": len(seen.pods), "phase": "Active"}
        found = r.cluster.find(REVISIONS, NAMESPACE, "web-r1")
        now_is = (found.object.get("status") or {}) if found else None
        return Plan(statuses=(ChildStatus("Revision", "web-r1", wanted),) if now_is not in (None, wanted) else ())

    async with rig(decide, sources=(REVISION_SOURCE,)) as r:
        app = r.app()
        r.cluster.create(REVISIONS, NAMESPACE, _revision(app))
        await r.until(
            lambda: (
                r.cluster.get(REVISIONS, NAMESPACE, "web-r1").object.get("status") == {"replicas": 0, "phase": "Active"}
            )
        )


async def test_what_a_child_says_that_is_known_only_now_is_written_at_once() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        found = r.cluster.find(REVISIONS, NAMESPACE, "web-r1")
        if found is None or found.object.get("status"):
            return Plan()
        return Plan(statuses=(ChildStatus("Revision", "web-r1", {"phase": "Retired"}, urgent=True),))

    async with rig(decide, sources=(REVISION_SOURCE,)) as r:
        app = r.app()
        r.cluster.create(REVISIONS, NAMESPACE, _revision(app))
        await r.until(lambda: bool(r.writes("patch", REVISIONS, "status")), within=0.5)


async def test_events_are_told_with_the_status_they_belong_to() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        if seen.app.status.get("told"):
            return Plan()
        return Plan(status={"told": True}, events=(Event("Normal", "RolloutStarted", "to r1"),))

    async with rig(decide) as r:
        r.app()
        await r.until(lambda: bool(r.cluster.all(EVENTS, NAMESPACE)))
        (event,) = r.cluster.all(EVENTS, NAMESPACE)
        assert event.object["involvedObject"]["kind"] == "App"
        assert event.object["involvedObject"]["uid"] == r.cluster.get(APPS, NAMESPACE, "web").meta["uid"]
        assert (event.object["reason"], event.object["message"], event.object["count"]) == (
            "RolloutStarted",
            "to r1",
            1,
        )


# -------------------------------------------------------------------- the word that a spec runs as asked


def exposes(seen: Seen, stands: int, now: float) -> Plan:
    """A Service with the port that spec asks for, and the word that all is as asked, unless it is refused."""
    port, app = int(seen.app.spec["port"]), seen.app
    body = child_manifest("v1", "Service", app.name, app.namespace, app.uid, {"ports": [{"port": port}]})
    apply = Apply("Service", app.namespace, app.name, msgspec.json.encode(body), app.uid)
    ready = {"type": "Ready", "status": "False" if seen.failures else "True"}
    said = {"observedGeneration": app.generation, "conditions": [ready], "port": port}
    news = app.status.get("observedGeneration") != app.generation
    events = (Event("Normal", "Opened", f"port {port}"),) if news else ()
    return Plan(actions=(apply,) if stands != port else (), status=said, events=events)


class Untaken(Faults):
    """The next writes of Services are not taken, or not answered."""

    left = 0
    error: ApiError = Conflict(409, "Conflict", "the object has been modified")

    def before(self, write: Write) -> None:
        if write.resource is SERVICES and self.left:
            self.left -= 1
            raise self.error


LOST: dict[str, ApiError] = {
    "a conflict": Conflict(409, "Conflict", "the object has been modified"),
    "too many requests": TooManyRequests(429, "TooManyRequests", "slow down"),
    "no answer": Unreachable(0, "Unreachable", "connection refused"),
    "a server in trouble": Unavailable(500, "InternalError", "etcdserver: leader changed"),
}


@pytest.mark.parametrize("first", [False, True], ids=["told at the end", "stored first"])
@pytest.mark.parametrize("error", LOST)
async def test_a_spec_runs_as_asked_only_when_all_that_it_asks_for_was_taken(error: str, first: bool) -> None:
    def decide(seen: Seen, now: float) -> Plan:
        stored_first = first and seen.app.status.get("port") != seen.app.spec["port"]
        return msgspec.structs.replace(exposes(seen, stands(), now), status_first=stored_first)

    def stands() -> int:
        found = r.cluster.find(SERVICES, NAMESPACE, "web")
        return int(found.object["spec"]["ports"][0]["port"]) if found else 0

    def look(commit: Commit) -> None:
        status = commit.new.object.get("status") or {}
        ready = [one["status"] for one in status.get("conditions") or ()] == ["True"]
        if commit.resource is APPS and ready and status["observedGeneration"] == commit.new.meta["generation"]:
            words.append((commit.new.object["spec"]["port"], stands()))

    words: list[tuple[int, int]] = []
    untaken = Untaken()
    untaken.error = LOST[error]
    async with rig(decide, client=partial(FakeClient, faults=untaken), sources=(SERVICE_SOURCE,)) as r:
        r.app(port=80)
        await r.until(lambda: r.status().get("observedGeneration") == 1)
        await r.settled()
        r.cluster.subscribers.append(look)
        untaken.left = 7
        r.app(port=81)
        await r.until(lambda: bool(words) and stands() == 81, within=120)
        await r.settled()
        assert {asked == stands for asked, stands in words} == {True}, words
        told = {event.object["message"]: event.object["count"] for event in r.cluster.all(EVENTS, NAMESPACE)}
        assert told == {"port 80": 1, "port 81": 1}, "what happened is told once"


# -------------------------------------------------------------------- staleness


async def test_a_key_waits_until_the_watch_has_told_of_its_own_status_write() -> None:
    """A plan that counts in its status would count twice on a stale view."""

    def decide(seen: Seen, now: float) -> Plan:
        count = int(seen.app.status.get("count", 0))
        return Plan(status={"count": count + 1}) if count < 5 else Plan()

    async with rig(decide, client=lambda cluster: FakeClient(cluster, lag=1.0)) as r:
        app = r.app()
        for number in range(30):
            r.cluster.create(PODS, NAMESPACE, _pod(app, f"web-{number}"))
            await asyncio.sleep(0.1)
        await r.until(lambda: r.status() == {"count": 5})
        assert [
            int(seen.app.status.get("count", 0)) for seen in r.room.seen if seen.app.status.get("count", 0) < 5
        ] == [0, 1, 2, 3, 4]


async def test_a_watch_that_hangs_holds_a_key_up_for_half_a_minute_at_most() -> None:
    async with rig() as r:
        r.app(replicas=1)
        await r.until(lambda: r.status() == {"replicas": 1})
        await r.settled()
        r.client.hold_watches("App")
        r.app(replicas=1, note="touches the status")
        r.cluster.remove(PODS, NAMESPACE, "web-0")
        await r.until(lambda: r.pods() == ["web-0"], within=60)


async def test_nothing_is_decided_while_a_watch_has_been_silent_for_minutes() -> None:
    class Deaf(FakeClient):
        """May no longer list or watch pods, but write them: its view of them is what it was."""

        deaf = False

        async def list(self, resource: Resource, namespace: str | None = None, **options: Any) -> bytes:
            if resource is PODS and self.deaf:
                raise Forbidden(403, "Forbidden", "pods is forbidden")
            return await super().list(resource, namespace, **options)

        async def watch(self, resource: Resource, namespace: str | None = None, **options: Any) -> Any:
            if resource is PODS and self.deaf:
                raise Forbidden(403, "Forbidden", "pods is forbidden")
            async for lines in super().watch(resource, namespace, **options):
                yield lines

    door = Deaf(cluster := new_cluster())
    async with rig(cluster=cluster, client=lambda _: door) as r:
        r.app(replicas=1)
        await r.until(lambda: r.status() == {"replicas": 1})
        door.deaf = True
        door.close_watches("Pod")
        await asyncio.sleep(200)
        assert "pods is forbidden" in r.engine.problems()["pods"]
        r.app(replicas=0)
        await asyncio.sleep(60)
        assert r.pods() == ["web-0"]
        door.deaf = False
        await r.until(lambda: r.pods() == [])


async def test_patches_of_other_objects_are_waited_for_too() -> None:
    def decide(seen: Seen, now: float) -> Plan:
        body = msgspec.json.encode({"metadata": {"labels": {"n": str(len(seen.pods))}}})
        return Plan(actions=tuple(Patch("Pod", NAMESPACE, pod.name, body) for pod in seen.pods if not pod.serving))

    async with rig(decide) as r:
        app = r.app()
        r.cluster.create(PODS, NAMESPACE, _pod(app, "web-0"))
        await r.settled()
        reconciler = r.engine.reconcilers[0]
        assert reconciler.own_writes.wait(KEY, r.engine.store.tables) is None


# -------------------------------------------------------------------- namespaces, start, stop


async def test_in_some_namespaces_only_those_are_looked_at() -> None:
    async with rig(namespaces=(NAMESPACE, "default")) as r:
        r.app(replicas=1)
        await r.until(lambda: r.status() == {"replicas": 1})
        assert {stream.namespace for stream in r.client.streams} == {NAMESPACE, "default"}


async def test_a_stop_lets_running_passes_end_and_starts_no_more_writes() -> None:
    async with rig(client=lambda cluster: FakeClient(cluster, latency=0.2)) as r:
        r.app(replicas=500)
        await r.until(lambda: len(r.pods()) > 10)
        r.engine.stop()
        await asyncio.wait([r.running])
        made = len(r.pods())
        assert made < 300
        await asyncio.sleep(5)
        assert len(r.pods()) == made


async def test_an_engine_that_loses_a_part_of_itself_ends() -> None:
    class Broken(FakeClient):
        broken = False

        async def watch(self, resource: Resource, namespace: str | None = None, **options: Any) -> Any:
            async for lines in super().watch(resource, namespace, **options):
                if self.broken:
                    raise MemoryError("this is no ApiError")
                yield lines

    cluster = new_cluster()
    door = Broken(cluster)
    with pytest.raises(MemoryError):
        async with rig(cluster=cluster, client=lambda _: door) as r:
            r.app(replicas=1)
            await r.until(lambda: len(r.pods()) == 1)
            door.broken = True
            r.app(replicas=2)
            await asyncio.wait([r.running], timeout=60)
            assert r.running.done()


def _pod(app: JSON, name: str) -> JSON:
    from support.rig import Thing

    meta = app["metadata"]
    return pod_body(Thing(NAMESPACE, meta["name"], meta["uid"], 1), name)


def _revision(app: JSON) -> JSON:
    meta = {
        "name": "web-r1",
        "labels": {LABEL_APP: "web"},
        "ownerReferences": [owner_reference("App", "web", app["metadata"]["uid"])],
    }
    spec = {"app": "web", "number": 1, "templateHash": "r1", "template": {}, "images": []}
    return {"apiVersion": API_VERSION, "kind": "Revision", "metadata": meta, "spec": spec}


def _plain(condition: Condition) -> JSON:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
    }


def _summarise(r: Rig, summarise: Any) -> None:
    reconciler = r.engine.reconcilers[0]
    reconciler.controller = msgspec.structs.replace(reconciler.controller, summarise=summarise)


def _believe(r: Rig, replicas: int) -> None:
    """What a stale watch would have left in the store: an older spec."""
    table = r.engine.store.tables["App"]
    record = table.get(NAMESPACE, "web")
    assert record is not None
    table.overwrite(msgspec.structs.replace(record, rv=record.rv - 1, spec={"replicas": replicas}))
    r.engine.reconcilers[0].queue.add(KEY)
