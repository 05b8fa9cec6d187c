"""Rolling: new pods up within the surge, old pods down while enough stay available. Pure.

Upstream: kubernetes pkg/controller/deployment/rolling.go (reconcileNewReplicaSet, reconcileOldReplicaSets). One thing
is better: a pod that is not ready and belongs to a revision nobody wants costs nothing to replace, so no update waits
behind a broken one.
"""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.rollout.fleet import Fleet, Group, end_step


class Rolling:
    """spec.rollout.strategy: Rolling."""

    def step(self, fleet: Fleet) -> Fleet:
        """The wanted revision to all the replicas, the old ones to nothing.

        Ten pods, 25 % / 25 % (surge 3, unavailable 2), a new template: two old pods go, five new ones come.
        >>> old = Group("old", 1, 10, available=10, stable=True)
        >>> Rolling().step(Fleet(Group("new", 2, 0), (old,), replicas=10, surge=3, unavailable=2)).sizes
        {'old': 8, 'new': 5}

        Where gates are judged before the promotion, the first pods come and wait for them:
        >>> from fairlead.rollout.fleet import Course
        >>> from fairlead.rollout.model import Step
        >>> course = Course((Step(moment="BeforePromotion"),))
        >>> Rolling().step(Fleet(Group("new", 2, 0), (old,), replicas=10, surge=3, unavailable=2, course=course)).sizes
        {'old': 10, 'new': 3}
        """
        course = fleet.course
        if course is None or course.current is None:
            return towards(fleet, {fleet.target.id: fleet.replicas})
        goal = {fleet.target.id: fleet.replicas} if course.weight == 100 else first_pods(fleet)
        after = towards(fleet, goal)
        return end_step(after, stands(after, goal), self.step)


def first_pods(fleet: Fleet) -> dict[str, int]:
    """As many new pods as the surge allows beside all old ones, else as many as may be missing in their place; all of them
    where no pod of a completed revision is left to be compared with.

    >>> old = Group("old", 1, 4, stable=True)
    >>> first_pods(Fleet(Group("new", 2, 0), (old,), replicas=4, surge=0, unavailable=1))
    {'old': 3, 'new': 1}
    """
    stable = fleet.stable
    if stable is None:
        return {fleet.target.id: fleet.replicas}
    first = min(fleet.replicas, fleet.surge or fleet.unavailable)
    return {stable.id: min(fleet.replicas, fleet.bound - first), fleet.target.id: first}


def stands(fleet: Fleet, goal: Mapping[str, int]) -> bool:
    """All sizes are the goal's, and the new revision's pods are available, with the traffic they are to have."""
    target = fleet.target
    reached = all(group.size == goal.get(group.id, 0) for group in fleet.groups)
    return reached and target.available >= target.size and target.serving == target.share


def towards(fleet: Fleet, goal: Mapping[str, int]) -> Fleet:
    """As near to these sizes (0 where none is named) as surge and availability allow: clear away what is broken, grow
    what is too small, shrink what is too large; and again, until nothing moves without a pod having changed first
    (upstream gets there in as many syncs)."""
    after = shrink_available(shrink_unavailable(grow(clear_broken(fleet), goal), goal), goal)
    return after if after.sizes == fleet.sizes else towards(after, goal)


def clear_broken(fleet: Fleet) -> Fleet:
    """Old pods that serve nobody make room at once, outside any budget.

    Of a revision that never completed: every pod that is not ready. Of one that did: only pods that say what is wrong
    with them, and only while the wanted revision does well; else they may be all there is to come back to.

    >>> from fairlead.rollout.testing import make_pods
    >>> broken = Group("bad", 2, 3, make_pods(3, "bad", ready=False))
    >>> good = Group("good", 1, 8, make_pods(8, "good"), available=8, stable=True)
    >>> clear_broken(Fleet(Group("fix", 3, 0), (good, broken), replicas=10, surge=3, unavailable=2)).sizes
    {'good': 8, 'bad': 0, 'fix': 0}
    """

    def kept(group: Group) -> int:
        # By what is worth keeping, not by subtraction: the size may already have been made smaller for these very pods.
        if not group.stable:
            return min(group.size, group.ready)
        to_come = max(0, group.size - len(group.pods))
        return group.size if fleet.trouble else min(group.size, len(group.pods) - group.broken + to_come)

    return fleet.resized({group.id: kept(group) for group in fleet.old})


