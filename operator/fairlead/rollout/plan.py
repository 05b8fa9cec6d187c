"""What to do next about an App's pods and revisions. Pure: no clock, no chance, no I/O.

The order of a plan: who is ours (release, adopt), what should run (revisions.choose), how many of each (the strategy),
which pods come and go for that, and what the status says of it. Every step is worked out anew from what is observed;
the only memory is status.rollout.sizes and serving, stored before the pods that follow from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import msgspec

from fairlead.core.actions import (
    Action,
    Adopt,
    Confirm,
    Create,
    Delete,
    Failure,
    Plan,
    Release,
    merge_requeue,
)
from fairlead.core.conditions import Condition, timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod, deletion_order
from fairlead.expose.model import Routed
from fairlead.rollout import (
    bookkeeping,
    events,
    judging,
    order,
    problems,
    rejection,
    revisions,
    rounds,
    routing,
    status,
    traffic,
    weights,
)
from fairlead.rollout.course import course_of
from fairlead.rollout.fleet import OUTDATED, Fleet, Group, Strategy, limits, scale
from fairlead.rollout.model import App, Observed, Progress, progress_of
from fairlead.rollout.pods import Shaper, creates
from fairlead.rollout.revisions import Target
from fairlead.rollout.status import Counts

FINISHED_KEPT = 5  # finished pods kept for a look at their logs
FINISHED_SECONDS = 600.0  # and for how long
QUICK_SECONDS = 60.0  # a pod that fails sooner than this makes its replacement wait
SHARE_LIMIT = 0.5  # deleting more than this share of an App's pods in one pass needs a live read first


def plan(observed: Observed, now: float, strategies: Mapping[str, Strategy], shapers: Sequence[Shaper] = ()) -> Plan:
    """One reconcile of an App. Twice with the same input gives the same plan; at the goal it is empty but for the status.

    A new App of two replicas gets its first Revision and two pods:
    >>> from fairlead.rollout.strategies.rolling import Rolling
    >>> from fairlead.rollout.testing import make_app
    >>> made = plan(Observed(make_app(replicas=2), (), ()), 0.0, {"Rolling": Rolling()})
    >>> [type(action).__name__ + " " + action.kind for action in made.actions]
    ['Create Revision', 'Create Pod', 'Create Pod']
    """
    app = observed.app
    if app.deleting:
        return Plan()  # garbage collection does the rest, by the propagation that was asked for
    if app.invalid:
        return _refused(
            observed, Condition("Accepted", "False", "InvalidSpec", f"{app.invalid}; what runs is left as it is"), now
        )
    strategy = strategies.get(app.spec.rollout.strategy)
    if strategy is None:
        known = ", ".join(sorted(strategies))
        words = f"spec.rollout.strategy: no strategy is called {app.spec.rollout.strategy!r}; there are {known}"
        return _refused(observed, Condition("Accepted", "False", "UnknownStrategy", words), now)
    claims, observed = claim(msgspec.structs.replace(observed, app=rounds.pardoned(app, observed.members)))
    app = observed.app
    if any(isinstance(action, Adopt) for action in claims) and not adoption_refused(observed):
        return Plan(actions=tuple(claims))  # what is taken back must be counted before anything is made beside it
    target = revisions.choose(app, observed.revisions)
    if observed.order.waits or observed.order.cycle:
        target = order.held_back(app, observed.revisions, target)
    if target is None:
        return _nothing_to_run(observed, claims, now)
    before = build(observed, target, now)
    if back := taken_back(observed, target, before, now) or rounds.taken_along(observed, target, now):
        target, before = back, build(observed, back, now)
    fleet = resize(app, before, strategy)
    return _carry_out(observed, target, before, fleet, claims, now, shapers)


def claim(observed: Observed) -> tuple[list[Action], Observed]:
    """Whose pods are whose (PodControllerRefManager): owned pods that lost our label are let go, orphans of a revision of
    ours are taken back (the executor reads the App live first). Never by the App's label alone: a stranger's pod that
    happens to carry it is reported, not adopted.

    >>> from fairlead.rollout.testing import make_app, make_pods
    >>> stray = make_pods(1, app="other")[0]
    >>> actions, rest = claim(Observed(make_app(), (), (stray,)))
    >>> type(actions[0]).__name__, rest.pods
    ('Release', ())
    """
    app = observed.app
    # The template's own hash too: Revisions may have gone before their pods (with their definition, or by hand).
    known = {app.digest, *(revision.hash for revision in (*observed.revisions, *observed.orphan_revisions))}
    actions: list[Action] = []
    kept = []
    for pod in observed.pods:
        if pod.app == app.name and pod.revision:
            kept.append(pod)
        elif pod.deleting is None:
            actions.append(Release("Pod", pod.namespace, pod.name, pod.uid, app.uid))
    strangers = [pod for pod in observed.strangers if pod.active and pod.serving]
    for pod in observed.orphans:
        if pod.deleting is not None or pod.finished:
            continue
        if pod.revision in known:
            actions.append(Adopt("Pod", pod.namespace, pod.name, pod.uid, "App", app.name, app.uid))
        elif pod.serving:
            strangers.append(pod)
    actions += [
        Adopt("Revision", revision.namespace, revision.name, revision.uid, "App", app.name, app.uid)
        for revision in observed.orphan_revisions
        if not revision.deleting
    ]
    return actions, msgspec.structs.replace(observed, pods=tuple(kept), strangers=tuple(strangers))


def adoption_refused(observed: Observed) -> bool:
    """The API server would not let us adopt: go on without, or the App would wait for it for ever."""
    return any(failure.verb == "patch" for failure in observed.failures)


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
    surge, unavailable = limits(rollout, app.spec.replicas)
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
        )

    ids = sorted({*members, *(id for id, size in sizes.items() if size)} - {target.hash})
    old = sorted(map(group, ids), key=lambda g: (g.number, g.id))
    fresh = group(target.hash)
    if target.revision is None:
        fresh = msgspec.structs.replace(fresh, number=target.number, created=now)
    steps = course_of(app, target, observed.revisions, now)
    least = rollout.min_per_revision
    return make_room(
        Fleet(fresh, tuple(old), app.spec.replicas, surge, unavailable, lingering, steps, least, observed.routed), sizes
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


def taken_back(observed: Observed, target: Target, fleet: Fleet, now: float) -> Target | None:
    """Where to go instead, when the release of a new revision has failed; None while it may go on, and where there is
    nothing to go back to.

    >>> from fairlead.rollout.model import Asked
    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> app = make_app(digest="v2", status={"stableRevision": "shop-v1"}, asked=Asked(abort="2"))
    >>> v1, v2 = make_revision(), make_revision(number=2, hash="v2")
    >>> target = Target("v2", 2, v2)
    >>> seen = Observed(app, (v1, v2), ())
    >>> back = taken_back(seen, target, build(seen, target, 0), 0)
    >>> back.hash, back.rejected.revision, back.rejected.reason
    ('v1', 'shop-v2', 'Aborted')
    """
    app = observed.app
    stable = app.status.get("stableRevision")
    name = revisions.name_of(app, target)
    if target.undo or target.rejected or not stable or stable == name:
        return None
    counts = status.count(observed, fleet, now).until(fleet)
    if counts.complete(app.spec.replicas):
        return None
    progress = remember(observed, target, fleet, counts, now)
    reason = rejection.verdict(app, target.number, fleet, progress, now)
    if not reason:
        return None
    found = problems.find(observed.pods, observed.strangers, observed.failures, observed.revisions, app.status, now)
    run = fleet.course.hindrance if fleet.course else None
    failed = run is not None and reason == judging.GATE_FAILED
    said = judging.failure(run) if run and failed else status.awaited(app, fleet, counts, found)
    # What failed is what was released: its ConfigMap may have been deleted since, or the spec changed under a pause.
    released = msgspec.structs.replace(app, digest=target.revision.digest) if target.revision else app
    rejected = rejection.reject(released, name, target.number, reason, said, now)
    back = revisions.way_back(rounds.at_its_beginning(app, observed.revisions), observed.revisions, rejected)
    return None if back and back.revision and back.revision.lost else back


def group_of(pod: Pod, target: Target, restart_at: str) -> str:
    """Which group a pod is in. Whether it is older than a restart is told by the wish it was made under, not by clocks
    (two machines' clocks disagree; a pod made a second "too early" would be restarted for ever)."""
    if pod.revision == target.hash and restart_at and pod.restarted_at != restart_at:
        return pod.revision + OUTDATED
    return pod.revision


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
    """
    sizes: dict[str, int] = {}
    for id, size in progress.sizes.items():
        hash = id.removesuffix(OUTDATED)
        name = id if hash == target.hash else hash
        sizes[name] = sizes.get(name, 0) + size
    outdated = target.hash + OUTDATED
    new = restart_at != progress.restart_at or (outdated not in sizes and members.get(outdated))
    if new and (target.hash in sizes or outdated in sizes):
        both = sizes.get(target.hash, 0) + sizes.pop(outdated, 0)
        fresh = min(both, len(members.get(target.hash, ()))) if restart_at else both
        sizes[target.hash] = fresh
        if restart_at:
            sizes[outdated] = both - fresh
    return sizes


def resize(app: App, fleet: Fleet, strategy: Strategy) -> Fleet:
    """The sizes to have: a changed spec.replicas is spread first (also while paused), then the strategy takes its step."""
    progress = progress_of(app.status)
    if progress.desired is not None and progress.desired != app.spec.replicas:
        fleet = scale(fleet, progress.bound)
    if app.spec.rollout.paused:
        return fleet.as_served()
    if fleet.course and fleet.course.hindrance:
        return msgspec.structs.replace(fleet.as_served(), course=msgspec.structs.replace(fleet.course, held=True))
    return strategy.step(fleet)


def _carry_out(
    observed: Observed,
    target: Target,
    before: Fleet,
    fleet: Fleet,
    claims: list[Action],
    now: float,
    shapers: Sequence[Shaper],
) -> Plan:
    app = observed.app
    made, wait = fill(observed, target, fleet, now, shapers)
    observed = msgspec.structs.replace(observed, failures=standing(observed.failures, made))
    counts = status.count(observed, before, now).until(fleet)
    complete = counts.complete(app.spec.replicas) and not observed.failures
    found = problems.find(observed.pods, observed.strangers, observed.failures, observed.revisions, app.status, now)
    surplus_pods = surplus(observed, fleet, now)
    gone = routing.may_go(fleet, surplus_pods, observed.pods)
    into, out = relabelled(app, fleet, gone, now)
    room = max(0, fleet.bound - counts.total)
    # Of pods beyond the bound (adopted ones, say) the first to go make room for nobody: what is to come waits for them.
    # So it is with pods that a route still gives traffic to.
    waiting = made[room:] if counts.total <= fleet.bound and len(gone) == len(surplus_pods) else []
    finished, later = sweep(observed.pods, now)
    progress = remember(observed, target, fleet, counts, now)
    books = bookkeeping.keep_revisions(observed, target, fleet, complete)
    joined = report(observed, target, fleet, counts, found, progress, complete, now)
    moved = bool(made or gone or into or out)
    return Plan(
        # The executor lets pods that stand behind the deletions wait for them, so that the bound holds at every moment.
        actions=(*claims, *books, *made[:room], *gone, *waiting, *traffic.patches(into, out), *finished),
        status=joined,
        statuses=bookkeeping.revision_statuses(observed, target, complete, now),
        events=tuple(events.happened(observed, target, fleet, counts, found, complete)),
        requeue_after=merge_requeue(
            wait,
            later,
            next_change(observed, fleet, progress, complete, now),
            order.LOOK_AGAIN if target.waiting else None,
            rounds.look_again(observed, target, "round" in joined),
        ),
        confirm=must_confirm(app, observed.pods, [*(delete.uid for delete in gone), *(pod.uid for pod in out)]),
        # A revision that is gone back to gets another number, and undoTo names the old one: which it meant is in the status.
        # Weights become a route's only once they are stored, and nobody shall wait for that.
        status_first=(moved and decided(app, fleet, progress))
        or shared_anew(app, progress)
        or joined.get("undo") != app.status.get("undo"),
    )


def fill(
    observed: Observed, target: Target, fleet: Fleet, now: float, shapers: Sequence[Shaper]
) -> tuple[list[Create], float | None]:
    """The pods that are missing, the wanted revision's last: what keeps the App available comes first. The second
    value is when to look again, where pods that fail at once make their replacements wait."""
    app = observed.app
    taken = {pod.name for pod in observed.pods}
    templates = {revision.hash: revision.template for revision in observed.revisions}
    templates.setdefault(target.hash, app.spec.template)
    pins = {target.hash: observed.pins} | {revision.hash: revision.config for revision in observed.revisions}
    made: list[Create] = []
    wait = None
    for group in fleet.groups:
        missing = group.size - len(group.pods)
        template = templates.get(group.id)
        if missing <= 0 or template is None:
            continue
        delay = replacement_delay([pod for pod in observed.pods if pod.revision == group.id], now)
        if delay > 0:
            wait = merge_requeue(wait, delay)
            continue
        serving = traffic.born_serving(group, missing)
        for label, count in ((traffic.SERVING, serving), (traffic.APART, missing - serving)):
            if count:
                born = creates(
                    app, group.id, msgspec.json.decode(template), count, taken, now, shapers, pins[group.id], label
                )
                taken.update(create.name for create in born)
                made += born
    return made, wait


def standing(failures: Sequence[Failure], made: Sequence[Create]) -> tuple[Failure, ...]:
    """The refusals that still matter. An App that was scaled back to what its quota allows asks for no pod any more, and
    says nothing of the one that it did not get.

    >>> no = Failure("create", "Pod", "shop-v1-bcdfg", 403, "Forbidden", "exceeded quota: small", 0.0)
    >>> standing([no], made=[])
    ()
    """
    return tuple(one for one in failures if made or (one.verb, one.kind) != ("create", "Pod"))


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


def decided(app: App, fleet: Fleet, progress: Progress) -> bool:
    """The plan decides something that its actions follow from, and that has to be stored before them: sizes, shares of the
    traffic, or the next step. The size of a revision that is alone is no decision, it is spec.replicas; but the first sizes
    are stored in any case: to many tools an App without a status is done.

    >>> from fairlead.rollout.testing import make_app
    >>> told = Progress(sizes={"v1": 1}, desired=1)
    >>> app = make_app(replicas=3, status={"rollout": msgspec.to_builtins(told)})
    >>> alone = Fleet(Group("v1", 1, 3), (), replicas=3, surge=1, unavailable=0)
    >>> decided(make_app(replicas=3), alone, told), decided(app, alone, told)
    (True, False)
    >>> decided(app, Fleet(Group("v2", 2, 1), (Group("v1", 1, 3),), replicas=3, surge=1, unavailable=0), told)
    True
    """
    before = progress_of(app.status)
    sizes = {id: size for id, size in before.sizes.items() if size or id in fleet.sizes}
    alone = before.desired is not None and not fleet.old and fleet.target.size == app.spec.replicas
    resized = sizes != fleet.sizes and not alone
    return resized or (before.serving, before.step) != (progress.serving, progress.step)


def shared_anew(app: App, progress: Progress) -> bool:
    """The plan gives other weights to a route than the status says."""
    before = progress_of(app.status)
    return (before.weights, before.tried) != (progress.weights, progress.tried)


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
        return "owner" if app.spec.replicas == 0 else "children"
    return ""


def remember(observed: Observed, target: Target, fleet: Fleet, counts: Counts, now: float) -> Progress:
    """status.rollout after this plan. Where pods are yet to be made that nobody refuses, a deadline that has passed begins
    anew: no operator has run meanwhile, and they never had their time."""
    app = observed.app
    before = progress_of(app.status)
    name = revisions.name_of(app, target)
    rescaled = before.desired is not None and before.desired != app.spec.replicas
    restarted = (
        bool(app.spec.rollout.restart_at)
        and before.desired is not None
        and before.restart_at != app.spec.rollout.restart_at
    )
    course, at = fleet.course, timestamp(now)
    same = app.status.get("activeRevision") == name
    passed, held = (course.passed, course.held) if course else (0, False)
    shared = routing.decide(fleet) if fleet.routed is not None else Routed()
    stepped = same and (passed != before.step or (bool(before.held_at) and not held))
    to_make = len(fleet.target.pods) < fleet.target.size and not observed.failures
    begins = to_make and status.deadline_left(app, before, now) == 0
    times = status.next_progress(app, counts, name, rescaled or restarted, stepped or begins, now)
    return msgspec.structs.replace(
        times,
        sizes={id: size for id, size in fleet.sizes.items() if size or id == target.hash},
        serving={group.id: group.share for group in fleet.groups if group.serve is not None and group.size},
        desired=app.spec.replicas,
        bound=fleet.bound,
        restart_at=app.spec.rollout.restart_at,
        step=passed,
        step_at=timestamp(course.since) if course and course.current else "",
        held_at=(at if stepped or not same else before.held_at or at) if held else "",
        moment=judging.open_moment(fleet, counts.complete(app.spec.replicas)),
        weights=shared.weights,
        tried=shared.tried,
    )


def report(
    observed: Observed,
    target: Target,
    fleet: Fleet,
    counts: Counts,
    found: Sequence[problems.Problem],
    progress: Progress,
    complete: bool,
    now: float,
) -> JSON:
    """This room's share of the App's status."""
    app = observed.app
    awaited = "" if complete else status.awaited(app, fleet, counts, found)
    name = revisions.name_of(app, target)
    conditions = [
        status.available(app, fleet, counts, found),
        judging.progressing(app, fleet.course) or status.progressing(app, counts, progress, awaited, now),
        *([status.rolled_back(target.rejected, target.number)] if target.rejected else ()),
    ]
    if app.spec.rollout.paused:
        conditions.append(Condition("Paused", "True", "PausedBySpec", "spec.rollout.paused is set"))
    inexact = weights.exactness(app.spec.rollout, app.spec.replicas, fleet.surge)
    if inexact and fleet.routed is None:
        conditions.append(inexact)
    if observed.failures:
        worst = observed.failures[0]
        conditions.append(
            Condition("ReplicaFailure", "True", problems.refusal(worst), f"{worst.verb} {worst.kind}: {worst.message}")
        )
    if target.missing:
        kept = ", ".join(str(number) for number in sorted(r.number for r in observed.revisions)) or "none"
        words = f"spec.rollout.undoTo: revision {target.missing} is not kept any more (kept: {kept}); what runs is left as it is"
        conditions.append(Condition("Accepted", "False", "RevisionNotFound", words))
    if target.blocked:
        conditions.append(status.blocked(target.blocked))
    conditions = order.with_order(conditions, observed.order, target)
    if going_back := rounds.waits_to_go_back(observed, target):
        conditions.append(going_back)
    rollout = msgspec.to_builtins(progress)
    rollout |= {"waitingFor": awaited, "available": fleet.target.available, **status.steps(fleet, complete)}
    # Who goes back with others goes back to what was stable before it: from now on that is what failures lead back to.
    stable = name if complete or target.rejected else app.status.get("stableRevision")
    undo = revisions.recorded_undo(app, target)
    said: JSON = {
        **counts.as_json(),
        "selector": status.selector(app),
        "revision": target.number,
        "activeRevision": name,
        "problems": [problem.as_json() for problem in found],
        "rollout": {field: value for field, value in rollout.items() if value not in ("", None, {})},
        "conditions": conditions,
    }
    if stable:
        said["stableRevision"] = stable
    if undo:
        said["undo"] = msgspec.to_builtins(undo)
    if rejected := target.rejected or revisions.standing_rejection(app, observed.revisions):
        told = msgspec.to_builtins(rejected)
        said["rejected"] = {field: value for field, value in told.items() if value != "" or field == "retry"}
    if round := rounds.next_round(observed, target, complete, now):
        said["round"] = {field: value for field, value in msgspec.to_builtins(round).items() if value}
    return said


def next_change(observed: Observed, fleet: Fleet, progress: Progress, complete: bool, now: float) -> float | None:
    """When time alone changes something: a pod has been ready long enough, or takes long to start, a step's pause is over,
    or the deadline passes (upstream requeues at the second after)."""
    app = observed.app
    wait = app.spec.rollout.min_ready_seconds
    soon = None
    if wait:
        due = [
            pod.ready_since + wait - now
            for pod in observed.pods
            if pod.active and pod.ready and not pod.available(wait, now)
        ]
        soon = min((max(0.0, seconds) + 0.01 for seconds in due), default=None)
    left = None if complete or not progress.started_at else status.deadline_left(app, progress, now)
    course = fleet.course
    step = course.left if course and course.held else None
    starting = (problems.start_overdue(pod, now) for pod in observed.pods)
    unstarted = min((seconds for seconds in starting if seconds), default=None)
    return merge_requeue(soon, left + 1 if left else None, step, unstarted)


def _refused(observed: Observed, condition: Condition, now: float) -> Plan:
    """The spec cannot be obeyed: nothing that runs is touched, and the status says which field and the way out."""
    counts = status.count(observed, None, now)
    before = observed.app.status
    kept = {
        field: before[field]
        for field in (
            "activeRevision",
            "stableRevision",
            "revision",
            "rollout",
            "undo",
            "rejected",
            "round",
            "problems",
        )
        if field in before
    }
    said = kept | counts.as_json() | {"selector": status.selector(observed.app), "conditions": [condition]}
    said["updatedReplicas"] = before.get("updatedReplicas", 0)
    return Plan(status=said)


def _nothing_to_run(observed: Observed, claims: list[Action], now: float) -> Plan:
    """Paused before anything ever ran, an undo to a revision nobody keeps with nothing running, or a first release whose
    configuration is not there."""
    app = observed.app
    if (observed.order.waits or observed.order.cycle) and not app.spec.rollout.paused:
        why = order.cyclic(observed.order) if observed.order.cycle else order.waiting(observed.order)
        held = _refused(observed, why, now)
        return msgspec.structs.replace(held, actions=tuple(claims), requeue_after=order.LOOK_AGAIN)
    if not app.digest and not app.spec.rollout.paused and not revisions.standing_undo(app):
        pending = Condition("Progressing", "True", "ConfigPending", "waiting for what spec.config names")
        return msgspec.structs.replace(_refused(observed, pending, now), actions=tuple(claims))
    if app.spec.rollout.undo_to and not app.spec.rollout.paused:
        words = f"spec.rollout.undoTo: revision {app.spec.rollout.undo_to} does not exist; take the field away to run the template"
        return msgspec.structs.replace(
            _refused(observed, Condition("Accepted", "False", "RevisionNotFound", words), now), actions=tuple(claims)
        )
    waiting = Condition(
        "Progressing", "Unknown", "Paused", "spec.rollout.paused is set: nothing is created until it is taken away"
    )
    said = status.count(observed, None, now).as_json() | {
        "selector": status.selector(app),
        "conditions": [waiting, Condition("Paused", "True", "PausedBySpec", "spec.rollout.paused is set")],
        "rollout": {"desired": app.spec.replicas, "pausedAt": progress_of(app.status).paused_at or timestamp(now)},
    }
    return Plan(actions=tuple(claims), status=said)
