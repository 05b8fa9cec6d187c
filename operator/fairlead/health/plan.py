"""Which pods are asked now, and what their conditions come to say. Pure.

A pod made under a gate is not Ready until its check has succeeded. An error says nothing of a pod, so what was said last stands;
so does it while no operator runs. A gate that is taken away lets its pods be ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from fairlead.core.actions import Errand, Failure, Patch, Plan, merge_requeue
from fairlead.core.conditions import Condition, timestamp
from fairlead.core.gated import CANNOT_TELL, FALSE, PASSED, TRUE, Standing
from fairlead.core.meta import HEALTH_GATE, JSON
from fairlead.core.podstate import Pod
from fairlead.gates.model import TEXT_LIMIT, Result, Subject
from fairlead.health.model import Health, HealthGate, Look, Looks
from fairlead.rollout.model import App

TYPE = "HealthGates"
STATUS_OF_PODS = "Pod/status"  # as refusals call it
REFRESH_SECONDS = 30.0  # the words of a condition that stays False are written no more often than this
LOOKS_PER_SECOND = 100.0  # at the pods of one App: of more pods each is asked less often
TOLD_ERRORS = 3  # in a row, after which it is told of a pod that is ready that it cannot be asked


class HealthObserved(msgspec.Struct, frozen=True):
    """All that decides about an App's health gates: `pods` are its active ones with readinessGates of ours."""

    app: App
    pods: tuple[Pod, ...]
    looks: Looks
    failures: tuple[Failure, ...] = ()


class Ask(msgspec.Struct, frozen=True):
    """The errand of one look: a gate at a pod, as both were when it was decided, at `asked`."""

    subject: Subject
    gate: HealthGate
    pod: Pod
    asked: float


def plan(observed: HealthObserved, now: float) -> Plan:
    """The looks that are due, the conditions that change, and when to look again.

    >>> from fairlead.health.testing import make_gated_app, make_gated_pods
    >>> made = plan(HealthObserved(make_gated_app("warm"), make_gated_pods(2, "warm"), {}), 0.0)
    >>> [errand.task.pod.name for errand in made.errands], made.actions, made.requeue_after
    (['shop-v1-0', 'shop-v1-1'], (), 10.0)
    """
    app = observed.app
    if app.deleting or app.invalid:
        return Plan()
    gates = {gate.name: gate for gate in app.spec.health.gates}
    actions = [action for pod in observed.pods if (action := told(pod, gates, observed.looks, now)) is not None]
    errands, wait = due(app, gates, observed.pods, observed.looks, now)
    said = condition(observed)
    return Plan(
        actions=tuple(actions),
        status={"conditions": [said]} if said else None,
        errands=tuple(errands),
        requeue_after=wait,
    )


def add_gates(health: Health, spec: JSON) -> JSON:
    """The pod spec with a readinessGate for each health gate: given to pods when they are made, so one that is added later
    concerns new pods alone, and no change of them is a new revision.

    >>> health = Health((HealthGate("warm"),))
    >>> add_gates(health, {"readinessGates": [{"conditionType": "example.com/balancer"}]})["readinessGates"]
    [{'conditionType': 'example.com/balancer'}, {'conditionType': 'gates.fairlead.dev/warm'}]
    """
    own = spec.get("readinessGates") or []
    wanted = [{"conditionType": HEALTH_GATE + gate.name} for gate in health.gates]
    added = [gate for gate in wanted if gate not in own]
    return {**spec, "readinessGates": [*own, *added]} if added else spec


# ---------------------------------------------------------------- what stands


def told(pod: Pod, gates: dict[str, HealthGate], looks: Looks, now: float) -> Patch | None:
    """The write of those conditions of a pod that change; None where none does."""
    changed = []
    for name, standing in pod.gated.standing.items() if pod.gated else ():
        gate = gates.get(name)
        said = verdict(gate, standing, looks.get((pod.uid, name)), pod.restarts, now) if gate else taken_away(standing)
        if said is not None:
            changed.append(_as_json(name, standing, said, now))
    if not changed:
        return None
    # Exactly this pod, and exactly these of its conditions: the kubelet writes the others at the same time.
    body = {"metadata": {"uid": pod.uid}, "status": {"conditions": changed}}
    return Patch("Pod", pod.namespace, pod.name, msgspec.json.encode(body), subresource="status", type="strategic")


