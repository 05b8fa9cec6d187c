"""Apps that go out and back together (spec.rollout.releaseGroup). Pure.

A round is what the Apps of a group release together. Nobody keeps it as a whole: each App says in its own status since when
its round lasts, what it ran before, and when it was complete; two Apps are in one round where these times overlap. When the
release of one is taken back, each other App of that round sees it there, and takes its own release back as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

import msgspec

from fairlead.core.conditions import Condition, find, parse_time, timestamp
from fairlead.rollout.model import App, Observed, Rejected, Revision, Round, rejected_of, round_of
from fairlead.rollout.order import LOOK_AGAIN
from fairlead.rollout.revisions import Target, name_of

MEMBER_FAILED = "GroupMemberFailed"
LATE_SECONDS = 300.0  # for so long after it was complete, a round is still joined by an App that has not gone out in it
SELDOM = 10.0  # seconds between two looks at the others where nothing is under way
MESSAGE_LIMIT = 1024

Span = tuple[float, float]


def overlap(one: Span, other: Span) -> bool:
    """Two times have something in common. What begins at the moment that the other ends is the next round.

    >>> overlap((0, 10), (5, 20)), overlap((0, 10), (10, 20)), overlap((5, 5), (5, 9))
    (True, False, True)
    """
    return max(one[0], other[0]) < min(one[1], other[1]) or one[0] == other[0]


def span_of(app: App) -> Span | None:
    """From when until when the App's release is part of a round of its group; None where it is not.

    >>> from fairlead.rollout.testing import make_app
    >>> out = {"round": {"group": "all", "from": "shop-v1", "beganAt": "1970-01-01T00:00:10Z"}}
    >>> span_of(make_app(release_group="all", status=out)), span_of(make_app(release_group="other", status=out))
    ((10.0, inf), None)
    """
    round = own_round(app)
    began = parse_time(round.began_at) if round else None
    if round is None or began is None:
        return None
    completed = parse_time(round.completed_at)
    return began, inf if completed is None else completed


def failed_span(rejected: Rejected) -> Span | None:
    """From when until when a release that failed by itself was part of its round."""
    began, at = parse_time(rejected.began_at), parse_time(rejected.at)
    return None if began is None or at is None or rejected.member else (began, at)


def own_round(app: App) -> Round | None:
    """The round that the App is in; None where it is in none of the group it belongs to now."""
    round, group = round_of(app.status), app.spec.rollout.release_group
    return round if group and round.group == group else None


# ---------------------------------------------------------------- going out


def next_round(observed: Observed, target: Target, complete: bool, now: float) -> Round | None:
    """status.round after this plan. An App that begins a release joins the round that is under way, or begins one.

    >>> from fairlead.rollout.testing import make_app
    >>> shop = make_app(digest="v2", release_group="all", status={"activeRevision": "shop-v1", "stableRevision": "shop-v1"})
    >>> out = {"round": {"group": "all", "from": "cart-v1", "beganAt": "1970-01-01T00:01:00Z"}}
    >>> cart = make_app(name="cart", release_group="all", status=out)
    >>> next_round(Observed(shop, (), (), members=(cart,)), Target("v2", 2, None), False, 90).began_at
    '1970-01-01T00:01:00Z'
    >>> next_round(Observed(shop, (), ()), Target("v2", 2, None), False, 90).began_at
    '1970-01-01T00:01:30Z'
    """
    app, members = observed.app, observed.members
    group, known = app.spec.rollout.release_group, own_round(app)
    if not group or target.undo or target.rejected:
        return None
    if target.waiting:
        return known
    name, stable = name_of(app, target), str(app.status.get("stableRevision") or "")
    if app.status.get("activeRevision") == name:
        stays = known if known and _before(known, observed.revisions) else None
        return _going_on(app, stays, members, complete, now) if stays else None
    if not stable or name in (stable, known.before if known else ""):
        return None  # there is nothing to go back to, or it is what a person goes back to
    if known and _has_failed(span_of(app), members):
        return Round(group, known.before, timestamp(now))
    if known and (not known.completed_at or _others_under_way(app, members)):
        return msgspec.structs.replace(known, completed_at="")
    return Round(group, stable, timestamp(_beginning(app, members, now)))


def _going_on(app: App, known: Round, members: Sequence[App], complete: bool, now: float) -> Round | None:
    """None when the round is over: all are complete, and nobody can join it any more."""
    if not known.completed_at:
        return msgspec.structs.replace(known, completed_at=timestamp(now)) if complete else known
    mine = span_of(app)
    if mine is None or _others_under_way(app, members):
        return known
    last = max(span[1] for span in (mine, *_companions(app, members)))
    return known if now < last + LATE_SECONDS else None


def _beginning(app: App, members: Sequence[App], now: float) -> float:
    """Since when the round lasts that a release begins in: that of others who are under way, or who have been complete for a
    short while and were in no round with this App yet (its manifest comes a little later than theirs). Never that of a round
    in which one has failed: what begins after that is meant to mend it.

    >>> from fairlead.rollout.testing import make_app
    >>> out = {"round": {"group": "all", "from": "x", "beganAt": "1970-01-01T00:01:00Z", "completedAt": "1970-01-01T00:02:00Z"}}
    >>> shop, cart = (make_app(name=name, release_group="all", status=out) for name in ("shop", "cart"))
    >>> new = make_app(release_group="all")
    >>> _beginning(new, [cart], 180), _beginning(shop, [cart], 180), _beginning(new, [cart], 500)
    (60.0, 180, 500)
    """
    mine, spans = span_of(app), [span for span in _spans(members) if not _has_failed(span, members)]
    joined = [began for began, end in spans if end == inf]
    late = [span[0] for span in spans if now < span[1] + LATE_SECONDS and not (mine and overlap(mine, span))]
    return min(joined or late, default=now)


def _spans(members: Iterable[App]) -> Iterator[Span]:
    """Of each member's release. One that is paused half way does not count, or the others' round would last as long."""
    for member in members:
        span = span_of(member)
        if span and not (member.spec.rollout.paused and span[1] == inf):
            yield span


def _companions(app: App, members: Iterable[App]) -> list[Span]:
    mine = span_of(app)
    return [span for span in _spans(members) if mine and overlap(mine, span)]


def _has_failed(span: Span | None, members: Iterable[App]) -> bool:
    """Somebody's release of this time was taken back for itself."""
    failures = (failed_span(rejected_of(member.status)) for member in members)
    return span is not None and any(failure and overlap(span, failure) for failure in failures)


