"""An activator's proxy on loopback, with clients and pods that are plain sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fairlead.activation.model import Endpoint, Slice, SlicePort
from fairlead.activator.board import Board
from fairlead.activator.hall import Hall
from fairlead.activator.proxy import BUFFER, CHUNK, Limits, Proxy, Stream
from fairlead.core.meta import Key
from fairlead.metrics.collect import Metrics
from support.waiting import PATIENCE

SHOP = Key("default", "shop")
QUICK = Limits(again=0.02)
IMPATIENT = Limits(first_bytes=0.3)
BRISK = Limits(parting=0.1)

Serve = Callable[[Stream], Awaitable[None]]


class Scene:
    """One App behind one activator. hold_seconds: what its slice says."""

    def __init__(self, hold_seconds: int, most: int, all: int, bytes: int, limits: Limits) -> None:
        self.board, self.metrics = Board(), Metrics()
        self.hall = Hall(all, most, bytes, lambda: 1000.0)
        self.proxy = Proxy(self.board, self.hall, self.metrics, asyncio.get_running_loop().time, limits)
        self.woken: list[bool] = []
        self.hall.told.append(lambda key: self.woken.append(self.hall.since(key) is not None))
        ports = (SlicePort("http", 20000),)
        self.board.changed(
            None,
            Slice(
                "default",
                "shop-activator",
                "a",
                1,
                "shop",
                "shop",
                True,
                ports=ports,
                hold_seconds=hold_seconds,
            ),
        )
        self.address = ("127.0.0.1", 0)
        self.clients: list[Stream] = []
        self.accepted: list[Stream] = []  # of them, as the activator has them

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.append(Stream(reader, writer))
        self.proxy.accept(SHOP, "http", reader, writer)

    def pods(self, *ports: int) -> None:
        """The App's pods are at these ports of loopback."""
        slices = [
            Slice(
                "default",
                f"shop-{port}",
                f"u{port}",
                1,
                "shop",
                "shop",
                ports=(SlicePort("http", port),),
                endpoints=(Endpoint("127.0.0.1"),),
            )
            for port in ports
        ]
        for each in slices:
            self.board.changed(None, each)

    async def connect(self, taking: int = 0) -> Stream:
        """taking: bytes that its kernel keeps for it, at most; as many as it likes where 0."""
        raw = socket.socket()
        raw.setblocking(False)
        if taking:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taking)
        await asyncio.get_running_loop().sock_connect(raw, self.address)
        self.clients.append(Stream(*await asyncio.open_connection(sock=raw, limit=taking or CHUNK)))
        return self.clients[-1]

    async def waits(self, count: int = 1) -> None:
        """Until so many connections are held and somebody has been woken for them."""
        await until(lambda: self.hall.held >= count and self.woken[-1:] == [True])

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def refused(self, cause: str) -> float:
        return self.count("fairlead_activator_refused_total", cause=cause)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def scene(
    hold_seconds: int = 30, most: int = 1000, all: int = 1000, bytes: int = 1 << 20, limits: Limits = QUICK
) -> AsyncIterator[Scene]:
    made = Scene(hold_seconds, most, all, bytes, limits)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0, limit=BUFFER)
    made.address = server.sockets[0].getsockname()
    try:
        yield made
    finally:
        server.close()
        await made.proxy.finish(0.0, 0.0)
        for client in made.clients:
            client.writer.transport.abort()
        await asyncio.sleep(0.01)  # sockets are closed in the loop's next turns


@asynccontextmanager
async def pod(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    """A server that does `serve` with each connection: its port, any free one unless said."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(stream: Stream) -> None:
        try:
            await serve(stream)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            stream.writer.transport.abort()
            raise
        finally:
            stream.writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(run(Stream(reader, writer)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


async def says_hello(stream: Stream) -> None:
    """HTTP/1.1: one answer, with what it was asked as its body."""
    asked = await stream.reader.readuntil(b"\r\n\r\n")
    stream.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(asked) + asked)
    await stream.writer.drain()


async def all_of(stream: Stream) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await stream.reader.read()
