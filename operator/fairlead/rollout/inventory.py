"""The fleet as it stands: an App's pods by revision, with the sizes that its status remembers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from fairlead.core.podstate import Pod
from fairlead.rollout import routing, traffic
from fairlead.rollout.course import course_of
from fairlead.rollout.fleet import OUTDATED, Fleet, Group, limits
from fairlead.rollout.model import Observed, Progress, progress_of
from fairlead.rollout.revisions import Target


def build(observed: Observed, target: Target, now: float) -> Fleet:
    """The fleet as it stands: pods by revision, with the sizes status remembers (what nobody remembers is what there is).

    Three pods of the wanted revision, made before the restart that is asked for now, are old:
    >>> from fairlead.rollout.testing import make_app, make_pods, make_revision
    >>> app = make_app(replicas=3, restart_at="2026-11-21T10:00:00Z", status={"rollout": {"sizes": {"v1": 3}, "desired": 3}})
    >>> v1 = make_revision()
    >>> build(Observed(app, (v1,), make_pods(3)), Target("v1", 1, v1), 0).sizes
    {'v1~': 3, 'v1': 0}
    """
    app = observed.app
    rollout = app.spec.rollout
    surge, unavailable = limits(rollout, app.replicas)
    members: dict[str, list[Pod]] = defaultdict(list)
    lingering = 0
    for pod in observed.pods:
        id = group_of(pod, target, rollout.restart_at)
        if pod.active:
            members[id].append(pod)
        if id != target.hash and not pod.finished:
            lingering += 1
    progress = progress_of(app.status)
    sizes = remembered(progress, target, rollout.restart_at, members)
    kept = {revision.hash: revision for revision in observed.revisions}
    stable = app.status.get("stableRevision")

    def group(id: str) -> Group:
        hash = id.removesuffix(OUTDATED)
        revision = kept.get(hash)
        pods = tuple(members.get(id, ()))
        size = sizes.get(id, len(pods))
        if id != target.hash and (revision is None or id != hash):
            size = min(size, len(pods))  # nothing to make them from any more, or nothing worth making
        available = [pod for pod in pods if pod.available(rollout.min_ready_seconds, now)]
        return Group(
            id=id,
            number=revision.number if revision else 0,
            size=size,
            pods=pods,
            available=min(size, len(available)),
            stable=revision is not None and revision.name == stable,
            created=revision.created if revision else 0.0,
            idle=min(size, len(available)) - min(size, sum(pod.serving for pod in available)),
            served=traffic.last_share(id, pods, progress.sizes, progress.serving),
            reached=routing.reached(observed.routed, available),
        )

    ids = sorted({*members, *(id for id, size in sizes.items() if size)} - {target.hash})
    old = sorted(map(group, ids), key=lambda g: (g.number, g.id))
    fresh = group(target.hash)
    if target.revision is None:
        fresh = msgspec.structs.replace(fresh, number=target.number, created=now)
    steps = course_of(app, target, observed.revisions, now)
    least = rollout.min_per_revision
    return make_room(
        Fleet(fresh, tuple(old), app.replicas, surge, unavailable, lingering, steps, least, observed.routed), sizes
    )


def make_room(fleet: Fleet, recorded: Mapping[str, int]) -> Fleet:
    """Old pods that were to go may still be there: the operator ended before it deleted them, and by now they serve. Then
    pods of the wanted revision that are yet to be made give way, or there would be more than the bound.

    >>> still_there = Fleet(Group("new", 2, 2), (Group("old", 1, 2),), replicas=2, surge=1, unavailable=0)
    >>> make_room(still_there, {"new": 2}).sizes
    {'old': 2, 'new': 1}
    """
    returned = sum(group.size for group in fleet.old if group.id not in recorded)
    to_come = fleet.target.size - len(fleet.target.pods)
    less = min(returned, to_come, fleet.total - fleet.bound)
    return fleet.resized({fleet.target.id: fleet.target.size - less}) if less > 0 else fleet


def group_of(pod: Pod, target: Target, restart_at: str) -> str:
    """Which group a pod is in. Whether it is older than a restart is told by the wish it was made under, not by clocks
    (two machines' clocks disagree; a pod made a second "too early" would be restarted for ever). A pod that gives way to another
    one of its revision is on its way out as well."""
    outdated = pod.gives_way or (bool(restart_at) and pod.restarted_at != restart_at)
    return pod.revision + OUTDATED if outdated and pod.revision == target.hash else pod.revision


def remembered(
    progress: Progress, target: Target, restart_at: str, members: Mapping[str, Sequence[Pod]]
) -> dict[str, int]:
    """The recorded sizes under today's group names: a new wish for a restart moves the wanted revision's size to its
    outdated group; a group whose revision is no longer the wanted one is one group again. A wish may be new to a
    revision alone: it was written while another one was wanted, and then this one was gone back to.

    >>> remembered(Progress(sizes={"v1": 1, "v1~": 2}), Target("v2", 2, None), "", {})
    {'v1': 3}
    >>> from fairlead.rollout.testing import make_pods, make_revision
    >>> wish = "2030-01-31T12:00:00Z"
    >>> remembered(
    ...     Progress(sizes={"v1": 2, "v2": 1}, restart_at=wish), Target("v1", 3, make_revision()), wish, {"v1~": make_pods(2)}
    ... )
    {'v1': 0, 'v2': 1, 'v1~': 2}

    A wish that is taken back before it is fulfilled leaves the pods what they were:
    >>> remembered(Progress(sizes={"v1": 1, "v1~": 2}, restart_at=wish), Target("v1", 1, make_revision()), "", {})
    {'v1': 3}

    Of four pods one gives way to another:
    >>> groups = {"v1": make_pods(3), "v1~": make_pods(1, gives_way=True)}
    >>> remembered(Progress(sizes={"v1": 4}), Target("v1", 1, make_revision()), "", groups)
    {'v1': 3, 'v1~': 1}
    """
    sizes: dict[str, int] = {}
    for id, size in progress.sizes.items():
        hash = id.removesuffix(OUTDATED)
        name = id if hash == target.hash else hash
        sizes[name] = sizes.get(name, 0) + size
    outdated = target.hash + OUTDATED
    going = members.get(outdated, ())
    giving_way = sum(pod.gives_way for pod in going)
    new = restart_at != progress.restart_at or (outdated not in sizes and going) or giving_way > sizes.get(outdated, 0)
    if new and (target.hash in sizes or outdated in sizes):
        both = sizes.get(target.hash, 0) + sizes.pop(outdated, 0)
        leaves = bool(restart_at or giving_way)
        fresh = min(both, len(members.get(target.hash, ()))) if leaves else both
        sizes[target.hash] = fresh
        if leaves:
            sizes[outdated] = both - fresh
    return sizes
