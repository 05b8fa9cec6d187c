"""The pods that checks have run to their end: made once for each measurement, awaited, read and collected. Pure.

A pod's name says which measurement it is for, so that an operator that dies after making it finds it again, and there is
never a second one. The Revision that is judged owns it: it goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.core.actions import Action, Create, Delete, Failure, merge_requeue
from fairlead.core.meta import JSON, LABEL_GATE, LABEL_JUDGES, MANAGED_BY, owner_reference, stable_hash, truncate
from fairlead.core.podstate import Pod
from fairlead.gates.checks.run import CONTAINER
from fairlead.gates.model import TEXT_LIMIT, Ask, AskRun, Ran, RunAnswer, Subject, Wait

PURPOSE = "gate"  # of the pods: what is refused of them concerns no other
KEPT_PODS = 5  # ended pods of an App's gates that are kept for a look at their logs
KEPT_SECONDS = 600.0  # and for how long
NOT_ENDED = "it has not ended"
GRACE_SECONDS = 60.0  # one that nobody awaits may be new: its measurement's count is not known here yet

# A container that ended so was not judged by its own program.
_NOT_ITS_OWN = frozenset({"OOMKilled", "StartError", "ContainerCannotRun", "ContainerStatusUnknown"})


class Trial(msgspec.Struct, frozen=True):
    """The pods of one measurement: those to make, what is awaited of them, or how each is to be read."""

    names: tuple[str, ...] = ()
    creates: tuple[Create, ...] = ()
    wait: Wait | None = None
    ran: tuple[Ran, ...] = ()


class Judgement(msgspec.Struct, frozen=True):
    """What a pod is run for: a gate's measurement, when `taken` were taken, of the Revision that owns it."""

    subject: Subject
    revision: str
    revision_uid: str
    gate: str
    moment: str
    taken: int


def trial(
    judgement: Judgement, asks: Sequence[Ask], pods: Mapping[str, Pod], failures: Sequence[Failure], now: float
) -> Trial:
    """The pods that a measurement needs are made; when all have come to their end, or to that of their time, it is taken.

    >>> asks = (AskRun({"containers": []}, 300.0),)
    >>> judgement = Judgement(Subject("shop", "web", "uid", "x7k2", 4), "web-x7k2", "uid-r", "smoke", "Step2", 0)
    >>> first = trial(judgement, asks, {}, (), 0.0)
    >>> len(first.creates), first.wait.message == f"its pod {first.names[0]}, which is being made"
    (1, True)
    >>> there = Pod("shop", first.names[0], "p", 1, created=0.0, phase="Succeeded")
    >>> trial(judgement, asks, {there.name: there}, (), 9.0).ran == (Ran(there.name),)
    True
    """
    creates, waits, ran, names = [], [], [], []
    for index, ask in enumerate(ask for ask in asks if isinstance(ask, AskRun)):
        name = pod_name(judgement, index)
        names.append(name)
        pod, refusal = pods.get(name), _refusal(failures, name)
        if pod is not None and (said := ending_of(pod, ask.timeout, now)) is not None:
            ran.append(said)
        elif pod is not None:
            waits.append(Wait(f"its pod {name}, which {state_of(pod)}", pod.created + ask.timeout))
        elif refusal is not None and now >= refusal.since + ask.timeout:
            ran.append(Ran(name, f"the API server refuses it: {refusal.message}"[:TEXT_LIMIT]))
        else:
            creates.append(create(judgement, name, ask))
            waits.append(_to_be_made(name, refusal, ask.timeout))
    if not waits:
        return Trial(tuple(names), ran=tuple(ran))
    until = min((wait.until for wait in waits if wait.until is not None), default=None)
    return Trial(tuple(names), tuple(creates), Wait(waits[0].message, until))


def pod_name(judgement: Judgement, index: int) -> str:
    """The one name of the pod for this check of this measurement."""
    what = (judgement.revision, judgement.subject.number, judgement.gate, judgement.moment, judgement.taken, index)
    digest = stable_hash("/".join(map(str, what)).encode())
    return f"{truncate(f'{judgement.subject.app}-{judgement.gate}', 50)}-{digest}"


def create(judgement: Judgement, name: str, ask: AskRun) -> Create:
    """The pod. It has none of the labels by which the App's own pods are counted, found by Services and protected by budgets."""
    subject = judgement.subject
    # To block the Revision's deletion would take a right on its finalizers, and it need not wait for a pod like this.
    owner = owner_reference("Revision", judgement.revision, judgement.revision_uid) | {"blockOwnerDeletion": False}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": subject.namespace,
            "labels": {
                LABEL_JUDGES: subject.app,
                LABEL_GATE: truncate(judgement.gate, 63),
                "app.kubernetes.io/component": "gate",
                "app.kubernetes.io/part-of": subject.app,
                "app.kubernetes.io/managed-by": MANAGED_BY,
            },
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            "ownerReferences": [owner],
        },
        "spec": ask.spec,
    }
    return Create("Pod", subject.namespace, name, msgspec.json.encode(body), judgement.revision_uid, PURPOSE)


def in_words(ask: AskRun) -> str:
    """What is run, for people.

    >>> in_words(AskRun({"containers": [{"image": "shop:2", "command": ["smoke", "--all"]}], "securityContext": {"runAsUser": 7}}, 300.0))
    'a pod of shop:2 with the command smoke --all, as user 7, for 300 s at most'
    """
    container = ask.spec["containers"][0]
    given = [*container.get("command", ()), *container.get("args", ())]
    what = f" with the {'command' if container.get('command') else 'arguments'} {' '.join(given)}" if given else ""
    user = (ask.spec.get("securityContext") or {}).get("runAsUser")
    account = ask.spec.get("serviceAccountName")
    who = f", as user {user}" + (f" with the service account {account}" if account else "")
    return f"a pod of {container.get('image') or 'the revision'}{what}{who}, for {ask.timeout:g} s at most"