def grow(fleet: Fleet, goal: Mapping[str, int]) -> Fleet:
    """Each revision grows by what the surge leaves, old ones first (their pods are known to serve), never beyond its
    goal; the wanted one shrinks to its goal at once where nothing else is there to be shrunk (NewRSNewReplicas).

    >>> old = Group("old", 1, 10)
    >>> grow(Fleet(Group("new", 2, 0), (old,), replicas=10, surge=3, unavailable=2), {"new": 10}).sizes["new"]
    3
    >>> grow(Fleet(Group("new", 2, 7), (), replicas=4, surge=1, unavailable=1), {"new": 4}).sizes["new"]
    4
    """
    sizes = {}
    room = max(0, fleet.bound - fleet.total)
    for group in fleet.old:
        up = max(0, min(room, goal.get(group.id, 0) - group.size))
        sizes[group.id] = group.size + up
        room -= up
    target = fleet.target
    if target.size > fleet.replicas:
        sizes[target.id] = fleet.replicas
    else:
        sizes[target.id] = target.size + max(0, min(room, goal.get(target.id, 0) - target.size))
    return fleet.resized(sizes)


def shrink_unavailable(fleet: Fleet, goal: Mapping[str, int]) -> Fleet:
    """Unavailable old pods first, oldest revision first, as far as the total stays above the floor with every new pod
    that is not available yet counted as missing (cleanupUnhealthyReplicas).

    >>> old = Group("old", 1, 8, available=6, stable=True)
    >>> fleet = Fleet(Group("new", 2, 5, available=3), (old,), replicas=10, surge=3, unavailable=2)
    >>> shrink_unavailable(fleet, {"new": 10}).sizes["old"]
    6
    """
    budget = fleet.total - fleet.floor - (fleet.target.size - fleet.target.serving)
    sizes = {}
    for group in _dispensable(fleet, goal):
        down = max(0, min(budget, group.size - max(group.available, goal.get(group.id, 0))))
        sizes[group.id] = group.size - down
        budget -= down
    return fleet.resized(sizes)


def shrink_available(fleet: Fleet, goal: Mapping[str, int]) -> Fleet:
    """Available pods go, oldest revision first, while the floor stays available
    (scaleDownOldReplicaSetsForRollingUpdate).

    >>> old = Group("old", 1, 10, available=10, stable=True)
    >>> fleet = Fleet(Group("new", 2, 3), (old,), replicas=10, surge=3, unavailable=2)
    >>> shrink_available(fleet, {"new": 10}).sizes["old"]
    8
    """
    if fleet.total - fleet.floor - (fleet.target.size - fleet.target.serving) <= 0:
        return fleet
    budget = fleet.serving - fleet.floor
    sizes = {}
    for group in _dispensable(fleet, goal):
        down = max(0, min(budget, group.size - goal.get(group.id, 0)))
        sizes[group.id] = group.size - down
        budget -= down
    return fleet.resized(sizes)


def _dispensable(fleet: Fleet, goal: Mapping[str, int]) -> list[Group]:
    """Who may shrink, in that order: old revisions that are to go, old ones that are to stay with fewer pods, and the
    wanted one where it has more than its goal."""
    old = sorted(fleet.old, key=lambda group: goal.get(group.id, 0) > 0)
    return [*old, fleet.target] if fleet.target.size > goal.get(fleet.target.id, 0) else old
