"""Apps that go out and back together: who is in a round with whom, who goes back with whom and after whom, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.core.actions import Plan
from fairlead.core.conditions import find, timestamp
from fairlead.core.meta import JSON
from fairlead.rollout.model import App, Asked, Order
from fairlead.rollout.rounds import LATE_SECONDS
from fairlead.rollout.testing import make_app, make_pods
from unit.rollout.test_plan import NOW, V1, V2, V3, condition, decide, ran, shown, written


def at(ago: float) -> str:
    return timestamp(NOW - ago)


def lasts(began: float, completed: float | None = None, group: str = "all", before: str = "shop-v1") -> JSON:
    """status.round of a release that began, and was complete, so many seconds ago."""
    round = {"group": group, "from": before, "beganAt": at(began)}
    return {"round": round if completed is None else round | {"completedAt": at(completed)}}


def failed(began: float, ago: float = 1, **more: Any) -> JSON:
    """The status of an App whose own release was taken back."""
    return {
        "rejected": {
            "digest": "v2",
            "revision": "cart-v2",
            "number": 2,
            "message": "gate errors failed: 0.31 is above 0.01",
            "beganAt": at(began),
            "at": at(ago),
            **more,
        }
    }


def member(name: str, status: JSON, **more: Any) -> App:
    return make_app(name=name, status=status, **{"release_group": "all"} | more)


def shop(status: JSON, **more: Any) -> App:
    return make_app(status=status, **{"replicas": 2, "digest": "v2", "release_group": "all"} | more)


def complete(round: JSON) -> JSON:
    """shop runs v2, as it was asked to."""
    return ran(2, "v2") | round


def out(app: App, *members: App, order: Order = Order()) -> Plan:
    """Of an App whose pods all run v2."""
    return decide(app, (V1, V2), make_pods(2, "v2"), members=members, order=order)


def round_of(app: App, made: Plan) -> JSON | None:
    found: JSON | None = written(app, made).get("round")
    return found


# ---------------------------------------------------------------- when a round begins and ends

BEGINNINGS: dict[str, tuple[list[App], float]] = {
    "alone": ([], 0),
    "with one that is under way": ([member("cart", lasts(60))], 60),
    "with the first of those under way": ([member("cart", lasts(60)), member("db", lasts(90))], 90),
    "a little later than one that is complete": ([member("cart", lasts(60, 20))], 60),
    "long after one that is complete": ([member("cart", lasts(LATE_SECONDS + 60, LATE_SECONDS))], 0),
    "with one that is paused half way": ([member("cart", lasts(60), paused=True)], 0),
    "with one whose round was another group's": ([member("cart", lasts(60, group="old"))], 0),
    "with one that rests": ([member("cart", {})], 0),
    "with one that is about to go back": ([member("cart", lasts(60)), member("db", failed(50))], 0),
    "with one that stays though its round failed": ([member("cart", lasts(60, 20)), member("db", failed(50, 30))], 0),
}


@pytest.mark.parametrize("case", BEGINNINGS)
def test_a_release_begins_a_round_or_joins_the_one_that_is_under_way(case: str) -> None:
    members, began = BEGINNINGS[case]
    app = shop(ran(2))
    made = decide(app, (V1,), make_pods(2), members=tuple(members))
    assert round_of(app, made) == lasts(began)["round"]
    assert made.status_first, "it is stored before the first pod"


def test_the_next_release_of_an_app_that_was_complete_is_a_new_round_and_goes_back_to_what_ran_last() -> None:
    app = shop(complete(lasts(60, 30)), digest="v3")
    made = decide(app, (V1, V2), make_pods(2, "v2"), members=(member("cart", lasts(60, 40)),))
    assert round_of(app, made) == lasts(0, before="shop-v2")["round"]


@pytest.mark.parametrize(
    ("mine", "others"), [(lasts(60), ()), (lasts(60, 30), (lasts(50),))], ids=["overtaken", "others under way"]
)
def test_another_template_while_the_round_is_under_way_stays_in_it(mine: JSON, others: tuple[JSON, ...]) -> None:
    app = shop(complete(mine), digest="v3")
    made = decide(app, (V1, V2), make_pods(2, "v2"), members=tuple(member("cart", other) for other in others))
    assert round_of(app, made) == lasts(60)["round"]


@pytest.mark.parametrize("mine", [lasts(60), lasts(60, 30)], ids=["under way", "complete"])
def test_a_template_that_comes_when_the_round_has_failed_is_in_the_next_one_and_not_taken_back_with_it(
    mine: JSON,
) -> None:
    cart = member("cart", failed(50))
    app = shop(complete(mine), digest="v3")
    made = decide(app, (V1, V2), make_pods(2, "v2"), members=(cart,))
    assert round_of(app, made) == lasts(0)["round"], "what the round began with is still what is gone back to"
    after = shop(written(app, made), digest="v3")
    again = decide(after, (V1, V2, V3), make_pods(2, "v2") + make_pods(1, "v3"), members=(cart,))
    assert "rejected" not in written(after, again)


ENDINGS: dict[str, tuple[JSON, list[App], JSON | None]] = {
    "complete now": (lasts(60), [], lasts(60, 0)["round"]),
    "complete a while ago": (lasts(60, 30), [], lasts(60, 30)["round"]),
    "complete long ago": (lasts(900, LATE_SECONDS), [], None),
    "complete long ago, another under way": (lasts(900, 600), [member("cart", lasts(700))], lasts(900, 600)["round"]),
    "complete long ago, another paused": (lasts(900, 600), [member("cart", lasts(700), paused=True)], None),
    "complete long ago, another since a while": (
        lasts(900, 600),
        [member("cart", lasts(900, 30))],
        lasts(900, 600)["round"],
    ),
    "complete long ago, another in a later round": (lasts(900, 600), [member("cart", lasts(500))], None),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_round_lasts_until_all_are_complete_and_a_little_longer(case: str) -> None:
    mine, members, round = ENDINGS[case]
    app = shop(complete(mine))
    made = out(app, *members)
    assert round_of(app, made) == round
    assert (made.requeue_after is not None) == (round is not None), "while it lasts, the others are looked at"


@pytest.mark.parametrize(
    "app",
    [
        shop(ran(2), release_group=""),
        shop({}, digest="v1"),
        shop(ran(2, "v2") | {"stableRevision": "shop-v1"} | lasts(60), digest="v1"),
        shop(complete(lasts(60)), digest="v1"),
        shop(complete(lasts(60)), undo_to=1),
    ],
    ids=["no group", "a first release", "the old template again", "what ran when the round began", "an undo"],
)
def test_what_has_nothing_to_go_back_to_or_is_a_way_back_is_in_no_round(app: App) -> None:
    assert round_of(app, decide(app, (V1, V2), make_pods(2, "v2"))) is None


def test_a_release_that_waits_for_others_is_in_no_round_yet() -> None:
    app = shop(ran(2), after=("cart",))
    made = decide(app, (V1,), make_pods(2), order=Order(("cart is not ready (RevisionUpdating)",)))
    assert round_of(app, made) is None


# ---------------------------------------------------------------- going back


def test_a_release_goes_back_with_one_of_its_round_that_failed_and_says_with_whose_and_why() -> None:
    app = shop(complete(lasts(60, 30)))
    made = out(app, member("cart", failed(50)))
    status = written(app, made)
    assert (status["activeRevision"], status["stableRevision"]) == ("shop-v1", "shop-v1")
    assert shown(made) == {"v1": 1}, "by its own strategy"
    assert made.status_first
    rejected = status["rejected"]
    assert (rejected["digest"], rejected["member"], rejected["cause"]) == ("v2", "cart", "cart-v2")
    words = "revision 2 of cart, of the release group all, was taken back: gate errors failed: 0.31 is above 0.01"
    assert words in condition(app, made, "RolledBack")["message"]
    assert condition(app, made, "RolledBack")["reason"] == "GroupMemberFailed"
    assert any(event.reason == "RolledBack" and words in event.message for event in made.events)
    assert "round" not in status


def test_a_release_under_way_goes_back_to_what_ran_when_the_round_began() -> None:
    status = ran(2, "v2", {"v2": 2, "v3": 1}) | {"activeRevision": "shop-v3"} | lasts(60)
    app = shop(status, digest="v3")
    made = decide(app, (V1, V2, V3), make_pods(2, "v2") + make_pods(1, "v3"), members=(member("cart", failed(50)),))
    assert written(app, made)["activeRevision"] == "shop-v1"


STAYS: dict[str, tuple[App, App]] = {
    "a failure of before": (shop(complete(lasts(60, 30))), member("cart", failed(500, 60))),
    "a failure of a later round": (shop(complete(lasts(60, 30))), member("cart", failed(30))),
    "a failure that was another's fault": (shop(complete(lasts(60, 30))), member("cart", failed(50, member="db"))),
    "a failure outside of any round": (shop(complete(lasts(60, 30))), member("cart", failed(50, beganAt=""))),
    "a round of another group": (shop(complete(lasts(60, 30, group="old"))), member("cart", failed(50))),
    "no round": (shop(complete({})), member("cart", failed(50))),
    "paused": (shop(complete(lasts(60, 30)), paused=True), member("cart", failed(50))),
    "onFailure Pause": (shop(complete(lasts(60, 30)), on_failure="Pause"), member("cart", failed(50))),
    "undone": (shop(complete(lasts(60, 30)), undo_to=2), member("cart", failed(50))),
    "a newer template": (shop(complete(lasts(60, 30)), digest="v3"), member("cart", failed(50))),
}


@pytest.mark.parametrize("case", STAYS)
def test_nothing_goes_back_with(case: str) -> None:
    app, other = STAYS[case]
    assert "rejected" not in written(app, out(app, other))


def test_what_is_gone_cannot_be_gone_back_to_and_is_waited_for_by_nobody() -> None:
    app = shop(complete(lasts(60, 30)))
    made = decide(app, (V2,), make_pods(2, "v2"), members=(member("cart", failed(50)),))
    assert written(app, made)["activeRevision"] == "shop-v2"
    assert round_of(app, made) is None


def test_what_ran_before_is_kept_as_long_as_the_round_lasts() -> None:
    app = shop(complete(lasts(60, 30)), revision_history_limit=0)
    assert [action.name for action in out(app).actions] == []
    assert [action.name for action in out(shop(complete({}), revision_history_limit=0)).actions] == ["shop-v1"]


BACK = failed(50, member="cart", cause="cart-v2")
ROLLING = {"conditions": [{"type": "Progressing", "status": "True", "reason": "RevisionUpdating"}]}
RESTS = {"conditions": [{"type": "Progressing", "status": "True", "reason": "NewRevisionAvailable"}]}
STUCK = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
REFUSED = {"conditions": [{"type": "Accepted", "status": "False", "reason": "InvalidSpec"}]}
LATER: dict[str, tuple[App, bool]] = {
    "is still out": (member("web", lasts(50, 20) | RESTS, after=("shop",)), True),
    "is under way": (member("web", lasts(50) | ROLLING, after=("shop",)), True),
    "is on its way back": (member("web", BACK | ROLLING, after=("shop",)), True),
    "is back": (member("web", BACK | RESTS, after=("shop",)), False),
    "gets no further on its way back": (member("web", BACK | STUCK, after=("shop",)), False),
    "cannot be read": (member("web", lasts(50, 20) | REFUSED, after=("shop",)), False),
    "is paused": (member("web", lasts(50, 20) | RESTS, after=("shop",), paused=True), False),
    "stays whatever fails": (member("web", lasts(50, 20) | RESTS, after=("shop",), on_failure="Pause"), False),
    "has not gone out": (member("web", RESTS, after=("shop",)), False),
    "was not released after it": (member("web", lasts(50, 20) | RESTS), False),
}


@pytest.mark.parametrize("case", LATER)
def test_one_that_is_complete_goes_back_when_the_one_released_after_it(case: str) -> None:
    later, waits = LATER[case]
    app = shop(complete(lasts(60, 30)))
    made = out(app, member("cart", failed(50)), later)
    assert ("rejected" not in written(app, made)) == waits
    if waits:
        ready = condition(app, made, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "WaitingToGoBack")
        assert "revision 2 of cart was taken back" in ready["message"] and ready["message"].endswith("are back: web")
        assert made.requeue_after == 2.0


def test_a_release_under_way_and_apps_in_a_circle_go_back_at_once() -> None:
    later = member("web", lasts(50, 20) | RESTS, after=("shop",))
    under_way = shop(complete(lasts(60)))
    assert "rejected" in written(under_way, out(under_way, member("cart", failed(50)), later))
    circle = shop(complete(lasts(60, 30)), after=("web",))
    made = out(circle, member("cart", failed(50)), later, order=Order((), ("shop", "web", "shop")))
    assert "rejected" in written(circle, made)


# ---------------------------------------------------------------- until when it stays back


def back(**more: Any) -> App:
    status = ran(2) | failed(50, digest="v2", revision="shop-v2", member="cart", cause="cart-v2")
    return shop(status, **more)


def rests(app: App, *members: App) -> Plan:
    return decide(app, (V1, V2), make_pods(2), members=members)


def test_it_stays_back_as_long_as_the_one_that_failed_does() -> None:
    app = back()
    made = rests(app, member("cart", failed(50)))
    assert shown(made) == {}
    assert written(app, made)["rejected"]["member"] == "cart"
    assert made.requeue_after == 10.0
    assert find(written(app, made)["conditions"], "Stalled") is not None


PARDONS: dict[str, tuple[App, tuple[App, ...]]] = {
    "its own template changes": (back(digest="v3"), (member("cart", failed(50)),)),
    "a retry of its own is asked for": (back(asked=Asked(retry="now")), (member("cart", failed(50)),)),
    "the one that failed is released again": (back(), (member("cart", lasts(5)),)),
    "another revision of it failed since": (back(), (member("cart", failed(50, revision="cart-v3")),)),
    "the one that failed is gone": (back(), ()),
    "it leaves the group": (back(release_group=""), ()),
}


@pytest.mark.parametrize("case", PARDONS)
def test_it_is_released_again_when(case: str) -> None:
    app, members = PARDONS[case]
    made = rests(app, *members)
    status = written(app, made)
    assert "rejected" not in status
    assert status["activeRevision"] == f"shop-{app.digest}"


def test_one_that_fails_by_itself_goes_back_to_what_ran_when_the_round_began_too() -> None:
    status = ran(2, "v2", {"v2": 2, "v3": 1}) | {"activeRevision": "shop-v3"} | lasts(60)
    app = shop(status, digest="v3", asked=Asked(abort="3"))
    made = decide(app, (V1, V2, V3), make_pods(2, "v2") + make_pods(1, "v3"), members=(member("cart", lasts(50)),))
    assert (written(app, made)["activeRevision"], written(app, made)["stableRevision"]) == ("shop-v1", "shop-v1")


def test_one_that_failed_by_itself_remembers_since_when_its_round_lasted() -> None:
    status = ran(2) | {"activeRevision": "shop-v2", "updatedReplicas": 1} | lasts(60)
    app = shop(status, asked=Asked(abort="2"))
    made = decide(app, (V1, V2), make_pods(2) + make_pods(1, "v2", ready=False))
    rejected = written(app, made)["rejected"]
    assert (rejected["beganAt"], rejected["at"], rejected["reason"]) == (at(60), at(0), "Aborted")
    assert "member" not in rejected and "round" not in written(app, made)
