"""Canary: a few pods of the new revision first, and more of them step by step. Pure.

Weights are shares of pods: on a plain Service each ready pod gets its share of the traffic, so a revision's share of it
never exceeds its share of what is ready. Arithmetic: argo-rollouts utils/replicaset/canary.go.
"""

from __future__ import annotations

import math

import msgspec

from fairlead.rollout.fleet import Course, Fleet
from fairlead.rollout.strategies.rolling import Rolling, towards


class Canary:
    """spec.rollout.strategy: Canary."""

    def step(self, fleet: Fleet) -> Fleet:
        """One state per step, and two ways out of it: on to the next when the weight stands and nothing is left to wait
        for, or (decided elsewhere) back. After the last step it is a Rolling update, as it is where no steps apply.

        Ten pods at the first of the steps 20 %, pause: two new ones come, and as many old ones go once these serve.
        >>> from fairlead.rollout.fleet import Group
        >>> from fairlead.rollout.model import Pause, Step
        >>> steps = (Step(weight=20), Step(pause=Pause(60)))
        >>> old = Group("old", 1, 10, available=10, stable=True)
        >>> fleet = Fleet(Group("new", 2, 0), (old,), replicas=10, surge=3, unavailable=0, course=Course(steps))
        >>> Canary().step(fleet).sizes
        {'old': 10, 'new': 2}
        >>> served = msgspec.structs.replace(fleet, target=Group("new", 2, 2, available=2))
        >>> after = Canary().step(served)
        >>> after.sizes, after.course.passed, after.course.left
        ({'old': 8, 'new': 2}, 1, 60.0)
        """
        course = fleet.course
        if course is None or course.current is None:
            return Rolling().step(fleet)
        goal = goal_of(fleet, course)
        if goal is None:
            return Rolling().step(msgspec.structs.replace(fleet, course=course.over()))
        after = towards(fleet, goal)
        held = stands(after, goal)
        if held and course.left == 0:
            return self.step(msgspec.structs.replace(after, course=course.next()))
        return msgspec.structs.replace(after, course=msgspec.structs.replace(course, held=held))


def goal_of(fleet: Fleet, course: Course) -> dict[str, int] | None:
    """The sizes that the course's weight means; None where no pod of a completed revision is left to share with.

    A canary that was given up for a newer one goes first; what it leaves is the stable revision's again.
    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.model import Step
    >>> old = (Group("old", 1, 8, stable=True), Group("given-up", 2, 2))
    >>> goal_of(Fleet(Group("new", 3, 0), old, replicas=10, surge=3, unavailable=0), Course((Step(weight=10),)))
    {'old': 9, 'new': 1}
    """
    stable = next((group for group in fleet.old if group.stable), None)
    if stable is None:
        return None
    new, old = split(fleet.replicas, course.weight, fleet.surge)
    return {stable.id: old, fleet.target.id: new}


def split(replicas: int, weight: int, surge: int) -> tuple[int, int]:
    """(new, old) pods for a weight in per cent: of `replicas` pods or, where there may be a surge, one more, the split
    nearest to the weight; of two equally near ones the one with more new pods. Neither side is left without a pod
    between 0 and 100 % where there may be two pods.

    >>> split(10, 20, 1), split(4, 10, 0), split(3, 50, 1), split(1, 10, 1), split(1, 10, 0)
    ((2, 8), (1, 3), (2, 2), (1, 1), (0, 1))
    """
    if weight <= 0 or replicas == 0:
        return 0, replicas
    if weight >= 100:
        return replicas, 0
    exact = replicas * weight / 100
    counts = {math.ceil(exact), math.floor(exact)}
    totals = (replicas, replicas + 1) if surge else (replicas,)
    two = totals[-1] >= 2
    options = [(new, total - new) for total in totals for new in counts if not two or 0 < new < total]
    return min(options, key=lambda split: (abs(weight - 100 * split[0] / sum(split)), -split[0], sum(split)))


def stands(fleet: Fleet, goal: dict[str, int]) -> bool:
    """All sizes are the goal's, and the new revision's pods are available."""
    reached = all(group.size == goal.get(group.id, 0) for group in fleet.groups)
    return reached and fleet.target.available >= fleet.target.size
