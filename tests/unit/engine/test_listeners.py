"""Who hears of an object is what parents named when they were last looked at."""

from __future__ import annotations

from fairlead.core.meta import Key
from fairlead.engine.listeners import Listeners

WEB, API = Key("shop", "web"), Key("shop", "api")


def test_all_who_name_an_object_hear_of_it_in_order() -> None:
    listeners = Listeners[str]()
    listeners.says(WEB, ["settings"])
    listeners.says(API, ["settings", "flags"])

    assert listeners.of("settings") == (API, WEB)
    assert listeners.of("flags") == (API,)
    assert listeners.of("other") == ()


def test_who_names_another_hears_no_more_of_the_first() -> None:
    listeners = Listeners[str]()
    listeners.says(WEB, ["settings", "flags"])
    listeners.says(WEB, ["flags"])

    assert listeners.of("settings") == ()
    assert listeners.of("flags") == (WEB,)


def test_who_is_gone_hears_of_nothing() -> None:
    listeners = Listeners[str]()
    listeners.says(WEB, ["settings"])
    listeners.says(WEB, ())

    assert listeners.of("settings") == ()