def verdict(gate: HealthGate, standing: Standing, look: Look | None, restarts: int, now: float) -> Standing | None:
    """What the condition is to say now; None where it stays as it is.

    A pod that was never ready is told at once what is wrong; one that is ready only when so many failures came in a row:
    >>> gate = HealthGate("warm", failure_threshold=3)
    >>> look = Look(0.0, 0, Result("Failed", "UnexpectedStatus", "/warm answered 503"), failures=2)
    >>> verdict(gate, Standing(), look, 0, 0).message, verdict(gate, Standing("True"), look, 0, 0)
    ('/warm answered 503', None)
    >>> verdict(gate, Standing("True"), msgspec.structs.replace(look, failures=3), 0, 0).status
    'False'

    An error never takes readiness away, a new process of the same pod does until it is asked:
    >>> dead = Look(0.0, 0, Result("Error", "NoAnswer", "/warm: no answer within 5 s"), errors=99)
    >>> verdict(gate, Standing("True"), dead, 0, 0), verdict(gate, Standing("True"), dead, restarts=1, now=0).reason
    (None, 'ContainerRestarted')
    """
    if look is None:
        return None
    if look.restarts != restarts:
        anew = Standing(FALSE, "ContainerRestarted", "a container has started anew and has not been asked since")
        return anew if standing.status == TRUE else None
    if look.successes >= gate.success_threshold:
        return None if standing.status == TRUE else Standing(TRUE, PASSED, look.result.message)
    if standing.status == TRUE and look.failures < gate.failure_threshold:
        return None
    said = Standing(FALSE, reason_of(look.result), words_of(gate, look))
    settled = (standing.reason, standing.message) == (said.reason, said.message)
    if standing.status == FALSE and (settled or now < standing.told + REFRESH_SECONDS):
        return None
    return said


def taken_away(standing: Standing) -> Standing | None:
    """A pod that was made under a gate which is not there any more keeps its readinessGate as long as it lives.

    >>> taken_away(Standing("False", "CheckFailed", "/warm answered 503")).status, taken_away(Standing("True"))
    ('True', None)
    """
    if standing.status == TRUE:
        return None
    return Standing(TRUE, "GateRemoved", "spec.health.gates does not name this gate any more")


def reason_of(result: Result) -> str:
    """The condition's word for a pod that is not ready; a success is one of several that are asked for."""
    return {"Passed": "CheckPassing", "Failed": "CheckFailed", "Inconclusive": "CheckInconclusive"}.get(
        result.outcome, CANNOT_TELL
    )


def words_of(gate: HealthGate, look: Look) -> str:
    """What was measured; of a success how many there are of those in a row that are needed.

    >>> words_of(HealthGate("warm", success_threshold=3), Look(0, 0, Result("Passed", "A", "/warm answered 200"), successes=1))
    '/warm answered 200; 1 of 3 successes in a row'
    """
    message = look.result.message[:TEXT_LIMIT]
    if look.result.outcome != "Passed":
        return message
    return f"{message}; {look.successes} of {gate.success_threshold} successes in a row"


def _as_json(name: str, before: Standing, said: Standing, now: float) -> JSON:
    since = before.since if before.status == said.status and before.since else now
    return {
        "type": HEALTH_GATE + name,
        "status": said.status,
        "reason": said.reason,
        "message": said.message[:TEXT_LIMIT],
        "lastProbeTime": timestamp(now),
        "lastTransitionTime": timestamp(since),
    }


# ---------------------------------------------------------------- who is asked


