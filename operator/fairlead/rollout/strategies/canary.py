"""Canary: a few pods of the new revision first, and more of them step by step. Pure.

Weights are shares of the pods with traffic: on a plain Service each of them gets its part, so a revision's share of it
never exceeds its share of what is ready. A canary may have pods beyond its weight; those are kept apart from the traffic. Arithmetic: argo-rollouts utils/replicaset/canary.go.
"""

from __future__ import annotations

import math

import msgspec

from fairlead.rollout.fleet import Course, Fleet, end_step
from fairlead.rollout.routing import carrying, in_force
from fairlead.rollout.strategies.rolling import Rolling, stands, towards


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
        after = towards(without_idle(fleet, goal.capacity), goal.sizes).given({fleet.target.id: goal.traffic})
        return end_step(after, stands(after, goal.sizes) and in_force(after), self.step)


class Goal(msgspec.Struct, frozen=True):
    """What a step wants: the sizes, how many pods the canary is to have, and how many of them get traffic (None: all)."""

    sizes: dict[str, int]
    capacity: int
    traffic: int | None


def goal_of(fleet: Fleet, course: Course) -> Goal | None:
    """What the course's weight and scale mean; None where no pod of a completed revision is left to share with. A canary
    may have more pods than its weight needs, and then only so many get traffic; where it has fewer, the traffic is as much
    as they can carry. It never grows beyond the surge.

    A canary that was given up for a newer one goes first; what it leaves is the stable revision's again.
    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.model import Scale, Step
    >>> old = (Group("old", 1, 8, stable=True), Group("given-up", 2, 2))
    >>> fleet = Fleet(Group("new", 3, 0), old, replicas=10, surge=3, unavailable=0)
    >>> goal_of(fleet, Course((Step(weight=10),))).sizes
    {'old': 9, 'new': 1}
    >>> goal_of(fleet, Course((Step(scale=Scale(replicas=4)), Step(weight=10)), passed=1))
    Goal(sizes={'old': 9, 'new': 4}, capacity=4, traffic=1)
    """
    stable = fleet.stable
    if stable is None:
        everything = {fleet.target.id: fleet.replicas}
        return Goal(everything, fleet.replicas, None) if course.weight == 100 else None
    new, old = parts(fleet, course.weight)
    if course.scale is None or course.weight == 100:
        return Goal({stable.id: old, fleet.target.id: new}, new, None if new else 0)
    wanted = course.scale.of(fleet.replicas)
    if wanted < new:
        new, old = wanted, fleet.replicas - wanted
    capacity = min(wanted, fleet.bound - old)
    return Goal({stable.id: old, fleet.target.id: capacity}, capacity, None if capacity == new else new)


def parts(fleet: Fleet, weight: int) -> tuple[int, int]:
    """(new, old) pods for a weight: what comes nearest to it by their count, or, where a route gives it exactly and there
    may be a pod more, what either side needs for its part.

    >>> from fairlead.expose.model import Routed
    >>> from fairlead.rollout.fleet import Group
    >>> fleet = Fleet(Group("new", 2, 0), (), replicas=4, surge=1, unavailable=0)
    >>> parts(fleet, 10), parts(msgspec.structs.replace(fleet, routed=Routed()), 10)
    ((1, 4), (1, 4))
    >>> parts(fleet, 30), parts(msgspec.structs.replace(fleet, routed=Routed()), 30)
    ((1, 3), (2, 3))
    """
    if fleet.routed is not None and fleet.surge:
        return carrying(fleet.replicas, weight, fleet.bound, fleet.least)
    return split(fleet.replicas, weight, fleet.surge, fleet.least)


def without_idle(fleet: Fleet, capacity: int) -> Fleet:
    """The canary's pods that serve nobody go at once where they are too many.

    >>> from fairlead.rollout.fleet import Group
    >>> canary = Group("new", 2, 4, available=4, idle=3)
    >>> without_idle(Fleet(canary, (), replicas=10, surge=3, unavailable=0), 2).sizes
    {'new': 2}
    """
    target = fleet.target
    return fleet.resized({target.id: max(min(target.size, capacity), target.serving)}) if target.idle else fleet


def split(replicas: int, weight: int, surge: int, least: int = 1) -> tuple[int, int]:
    """(new, old) pods for a weight in per cent: of `replicas` pods or, where there may be a surge, one more, the split
    nearest to the weight; of two equally near ones the one with more new pods. Neither side is left with fewer than `least`
    pods between 0 and 100 %, as far as there are so many.

    >>> split(10, 20, 1), split(4, 10, 0), split(3, 50, 1), split(1, 10, 1), split(1, 10, 0)
    ((2, 8), (1, 3), (2, 2), (1, 1), (0, 1))
    >>> split(10, 10, 0, least=2), split(3, 10, 0, least=2)
    ((2, 8), (1, 2))
    """
    if weight <= 0 or replicas == 0:
        return 0, replicas
    if weight >= 100:
        return replicas, 0
    exact = replicas * weight / 100
    counts = {math.ceil(exact), math.floor(exact)}
    totals = (replicas, replicas + 1) if surge else (replicas,)
    least = min(least, totals[-1] // 2)
    options = [
        (new, total - new)
        for total in totals
        if total >= 2 * least
        for new in {min(max(count, least), total - least) for count in counts}
    ]
    return min(options, key=lambda split: (abs(weight - 100 * split[0] / sum(split)), -split[0], sum(split)))
