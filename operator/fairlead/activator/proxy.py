"""One connection: held until its App has a pod, passed on to it, and copied both ways until it ends.

Until a pod has taken the connection nothing of the request has been sent, so it may be tried with the next pod; from then on the
activator only copies. A request counts as waiting, which wakes its App, when it is complete up to the end of the head (or, of what is
no HTTP/1, when there are bytes of it at all).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from fairlead.activator import head
from fairlead.activator.board import Address, Board
from fairlead.activator.hall import Hall
from fairlead.core.meta import Key
from fairlead.metrics.collect import Metrics

CHUNK = 64 * 1024  # bytes copied at a time
BUFFER = 16 * 1024  # bytes that asyncio reads ahead of us while a connection is held; twice that at most

Cause = Literal["app", "all", "bytes", "deadline", "head", "slow", "silent", "gone", "stopping"]

_WHY: dict[Cause, tuple[str, str]] = {
    "app": ("503 Service Unavailable", "too many requests wait for this App to start"),
    "all": ("503 Service Unavailable", "too many requests wait for Apps to start"),
    "bytes": ("503 Service Unavailable", "requests that wait for Apps to start take too much memory"),
    "deadline": ("503 Service Unavailable", "no pod of this App was ready in time"),
    "stopping": ("503 Service Unavailable", "no pod of this App was ready, and who held the request is stopping"),
    "head": ("431 Request Header Fields Too Large", f"the head of the request has more than {head.MOST} bytes"),
    "slow": ("408 Request Timeout", "the head of the request did not arrive in time"),
}
_RETRY_AFTER = 5  # seconds


class Limits(msgspec.Struct, frozen=True):
    """Seconds, but for connects_at_once (of one App). first_bytes: until the head is there; connect: to one pod; again: between two
    rounds over pods that do not answer, twice as long after each until again_at_most; parting: for a client to read the last answer; half_closed: for a client that sends on after
    the server has ended."""

    first_bytes: float = 10.0
    connect: float = 2.0
    again: float = 0.1
    again_at_most: float = 1.0
    parting: float = 2.0
    half_closed: float = 60.0
    connects_at_once: int = 64


class Refused(Exception):
    """The connection is not passed on, and why."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