def due(
    app: App, gates: dict[str, HealthGate], pods: Sequence[Pod], looks: Looks, now: float
) -> tuple[list[Errand], float | None]:
    """The looks to begin, and seconds until the next. When one is due, those that are due soon go with it: so the pods come to
    be asked together, and the App is looked at a few times in an interval, not once for each of a thousand pods.

    >>> from fairlead.health.testing import make_gated_app, make_gated_pods
    >>> app, pods = make_gated_app("warm"), make_gated_pods(3, "warm")
    >>> said = Result("Passed", "Answered", "/warm answered 200")
    >>> looks = {(pod.uid, "warm"): Look(at, 0, said, 1) for pod, at in zip(pods, (0.0, 2.0, 6.0))}
    >>> begun, wait = due(app, {"warm": app.spec.health.gates[0]}, pods, looks, now=10.0)
    >>> [errand.task.pod.name for errand in begun], wait
    (['shop-v1-0', 'shop-v1-1'], 6.0)
    """
    errands, waits = [], []
    for gate in gates.values():
        interval = interval_of(gate, len(gates) * len(pods))
        times = [(due_at(pod, looks.get((pod.uid, gate.name)), interval), pod) for pod in _asked(pods, gate)]
        if not times:
            continue
        horizon = now + interval / 4 if min(at for at, _ in times) <= now else now
        errands += [errand(app, gate, pod, now) for at, pod in times if at <= horizon]
        waits += [interval if at <= horizon else at - now for at, _ in times]
    return errands, merge_requeue(*waits)


def _asked(pods: Sequence[Pod], gate: HealthGate) -> Iterator[Pod]:
    """Those with this gate whose containers are ready: before that there is nothing to ask, and what was said last stands."""
    return (pod for pod in pods if pod.gated and pod.gated.containers_ready and gate.name in pod.gated.standing)


def interval_of(gate: HealthGate, looks: int) -> float:
    """Seconds between two looks at a pod: as asked for, but longer where so many looks would be more than the operator does.

    >>> interval_of(HealthGate("warm", 10), 200), interval_of(HealthGate("warm", 1), 1000)
    (10.0, 10.0)
    """
    return max(float(gate.interval_seconds), looks / LOOKS_PER_SECOND)


def due_at(pod: Pod, look: Look | None, interval: float) -> float:
    """A pod that was never asked is asked at once, and so is one whose container has started anew.

    >>> from fairlead.health.testing import make_gated_pods
    >>> (pod,) = make_gated_pods(1, "warm", restarts=1)
    >>> said = Result("Passed", "Answered", "")
    >>> due_at(pod, None, 10), due_at(pod, Look(50, 0, said), 10), due_at(pod, Look(50.0, 1, said), 10)
    (0.0, 0.0, 60.0)
    """
    return 0.0 if look is None or look.restarts != pod.restarts else look.asked + interval


def errand(app: App, gate: HealthGate, pod: Pod, now: float) -> Errand:
    subject = Subject(app.namespace, app.name, app.uid, pod.revision, 0, pod=pod)
    return Errand("Pod", app.namespace, "", pod.uid, (pod.uid, gate.name), Ask(subject, gate, pod, now))


# ---------------------------------------------------------------- what the App says


def condition(observed: HealthObserved) -> Condition | None:
    """What no pod's own condition can say: that it cannot be written, or that pods which are ready cannot be asked.

    >>> from fairlead.health.testing import make_gated_app, make_gated_pods
    >>> pods = make_gated_pods(2, "warm", status="True")
    >>> dead = Look(0, 0, Result("Error", "NoAnswer", "/warm: no answer within 5 s"), errors=3)
    >>> said = condition(HealthObserved(make_gated_app("warm"), pods, {(pods[0].uid, "warm"): dead}))
    >>> said.message
    'health gate warm cannot be measured on 1 of 2 pods (shop-v1-0: /warm: no answer within 5 s); they stay ready by what was measured last'
    """
    refused = next((failure for failure in observed.failures if failure.kind == STATUS_OF_PODS), None)
    if refused is not None:
        words = f"the API server refuses what the health gates found: patch pods/status: {refused.message}; pods stay as ready as they are"
        return Condition(TYPE, "False", "HealthGateRefused", words)
    for gate in observed.app.spec.health.gates:
        pods = [pod for pod in observed.pods if pod.gated and gate.name in pod.gated.standing]
        mute = [pod for pod in pods if pod.ready and _mute(observed.looks.get((pod.uid, gate.name)))]
        if mute:
            first = min(mute, key=lambda pod: pod.name)
            said = observed.looks[first.uid, gate.name].result.message[:TEXT_LIMIT]
            words = f"health gate {gate.name} cannot be measured on {len(mute)} of {len(pods)} pods ({first.name}: {said}); they stay ready by what was measured last"
            return Condition(TYPE, "False", "HealthGateError", words)
    return None


def _mute(look: Look | None) -> bool:
    return look is not None and look.errors >= TOLD_ERRORS