def ending_of(pod: Pod, timeout: float, now: float) -> Ran | None:
    """How a pod is to be read; None while it may still say something. One that is being deleted says nothing: it is awaited,
    and made anew when it is gone.

    >>> stuck = Pod("shop", "p", "u", 1, created=0.0, problem="Unschedulable", message="0/3 nodes are available")
    >>> ending_of(stuck, 300.0, 299.0)
    >>> ending_of(stuck, 300.0, 300.0).error
    'it did not end within 300 s: Unschedulable: 0/3 nodes are available'
    """
    if pod.finished and pod.deleting is None:
        return Ran(pod.name)
    if now >= pod.created + timeout:
        why = f": {pod.problem}: {pod.message}" if pod.problem and not pod.finished else ""
        return Ran(pod.name, f"it did not end within {timeout:g} s{why}"[:TEXT_LIMIT])
    return None


def state_of(pod: Pod) -> str:
    """What a pod that has not ended is doing, in words.

    >>> state_of(Pod("shop", "p", "u", 1, created=0.0, problem="ImagePullBackOff", message="not found"))
    'cannot start: ImagePullBackOff: not found'
    """
    if pod.deleting is not None:
        return "is being deleted by somebody: it is made anew when it is gone"
    if pod.problem:
        return f"cannot start: {pod.problem}: {pod.message}"[:TEXT_LIMIT]
    return "is running" if pod.phase == "Running" else "is starting"


def _refusal(failures: Iterable[Failure], name: str) -> Failure | None:
    """Why the API server did not take the pod of that name; None where it was not asked, or did."""
    return next((one for one in failures if (one.verb, one.kind, one.name) == ("create", f"Pod/{PURPOSE}", name)), None)


def _to_be_made(name: str, refusal: Failure | None, timeout: float) -> Wait:
    """It is asked for as long as its time lasts: a quota, or a webhook, may let it pass in a moment."""
    if refusal is None:
        return Wait(f"its pod {name}, which is being made")
    words = f"its pod {name}, which the API server refuses: {refusal.message}"
    return Wait(words[:TEXT_LIMIT], refusal.since + timeout)


# ---------------------------------------------------------------- collecting


def collected(pods: Iterable[Pod], awaited: frozenset[str], now: float) -> tuple[list[Action], float | None]:
    """The pods that have done their duty and were kept for long enough, and when the next one will have been.

    >>> ended = [Pod("shop", f"p{n}", f"u{n}", 1, created=0.0, phase="Failed", finished_at=10.0 * n) for n in range(6)]
    >>> [action.name for action in collected(ended, frozenset(), 60.0)[0]], collected(ended[5:], frozenset(), 60.0)[1]
    (['p0'], 590.0)
    """
    rest = [pod for pod in pods if pod.name not in awaited and pod.deleting is None]
    ended = sorted((pod for pod in rest if pod.finished), key=lambda pod: (pod.finished_at, pod.name), reverse=True)
    ends = [(pod, pod.created + GRACE_SECONDS) for pod in rest if not pod.finished]
    ends += [(pod, now if rank >= KEPT_PODS else pod.finished_at + KEPT_SECONDS) for rank, pod in enumerate(ended)]
    gone = [Delete("Pod", pod.namespace, pod.name, pod.uid) for pod, end in ends if end <= now]
    return list(gone), merge_requeue(*(end - now for _, end in ends if end > now))


# ---------------------------------------------------------------- reading


def answer_of(pod: JSON) -> RunAnswer:
    """What the pod that was run says, by its JSON. Only its program's own end is an answer: a pod that was evicted, that its
    node lost, that ran out of time or memory, or whose program does not exist, says nothing.

    >>> state = {"terminated": {"exitCode": 3, "message": "checking" + chr(10) + "no basket"}}
    >>> answer_of({"metadata": {"name": "p"}, "status": {"phase": "Failed", "containerStatuses": [{"name": "check", "state": state}]}})
    RunAnswer(pod='p', code=3, message='no basket', error='')
    """
    name, status = str((pod.get("metadata") or {}).get("name")), pod.get("status") or {}
    ended = _terminated(status)
    if status.get("phase") == "Succeeded":
        return RunAnswer(name, message=_last_line(ended))
    if status.get("phase") != "Failed":
        return RunAnswer(name, error=NOT_ENDED)
    if outside := next(_from_outside(status), ""):
        return RunAnswer(name, error=outside[:TEXT_LIMIT])
    if not ended:
        return RunAnswer(name, error="it ended, and nobody says how")
    if (why := ended.get("reason") or "") in _NOT_ITS_OWN:
        return RunAnswer(name, error=f"{why}: {_last_line(ended)}".rstrip(": ")[:TEXT_LIMIT])
    return RunAnswer(name, int(ended.get("exitCode") or 0), _last_line(ended))


def _from_outside(status: JSON) -> Iterator[str]:
    if reason := status.get("reason"):
        yield f"it was ended: {reason}: {status.get('message') or ''}".rstrip(": ")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            yield f"it was ended: {condition.get('reason')}: {condition.get('message') or ''}".rstrip(": ")


def _terminated(status: JSON) -> dict[str, Any]:
    own = (one for one in status.get("containerStatuses") or () if one.get("name") == CONTAINER)
    return ((next(own, None) or {}).get("state") or {}).get("terminated") or {}


def _last_line(ended: JSON) -> str:
    lines = str(ended.get("message") or "").strip().splitlines()
    return lines[-1][:TEXT_LIMIT] if lines else ""
