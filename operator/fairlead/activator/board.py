"""What an activator knows of each App: where it listens for it, and where its pods are. Fed by EndpointSlices alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from fairlead.activation.model import LISTENING, Slice
from fairlead.core.meta import Key

Address = tuple[str, int]
# Not FQDN: whom a name leads to is not the API server's to judge, which keeps loopback and link-local addresses out of the others.
_ADDRESSES = frozenset({"IPv4", "IPv6"})


class Door(msgspec.Struct, frozen=True):
    """One App. ports: the listening port of each port of its Service, by name; pods: where each of these is served, by name;
    hold_seconds: how long a request is held."""

    ports: dict[str, int] = {}
    pods: dict[str, tuple[Address, ...]] = {}
    hold_seconds: float = 60.0


def door(slices: Iterable[Slice]) -> Door:
    """What an App's slices come to.

    >>> from fairlead.activation.model import Endpoint, SlicePort
    >>> ours = Slice("default", "shop-activator", "u1", 1, "shop", "shop", ours=True, ports=(SlicePort("http", 20007),))
    >>> pods = Slice("default", "shop-x", "u2", 2, "shop", "shop", ports=(SlicePort("http", 8080),), endpoints=(Endpoint("10.0.0.7"),))
    >>> made = door([ours, pods])
    >>> made.ports, made.pods
    ({'http': 20007}, {'http': (('10.0.0.7', 8080),)})
    """
    ports: dict[str, int] = {}
    pods: defaultdict[str, list[Address]] = defaultdict(list)
    written: list[Slice] = []
    for each in sorted(slices, key=lambda one: (one.created, one.name)):
        if each.service != each.app or each.address_type not in _ADDRESSES:
            continue
        if each.ours:
            written.append(each)
            for port in each.ports:
                ports.setdefault(port.name, port.port)
        else:
            for port in each.ports:
                pods[port.name] += [(endpoint.address, port.port) for endpoint in each.ready]
    return Door(
        ports={name: port for name, port in ports.items() if port in LISTENING},
        pods={name: tuple(dict.fromkeys(found)) for name, found in pods.items() if found},
        hold_seconds=float(written[0].hold_seconds) if written else 60.0,
    )


class Board:
    """The doors of all Apps, by what the watch says. `moved` is called with an App whose door has changed."""

    def __init__(self) -> None:
        self.moved: list[Callable[[Key], None]] = []
        self._slices: defaultdict[Key, dict[str, Slice]] = defaultdict(dict)
        self._doors: dict[Key, Door] = {}
        self._changes: dict[Key, asyncio.Future[None]] = {}

    def changed(self, old: Slice | None, new: Slice | None) -> None:
        """A slice appeared, changed or went: the listener of the store's table."""
        if old is not None and (new is None or old.key != new.key):
            self._slices[old.key].pop(old.name, None)
            self._anew(old.key)
        if new is not None:
            self._slices[new.key][new.name] = new
            self._anew(new.key)

    def doors(self) -> dict[Key, Door]:
        return dict(self._doors)

    def door(self, key: Key) -> Door:
        return self._doors.get(key) or Door()

    def change(self, key: Key) -> asyncio.Future[None]:
        """Done when this App's door is another than now. It is shared: wait for it, do not cancel it."""
        waited = self._changes.get(key)
        if waited is None:
            waited = self._changes[key] = asyncio.get_running_loop().create_future()
        return waited

    def _anew(self, key: Key) -> None:
        made = door(self._slices[key].values())
        if not self._slices[key]:
            del self._slices[key]
        if made == self._doors.get(key, Door()):
            return
        if made == Door():
            del self._doors[key]
        else:
            self._doors[key] = made
        if (waited := self._changes.pop(key, None)) is not None:
            waited.set_result(None)
        for tell in self.moved:
            tell(key)
