"""What an activator says to the operator: for which Apps it listens, and which have somebody waiting. One line of JSON for each change,
for as long as the operator listens; nothing is written anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
from aiohttp import web

from fairlead.activation.model import BEAT, PATH, Line
from fairlead.core.meta import Key

_MOST = 8  # streams at a time: an operator has one leader

Said = Callable[[Key], Line]


class Streams:
    """Who listens. said: what there is to say of one App; known: the Apps that there is something to say of."""

    def __init__(self, said: Said, known: Callable[[], list[Key]]) -> None:
        self._said = said
        self._known = known
        self._feeds: set[_Feed] = set()

    def told(self, key: Key) -> None:
        """Something about this App is another now."""
        for feed in self._feeds:
            feed.add(key)

    def close(self) -> None:
        """End the streams, so that nobody counts on this activator."""
        for feed in self._feeds:
            feed.end()

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if len(self._feeds) >= _MOST:
            return web.Response(status=503, text=f"{_MOST} streams are open already\n")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        feed = _Feed(self._known())
        self._feeds.add(feed)
        try:
            await response.prepare(request)
            with suppress(ConnectionError):
                while not feed.ended:
                    lines = [self._said(key) for key in feed.take()]
                    beat = Line(whole=True)
                    await response.write(b"".join(msgspec.json.encode(line) + b"\n" for line in (*lines, beat)))
                    await feed.more(BEAT)
        finally:
            self._feeds.discard(feed)
        return response


class _Feed:
    """The Apps one listener has not been told of yet: each once, however often it changes."""

    def __init__(self, keys: list[Key]) -> None:
        self.ended = False
        self._keys = dict.fromkeys(keys)
        self._news = asyncio.Event()

    def add(self, key: Key) -> None:
        self._keys[key] = None
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    def take(self) -> list[Key]:
        taken, self._keys = list(self._keys), {}
        self._news.clear()
        return taken

    async def more(self, within: float) -> None:
        """Until there is something to say, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()
