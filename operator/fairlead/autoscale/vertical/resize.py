"""Which pods come to what is applied, and how: in place, or by another pod that takes their place first. Pure.

Source: kubernetes KEP-1287 (in-place resize), vertical-pod-autoscaler/pkg/updater (who falls back to another pod, and when).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from fairlead.autoscale.vertical.sizes import Wanted, differing, had, served
from fairlead.core.actions import Failure, Patch
from fairlead.core.conditions import timestamp
from fairlead.core.meta import ANNOTATION_GIVES_WAY
from fairlead.core.podstate import Pod

SHARE = 4  # one in so many pods at a time
PATIENCE = 300.0  # seconds for which a kubelet may defer it

State = Literal[
    "Has",  # what is applied
    "Due",  # it is to be resized in place
    "Asked",  # the kubelet is at it
    "Deferred",  # the kubelet waits for room on its node
    "Stuck",  # it cannot be resized in place: another pod has to take its place
    "Leaving",  # and is about to
    "Kept",  # nobody knows what it is to have: its revision is gone
]


class Look(msgspec.Struct, frozen=True):
    """One pod, how it stands, and why in words. refused: the API server does not resize it, whatever it does with others."""

    pod: Pod
    state: State
    why: str = ""
    refused: bool = False


class Turn(msgspec.Struct, frozen=True):
    """looks: at all pods; actions: what is done about some of them now; refused: the API server's words, where it resizes none."""

    looks: tuple[Look, ...]
    actions: tuple[Patch, ...] = ()
    refused: str = ""

    def of(self, *states: State) -> list[Look]:
        return [one for one in self.looks if one.state in states]


class Case(msgspec.Struct, frozen=True):
    """pods: the active ones; wanted: by revision; since: when that was settled; failures: of writes to pods; at_once: how many pods
    the App can do without; steady: no release is under way, and no pod is missing."""

    pods: Sequence[Pod]
    wanted: Mapping[str, Wanted]
    since: float = 0.0
    failures: Sequence[Failure] = ()
    at_once: int = 1
    steady: bool = True


def turn(case: Case, now: float) -> Turn:
    """One in four at a time, and those first that serve nobody: they lose nothing.

    >>> from fairlead.autoscale.vertical.model import Applied
    >>> from fairlead.autoscale.vertical.sizes import wanted
    >>> from fairlead.rollout.testing import make_pods
    >>> pods = make_pods(8, resources=b'{"containers":[{"name":"web","resources":{"requests":{"cpu":"1"}}}]}')
    >>> web = {"containers": [{"name": "web", "resources": {"requests": {"cpu": "1"}}}]}
    >>> made = turn(Case(pods, {"v1": wanted(Applied({"web": {"cpu": 300}}), web)}, at_once=9), 0)
    >>> len(made.actions), made.actions[0].subresource
    (2, 'resize')
    """
    refusals = [failure for failure in case.failures if (failure.verb, failure.kind) == ("patch", "Pod/resize")]
    looks = tuple(_look(pod, case, refusals, now) for pod in sorted(case.pods, key=lambda pod: (pod.ready, pod.name)))
    whole = next((failure for failure in refusals if not failure.alone), None)
    due = [one for one in looks if one.state == "Due"]
    if whole is not None and due:  # the next would meet the same: one is tried again, when its pause is over
        again = [one for one in due if one.pod.name == whole.name] or due[:1]
        return Turn(looks, tuple(_resize(one.pod, case) for one in again), whole.message)
    busy = [one for one in looks if one.state in ("Asked", "Leaving")]
    unready = [one for one in looks if one.state in ("Has", "Deferred", "Kept") and not one.pod.ready]
    room = max(1, min(len(looks) // SHARE, case.at_once)) - len(busy) - len(unready)
    idle = [one for one in due if not one.pod.ready]
    # What was refused is asked for again, for the engine to hold back until its pause is over: else the refusal would be forgotten.
    resized = [*idle, *due[len(idle) :][: max(0, room)], *(one for one in looks if one.refused)]
    resizes = [_resize(one.pod, case) for one in resized]
    if due or busy or not case.steady:
        return Turn(looks, tuple(resizes))
    stuck = [one for one in looks if one.state == "Stuck"]
    return Turn(looks, (*(_mark(one.pod) for one in stuck[: max(0, room)]), *resizes))


def _look(pod: Pod, case: Case, refusals: Sequence[Failure], now: float) -> Look:
    wants = case.wanted.get(pod.revision)
    if pod.gives_way:
        return Look(pod, "Leaving", "another pod takes its place")
    if wants is None:
        return Look(pod, "Kept", "its revision is not kept, and with it nobody knows what it is to have")
    differs = differing(had(pod.resources), wants.sizes)
    if not differs:
        return _asked(pod, case.since, now)
    if (now_is := served(pod.resources)) != wants.service:
        return Look(pod, "Stuck", f"its class of service would change from {now_is} to {wants.service}")
    if starts := sorted(name for name, resource in differs if (name, resource) in wants.restarts):
        return Look(pod, "Stuck", f"resizePolicy would start its container {starts[0]} anew")
    own = next((failure for failure in refusals if failure.name == pod.name and failure.alone), None)
    return (
        Look(pod, "Stuck", f"the API server does not resize it: {own.message}", refused=True)
        if own
        else Look(pod, "Due")
    )


def _asked(pod: Pod, since: float, now: float) -> Look:
    """A pod whose spec has it: the kubelet may have it before it, still. What it deferred before there was anything new to it counts
    from then on."""
    told = pod.resizing
    if told is None:
        return Look(pod, "Has")
    said = f" ({told.message})" if told.message else ""
    if told.reason == "Infeasible":
        return Look(pod, "Stuck", f"its node can never have room for it{said}")
    if told.reason == "Deferred":
        began = max(told.since, since)
        why = f"its node has had no room for it since {timestamp(began)}{said}"
        return Look(pod, "Stuck" if now - began >= PATIENCE else "Deferred", why)
    if told.reason == "Error":
        return Look(pod, "Asked", f"its kubelet could not do it since {timestamp(told.since)}{said}, and tries again")
    return Look(pod, "Asked", "its kubelet is at it")


def _resize(pod: Pod, case: Case) -> Patch:
    body = {"metadata": {"uid": pod.uid}, "spec": case.wanted[pod.revision].body}
    return Patch("Pod", pod.namespace, pod.name, msgspec.json.encode(body), "resize", "strategic")


def _mark(pod: Pod) -> Patch:
    """Another pod takes its place as in a restart: the rollout does that, within its surge."""
    body = {"metadata": {"uid": pod.uid, "annotations": {ANNOTATION_GIVES_WAY: "resources"}}}
    return Patch("Pod", pod.namespace, pod.name, msgspec.json.encode(body))
