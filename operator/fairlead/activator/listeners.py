"""The sockets of an activator: one for each port of each App whose slice names one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from fairlead.activator.board import Board
from fairlead.activator.proxy import BUFFER, Proxy
from fairlead.core.meta import Key

log = logging.getLogger(__name__)

_BACKLOG = 1024
_LINGER = 10.0  # seconds that a socket nobody names any more goes on: not all nodes have heard of that yet
_AGAIN = 5.0  # seconds until a port that was taken is tried again


class Listener(NamedTuple):
    """What a port stands for, and its sockets."""

    key: Key
    port: str
    server: asyncio.Server


class Listeners:
    """Listens where the slices say. told: called with an App whose ports are listened on now, or not any more."""

    def __init__(self, board: Board, proxy: Proxy, host: str | None = None) -> None:
        self.told: list[Callable[[Key], None]] = []
        self._board = board
        self._proxy = proxy
        self._host = host
        self._open: dict[int, Listener] = {}
        self._asked = asyncio.Event()
        self._keys: set[Key] = set()
        self._said: set[Key] = set()  # the Apps that were last said to be listened for
        self._again: dict[Key, asyncio.TimerHandle] = {}  # those whose ports are taken, one attempt ahead of each
        self._closed = False
        board.moved.append(self._moved)

    async def run(self) -> None:
        """Follow the board until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            keys, self._keys = self._keys, set()
            for key in sorted(keys):
                await self._follow(key)

    def listens(self, key: Key) -> bool:
        """Every port of this App's slice has a socket here."""
        wanted = self._board.door(key).ports
        return bool(wanted) and all(
            number in self._open and self._open[number][:2] == (key, name) for name, number in wanted.items()
        )

    def close(self) -> None:
        """Take no more connections; those that are there go on."""
        self._closed = True
        for listener in self._open.values():
            listener.server.close()
        self._open.clear()

    def _moved(self, key: Key) -> None:
        self._keys.add(key)
        self._asked.set()

    async def _follow(self, key: Key) -> None:
        self._tell(key)
        wanted = {number: name for name, number in self._board.door(key).ports.items()}
        for number, listener in list(self._open.items()):
            if listener.key == key and wanted.get(number) != listener.port:
                asyncio.get_running_loop().call_later(_LINGER, self._let_go, number, listener)
        for number, name in wanted.items():
            if not self._closed and number not in self._open:
                await self._listen(number, key, name)
        self._try_again(key, any(number not in self._open or self._open[number].key != key for number in wanted))
        self._tell(key)

    def _try_again(self, key: Key, taken: bool) -> None:
        """Later, where a port of its is another's. An App's pods come and go meanwhile, and each time this is asked."""
        if (before := self._again.pop(key, None)) is not None:
            before.cancel()
        if taken and not self._closed:
            self._again[key] = asyncio.get_running_loop().call_later(_AGAIN, self._moved, key)

    async def _listen(self, number: int, key: Key, name: str) -> None:
        try:
            server = await asyncio.start_server(
                partial(self._proxy.accept, key, name), self._host, number, limit=BUFFER, backlog=_BACKLOG
            )
        except OSError as error:
            log.warning("%s: port %d for %s cannot be listened on: %s", key, number, name or "its port", error)
            return
        self._open[number] = Listener(key, name, server)

    def _let_go(self, number: int, listener: Listener) -> None:
        door = self._board.door(listener.key)
        if door.ports.get(listener.port) == number or self._open.get(number) is not listener:
            return
        listener.server.close()
        del self._open[number]
        for other in self._board.doors():  # another App may have waited for this port
            if number in self._board.door(other).ports.values():
                self._moved(other)

    def _tell(self, key: Key) -> None:
        """Where it is otherwise than was said last: also of an App whose slice is gone, or whoever takes its name would be said to be
        listened for."""
        if self.listens(key) == (key in self._said):
            return
        self._said ^= {key}
        for tell in self.told:
            tell(key)