def _others_under_way(app: App, members: Iterable[App]) -> bool:
    return any(end == inf for _, end in _companions(app, members))


# ---------------------------------------------------------------- going back


def pardoned(app: App, members: Sequence[App]) -> App:
    """The App, without the rejection that was another's fault where that one is rejected no more: its template has changed,
    it is tried again, or it has left. Then this one is released again, too.

    >>> from fairlead.rollout.testing import make_app
    >>> shop = make_app(release_group="all", status={"rejected": {"digest": "v2", "member": "cart", "cause": "cart-v2"}})
    >>> cart = make_app(name="cart", release_group="all", status={"rejected": {"digest": "v2", "revision": "cart-v2"}})
    >>> "rejected" in pardoned(shop, [cart]).status, "rejected" in pardoned(shop, []).status
    (True, False)
    """
    rejected = rejected_of(app.status)
    if not rejected.member:
        return app
    culprit = next((member for member in members if member.name == rejected.member), None)
    if culprit is not None and rejected_of(culprit.status).revision == rejected.cause:
        return app
    status = {field: value for field, value in app.status.items() if field != "rejected"}
    return msgspec.structs.replace(app, status=status)


def taken_along(observed: Observed, target: Target, now: float) -> Target | None:
    """Where to go back to with another member of the group: to what ran when the round began. None while there is nobody to
    go back with, and while others have to be back first.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> at = "1970-01-01T00:0{}:00Z".format
    >>> out = {"group": "all", "from": "shop-v1", "beganAt": at(1), "completedAt": at(4)}
    >>> shop = make_app(digest="v2", release_group="all", status={"activeRevision": "shop-v2", "round": out})
    >>> failed = {"revision": "cart-v2", "number": 2, "message": "it was aborted by hand", "beganAt": at(1), "at": at(5)}
    >>> cart = make_app(name="cart", release_group="all", status={"rejected": failed})
    >>> v1, v2 = make_revision(), make_revision(number=2, hash="v2")
    >>> back = taken_along(Observed(shop, (v1, v2), (), members=(cart,)), Target("v2", 2, v2), 360)
    >>> back.hash, back.rejected.message
    ('v1', 'revision 2 of cart, of the release group all, was taken back: it was aborted by hand')
    """
    app, culprit, round = observed.app, culprit_of(observed, target), own_round(observed.app)
    if culprit is None or round is None or target.revision is None or awaited(observed, culprit):
        return None
    before = _before(round, observed.revisions)
    if before is None:
        return None
    failed = rejected_of(culprit.status)
    words = f"revision {failed.number} of {culprit.name}, of the release group {round.group}, was taken back: {failed.message}"
    rejected = Rejected(
        digest=target.revision.digest,
        revision=target.revision.name,
        number=target.number,
        reason=MEMBER_FAILED,
        message=words[:MESSAGE_LIMIT],
        at=timestamp(now),
        retry=app.asked.retry,
        member=culprit.name,
        cause=failed.revision,
    )
    return Target(before.hash, before.number, before, rejected=rejected)


def at_its_beginning(app: App, revisions: Sequence[Revision]) -> App:
    """The App with what ran when its round began as the stable revision: what a release of the round goes back to, though
    others of it may have been complete since.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> out = {"group": "all", "from": "shop-v1", "beganAt": "1970-01-01T00:01:00Z"}
    >>> shop = make_app(release_group="all", status={"stableRevision": "shop-v2", "round": out})
    >>> at_its_beginning(shop, [make_revision()]).status["stableRevision"]
    'shop-v1'
    """
    round = own_round(app)
    before = _before(round, revisions) if round else None
    return msgspec.structs.replace(app, status=app.status | {"stableRevision": before.name}) if before else app


