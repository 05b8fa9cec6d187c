"""What an App's plan gets to see of others."""

from __future__ import annotations

import msgspec

from fairlead.config.model import Wanted
from fairlead.core.meta import Key
from fairlead.engine.store import Store
from fairlead.rollout.controller import RolloutPart, sources
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_app


def members(*apps: App) -> list[str]:
    """Whom shop, of the namespace default, goes out and back with."""
    store = Store()
    for source in sources():
        store.open(source)
    for app in apps:
        store.tables["App"].put(app)
    part = RolloutPart({}, (), lambda view, app: Wanted(), lambda view, app, failures: None, lambda view, app, pods: 0)
    observed = part.observe(store, Key("default", "shop"), ())
    assert observed is not None
    return [f"{member.namespace}/{member.name}" for member in observed.members]


def app(name: str, group: str = "all", namespace: str = "default", deleting: bool = False) -> App:
    made = make_app(name=name, release_group=group, deleting=deleting)
    return msgspec.structs.replace(made, namespace=namespace, uid=f"{namespace}-{name}")


def test_a_group_is_of_one_name_and_one_namespace() -> None:
    apps = [app("shop"), app("cart"), app("db", "other"), app("web", ""), app("cart", namespace="elsewhere")]
    assert members(*apps) == ["default/cart"]


def test_an_app_without_a_group_is_in_none_with_others_that_have_none() -> None:
    assert members(app("shop", ""), app("cart", "")) == []


def test_an_app_that_is_being_deleted_is_no_member_any_more() -> None:
    assert members(app("shop"), app("cart", deleting=True)) == []
