"""Releases in order: who waits for whom, what goes on meanwhile, and circles."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.core.conditions import find
from fairlead.rollout.model import App, Order
from fairlead.rollout.order import order_of
from fairlead.rollout.testing import make_app, make_pods
from unit.rollout.test_plan import V1, V2, condition, decide, ran, shown, written

WAITS = Order(("cart is not ready (RevisionUpdating)",))
READY = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "RolledOut"}]}
ROLLING = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "RevisionUpdating"}]}


def waits(*names: str, **others: App) -> tuple[str, ...]:
    return order_of(make_app(after=names), others.get).waits


def test_it_waits_for_what_is_missing_changed_or_not_ready_and_for_nobody_else() -> None:
    cart = make_app(name="cart", status=READY)
    assert waits("cart", cart=cart) == ()
    assert waits("cart") == ("cart is not there",)
    assert waits("cart", cart=make_app(name="cart", status=READY, deleting=True)) == ("cart is not there",)
    assert waits("cart", cart=make_app(name="cart", status=READY, generation=2)) == ("cart has just been changed",)
    assert waits("cart", cart=make_app(name="cart", status=ROLLING)) == ("cart is not ready (RevisionUpdating)",)
    assert waits("cart", cart=make_app(name="cart", generation=0)) == ("cart has just been changed",)


@pytest.mark.parametrize(
    ("links", "cycle"),
    [
        ({"shop": ("a",), "a": ("b",), "b": ()}, ()),
        ({"shop": ("shop",)}, ("shop", "shop")),
        ({"shop": ("a", "b"), "a": ("c",), "b": ("shop",), "c": ("shop",)}, ("shop", "b", "shop")),
        ({"shop": ("a",), "a": ("b",), "b": ("a",)}, ()),
        ({"shop": ("gone",)}, ()),
    ],
    ids=str,
)
def test_a_circle_is_the_shortest_way_back_to_itself(links: dict[str, tuple[str, ...]], cycle: tuple[str, ...]) -> None:
    apps = {name: make_app(name=name, after=after) for name, after in links.items()}
    assert order_of(apps["shop"], apps.get).cycle == cycle


def app(**more: Any) -> App:
    return make_app(**{"replicas": 2, "digest": "v2", "status": ran(2), "after": ("cart",)} | more)


def test_a_release_that_waits_is_not_begun_and_what_runs_is_mended_meanwhile() -> None:
    shop = app()
    made = decide(shop, (V1,), make_pods(1), order=WAITS)
    assert shown(made) == {"v1": 1} and not any(action.kind == "Revision" for action in made.actions)
    ready = condition(shop, made, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "WaitingForOthers") and "cart is not ready" in ready[
        "message"
    ]
    assert written(shop, made)["summary"] == "Waiting: WaitingForOthers"
    assert made.requeue_after is not None and made.requeue_after <= 2.0


def test_when_the_others_are_done_it_begins() -> None:
    assert any(action.kind == "Revision" for action in decide(app(), (V1,), make_pods(2)).actions)


def test_a_release_that_has_begun_an_undo_and_a_rest_wait_for_nobody() -> None:
    begun = app(status=ran(2) | {"activeRevision": "shop-v2"})
    assert shown(decide(begun, (V1, V2), make_pods(2), order=WAITS)) == {"v2": 1}
    undone = app(status=ran(2, "v2"), undo_to=1)
    assert written(undone, decide(undone, (V1, V2), make_pods(2, "v2"), order=WAITS))["activeRevision"] == "shop-v1"
    resting = app(digest="v1")
    assert find(written(resting, decide(resting, (V1,), make_pods(2), order=WAITS))["conditions"], "InOrder") is None


def test_a_first_release_waits_with_no_pod_and_says_so() -> None:
    shop = app(status={})
    made = decide(shop, order=WAITS)
    assert made.actions == () and made.requeue_after and condition(shop, made, "Ready")["reason"] == "WaitingForOthers"


def test_a_circle_is_named_and_what_runs_is_left_as_it_is() -> None:
    shop = app()
    made = decide(shop, (V1,), make_pods(2), order=Order((), ("shop", "cart", "shop")))
    said = condition(shop, made, "Accepted")
    assert made.actions == () and said["reason"] == "DependencyCycle"
    assert "shop waits for cart, cart waits for shop" in said["message"]
