"""Whom gates may ask. Pure.

Who writes an App or a Gate chooses a URL, and the operator asks it from where it runs: its network reaches what the
author's may not. So an App's own Services and pods may be asked, and else only what the operator's owner allows; and
whatever a name resolves to is looked at before it is connected to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What clouds tell their machines, credentials included; link-local ones are refused as such.
METADATA = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
SETTING = "--gate-allow (chart value gates.allow)"


class Host(msgspec.Struct, frozen=True):
    """One entry of the allow list that is a name: `*.` in front means any name below; port 0 means any."""

    name: str
    port: int = 0

    def fits(self, host: str, port: int) -> bool:
        """
        >>> Host("*.metrics.example", 9090).fits("a.metrics.example", 9090), Host("prom.example").fits("evil-prom.example", 80)
        (True, False)
        """
        named = host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name
        return named and self.port in (0, port)


class Guard(msgspec.Struct, frozen=True):
    """hosts may be asked by name; networks by address, also where addresses of that sort are refused otherwise; api_servers
    (address, port) never."""

    hosts: tuple[Host, ...] = ()
    networks: tuple[Network, ...] = ()
    api_servers: frozenset[tuple[Address, int]] = frozenset()

    def refuses_name(self, host: str, port: int) -> str:
        """Why a URL's host may not be asked; "" where it may.

        >>> guard = parse(["prometheus.monitoring.svc:9090"])
        >>> guard.refuses_name("prometheus.monitoring.svc", 9090)
        ''
        >>> guard.refuses_name("metadata.google.internal", 80)[:54]
        'metadata.google.internal:80 is not a host gates may as'
        """
        if any(entry.fits(host.rstrip(".").lower(), port) for entry in self.hosts):
            return ""
        literal = as_address(host)
        if literal is not None and self._allowed(literal):
            return ""
        return (
            f"{host}:{port} is not a host gates may ask: an App's own Services and pods, and what the operator's "
            f"setting {SETTING} names"
        )

    def refuses_address(self, address: Address, port: int) -> str:
        """Why an address may not be connected to, whatever name led there; "" where it may.

        >>> from ipaddress import ip_address
        >>> Guard().refuses_address(ip_address("::ffff:169.254.169.254"), 80)
        '169.254.169.254 is an address of cloud metadata, which gates never ask'
        >>> Guard().refuses_address(ip_address("10.0.0.7"), 80), parse(["127.0.0.0/8"]).refuses_address(ip_address("127.0.0.1"), 80)
        ('', '')
        """
        real = unwrapped(address)
        if real in METADATA:
            return f"{real} is an address of cloud metadata, which gates never ask"
        if (real, port) in self.api_servers:
            return f"{real}:{port} is the API server, which gates never ask"
        if self._allowed(real):
            return ""
        for sort, is_so in (
            ("loopback", real.is_loopback),
            ("link-local", real.is_link_local),
            ("multicast", real.is_multicast),
            ("unspecified", real.is_unspecified),
            ("reserved", real.is_reserved),
        ):
            if is_so:
                return f"{real} is a {sort} address: gates may ask it only where {SETTING} names its network"
        return ""

    def _allowed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)


def parse(entries: Iterable[str], api_servers: Iterable[tuple[str, int]] = ()) -> Guard:
    """The allow list as people write it: `host`, `host:port`, `*.domain`, or a network such as 10.0.0.0/8. ValueError names
    an entry that is none of these.

    >>> parse(["*.example:443", "10.1.0.0/16"]).hosts
    (Host(name='*.example', port=443),)
    """
    hosts, networks = [], []
    for entry in entries:
        if "/" in entry:
            networks.append(ipaddress.ip_network(entry))
            continue
        name, colon, port = entry.partition(":")
        if not name or (colon and not port.isdecimal()) or not set(name) <= _NAME:
            raise ValueError(f"{entry!r} is neither host, host:port, *.domain nor a network such as 10.0.0.0/8")
        hosts.append(Host(name.lower(), int(port or 0)))
    known = frozenset((found, port) for host, port in api_servers if (found := as_address(host)) is not None)
    return Guard(tuple(hosts), tuple(networks), known)


_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*_")


def as_address(host: str) -> Address | None:
    """The address a host is written as, None for a name.

    >>> as_address("[::1]"), as_address("example.com")
    (IPv6Address('::1'), None)
    """
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour:
            return address.ipv4_mapped or address.sixtofour or address
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