class Stream(NamedTuple):
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Request:
    """What has been read of a connection that is held. complete: there is enough of it to wake somebody for, the head of HTTP or
    anything of what is not; ended: its client has closed its side."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.http = False
        self.complete = False
        self.ended = False

    def add(self, data: bytes) -> None:
        """What came next; nothing where the client has closed its side."""
        if not data:
            self.ended = True
            return
        searched = len(self.data)
        self.data += data
        if self.complete:
            return
        found = "http" if self.http else head.kind(self.data)
        self.http = found == "http"
        self.complete = found == "other" or (self.http and head.end(self.data, searched) > 0)

    def first_bytes(self) -> bytes:
        """What is sent to the pod: the head with its wish to close, and what came after it."""
        if not self.http:
            return bytes(self.data)
        length = head.end(self.data)
        return head.closing(bytes(self.data[:length])) + bytes(self.data[length:])


class Proxy:
    """The connections of one activator. clock: seconds, by one that does not jump."""

    def __init__(
        self, board: Board, hall: Hall, metrics: Metrics, clock: Callable[[], float], limits: Limits = Limits()
    ) -> None:
        self._board = board
        self._hall = hall
        self._metrics = metrics
        self._clock = clock
        self._limits = limits
        # Of the Apps that connections are being made for now, and of no others: names come and go for as long as a process lives.
        self._connects: WeakValueDictionary[Key, asyncio.Semaphore] = WeakValueDictionary()
        self._rounds = itertools.count()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.activator_held.set_function(lambda: float(hall.held))

    def accept(self, key: Key, port: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected to what stands for this port of an App's Service."""
        task = asyncio.create_task(self._serve(key, port, Stream(reader, writer)), name=f"serve {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, within: float, last_words: float) -> None:
        """Until all connections have ended, or for so many seconds. Then who still waits is told to ask again, within the seconds
        for last words, and what is left is cut off."""
        await self._ended(within)
        self._stopping.set()
        await self._ended(last_words)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _ended(self, within: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)

    async def _serve(self, key: Key, port: str, client: Stream) -> None:
        request = Request()
        try:
            _keep_alive(client.writer)
            await self._answered(key, port, request, client)
            await self._closed(client.writer)
        except OSError:
            pass  # one of the two is gone, and with it the connection
        finally:
            _cut(client.writer)  # where it has not come to its end

    async def _answered(self, key: Key, port: str, request: Request, client: Stream) -> None:
        try:
            pod = await self._admitted(key, port, request, client.reader)
        except Refused as refused:
            self._metrics.activator_requests.labels("refused").inc()
            self._metrics.activator_refused.labels(refused.cause).inc()
            await self._part(request, refused.cause, client)
        else:
            self._metrics.activator_requests.labels("passed").inc()
            await self._copy(request, client, pod)

    # ------------------------------------------------------------ until a pod has it

    async def _admitted(self, key: Key, port: str, request: Request, reader: asyncio.StreamReader) -> Stream:
        if full := self._hall.enter(key):
            await self._glance(request, reader)
            raise Refused(full)
        try:
            await self._head(request, reader)
            return await self._pod(key, port, request, reader)
        finally:
            self._hall.keep(-len(request.data))
            self._hall.leave(key)

    async def _glance(self, request: Request, reader: asyncio.StreamReader) -> None:
        """So much of a request there is no room for as tells whether its client understands an answer."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._limits.parting):
                request.add(await reader.read(BUFFER))

    async def _head(self, request: Request, reader: asyncio.StreamReader) -> None:
        """Read until it is known what this is, and of HTTP the whole head."""
        try:
            async with asyncio.timeout(self._limits.first_bytes):
                while not request.complete and not request.ended:
                    if len(request.data) >= head.MOST:
                        raise Refused("head")
                    await self._more(request, reader)
                    if self._hall.full:
                        raise Refused("bytes")
        except TimeoutError:
            if request.http:
                raise Refused("slow") from None
            if not request.data:
                raise Refused("silent") from None
        if request.ended and (request.http or not request.data):
            raise Refused("gone")

    async def _more(self, request: Request, reader: asyncio.StreamReader) -> None:
        try:
            data = await reader.read(BUFFER)
        except OSError:
            raise Refused("gone") from None
        self._hall.keep(len(data))
        request.add(data)

    async def _pod(self, key: Key, port: str, request: Request, reader: asyncio.StreamReader) -> Stream:
        """A pod that has taken the connection."""
        looking = asyncio.create_task(self._look(key, port))
        leaving = asyncio.create_task(self._leaves(request, reader))
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = (looking, leaving, stopping)
        try:
            hold = self._board.door(key).hold_seconds
            done, _ = await asyncio.wait(tasks, timeout=hold, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(*tasks)
        if not looking.cancelled():
            return looking.result()
        if leaving in done:
            leaving.result()
        raise Refused("stopping" if stopping in done else "deadline")

    async def _leaves(self, request: Request, reader: asyncio.StreamReader) -> None:
        """Listens to a client that waits, for some bytes more than the head. Who closes its side of HTTP has left; what is no HTTP
        may well do so and wait for the answer. Ends with the reason to forget it, or not at all."""
        most = len(request.data) + BUFFER
        while not request.ended and len(request.data) < most:
            await self._more(request, reader)
        if request.ended and request.http:
            raise Refused("gone")
        await asyncio.get_running_loop().create_future()

    async def _look(self, key: Key, port: str) -> Stream:
        """Try the App's pods, again whenever the slices say something new; while there is none, the request waits."""
        began, waits, pause = self._clock(), False, self._limits.again
        try:
            while True:
                change = self._board.change(key)
                pods = self._board.door(key).pods.get(port, ())
                if (pod := await self._first_of(key, pods)) is not None:
                    if waits:
                        self._metrics.activator_cold_start.observe(self._clock() - began)
                    return pod
                if not waits:
                    self._hall.wait(key)
                    waits = True
                await asyncio.wait((change,), timeout=pause if pods else None)
                pause = self._limits.again if change.done() else min(2 * pause, self._limits.again_at_most)
        finally:
            if waits:
                self._hall.served(key)

    async def _first_of(self, key: Key, pods: tuple[Address, ...]) -> Stream | None:
        """The first of these pods that takes a connection, beginning with another one each time."""
        first = next(self._rounds)
        for at in range(len(pods)):
            host, port = pods[(first + at) % len(pods)]
            async with self._connects.setdefault(key, asyncio.Semaphore(self._limits.connects_at_once)):
                with contextlib.suppress(OSError):
                    async with asyncio.timeout(self._limits.connect):
                        return Stream(*await asyncio.open_connection(host, port, limit=CHUNK))
        return None

    # ------------------------------------------------------------ from then on

    async def _copy(self, request: Request, client: Stream, pod: Stream) -> None:
        """Both ways until both have ended. Each side may end alone; what the other still says arrives. ConnectionResetError where the
        pod was cut off: so is its client then, for whom an answer of unsaid length would seem whole if it merely ended."""
        sending = asyncio.create_task(_pump(client.reader, pod.writer, request.first_bytes()))
        answering = asyncio.create_task(_pump(pod.reader, client.writer))
        request.data = bytearray()
        try:
            _keep_alive(pod.writer)
            await self._both(sending, answering)
            if _whole(sending) and _whole(answering):
                with contextlib.suppress(OSError):
                    await self._closed(pod.writer)
        finally:
            await _end(sending, answering)
            _cut(pod.writer)
        if not _whole(sending):
            await self._hears_out(client.reader)
        if not _whole(answering):
            raise ConnectionResetError("the pod's answer did not come to its end")

    async def _both(self, sending: asyncio.Task[None], answering: asyncio.Task[None]) -> None:
        """Until what is said each way has ended, or will not."""
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            # A server that answers early closes before it has read all: the answer is on its way.
            await asyncio.wait((answering,), timeout=None if _whole(sending) else self._limits.parting)
        elif _whole(answering) and not sending.done():
            await asyncio.wait((sending,), timeout=self._limits.half_closed)

    async def _closed(self, writer: asyncio.StreamWriter) -> None:
        """Close it, and return when what was said last is out of our hands: whoever stops in between would take it along. TimeoutError
        where nobody takes it."""
        async with asyncio.timeout(self._limits.half_closed):
            writer.close()
            await writer.wait_closed()

    async def _part(self, request: Request, cause: Cause, client: Stream) -> None:
        """Say why, in HTTP."""
        if not request.http or request.ended or cause not in _WHY:
            return
        status, why = _WHY[cause]
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._limits.parting):
                _alive(client.writer).write(head.refusal(status, why, _RETRY_AFTER))
                await client.writer.drain()
                _alive(client.writer).write_eof()
        await self._hears_out(client.reader)

    async def _hears_out(self, reader: asyncio.StreamReader) -> None:
        """Closing with bytes unread takes away what was said last: so they are read, for a while."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._limits.parting):
                while await reader.read(CHUNK):
                    pass


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
    """Copy until the end, no faster than it is taken; then say that it was the end."""
    data = first or await reader.read(CHUNK)
    while data:
        _alive(writer).write(data)
        await writer.drain()
        data = await reader.read(CHUNK)
    if writer.can_write_eof():
        _alive(writer).write_eof()


def _alive(writer: asyncio.StreamWriter) -> asyncio.StreamWriter:
    """The same. ConnectionResetError where its peer has gone in the meantime: asyncio would drop what is written then, and uvloop calls
    it a mistake of ours."""
    if writer.is_closing():
        raise ConnectionResetError("the connection is closed")
    return writer


def _whole(copying: asyncio.Task[None]) -> bool:
    """It has come to the end of what was to be said."""
    return copying.done() and not copying.cancelled() and copying.exception() is None


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _cut(writer: asyncio.StreamWriter) -> None:
    """Drop a connection by a reset, which its peer cannot take for an end. One that is closed already stays as it is."""
    _set(writer, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """A peer that vanished without a word is noticed within two minutes, however long the connection is silent."""
    _set(writer, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            _set(writer, socket.IPPROTO_TCP, getattr(socket, option), value)


def _set(writer: asyncio.StreamWriter, level: int, option: int, value: int | bytes) -> None:
    """Nothing where it is closed, which asyncio tells by an OSError, and uvloop by no socket or a ValueError."""
    if (found := writer.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError, ValueError):
            found.setsockopt(level, option, value)
