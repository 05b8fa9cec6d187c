"""What the slice for the activator says at each moment, and when it may go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.activation.model import LISTENING, Endpoint, Slice, Wanted, project_slice
from fairlead.activation.plan import numbers, plan, stands, unheard, unsuited
from fairlead.activation.testing import observed, ours
from fairlead.core.actions import Apply, Delete
from fairlead.core.meta import JSON
from fairlead.expose.model import Expose, Port

BOTH = ("10.0.0.1", "10.0.0.2")


def applied(**fields: Any) -> list[JSON]:
    return [msgspec.json.decode(each.body) for each in plan(observed(**fields)).actions if isinstance(each, Apply)]


def addresses(**fields: Any) -> list[str]:
    """Of the slice as it is after the plan."""
    made = applied(**fields)
    if not made:
        return [each.address for one in fields.get("live", ()) for each in one.endpoints]
    return [each["addresses"][0] for each in made[0]["endpoints"]]


def written(**fields: Any) -> Slice:
    """The slice as the store would have it after the plan."""
    (body,) = applied(**fields)
    body["metadata"] |= {"uid": "s", "resourceVersion": "1"}
    made = project_slice(msgspec.json.encode(body))
    assert made is not None
    return made


MOMENTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "while it has pods: ports alone, so that activators listen already": ({"served": True}, ()),
    "at zero: the activators": ({"resting": True}, BOTH),
    "at zero, while the last pod is still an endpoint: both": ({"resting": True, "served": True}, BOTH),
    "woken, without an endpoint yet: the activators go on": ({"live": (ours(addresses=BOTH),)}, BOTH),
    "woken, and a pod is an endpoint: they step out": ({"live": (ours(addresses=BOTH),), "served": True}, ()),
    "up, and its pods fail: they do not step in": ({"live": (ours(),)}, ()),
    "a person has stopped it: nobody answers": ({"live": (ours(addresses=BOTH),), "stopped": True}, ()),
    "one that has not said that it listens gets nothing": ({"resting": True, "listening": frozenset({"b"})}, BOTH[1:]),
    "one that was in stays, though a new operator has not heard of it yet": (
        {"resting": True, "live": (ours(addresses=BOTH),), "listening": frozenset[str]()},
        BOTH,
    ),
    "one that is not ready goes": (
        {
            "resting": True,
            "live": (ours(addresses=BOTH),),
            "activators": {"IPv4": (Endpoint("10.0.0.1", ready=False, pod="a"), Endpoint("10.0.0.2", pod="b"))},
        },
        BOTH[1:],
    ),
}


@pytest.mark.parametrize("moment", MOMENTS, ids=list(MOMENTS))
def test_requests_go(moment: str) -> None:
    fields, wanted = MOMENTS[moment]
    assert addresses(**fields) == list(wanted)


def test_what_is_as_wanted_is_left_alone_and_an_edit_is_put_right() -> None:
    there = written(resting=True)
    assert plan(observed(resting=True, live=(there,))).actions == ()
    edited = msgspec.structs.replace(there, endpoints=(Endpoint("10.6.6.6"),))
    assert addresses(resting=True, live=(edited,)) == list(BOTH)


def test_each_address_family_of_the_service_has_a_slice() -> None:
    wanted = Wanted(ports=("http",), families=("IPv4", "IPv6"))
    activators = {"IPv4": (Endpoint("10.0.0.1", pod="a"),), "IPv6": (Endpoint("fd00::1", pod="a"),)}
    made = applied(wanted=wanted, activators=activators, resting=True)
    assert [(one["metadata"]["name"], one["addressType"], one["endpoints"][0]["addresses"]) for one in made] == [
        ("shop-activator", "IPv4", ["10.0.0.1"]),
        ("shop-activator-ipv6", "IPv6", ["fd00::1"]),
    ]
    assert made[0]["ports"] == made[1]["ports"], "an activator listens on one port for both"
    assert not stands([written(resting=True)], ("IPv4", "IPv6"))


GONE: dict[str, tuple[dict[str, Any], bool]] = {
    "with a pod in its place": ({"served": True}, True),
    "not while it is the only way": ({}, False),
    "of an App that is stopped": ({"stopped": True}, True),
}


@pytest.mark.parametrize("case", GONE, ids=list(GONE))
def test_a_slice_that_is_not_wanted_any_more_goes(case: str) -> None:
    fields, goes = GONE[case]
    made = plan(observed(wanted=None, live=(ours(addresses=BOTH),), **fields))
    assert [isinstance(each, Delete) for each in made.actions] == ([True] if goes else [])


def test_of_two_apps_with_one_port_the_younger_takes_another() -> None:
    live = (ours(port=20007),)
    made = observed(live=live, taken=frozenset({20007}), lost=frozenset({20007}))
    assert made.wanted is not None
    assert numbers(made, made.wanted)["http"] != 20007


@given(st.sets(st.integers(LISTENING.start, LISTENING.stop - 1), max_size=500), st.text(max_size=20))
def test_a_port_that_is_chosen_is_free_and_in_the_range(taken: set[int], name: str) -> None:
    wanted = Wanted(ports=("http", "admin"))
    made = numbers(observed(app=name, taken=frozenset(taken), wanted=wanted), wanted)
    assert set(made.values()) <= set(LISTENING) - taken and len(set(made.values())) == 2


def test_the_same_port_is_chosen_again_after_the_slice_was_deleted() -> None:
    first = written()
    assert written().ports == first.ports != written(app="cart").ports


UNSUITED = {
    "not exposed": (None, "spec.expose is not there"),
    "headless": (Expose(ports=(Port(80),), type="Headless"), "Headless"),
    "UDP alone": (Expose(ports=(Port(53, protocol="UDP"),)), "no TCP port"),
    "local traffic": (Expose(ports=(Port(80),), internal_traffic_policy="Local"), "internalTrafficPolicy"),
}


@pytest.mark.parametrize("case", UNSUITED, ids=list(UNSUITED))
def test_what_no_request_can_wake_is_told(case: str) -> None:
    expose, words = UNSUITED[case]
    assert words in unsuited(expose)


def test_why_nobody_holds_its_requests_is_told() -> None:
    assert unsuited(Expose(ports=(Port(80), Port(53, "dns", protocol="UDP")))) == ""
    assert "no pod of Service home/activator is ready" in unheard("home/activator", 0, 0)
    assert "none of the 2" in unheard("home/activator", 2, 0) and unheard("home/activator", 2, 1) == ""
