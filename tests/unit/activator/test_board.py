"""What an activator makes of EndpointSlices, which others may write too."""

from __future__ import annotations

import pytest

from fairlead.activation.model import Endpoint, Slice, SlicePort
from fairlead.activator.board import Door, door


def of_pods(app: str = "shop", address: str = "10.0.0.7", address_type: str = "IPv4") -> Slice:
    ports = (SlicePort("http", 8080),)
    return Slice(
        "default", "x", "u", 1, app, "shop", address_type=address_type, ports=ports, endpoints=(Endpoint(address),)
    )


NOBODYS = {
    "a name, which may lead to the activator's own machine": of_pods(
        address="metadata.example.com", address_type="FQDN"
    ),
    "a Service of another name than its App": of_pods(app="cart"),
}


@pytest.mark.parametrize("case", NOBODYS, ids=list(NOBODYS))
def test_no_request_is_passed_on_to(case: str) -> None:
    assert door([NOBODYS[case]]) == Door()


def test_pods_of_both_families_are_found() -> None:
    made = door([of_pods(), of_pods(address="fd00::7", address_type="IPv6")])
    assert made.pods == {"http": (("10.0.0.7", 8080), ("fd00::7", 8080))}
