"""Rolling: new pods up within the surge, old pods down while enough stay available. Pure.

Upstream: kubernetes pkg/controller/deployment/rolling.go (reconcileNewReplicaSet, reconcileOldReplicaSets). One thing
is better: a pod that is not ready and belongs to a revision nobody wants costs nothing to replace, so no update waits
behind a broken one.
"""

from __future__ import annotations

from fairlead.rollout.fleet import Fleet, Group


class Rolling:
    """spec.rollout.strategy: Rolling."""

    def step(self, fleet: Fleet) -> Fleet:
        """Clear away what is broken, grow the new revision, shrink the old ones; and again, until nothing moves without
        a pod having changed first (upstream gets there in as many syncs).

        Ten pods, 25 % / 25 % (surge 3, unavailable 2), a new template: two old pods go, five new ones come.
        >>> old = Group("old", 1, 10, available=10, stable=True)
        >>> Rolling().step(Fleet(Group("new", 2, 0), (old,), replicas=10, surge=3, unavailable=2)).sizes
        {'old': 8, 'new': 5}
        """
        after = shrink_old(shrink_unhealthy(grow_new(clear_broken(fleet))))
        return after if after.sizes == fleet.sizes else self.step(after)


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


def grow_new(fleet: Fleet) -> Fleet:
    """The wanted revision grows by what the surge leaves, never beyond the replicas (NewRSNewReplicas).

    >>> grow_new(Fleet(Group("new", 2, 0), (Group("old", 1, 10),), replicas=10, surge=3, unavailable=2)).sizes["new"]
    3
    >>> grow_new(Fleet(Group("new", 2, 7), (), replicas=4, surge=1, unavailable=1)).sizes["new"]
    4
    """
    size = fleet.target.size
    if size > fleet.replicas:
        return fleet.resized({fleet.target.id: fleet.replicas})
    room = max(0, fleet.bound - fleet.total)
    return fleet.resized({fleet.target.id: size + min(room, fleet.replicas - size)})


def shrink_unhealthy(fleet: Fleet) -> Fleet:
    """Unavailable old pods first, oldest revision first, as far as the total stays above the floor with every new pod
    that is not available yet counted as missing (cleanupUnhealthyReplicas).

    >>> old = Group("old", 1, 8, available=6, stable=True)
    >>> shrink_unhealthy(Fleet(Group("new", 2, 5, available=3), (old,), replicas=10, surge=3, unavailable=2)).sizes["old"]
    6
    """
    budget = fleet.total - fleet.floor - (fleet.target.size - fleet.target.available)
    sizes = {}
    for group in fleet.old:
        down = max(0, min(budget, group.size - group.available))
        sizes[group.id] = group.size - down
        budget -= down
    return fleet.resized(sizes)


def shrink_old(fleet: Fleet) -> Fleet:
    """Available old pods go, oldest revision first, while the floor stays available
    (scaleDownOldReplicaSetsForRollingUpdate).

    >>> old = Group("old", 1, 10, available=10, stable=True)
    >>> shrink_old(Fleet(Group("new", 2, 3), (old,), replicas=10, surge=3, unavailable=2)).sizes["old"]
    8
    """
    if fleet.total - fleet.floor - (fleet.target.size - fleet.target.available) <= 0:
        return fleet
    budget = sum(group.available for group in fleet.groups) - fleet.floor
    sizes = {}
    for group in fleet.old:
        down = max(0, min(budget, group.size))
        sizes[group.id] = group.size - down
        budget -= down
    return fleet.resized(sizes)