def culprit_of(observed: Observed, target: Target) -> App | None:
    """The member whose failed release this App goes back with. None where there is none, and where a person has said that
    this App stays: paused, undone, or with onFailure Pause."""
    app, mine = observed.app, span_of(observed.app)
    rollout = app.spec.rollout
    if mine is None or target.undo or target.rejected or target.waiting:
        return None
    if rollout.paused or rollout.on_failure != "Rollback" or app.status.get("activeRevision") != name_of(app, target):
        return None
    for member in observed.members:
        span = failed_span(rejected_of(member.status))
        if span and overlap(mine, span):
            return member
    return None


def awaited(observed: Observed, culprit: App) -> list[str]:
    """The Apps that have to be back before this one: those that were released after it. A release that is under way waits
    for nobody, nor do Apps in a circle.

    >>> from fairlead.rollout.testing import make_app
    >>> at = "1970-01-01T00:0{}:00Z".format
    >>> out = {"round": {"group": "all", "from": "x-v1", "beganAt": at(1), "completedAt": at(4)}}
    >>> failed = {"rejected": {"revision": "cart-v2", "beganAt": at(1), "at": at(5)}}
    >>> cart = make_app(name="cart", release_group="all", status=failed)
    >>> db = make_app(name="db", release_group="all", status=out)
    >>> shop = make_app(after=("db",), release_group="all", status=out)
    >>> awaited(Observed(db, (), (), members=(cart, shop)), cart), awaited(Observed(shop, (), (), members=(cart, db)), cart)
    (['shop'], [])
    """
    app, round = observed.app, own_round(observed.app)
    if round is None or not round.completed_at or observed.order.cycle:
        return []
    later = (member for member in observed.members if app.name in member.spec.after)
    return [member.name for member in later if _has_to_go_back(member, culprit)]


def _has_to_go_back(member: App, culprit: App) -> bool:
    """It is still out, or on its way back; neither where a person has stopped it, or where it gets no further: whoever
    waited for that could wait for ever."""
    rollout, conditions = member.spec.rollout, member.status.get("conditions") or ()
    progressing, accepted = find(conditions, "Progressing") or {}, find(conditions, "Accepted") or {}
    if (
        rollout.paused
        or rollout.on_failure != "Rollback"
        or "False" in (progressing.get("status"), accepted.get("status"))
    ):
        return False
    if rejected_of(member.status).revision:
        return progressing.get("reason") == "RevisionUpdating"
    mine, failed = span_of(member), failed_span(rejected_of(culprit.status))
    return mine is not None and failed is not None and overlap(mine, failed)


def _before(round: Round, revisions: Sequence[Revision]) -> Revision | None:
    """What ran when the round began; None where it is gone, or cannot run any more."""
    return next((r for r in revisions if r.name == round.before and not r.deleting and not r.lost), None)


# ---------------------------------------------------------------- what is told


def waits_to_go_back(observed: Observed, target: Target) -> Condition | None:
    """The condition of an App that is about to go back, and waits for others."""
    culprit = culprit_of(observed, target)
    names = awaited(observed, culprit) if culprit else []
    if culprit is None or not names:
        return None
    words = (
        f"spec.rollout.releaseGroup: revision {rejected_of(culprit.status).number} of {culprit.name} was taken back, and this "
        f"release goes back with it as soon as the Apps that came after it are back: {', '.join(names)}"
    )
    return Condition("InOrder", "False", "WaitingToGoBack", words)


def look_again(observed: Observed, target: Target, in_round: bool) -> float | None:
    """In how many seconds to look at the others again, of whom no event of this App tells: seldom where only people can
    change something, and where one more App may join. None where they mean nothing to this App.

    >>> from fairlead.rollout.testing import make_app
    >>> round = {"group": "all", "from": "x-v1", "beganAt": "1970-01-01T00:01:00Z"}
    >>> cart = make_app(name="cart", release_group="all", status={"round": round})
    >>> shop = make_app(release_group="all", status={"round": round | {"completedAt": "1970-01-01T00:02:00Z"}})
    >>> here = Target("v2", 2, None)
    >>> look_again(Observed(shop, (), (), members=(cart,)), here, True), look_again(Observed(shop, (), ()), here, True)
    (2.0, 10.0)
    """
    if in_round and not observed.app.spec.rollout.paused:
        return LOOK_AGAIN if _unsettled(observed, target) else SELDOM
    return SELDOM if target.rejected and target.rejected.member else None


def _unsettled(observed: Observed, target: Target) -> bool:
    app = observed.app
    span = span_of(app)
    under_way = span is None or span[1] == inf or _others_under_way(app, observed.members)
    return under_way or culprit_of(observed, target) is not None
