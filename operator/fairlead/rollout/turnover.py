"""The pods that come, and those that go, for the sizes a plan has decided. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from fairlead.core.actions import Action, Confirm, Create, Delete, Failure, Try, merge_requeue
from fairlead.core.podstate import Pod, deletion_order
from fairlead.rollout import routing, traffic
from fairlead.rollout.fleet import Fleet
from fairlead.rollout.model import App, Observed
from fairlead.rollout.pods import Draft, Shaper, creates
from fairlead.rollout.revisions import Target

FINISHED_KEPT = 5  # finished pods kept for a look at their logs
FINISHED_SECONDS = 600.0  # and for how long
QUICK_SECONDS = 60.0  # a pod that fails sooner than this makes its replacement wait
SHARE_LIMIT = 0.5  # deleting more than this share of an App's pods in one pass needs a live read first


class Turnover(msgspec.Struct, frozen=True):
    """What comes and what goes. born: made at once; tried: what old pods go for, where that is not made yet; waiting: each of them
    takes the place of one that goes; later: seconds until failed pods may be replaced."""

    born: tuple[Create, ...] = ()
    tried: tuple[Try, ...] = ()
    gone: tuple[Delete, ...] = ()
    waiting: tuple[Create, ...] = ()
    later: float | None = None

    @property
    def asked(self) -> tuple[Create | Try, ...]:
        """All that the API server may refuse."""
        return (*self.born, *self.tried, *self.waiting)

    @property
    def actions(self) -> tuple[Action, ...]:
        """The executor lets pods that stand behind the deletions wait for them, so that the bound holds at every moment."""
        return (*self.born, *self.tried, *self.gone, *self.waiting)


def turn(observed: Observed, target: Target, fleet: Fleet, now: float, shapers: Sequence[Shaper]) -> Turnover:
    """The pods that come and those that go, for the sizes that were decided.

    A revision whose pods are all to go first is tried:
    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.testing import make_app, make_pods
    >>> pods = tuple(make_pods(2))
    >>> fleet = Fleet(Group("v2", 2, 0), (Group("v1", 1, 0, pods=pods),), replicas=2, surge=0, unavailable=2)
    >>> made = turn(Observed(make_app(replicas=2, digest="v2"), (), pods), Target("v2", 2, None), fleet, 0, ())
    >>> [type(action).__name__ for action in made.actions]
    ['Try', 'Delete', 'Delete']
    """
    made, later = fill(observed, target, fleet, now, shapers)
    surplus_pods = surplus(observed, fleet, now)
    active = sum(pod.active for pod in observed.pods)
    gone = making_room(routing.may_go(fleet, surplus_pods, observed.pods), target.hash, fleet, active - fleet.bound)
    room = max(0, fleet.bound - active)
    # Of pods beyond the bound (adopted ones, say) the first to go make room for nobody: what is to come waits for them.
    # So it is with pods that a route still gives traffic to.
    waiting = made[room:] if active <= fleet.bound and len(gone) == len(surplus_pods) else []
    born = made[:room]
    asked = any(pod.alike == target.hash for pod in born)
    tried = [] if asked else trial(observed, target, fleet, gone, now, shapers)
    return Turnover(tuple(born), tuple(tried), tuple(gone), tuple(waiting), later)


def fill(
    observed: Observed, target: Target, fleet: Fleet, now: float, shapers: Sequence[Shaper]
) -> tuple[list[Create], float | None]:
    """The pods that are missing, the wanted revision's last: what keeps the App available comes first. The second
    value is when to look again, where pods that fail at once make their replacements wait."""
    app, drafts = observed.app, _drafts(observed, target)
    taken = {pod.name for pod in observed.pods}
    made: list[Create] = []
    wait = None
    for group in fleet.groups:
        missing = group.size - len(group.pods)
        draft = drafts.get(group.id)
        if missing <= 0 or draft is None:
            continue
        delay = replacement_delay([pod for pod in observed.pods if pod.revision == group.id], now)
        if delay > 0:
            wait = merge_requeue(wait, delay)
            continue
        serving = traffic.born_serving(group, missing)
        for label, count in ((traffic.SERVING, serving), (traffic.APART, missing - serving)):
            if count:
                born = creates(app, draft, count, taken, now, shapers, label)
                taken.update(create.name for create in born)
                made += born
    return made, wait


def _drafts(observed: Observed, target: Target) -> dict[str, Draft]:
    """What pods are made from, by their revision's hash; the wanted revision's too, which may not be there yet."""
    kept = {one.hash: Draft(one.hash, one.template, one.config) for one in observed.revisions}
    return {target.hash: Draft(target.hash, observed.app.spec.template, observed.pins)} | kept


def trial(
    observed: Observed, target: Target, fleet: Fleet, gone: Sequence[Delete], now: float, shapers: Sequence[Shaper]
) -> list[Try]:
    """Old pods that are to go before there is any of the wanted revision go only for one that would be taken (Recreate, and a roll
    without surge): else a policy, or a mistake that only the API server sees, would leave an App without pods until its deadline."""
    leaving = {delete.uid for delete in gone}
    if not fleet.replicas or fleet.target.pods or not any(pod.uid in leaving for old in fleet.old for pod in old.pods):
        return []
    draft, taken = _drafts(observed, target)[target.hash], {pod.name for pod in observed.pods}
    one = creates(observed.app, draft, 1, taken, now, shapers)
    return [Try(pod.kind, pod.namespace, pod.name, pod.body, pod.alike) for pod in one]


def standing(failures: Sequence[Failure], made: Sequence[Create | Try]) -> tuple[Failure, ...]:
    """The refusals that still matter. An App that was scaled back to what its quota allows asks for no pod any more, and
    says nothing of the one that it did not get; nor does one whose revision asks for none.

    >>> no = Failure("create", "Pod", "shop-v1-bcdfg", 403, "Forbidden", "exceeded quota: small", 0.0, alike="v1")
    >>> standing([no], made=[]), standing([no], made=[Create("Pod", "default", "shop-v2-bcdfg", b"{}", alike="v2")])
    ((), ())
    """
    asked = {create.alike for create in made}
    return tuple(one for one in failures if one.alike in asked or (one.verb, one.kind) != ("create", "Pod"))


def replacement_delay(pods: Sequence[Pod], now: float) -> float:
    """Seconds until a revision's failed pods may be replaced: at once after one quick failure, then 10 s, 20 s, 40 s …
    A pod that lived for a while (an eviction, a lost node) never makes its replacement wait. The finished pods that are
    kept are the memory of this, so it survives the operator. (Upstream replaces at once, without end.)

    >>> from fairlead.rollout.testing import make_pods
    >>> failed = make_pods(3, ready=False, phase="Failed", created=100.0, finished_at=101.0)
    >>> replacement_delay(failed[:1], 101.0), replacement_delay(failed, 105.0)
    (0.0, 16.0)
    """
    quick = [
        pod.finished_at
        for pod in pods
        if pod.phase == "Failed"
        and pod.finished_at - pod.created < QUICK_SECONDS
        and pod.finished_at > now - FINISHED_SECONDS
    ]
    if len(quick) < 2:
        return 0.0
    backoff: float = min(10.0 * 2 ** (len(quick) - 2), 300.0)
    return max(0.0, max(quick) + backoff - now)


def surplus(observed: Observed, fleet: Fleet, now: float) -> list[Delete]:
    """The pods that are too many, chosen within each group by the upstream ranking; pods of no group at all go too."""
    gone: list[Pod] = []
    for group in fleet.groups:
        extra = len(group.pods) - group.size
        if extra > 0:
            order = deletion_order(group.pods, observed.pods, now)
            gone += sorted(order, key=lambda pod: pod.serving and pod.ready)[:extra]  # who serves nobody goes first
    return [Delete("Pod", pod.namespace, pod.name, pod.uid) for pod in gone]


def making_room(gone: Sequence[Delete], revision: str, fleet: Fleet, beyond: int) -> list[Delete]:
    """The same deletions, those of old pods with the revision (its hash) that they make room for: they wait where that cannot be had. Pods
    beyond the bound, so many, go in any case: after a scale down nobody comes in their place.

    >>> from fairlead.rollout.fleet import Group
    >>> from fairlead.rollout.testing import make_pods
    >>> pods = tuple(make_pods(3))
    >>> fleet = Fleet(Group("v2", 2, 0), (Group("v1", 1, 0, pods=pods),), replicas=2, surge=0, unavailable=2)
    >>> gone = [Delete("Pod", pod.namespace, pod.name, pod.uid) for pod in pods]
    >>> [delete.room_for for delete in making_room(gone, "v2", fleet, beyond=1)]
    ['', 'v2', 'v2']
    """
    if not gone:
        return []
    old = {pod.uid: pod for group in fleet.old for pod in group.pods}
    leaving = sorted(
        (old[delete.uid] for delete in gone if delete.uid in old), key=lambda pod: pod.serving and pod.ready
    )
    making = {pod.uid for pod in leaving[max(0, beyond) :]}
    return [msgspec.structs.replace(one, room_for=revision) if one.uid in making else one for one in gone]


def sweep(pods: Sequence[Pod], now: float) -> tuple[list[Delete], float | None]:
    """Finished pods that were kept long enough, and when the next one will have been.

    >>> from fairlead.rollout.testing import make_pods
    >>> done = make_pods(7, phase="Failed", finished_at=100.0)
    >>> len(sweep(done, 101.0)[0]), sweep(done, 101.0)[1], len(sweep(done, 701.0)[0])
    (2, 599.0, 7)
    """
    finished = sorted(
        (pod for pod in pods if pod.finished and pod.deleting is None), key=lambda pod: (-pod.finished_at, pod.uid)
    )
    kept = [pod for pod in finished[:FINISHED_KEPT] if pod.finished_at + FINISHED_SECONDS > now]
    gone = [pod for pod in finished if pod not in kept]
    later = min((pod.finished_at + FINISHED_SECONDS - now for pod in kept), default=None)
    return [Delete("Pod", pod.namespace, pod.name, pod.uid) for pod in gone], later


def relabelled(app: App, fleet: Fleet, gone: Sequence[Delete], now: float) -> tuple[list[Pod], list[Pod]]:
    """The pods that come into the traffic and those that leave it, without those that are deleted."""
    wait = app.spec.rollout.min_ready_seconds
    return traffic.relabel(fleet, {delete.uid for delete in gone}, lambda pod: pod.available(wait, now))


def must_confirm(app: App, pods: Sequence[Pod], leaving: Collection[str]) -> Confirm:
    """What has to be read live before these pods (uids) go, or leave the traffic (engine rule 6): a scale to zero needs
    the App itself, the loss of the last ready pod or of more than half of all pods needs the pods as well.

    >>> from fairlead.rollout.testing import make_app, make_pods
    >>> pods = make_pods(2)
    >>> gone = [pod.uid for pod in pods]
    >>> must_confirm(make_app(replicas=0), pods, gone), must_confirm(make_app(replicas=2), pods, gone), must_confirm(make_app(replicas=1), pods, gone[:1])
    ('owner', 'children', '')
    """
    ready = [pod for pod in pods if pod.active and pod.ready]
    lost = sum(pod.uid in leaving for pod in ready)
    if not lost:
        return ""
    if lost == len(ready) or (len(leaving) > SHARE_LIMIT * len(pods) and len(leaving) > 1):
        return "owner" if app.replicas == 0 else "children"
    return ""
