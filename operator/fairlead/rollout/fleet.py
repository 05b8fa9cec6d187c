"""The pods of an App by revision: what a strategy looks at, and the arithmetic all strategies share. Pure.

A group is what upstream calls a ReplicaSet: the pods of one revision and the size it is to have. Sizes are decisions,
kept in status; pods follow them. Upstream: kubernetes pkg/controller/deployment/sync.go (scale), rolling.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from fairlead.core.budget import fenceposts, proportion
from fairlead.core.podstate import Pod
from fairlead.expose.model import Routed
from fairlead.gates.model import Run
from fairlead.rollout.model import Rollout, Scale, Step

# Pods of the wanted revision that were made before the wish for a restart: a group of its own, on its way out.
OUTDATED = "~"
INT32_MAX = 2**31 - 1


class Group(msgspec.Struct, frozen=True):
    """One revision's pods. `size` is how many it is to have; `pods` are its active ones.

    stable: it once completed, or holds pods of the revision that did: its pods deserve patience.
    idle: available pods that do not carry the label of those that get traffic.
    served, serve: how many of its pods may get traffic, by the last decision and by this one; None: all of them.
    reached: available pods that requests sent by a route come to; None where no route shares the traffic by weights, or where
        that cannot be known.
    """

    id: str
    number: int
    size: int
    pods: tuple[Pod, ...] = ()
    available: int = 0
    stable: bool = False
    created: float = 0.0
    idle: int = 0
    served: int | None = None
    serve: int | None = None
    reached: int | None = None

    @property
    def serving(self) -> int:
        """Available pods that get traffic."""
        return max(0, self.available - self.idle)

    @property
    def share(self) -> int:
        """How many of its pods may get traffic by this decision."""
        return self.size if self.serve is None else min(self.serve, self.size)

    @property
    def held_back(self) -> bool:
        """It has pods, and none of them gets traffic, nor may by the last decision."""
        return self.size > 0 and self.served == 0 and not any(pod.serving for pod in self.pods)

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    @property
    def broken(self) -> int:
        """Active pods that say themselves that something is wrong. Who only waits for a health gate is as good as one whose
        readiness probe fails: it may be back in a moment."""
        return sum(bool(pod.problem) and not pod.ready and not pod.held for pod in self.pods)


class Course(msgspec.Struct, frozen=True):
    """Where a release stands among its steps: `passed` of them are behind it, the current one began at `since`.

    promoted: how many a person has said may be passed without waiting; held: all pods are as the current step wants
    them, and only time, a gate or a person is waited for. judged_by: some gate is judged in the release; cleared: those of
    the current step let it go on; hindrance: the one for which it may not; gates: what they say.
    """

    steps: tuple[Step, ...]
    passed: int = 0
    promoted: int = 0
    since: float = 0.0
    now: float = 0.0
    held: bool = False
    judged_by: bool = False
    cleared: bool = False
    hindrance: Run | None = None
    gates: str = ""

    @property
    def gated(self) -> bool:
        """The current step waits for gates."""
        return self.current is not None and bool(self.current.gate or self.current.moment)

    @property
    def current(self) -> Step | None:
        return self.steps[self.passed] if self.passed < len(self.steps) else None

    @property
    def weight(self) -> int:
        """Per cent of the pods that the wanted revision is to have now: the last weight said up to the current step.

        >>> from fairlead.rollout.model import Pause
        >>> Course((Step(weight=10), Step(pause=Pause(60)), Step(weight=50)), passed=1).weight
        10
        """
        if self.current is None:
            return 100
        said = [step.weight for step in self.steps[: self.passed + 1] if step.weight is not None]
        return said[-1] if said else 0

    @property
    def scale(self) -> Scale | None:
        """The capacity that was last asked for apart from the weight; None where it is to be what the weight needs.

        >>> from fairlead.rollout.model import Scale
        >>> steps = (Step(scale=Scale(replicas=3)), Step(weight=10), Step(scale=Scale(match_weight=True)))
        >>> Course(steps, passed=1).scale, Course(steps, passed=2).scale
        (Scale(replicas=3, percent=None, match_weight=False), None)
        """
        said = [step.scale for step in self.steps[: self.passed + 1] if step.scale is not None]
        return said[-1] if said and not said[-1].match_weight else None

    @property
    def left(self) -> float | None:
        """Seconds the current step still waits when all pods are as it wants them; None: until its gates let it pass, or
        somebody promotes it."""
        if self.gated:
            return 0.0 if self.cleared or self.promoted > self.passed else None
        pause = self.current.pause if self.current else None
        if pause is None or self.promoted > self.passed:
            return 0.0
        return None if pause.seconds is None else max(0.0, self.since + pause.seconds - self.now)

    def next(self) -> Course:
        return msgspec.structs.replace(
            self, passed=self.passed + 1, since=self.now, held=False, cleared=False, gates=""
        )

    def over(self) -> Course:
        """All steps are behind it: nothing is left that the release could be compared with."""
        return msgspec.structs.replace(self, passed=len(self.steps), held=False)


class Fleet(msgspec.Struct, frozen=True):
    """All groups of an App. `old` is oldest first. `lingering`: pods of old revisions that have not ended yet, deleted
    or not (what Recreate waits for). `least`: pods of either side while both have traffic. `course`: the steps to go by; None where there are none, or none apply (a first
    release, a way back). `routed`: how a route shares the traffic by weights; None where none does."""

    target: Group
    old: tuple[Group, ...]
    replicas: int
    surge: int
    unavailable: int
    lingering: int = 0
    course: Course | None = None
    least: int = 1
    routed: Routed | None = None

    @property
    def groups(self) -> tuple[Group, ...]:
        return (*self.old, self.target)

    @property
    def total(self) -> int:
        return sum(group.size for group in self.groups)

    @property
    def bound(self) -> int:
        """The most pods there may be: replicas + surge, and none at all for a size of 0.

        It is kept in status, whose numbers have 32 bits; a maxSurge may be that large by itself.
        >>> Fleet(Group("v1", 1, 2), (), replicas=2, surge=2_147_483_647, unavailable=0).bound
        2147483647
        """
        return min(self.replicas + self.surge, INT32_MAX) if self.replicas else 0

    @property
    def floor(self) -> int:
        """The fewest available pods a healthy App may be left with."""
        return max(0, self.replicas - self.unavailable)

    @property
    def serving(self) -> int:
        """Available pods that get traffic, of all revisions."""
        return sum(group.serving for group in self.groups)

    @property
    def trouble(self) -> bool:
        """The wanted revision is not well: what runs of the old ones is worth keeping."""
        return self.target.broken > 0

    def resized(self, sizes: Mapping[str, int]) -> Fleet:
        """The same fleet with other sizes; what is available never counts above the size."""

        def change(group: Group) -> Group:
            size = sizes.get(group.id, group.size)
            available = min(group.available, size)  # whoever serves nobody goes first
            idle = available - min(group.serving, size)
            return msgspec.structs.replace(group, size=size, available=available, idle=idle)

        return self._changed(change)

    def given(self, traffic: Mapping[str, int | None]) -> Fleet:
        """The same fleet, with so many pods of these revisions in the traffic; None: all of them."""

        def change(group: Group) -> Group:
            return msgspec.structs.replace(group, serve=traffic.get(group.id, group.serve))

        return self._changed(change)

    def as_served(self) -> Fleet:
        """The same fleet, with the traffic given as by the last decision."""
        return self.given({group.id: group.served for group in self.groups})

    def _changed(self, change: Callable[[Group], Group]) -> Fleet:
        return msgspec.structs.replace(self, target=change(self.target), old=tuple(map(change, self.old)))

    @property
    def sizes(self) -> dict[str, int]:
        return {group.id: group.size for group in self.groups}

    @property
    def stable(self) -> Group | None:
        """The old revision that completed; None where no pod of one is left to share with or to be compared with."""
        return next((group for group in self.old if group.stable), None)


class Strategy(Protocol):
    """How one revision gives way to the next. Built-in ones and third parties' are found by entry point
    `fairlead.strategies`, under the name users write in spec.rollout.strategy."""

    def step(self, fleet: Fleet) -> Fleet:
        """The fleet with the sizes to have next. Pure; called again whenever something changed."""
        ...


def limits(rollout: Rollout, replicas: int) -> tuple[int, int]:
    """(surge, unavailable) in pods, as the strategy understands them; maxTotal leaves so much less of the surge, and where
    it leaves none, one pod goes before another comes.

    >>> limits(Rollout(max_surge=3, max_unavailable=0, max_total=11), 10)
    (1, 0)
    >>> limits(Rollout(max_surge=3, max_unavailable=0, max_total=10), 10), limits(Rollout(strategy="BlueGreen"), 10)
    ((0, 1), (10, 2))
    """
    if rollout.strategy == "Recreate":
        return 0, replicas
    surge, unavailable = fenceposts(rollout.max_surge, rollout.max_unavailable, replicas)
    if rollout.strategy == "BlueGreen":
        return replicas, unavailable
    if rollout.max_total is not None:
        surge = min(surge, max(0, rollout.max_total - replicas))
    return surge, unavailable if surge or unavailable else min(1, replicas)


def end_step(after: Fleet, held: bool, step: Callable[[Fleet], Fleet]) -> Fleet:
    """The end of every strategy's step: on to the next where all is as this one wants it (`held`) and nothing is left to
    wait for, else the fleet with that noted.

    >>> waits = Fleet(Group("new", 2, 1), (), replicas=1, surge=1, unavailable=0, course=Course((Step(weight=50),)))
    >>> end_step(waits, False, lambda fleet: fleet).course.passed, end_step(waits, True, lambda fleet: fleet).course.passed
    (0, 1)
    """
    course = after.course
    if course is None:
        return after
    if held and course.left == 0:
        return step(msgspec.structs.replace(after, course=course.next()))
    return msgspec.structs.replace(after, course=msgspec.structs.replace(course, held=held))


def scale(fleet: Fleet, recorded_bound: int) -> Fleet:
    """Spread a change of spec.replicas over the revisions that have pods, by their share (upstream: sync.go scale).

    One active revision takes everything. If the wanted one is complete, the others go. Else each gets its share of the
    new bound, largest first, and the largest takes what rounding left. Pods that are held back from the traffic are apart
    from that: they stay, as far as there are replicas, until the strategy takes its next step.

    Stuck at 8 old + 5 new of 10 (surge 3), scaled to 30 (upstream e2e "should support proportional scaling"):
    >>> stuck = Fleet(Group("new", 2, 5), (Group("old", 1, 8),), replicas=30, surge=3, unavailable=2)
    >>> scale(stuck, recorded_bound=13).sizes
    {'old': 20, 'new': 13}
    >>> preview = Fleet(Group("new", 2, 4, served=0), (Group("old", 1, 4),), replicas=3, surge=3, unavailable=0)
    >>> scale(preview, recorded_bound=8).sizes
    {'old': 3, 'new': 3}
    """
    apart = {group.id: min(group.size, fleet.replicas) for group in fleet.groups if group.held_back}
    active = [group for group in fleet.groups if group.size > 0 and not group.held_back]
    if len(active) <= 1:
        only = active[0] if active else fleet.target
        return fleet.resized({only.id: fleet.replicas} | apart)
    if fleet.target.size == fleet.replicas == fleet.target.serving:
        return fleet.resized({group.id: 0 for group in fleet.old})
    total = sum(group.size for group in active)
    to_add = fleet.bound - sum(apart.values()) - total
    # Ties: the newer first when pods are added, the older first when they are taken away.
    order = sorted(active, key=lambda g: (-g.size, -g.created if to_add > 0 else g.created, g.id))
    sizes, added = {}, 0
    for group in order:
        share = proportion(group.size, fleet.bound, recorded_bound or total, to_add - added)
        sizes[group.id] = group.size + share
        added += share
    largest = order[0].id
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return fleet.resized(sizes | apart)
