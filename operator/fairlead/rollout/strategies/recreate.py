"""Recreate: nothing of the new revision runs beside the old one. Pure.

Upstream: kubernetes pkg/controller/deployment/recreate.go.
"""

from __future__ import annotations

from fairlead.rollout.fleet import Fleet, end_step


class Recreate:
    """spec.rollout.strategy: Recreate."""

    def step(self, fleet: Fleet) -> Fleet:
        """All old pods go; the new ones come when the last old one has ended, not merely been deleted.

        >>> from fairlead.rollout.fleet import Group
        >>> Recreate().step(Fleet(Group("new", 2, 0), (Group("old", 1, 3),), replicas=3, surge=0, unavailable=3, lingering=3)).sizes
        {'old': 0, 'new': 0}
        >>> Recreate().step(Fleet(Group("new", 2, 0), (), replicas=3, surge=0, unavailable=3)).sizes
        {'new': 3}
        """
        sizes = {group.id: 0 for group in fleet.old}
        waits = fleet.lingering > 0
        sizes[fleet.target.id] = min(fleet.target.size, fleet.replicas) if waits else fleet.replicas
        after = fleet.resized(sizes)
        course = fleet.course
        if course is None or course.current is None:
            return after
        return end_step(after, not waits and after.target.available >= fleet.replicas, self.step)
