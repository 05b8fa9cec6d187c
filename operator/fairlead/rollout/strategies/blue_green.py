"""BlueGreen: the whole new revision beside the old one, and then all the traffic at once. Pure.

A pod gets traffic by a label. The new pods carry it before the old ones lose it, and the old ones lose it only when as many
new ones serve as there are replicas: so no revision is ever given traffic that its ready pods cannot carry.
"""

from __future__ import annotations

import msgspec

from fairlead.rollout.fleet import Fleet, Group, end_step
from fairlead.rollout.routing import in_force
from fairlead.rollout.strategies.rolling import towards


class BlueGreen:
    """spec.rollout.strategy: BlueGreen."""

    def step(self, fleet: Fleet) -> Fleet:
        """One state per step (`rollout/blue_green.py`): the preview, a wait, the switch, and a while in which the old
        revision is kept. Without steps, after the last one, or with nothing to be beside, the wanted revision takes over
        as soon as it can.

        Four pods: the new revision comes beside the old one, without traffic.
        >>> from fairlead.rollout import blue_green
        >>> from fairlead.rollout.fleet import Course
        >>> from fairlead.rollout.model import BlueGreen as How
        >>> course = Course(blue_green.steps(How(auto_promote=False)))
        >>> old = Group("old", 1, 4, available=4, stable=True)
        >>> fleet = Fleet(Group("new", 2, 0), (old,), replicas=4, surge=4, unavailable=0, course=course)
        >>> after = BlueGreen().step(fleet)
        >>> after.sizes, after.target.serve, after.course.held
        ({'old': 4, 'new': 4}, 0, False)

        When all of it is available, it waits for a person:
        >>> shown = Group("new", 2, 4, available=4, idle=4, served=0)
        >>> after = BlueGreen().step(msgspec.structs.replace(fleet, target=shown))
        >>> after.course.passed, after.course.held, after.course.left
        (1, True, None)

        Promoted, it gets the label; the old pods lose theirs once it serves:
        >>> promoted = Course(blue_green.steps(How(auto_promote=False)), passed=1, promoted=2)
        >>> after = BlueGreen().step(msgspec.structs.replace(fleet, target=shown, course=promoted))
        >>> after.course.passed, after.target.serve, after.old[0].serve
        (2, None, None)
        >>> serves = msgspec.structs.replace(shown, idle=0, served=None)
        >>> after = BlueGreen().step(msgspec.structs.replace(fleet, target=serves, course=after.course))
        >>> after.sizes, after.old[0].serve
        ({'old': 4, 'new': 4}, 0)
        """
        course = fleet.course
        if course is None or course.current is None:
            return take_over(fleet)
        kept = beside(fleet)
        if kept is None:
            return take_over(msgspec.structs.replace(fleet, course=course.over()))
        after = switch(fleet, kept) if course.weight == 100 else preview(fleet, kept)
        return end_step(after, stands(after) and in_force(after), self.step)


def beside(fleet: Fleet) -> Group | None:
    """The old revision that the new one stands beside: the one with traffic, and of several the completed one, else the
    newest; after the switch the completed one, which has none any more. None where there is none.

    >>> stable, given_up = Group("v1", 1, 4, stable=True), Group("v2", 2, 4, served=0)
    >>> beside(Fleet(Group("v3", 3, 0), (stable, given_up), replicas=4, surge=4, unavailable=0)).id
    'v1'
    """
    course = fleet.course
    switching = course is not None and course.weight == 100
    there = [group for group in fleet.old if group.size and (not group.held_back or (switching and group.stable))]
    return max(there, key=lambda group: (not group.held_back, group.stable, group.number), default=None)


