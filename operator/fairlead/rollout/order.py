"""Releases in order: an App that is released after others (spec.after). Pure.

Only the start of a release waits. What runs goes on, scaled and mended; a release that has begun, an undo and a way back wait
for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairlead.core.conditions import Condition, find
from fairlead.rollout.model import App, Order, Revision
from fairlead.rollout.revisions import Target, active, name_of

LOOK_AGAIN = 2.0  # seconds: no event of this App tells that another is done


def order_of(app: App, seek: Callable[[str], App | None]) -> Order:
    """Whom the App waits for, and the circle that it waits in, if it does. `seek`: an App of the namespace by name.

    >>> from fairlead.rollout.testing import make_app
    >>> cart = make_app(name="cart", status={"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]})
    >>> order_of(make_app(after=("cart", "db")), {"cart": cart}.get)
    Order(waits=('db is not there',), cycle=())
    """
    waits = [f"{name} {why}" for name in app.spec.after if (why := _why_not_done(seek(name)))]
    return Order(tuple(waits), _cycle(app, seek))


def _why_not_done(other: App | None) -> str:
    """ "" for an App whose newest spec runs as it was asked for."""
    if other is None or other.deleting:
        return "is not there"
    ready = find(other.status.get("conditions") or (), "Ready") or {}
    if other.status.get("observedGeneration") != other.generation:
        return "has just been changed"
    if ready.get("status") == "True":
        return ""
    return f"is not ready ({ready.get('reason', 'Pending')})"


def _cycle(app: App, seek: Callable[[str], App | None]) -> tuple[str, ...]:
    """The shortest way from the App over those it waits for back to itself; empty where there is none."""
    paths: list[tuple[str, ...]] = [(app.name,)]
    seen = {app.name}
    for path in paths:  # it grows while it is walked: breadth first
        last = app if len(path) == 1 else seek(path[-1])
        for name in last.spec.after if last else ():
            if name == app.name:
                return (*path, name)
            if name not in seen:
                seen.add(name)
                paths.append((*path, name))
    return ()


def held_back(app: App, revisions: Sequence[Revision], target: Target | None) -> Target | None:
    """What runs instead of a release that has to wait; the target itself where nothing new begins.

    >>> from fairlead.rollout.testing import make_app, make_revision
    >>> app = make_app(digest="v2", status={"activeRevision": "shop-v1"})
    >>> held = held_back(app, [make_revision()], Target("v2", 2, None))
    >>> held.hash, held.waiting
    ('v1', True)
    """
    if target is None or target.undo or target.rejected or app.status.get("activeRevision") == name_of(app, target):
        return target
    running = active(app, revisions)
    return Target(running.hash, running.number, running, waiting=True) if running else None


def waiting(order: Order) -> Condition:
    """The condition of an App whose release has to wait.

    >>> waiting(Order(("cart is not ready (RevisionUpdating)",))).message
    'spec.after: the release waits until the Apps it comes after are done: cart is not ready (RevisionUpdating)'
    """
    words = f"spec.after: the release waits until the Apps it comes after are done: {'; '.join(order.waits)}"
    return Condition("InOrder", "False", "WaitingForOthers", words)


def cyclic(order: Order) -> Condition:
    """The condition of an App that waits for itself.

    >>> cyclic(Order((), ("shop", "cart", "shop"))).message
    'spec.after: shop waits for cart, cart waits for shop: none of them can ever be released; take one of the names out'
    """
    steps = ", ".join(f"{one} waits for {other}" for one, other in zip(order.cycle, order.cycle[1:], strict=False))
    words = f"spec.after: {steps}: none of them can ever be released; take one of the names out"
    return Condition("Accepted", "False", "DependencyCycle", words)


def with_order(plan_conditions: list[Condition], order: Order, target: Target) -> list[Condition]:
    """The conditions with what is to be said of the order."""
    said = [waiting(order)] if target.waiting and order.waits else []
    return [*plan_conditions, *said, *([cyclic(order)] if order.cycle else [])]
