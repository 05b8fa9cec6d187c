"""Whom gates may ask: what the operator's network reaches is not its users' to see."""

from ipaddress import ip_address

import pytest

from fairlead.gates.guard import Guard, parse


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
    ],
)
def test_trust_16_cloud_metadata_is_never_asked_not_even_where_its_network_is_allowed(address: str) -> None:
    everything = parse(["0.0.0.0/0", "::/0"])

    assert "metadata" in everything.refuses_address(ip_address(address), 80)


@pytest.mark.parametrize(
    ("address", "sort"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.7.7", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("240.0.0.1", "reserved"),
    ],
)
def test_trust_16_addresses_of_the_machine_itself_are_asked_only_where_their_network_is_allowed(
    address: str, sort: str
) -> None:
    assert f"is a {sort} address" in Guard().refuses_address(ip_address(address), 80)


def test_trust_16_a_network_that_is_allowed_is() -> None:
    assert parse(["127.0.0.0/8"]).refuses_address(ip_address("127.0.0.1"), 9090) == ""
    assert parse(["127.0.0.0/8"]).refuses_name("127.0.0.1", 9090) == ""


def test_trust_16_the_api_server_is_never_asked() -> None:
    guard = parse(["10.96.0.0/12"], [("10.96.0.1", 443)])

    assert "is the API server" in guard.refuses_address(ip_address("10.96.0.1"), 443)
    assert guard.refuses_address(ip_address("10.96.0.1"), 80) == ""


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("prometheus.monitoring.svc", 9090, True),
        ("Prometheus.Monitoring.svc.", 9090, True),
        ("prometheus.monitoring.svc", 80, False),
        ("a.metrics.example", 443, True),
        ("metrics.example", 443, False),
        ("metrics.example.evil.test", 443, False),
        ("10.1.2.3", 80, True),
        ("10.2.0.1", 80, False),
        ("0x7f000001", 80, False),
        ("2130706433", 80, False),
        ("kubernetes.default.svc", 443, False),
    ],
)
def test_trust_16_a_host_is_asked_only_where_the_operators_setting_names_it(
    host: str, port: int, allowed: bool
) -> None:
    guard = parse(["prometheus.monitoring.svc:9090", "*.metrics.example", "10.1.0.0/16"])

    assert (guard.refuses_name(host, port) == "") is allowed


@pytest.mark.parametrize("entry", ["http://prom", "prom:http", "10.0.0.0/33", "a b", ":80"])
def test_an_entry_that_is_no_host_and_no_network_is_refused(entry: str) -> None:
    with pytest.raises(ValueError):
        parse([entry])
