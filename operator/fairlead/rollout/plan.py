"""What to do next about an App's pods and revisions. Pure: no clock, no chance, no I/O.

The order of a plan: who is ours (release, adopt), what should run (revisions.choose), how many of each (the strategy),
which pods come and go for that, and what the status says of it. Every step is worked out anew from what is observed;
the only memory is status.rollout.sizes and serving, stored before the pods that follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from fairlead.core.actions import Action, Adopt, Plan, Release, merge_requeue
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON
from fairlead.rollout import (
    bookkeeping,
    events,
    inventory,
    judging,
    order,
    problems,
    rejection,
    report,
    revisions,
    rounds,
    status,
    traffic,
    turnover,
)
from fairlead.rollout.fleet import Fleet, Strategy, scale
from fairlead.rollout.model import App, Observed, Progress, progress_of
from fairlead.rollout.pods import Shaper
from fairlead.rollout.revisions import Target


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
        return report.refused(
            observed, Condition("Accepted", "False", "InvalidSpec", f"{app.invalid}; what runs is left as it is"), now
        )
    strategy = strategies.get(app.spec.rollout.strategy)
    if strategy is None:
        known = ", ".join(sorted(strategies))
        words = f"spec.rollout.strategy: no strategy is called {app.spec.rollout.strategy!r}; there are {known}"
        return report.refused(observed, Condition("Accepted", "False", "UnknownStrategy", words), now)
    claims, observed = claim(msgspec.structs.replace(observed, app=rounds.pardoned(app, observed.members)))
    app = observed.app
    if any(isinstance(action, Adopt) for action in claims) and not adoption_refused(observed):
        return Plan(actions=tuple(claims))  # what is taken back must be counted before anything is made beside it
    target = revisions.choose(app, observed.revisions)
    if observed.order.waits or observed.order.cycle:
        target = order.held_back(app, observed.revisions, target)
    if target is None:
        return report.nothing_to_run(observed, claims, now)
    before = inventory.build(observed, target, now)
    if back := taken_back(observed, target, before, now) or rounds.taken_along(observed, target, now):
        target, before = back, inventory.build(observed, back, now)
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


def taken_back(observed: Observed, target: Target, fleet: Fleet, now: float) -> Target | None:
    """Where to go instead, when the release of a new revision has failed; None while it may go on, and where there is
    nothing to go back to.

    >>> from fairlead.rollout.model import Asked
    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> app = make_app(digest="v2", status={"stableRevision": "shop-v1"}, asked=Asked(abort="2"))
    >>> v1, v2 = make_revision(), make_revision(number=2, hash="v2")
    >>> target = Target("v2", 2, v2)
    >>> seen = Observed(app, (v1, v2), ())
    >>> back = taken_back(seen, target, inventory.build(seen, target, 0), 0)
    >>> back.hash, back.rejected.revision, back.rejected.reason
    ('v1', 'shop-v2', 'Aborted')
    """
    app = observed.app
    stable = app.status.get("stableRevision")
    name = revisions.name_of(app, target)
    if target.undo or target.rejected or not stable or stable == name:
        return None
    counts = status.count(observed, fleet, now).until(fleet)
    if counts.complete(app.replicas):
        return None
    progress = report.remember(observed, target, fleet, counts, now)
    reason = rejection.verdict(app, target.number, fleet, progress, now)
    if not reason:
        return None
    found = problems.find(observed.pods, observed.strangers, observed.failures, observed.revisions, app.status, now)
    run = fleet.course.hindrance if fleet.course else None
    failed = run is not None and reason == judging.GATE_FAILED
    said = (
        judging.failure(run)
        if run and failed
        else _awaited_last(app.status, found) or status.awaited(app, fleet, counts, found)
    )
    # What failed is what was released: its ConfigMap may have been deleted since, or the spec changed under a pause.
    released = msgspec.structs.replace(app, digest=target.revision.digest) if target.revision else app
    rejected = rejection.reject(released, name, target.number, reason, said, now)
    back = revisions.way_back(rounds.at_its_beginning(app, observed.revisions), observed.revisions, rejected)
    return None if back and back.revision and back.revision.lost else back


def _awaited_last(told: JSON, found: Sequence[problems.Problem]) -> str:
    """What was waited for by the last status, where only that knows what was wrong: an operator that begins when the time is up has
    tried nothing yet that could be refused.

    >>> told = {"problems": [{"reason": "QuotaExceeded"}], "rollout": {"waitingFor": "2 of 2 pods: QuotaExceeded"}}
    >>> _awaited_last(told, []), _awaited_last(told, [problems.Problem("ErrImagePull", "no such image", 1, "shop-v2-0")])
    ('2 of 2 pods: QuotaExceeded', '')
    """
    return (told.get("rollout") or {}).get("waitingFor", "") if told.get("problems") and not found else ""


def resize(app: App, fleet: Fleet, strategy: Strategy) -> Fleet:
    """The sizes to have: a changed spec.replicas is spread first (also while paused), then the strategy takes its step."""
    progress = progress_of(app.status)
    if progress.desired is not None and progress.desired != app.replicas:
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
    turn = turnover.turn(observed, target, fleet, now, shapers)
    observed = msgspec.structs.replace(observed, failures=turnover.standing(observed.failures, turn.asked))
    counts = status.count(observed, before, now).until(fleet)
    complete = counts.complete(app.replicas) and not observed.failures
    found = problems.find(observed.pods, observed.strangers, observed.failures, observed.revisions, app.status, now)
    into, out = turnover.relabelled(app, fleet, turn.gone, now)
    finished, later = turnover.sweep(observed.pods, now)
    progress = report.remember(observed, target, fleet, counts, now)
    books = bookkeeping.keep_revisions(observed, target, fleet, complete)
    standing = report.Standing(observed, target, fleet, counts, found, progress, complete, now)
    joined = report.compose(standing)
    moved = bool(turn.actions or into or out)
    return Plan(
        actions=(*claims, *books, *turn.actions, *traffic.patches(into, out), *finished),
        status=joined,
        statuses=bookkeeping.revision_statuses(observed, target, complete, now),
        events=tuple(events.happened(observed, target, fleet, counts, found, complete)),
        requeue_after=merge_requeue(
            turn.later,
            later,
            report.next_change(standing),
            order.LOOK_AGAIN if target.waiting else None,
            rounds.look_again(observed, target, "round" in joined),
        ),
        confirm=turnover.must_confirm(
            app, observed.pods, [*(delete.uid for delete in turn.gone), *(pod.uid for pod in out)]
        ),
        # A revision that is gone back to gets another number, and undoTo names the old one: which it meant is in the status.
        # Weights become a route's only once they are stored, and nobody shall wait for that.
        status_first=(moved and decided(app, fleet, progress))
        or shared_anew(app, progress)
        or joined.get("undo") != app.status.get("undo"),
    )


def decided(app: App, fleet: Fleet, progress: Progress) -> bool:
    """The plan decides something that its actions follow from, and that has to be stored before them: sizes, shares of the
    traffic, or the next step. The size of a revision that is alone is no decision, it is spec.replicas; but the first sizes
    are stored in any case: to many tools an App without a status is done.

    >>> from fairlead.rollout.fleet import Group
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
    alone = before.desired is not None and not fleet.old and fleet.target.size == app.replicas
    resized = sizes != fleet.sizes and not alone
    return resized or (before.serving, before.step) != (progress.serving, progress.step)


def shared_anew(app: App, progress: Progress) -> bool:
    """The plan gives other weights to a route than the status says."""
    before = progress_of(app.status)
    return (before.weights, before.tried) != (progress.weights, progress.tried)