def preview(fleet: Fleet, kept: Group) -> Fleet:
    """The new revision at the size it is shown with, out of the traffic; the old one whole. What else is out of the
    traffic, such as a preview that was given up for this one, goes at once.

    >>> old = (Group("v1", 1, 4, available=4, stable=True), Group("v2", 2, 4, available=4, idle=4, served=0))
    >>> fleet = Fleet(Group("v3", 3, 0), old, replicas=4, surge=4, unavailable=0)
    >>> preview(fleet, fleet.old[0]).sizes
    {'v1': 4, 'v2': 0, 'v3': 4}
    """
    scale = fleet.course.scale if fleet.course else None
    capacity = scale.of(fleet.replicas) if scale else fleet.replicas
    return _grown(fleet, kept, capacity).given({fleet.target.id: 0})


def switch(fleet: Fleet, kept: Group) -> Fleet:
    """The new revision whole, in the traffic once all of it is available; then the old one out of it, and kept. Neither is
    taken back here: a pod that fails after it is made anew where it was.

    >>> new = Group("v2", 2, 4, available=3, idle=3, served=0)
    >>> old = Group("v1", 1, 4, available=4, stable=True)
    >>> after = switch(Fleet(new, (old,), replicas=4, surge=4, unavailable=0), old)
    >>> after.target.serve, after.old[0].serve
    (0, None)
    """
    after = _grown(fleet, kept, fleet.replicas)
    target = after.target
    gets = target.served != 0 or target.available >= fleet.replicas
    loses = kept.served == 0 or (gets and target.serving >= fleet.replicas)
    return after.given({target.id: None if gets else 0, kept.id: 0 if loses else None})


def take_over(fleet: Fleet) -> Fleet:
    """The wanted revision to all the replicas and all the traffic, without waiting for anybody: a first release, a way
    back, and what is left to do after the last step. It gets traffic when it is whole, or serves better than what has it
    now; only when it is whole the others go.

    The way back from a switch: the pods are there, and need but their label.
    >>> back = Group("v1", 1, 4, available=4, idle=4, served=0, stable=True)
    >>> failed = Group("v2", 2, 4, available=1)
    >>> after = take_over(Fleet(back, (failed,), replicas=4, surge=4, unavailable=0))
    >>> after.sizes, after.target.serve
    ({'v2': 4, 'v1': 4}, None)
    >>> served = msgspec.structs.replace(back, idle=0, served=None)
    >>> take_over(Fleet(served, (failed,), replicas=4, surge=4, unavailable=0)).sizes
    {'v2': 0, 'v1': 4}
    """
    target, serving = fleet.target, [group for group in fleet.old if group.size and not group.held_back]
    if not serving or (target.served != 0 and target.serving >= fleet.replicas):
        sizes = {group.id: 0 for group in fleet.old} | {target.id: fleet.replicas}
        return fleet.resized(sizes).given({target.id: None})
    kept = max(serving, key=lambda group: (group.stable, group.number))
    others = sum(group.serving for group in serving)
    gets = target.served != 0 or target.available >= fleet.replicas or target.available > others
    return _grown(fleet, kept, fleet.replicas).given({target.id: None if gets else 0})


def stands(fleet: Fleet) -> bool:
    """All pods are as the current step wants them: the preview is up, or the traffic has moved."""
    course, target = fleet.course, fleet.target
    if course is None or target.available < target.size:
        return False
    if course.weight < 100:
        return True
    return target.serving >= fleet.replicas and not any(pod.serving for group in fleet.old for pod in group.pods)


def _grown(fleet: Fleet, kept: Group, capacity: int) -> Fleet:
    """So many pods of the wanted revision beside the kept one, as far as there is room; the kept one is made whole where
    it is completed (its pods are worth making), and the others go: at once where they serve nobody."""
    target = fleet.target
    idle = {group.id: 0 for group in fleet.old if group.held_back and group.id != kept.id}
    goal = {kept.id: fleet.replicas if kept.stable else min(kept.size, fleet.replicas), target.id: capacity}
    return towards(fleet.resized(idle | {target.id: min(target.size, capacity)}), goal)
