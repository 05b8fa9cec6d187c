"""How a route shares the traffic between revisions, and when pods may leave because it does. Pure.

A route gives exact weights whatever the counts of pods, so the two must not get ahead of each other: weights follow the pods
that are ready and among the endpoints of their Service, and pods that still get a part of the traffic stay until the route
says otherwise. Weights are decisions, stored in status (`Progress.weights`) as sizes are; the expose room writes them into the HTTPRoute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairlead.core.actions import Delete
from fairlead.core.podstate import Pod
from fairlead.expose.model import Routed
from fairlead.rollout.fleet import OUTDATED, Fleet, Group


def decide(fleet: Fleet) -> Routed:
    """The weights in per cent by revision, and which revision gets the requests that ask for the one on trial.

    What is on trial never gets more than its step's weight, nor more than its ready pods can carry: their share of the pods
    that the App needs (or of those that are ready, where these are fewer). The rest is the others', by their ready pods.
    Ten pods at a weight of 20 %, of which one new pod is ready; then both are; then the release is taken back:
    >>> from fairlead.rollout.fleet import Course
    >>> from fairlead.rollout.model import Step
    >>> old, course = Group("v1", 1, 10, available=10, stable=True), Course((Step(weight=20),))
    >>> fleet = Fleet(Group("v2", 2, 2, available=1), (old,), replicas=10, surge=3, unavailable=0, course=course)
    >>> decide(fleet).weights
    {'v1': 90, 'v2': 10}
    >>> decide(Fleet(Group("v2", 2, 2, available=2), (old,), replicas=10, surge=3, unavailable=0, course=course)).weights
    {'v1': 80, 'v2': 20}
    >>> failed = Group("v2", 2, 5, available=5)
    >>> decide(Fleet(Group("v1", 1, 8, available=8, stable=True), (failed,), replicas=10, surge=3, unavailable=0)).weights
    {'v2': 20, 'v1': 80}
    """
    target = fleet.target
    shares = {_hash(group): 0 for group in fleet.groups if group.size or group.pods or group is target}
    others = [group for group in fleet.old if group.share]
    given = _on_trial(fleet, others)
    for group, part in zip(others, _parts([_carries(group) for group in others], 100 - given), strict=True):
        shares[_hash(group)] += part
    shares[_hash(target)] += given if others else 100
    by_header = fleet.routed is not None and fleet.routed.by_header
    tried = by_header and _stepping(fleet) and bool(others) and _there(target) > 0
    return Routed(shares, _hash(target) if tried else "")


def _stepping(fleet: Fleet) -> bool:
    return fleet.course is not None and fleet.course.current is not None


def _on_trial(fleet: Fleet, others: Sequence[Group]) -> int:
    goal = fleet.course.weight if fleet.course and _stepping(fleet) else 100
    mine, theirs = _carries(fleet.target), sum(map(_carries, others))
    needed = min(fleet.replicas, mine + theirs)
    return min(goal, 100 * mine // needed) if needed else 0


def _parts(pods: Sequence[int], weight: int) -> list[int]:
    """A weight by pods; what rounding leaves, and everything where none is ready, is the first one's.

    >>> _parts([5, 4], 90), _parts([1, 1, 1], 100), _parts([0, 0], 90), _parts([], 0)
    ([50, 40], [34, 33, 33], [90, 0], [])
    """
    total = sum(pods)
    parts = [weight * count // total if total else 0 for count in pods]
    return [parts[0] + weight - sum(parts), *parts[1:]] if parts else []


def _carries(group: Group) -> int:
    """Pods that can take a part of the traffic: of a revision that may have any."""
    return min(_there(group), group.size) if group.share else 0


def _there(group: Group) -> int:
    """Pods that can be asked through the route: available, and among the endpoints of their Service.

    >>> _there(Group("v1", 1, 3, available=3, reached=2)), _there(Group("v1", 1, 3, available=3))
    (2, 3)
    """
    return group.available if group.reached is None else min(group.available, group.reached)


def reached(routed: Routed | None, available: Sequence[Pod]) -> int | None:
    """How many of the available pods the endpoints of their Service name; None where nobody knows.

    >>> from fairlead.rollout.testing import make_pods
    >>> pods = make_pods(2)
    >>> reached(Routed(reached=frozenset({pods[0].uid})), pods), reached(Routed(), pods), reached(None, pods)
    (1, None, None)
    """
    if routed is None or routed.reached is None:
        return None
    return sum(pod.uid in routed.reached for pod in available)


def unreached(group: Group) -> int:
    """Available pods that the endpoints of their Service do not name yet.

    >>> unreached(Group("v1", 1, 3, available=3, reached=2)), unreached(Group("v1", 1, 3, available=3))
    (1, 0)
    """
    return group.available - _there(group)


def _hash(group: Group) -> str:
    return group.id.removesuffix(OUTDATED)


def in_force(fleet: Fleet) -> bool:
    """The route says what this fleet means, and what is on trial has come to its endpoints; also where there is no route to say
    anything.

    >>> fleet = Fleet(Group("v2", 2, 2, available=2), (), replicas=2, surge=1, unavailable=0)
    >>> in_force(fleet)
    True
    >>> import msgspec
    >>> behind = msgspec.structs.replace(fleet, routed=Routed({"v1": 100}))
    >>> in_force(behind), in_force(msgspec.structs.replace(fleet, routed=Routed({"v1": 0, "v2": 100})))
    (False, True)
    """
    return fleet.routed is None or (not unreached(fleet.target) and fleet.routed.same_as(decide(fleet)))


def may_go(fleet: Fleet, gone: Sequence[Delete], pods: Sequence[Pod]) -> list[Delete]:
    """The deletions that need not wait for the route: none of a pod that serves, while the route is behind. The weights
    are written first and the pods go after, so no request is sent to a revision without pods.

    >>> from fairlead.rollout.testing import make_pods
    >>> pods = make_pods(1) + make_pods(1, prefix="broken", ready=False)
    >>> gone = [Delete("Pod", pod.namespace, pod.name, pod.uid) for pod in pods]
    >>> behind = Fleet(Group("v2", 2, 2, available=2), (), replicas=2, surge=1, unavailable=0, routed=Routed({"v1": 100}))
    >>> [delete.name for delete in may_go(behind, gone, pods)]
    ['shop-broken-0']
    """
    if in_force(fleet):
        return list(gone)
    serving = {pod.uid for pod in pods if pod.ready}
    return [delete for delete in gone if delete.uid not in serving]


def carrying(replicas: int, weight: int, bound: int, least: int = 1) -> tuple[int, int]:
    """(new, old) pods for a weight that a route gives exactly: each side has as many as its part of the traffic takes, one
    pod more than the replicas where that does not come out even. `bound`: the most there may be of both.

    >>> carrying(10, 20, 13), carrying(4, 10, 5), carrying(1, 10, 2), carrying(3, 10, 4, least=2), carrying(10, 100, 13)
    ((2, 8), (1, 4), (1, 1), (2, 2), (10, 0))
    """
    if not 0 < weight < 100:
        return (replicas, 0) if weight else (0, replicas)
    new = max(least, math.ceil(replicas * weight / 100))
    old = max(least, math.ceil(replicas * (100 - weight) / 100))
    return new, min(old, max(1, bound - new))
