"""Makers for tests and examples."""

from __future__ import annotations

from typing import Any

from fairlead.activation.model import ActivationObserved, Endpoint, Slice, SlicePort, Wanted


def ours(port: int = 20007, addresses: tuple[str, ...] = (), **fields: Any) -> Slice:
    """The slice of the App `shop`, as the operator has written it."""
    said: dict[str, Any] = {
        "namespace": "default",
        "name": "shop-activator",
        "uid": "s",
        "rv": 1,
        "app": "shop",
        "service": "shop",
        "ours": True,
        "owner_uid": "u",
        "ports": (SlicePort("http", port),),
        "endpoints": tuple(map(Endpoint, addresses)),
    }
    return Slice(**(said | fields))


def observed(**fields: Any) -> ActivationObserved:
    """The App `shop` with pods, and two activators that listen for it."""
    said: dict[str, Any] = {
        "namespace": "default",
        "app": "shop",
        "app_uid": "u",
        "wanted": Wanted(ports=("http",)),
        "activators": {"IPv4": (Endpoint("10.0.0.1", pod="a"), Endpoint("10.0.0.2", pod="b"))},
        "listening": frozenset({"a", "b"}),
    }
    return ActivationObserved(**(said | fields))
