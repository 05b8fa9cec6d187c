"""What activators say: who listens for which App, and which Apps have a request waiting. In memory alone: after a reconnect, or with
another leader, it is said again."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

import aiohttp
import msgspec

from fairlead.activation.model import BEAT, PATH, Line, Slice
from fairlead.core.meta import Key
from fairlead.engine.controller import View

log = logging.getLogger(__name__)

CONTROL = "control"  # the name of the port that tells, in the activator's Service
_AGAIN = 1.0  # seconds: between two attempts to reach one, and between two looks at who is there
_line = msgspec.json.Decoder(Line)

Address = tuple[str, int]
Connect = Callable[[Address], AsyncGenerator[Line, None]]
There = Callable[[View], Iterable[Slice]]


async def over_http(address: Address) -> AsyncGenerator[Line, None]:
    """The lines of one activator. OSError, TimeoutError or aiohttp's errors where it cannot be reached, or is silent for three beats."""
    host, port = address
    timeout = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=3 * BEAT)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, allow_redirects=False) as response:
        response.raise_for_status()
        async for line in response.content:
            yield _line.decode(line)


class Activators:
    """Keeps a stream to each activator while this process leads. Times are the operator's: activators' clocks may differ."""

    def __init__(self, there: There, connect: Connect) -> None:
        self._there = there
        self._connect = connect
        self._clock: Callable[[], float] = lambda: 0.0  # the engine's, once it leads
        self._began = 0.0
        self._listening: defaultdict[Key, set[str]] = defaultdict(set)  # the pods, by uid
        self._waiting: defaultdict[Key, dict[str, float]] = defaultdict(dict)  # and since when they told of somebody
        self._deaf: dict[Key, float] = {}
        self._streams: dict[str, tuple[Address, asyncio.Task[None]]] = {}

    # ------------------------------------------------------------ what is known

    def listening(self, key: Key) -> frozenset[str]:
        """The activators that listen for an App, by their pods' uids."""
        return frozenset(self._listening.get(key, ()))

    def waiting(self, key: Key) -> float | None:
        """Since when a request for it has been waiting."""
        return min(self._waiting.get(key, {}).values(), default=None)

    def deaf_since(self, key: Key) -> float:
        """Since when nobody listens for it; the beginning of this process' lead where that was never otherwise."""
        return self._deaf.get(key, self._began)

    # ------------------------------------------------------------ listening

    async def run(self, view: View, ask: Callable[[Key], None], clock: Callable[[], float]) -> None:
        """Until cancelled. `ask` is called with an App whose first request begins to wait while it is at zero, and when who listens
        for it changes."""
        self._clock, self._began = clock, clock()
        try:
            while True:
                there = _addresses(self._there(view))
                # A node that starts again gives the pods that it still has new addresses.
                await self._leave([pod for pod, (at, _) in self._streams.items() if at not in there.get(pod, ())])
                for pod in there.keys() - self._streams.keys():
                    address = there[pod][0]
                    self._streams[pod] = address, asyncio.create_task(self._follow(pod, address, view, ask))
                await asyncio.sleep(_AGAIN)
        finally:
            await self._leave(list(self._streams))

    async def _leave(self, pods: Iterable[str]) -> None:
        """Returns when their streams have ended: what one forgets at its end must not be what the next one has heard."""
        streams = [self._streams.pop(pod)[1] for pod in pods]
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)

    async def _follow(self, pod: str, address: Address, view: View, ask: Callable[[Key], None]) -> None:
        while True:
            try:
                async with aclosing(self._connect(address)) as lines:
                    async for line in lines:
                        if line.app:
                            self._heard(pod, line, view, ask)
            except Exception as error:  # whatever it says or does not say, it is asked again
                log.info("activator %s:%d is not heard: %s", *address, error or type(error).__name__)
            finally:
                self._forget(pod, ask)
            await asyncio.sleep(_AGAIN)

    def _heard(self, pod: str, line: Line, view: View, ask: Callable[[Key], None]) -> None:
        key = Key(line.namespace, line.app)
        app = view.get("App", *key)
        if app is None:
            self._gone(key, pod)
            return
        news = self._listens(key, pod, line.listens)
        if line.since is None:
            self._waits_no_more(key, pod)
        elif pod not in self._waiting[key]:
            first = not self._waiting[key]
            self._waiting[key][pod] = self._clock()
            news = news or (first and app.replicas == 0)
        if news:
            ask(key)

    def _listens(self, key: Key, pod: str, listens: bool) -> bool:
        """Note it; whether it was otherwise."""
        if listens == (pod in self._listening.get(key, ())):
            return False
        if listens:
            self._listening[key].add(pod)
            self._deaf.pop(key, None)
            return True
        self._listening[key].discard(pod)
        if not self._listening[key]:
            del self._listening[key]
            self._deaf[key] = self._clock()
        return True

    def _waits_no_more(self, key: Key, pod: str) -> None:
        if key in self._waiting:
            self._waiting[key].pop(pod, None)
            if not self._waiting[key]:
                del self._waiting[key]

    def _gone(self, key: Key, pod: str) -> None:
        """The App is no more: what was known of it is not of whoever takes its name."""
        self._waits_no_more(key, pod)
        self._listens(key, pod, False)
        self._deaf.pop(key, None)

    def _forget(self, pod: str, ask: Callable[[Key], None]) -> None:
        """It is not heard any more: what it said counts no more."""
        for key in [key for key, pods in self._waiting.items() if pod in pods]:
            self._waits_no_more(key, pod)
        for key in [key for key, pods in self._listening.items() if pod in pods]:
            self._listens(key, pod, False)
            ask(key)


def _addresses(slices: Iterable[Slice]) -> dict[str, list[Address]]:
    """Of each activator, ready or not: one that goes may still hold somebody. Where there are two families, one of each."""
    found = defaultdict[str, list[Address]](list)
    for each in slices:
        control = next((port.port for port in each.ports if port.name == CONTROL), None)
        if control is None:
            continue
        for endpoint in each.endpoints:
            found[endpoint.pod].append((endpoint.address, control))
    return found
