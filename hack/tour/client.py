#!/usr/bin/env python3
"""Requests at a steady rate from inside the cluster, each one accounted for.

    python3 client.py --rate 200 --kept-rate 50 http://shop/hostname          send until SIGTERM
    python3 client.py as-pod --image IMAGE --name traffic -- --rate 200 http://shop/hostname | kubectl apply -f -

The rate does not give way: request n is due n / rate seconds after the start, whether earlier ones were answered or not, so
a stall shows as slow or lost requests and never as fewer. Each second prints a line of JSON, and so does each lost or very
slow request; the last line, after SIGTERM, is the summary. A request is lost when it gets anything but a whole 200 within --timeout.

There are two lanes. `fresh` opens a connection for each request. `kept` keeps twenty open and sends a request over each in
turn; where the server closed one before it said a word to the request, the request is sent once more over a new connection,
as HTTP allows (RFC 9110, 9.2.2) and clients do.

One file and the standard library only, because it travels in a ConfigMap.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import random
import signal
import socket
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KEPT_CONNECTIONS = 20
PORTS = range(10_000, 60_000)
SLOW = 0.9  # seconds: TCP sends a first packet that got lost again after one


class Lost(Exception):
    """The request was not answered as it should have been."""


class ClosedUnused(Exception):
    """A kept connection was closed before the server said anything to this request: it is safe to ask again."""


@dataclass(slots=True)
class Way:
    """How far a request has come: without it nobody can tell a server that is slow from a packet that got lost."""

    began: float = field(default_factory=time.monotonic)
    port: int | None = None  # the client's own, as a packet capture shows it; None: it went over a kept connection
    connected: float | None = None  # seconds it took

    def facts(self) -> dict[str, Any]:
        if self.port is None:
            return {}
        return {"port": self.port, "connected": None if self.connected is None else round(self.connected, 2)}


class AtOnce(asyncio.StreamReaderProtocol):
    """Closes its end as soon as the server has closed the other, as HTTP clients do.

    Closed only when it is next used, the goodbye would reach a pod that is gone by then, unanswered. The network would hold
    the connection for half a minute more, and lead the next one from the same port to the same nowhere.
    """

    def eof_received(self) -> bool:
        super().eof_received()
        return False


class Tally:
    """What happened to every request."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.sent = self.answered = self.lost = self.asked_again = 0
        self.seconds: dict[str, list[float]] = {"fresh": [], "kept": []}
        self.errors: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self._lately: Counter[str] = Counter()

    def answer(self, lane: str, text: str, way: Way) -> None:
        seconds = time.monotonic() - way.began
        self.answered += 1
        self.seconds[lane].append(seconds)
        self.answers[text] += 1
        self._lately[group(text)] += 1
        if seconds > SLOW:
            self._say_of(lane, slow=round(seconds, 2), by=text, **way.facts())

    def loss(self, lane: str, error: str, way: Way) -> None:
        self.lost += 1
        self.errors[f"{lane}: {error}"] += 1
        self._say_of(lane, lost=error, **way.facts())

    def _say_of(self, lane: str, **what: Any) -> None:
        after = round(time.monotonic() - self.began, 2)
        say({**what, "lane": lane, "after": after, "clock": time.strftime("%H:%M:%S", time.gmtime())})

    def lately(self) -> dict[str, Any]:
        """Since the last call: who answered how often."""
        seen, self._lately = self._lately, Counter()
        return {"sent": self.sent, "answered": self.answered, "lost": self.lost, "by": dict(seen)}

    def summary(self) -> dict[str, Any]:
        return {
            "summary": True,
            "sent": self.sent,
            "answered": self.answered,
            "lost": self.lost,
            "askedAgain": self.asked_again,
            "seconds": round(time.monotonic() - self.began, 1),
            "errors": dict(self.errors),
            "answers": dict(self.answers),
            "lanes": {lane: percentiles(values) for lane, values in self.seconds.items() if values},
        }


def percentiles(values: list[float]) -> dict[str, float]:
    """Milliseconds, nearest rank.

    >>> percentiles([0.001 * n for n in range(1, 101)])
    {'count': 100, 'p50': 50.0, 'p99': 99.0, 'max': 100.0}
    """
    ordered = sorted(values)

    def rank(share: float) -> float:
        return round(1000 * ordered[max(0, -(-int(share * len(ordered)) // 100) - 1)], 1)

    return {"count": len(ordered), "p50": rank(50), "p99": rank(99), "max": round(1000 * ordered[-1], 1)}


def group(answer: str) -> str:
    """Pods of one revision answer under one name: their own without its last part.

    >>> group("shop-x7k2b9f4dq-bcdfg")
    'shop-x7k2b9f4dq'
    """
    return answer.rpartition("-")[0] or answer


def say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


class Client:
    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80
        # Resolved once: what is measured is the way to the pods, not DNS.
        self.address = str(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][4][0])
        self.family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self.path = parts.path or "/"
        self.timeout = timeout
        self._used = random.randrange(len(PORTS))
        self.tally = Tally()
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def run(self, rate: float, kept_rate: float, stop: asyncio.Event) -> None:
        """Both lanes, until told to stop."""
        await asyncio.gather(self.lane("fresh", rate, stop), self.lane("kept", kept_rate, stop))
        for _, writer in self._idle:
            writer.close()

    async def lane(self, lane: str, rate: float, stop: asyncio.Event) -> None:
        """Send until told to stop, then see the last ones through."""
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        under_way: set[asyncio.Task[None]] = set()
        while rate and not stop.is_set():
            due = began + number / rate
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            task = asyncio.create_task(self.request(lane))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way)

    async def request(self, lane: str) -> None:
        self.tally.sent += 1
        way = Way()
        try:
            async with asyncio.timeout(self.timeout):
                answer = await (self.fresh(way) if lane == "fresh" else self.kept(way))
        except Lost as error:
            self.tally.loss(lane, str(error), way)
        except TimeoutError:
            missing = "connection" if lane == "fresh" and way.connected is None else "answer"
            self.tally.loss(lane, f"no {missing} in {self.timeout:.0f} s", way)
        except (OSError, EOFError, ValueError) as error:
            self.tally.loss(lane, f"{type(error).__name__}: {error}", way)
        else:
            self.tally.answer(lane, answer, way)

    async def fresh(self, way: Way) -> str:
        reader, writer = await self._connect(way)
        try:
            return await self._ask(reader, writer, "close")
        finally:
            writer.close()

    async def kept(self, way: Way) -> str:
        while len(self._idle) >= KEPT_CONNECTIONS:
            reader, writer = self._idle.popleft()
            try:
                answer = await self._ask(reader, writer, "keep-alive")
            except ClosedUnused:
                self.tally.asked_again += 1
                writer.close()
                break
            except BaseException:
                writer.close()
                raise
            self._idle.append((reader, writer))
            return answer
        reader, writer = await self._connect(way)
        try:
            answer = await self._ask(reader, writer, "keep-alive")
        except ClosedUnused:
            writer.close()
            raise Lost("closed without an answer") from None  # a new connection was not idle: nothing excuses that
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return answer

    async def _connect(self, way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        made = self._bound()
        made.setblocking(False)
        try:
            try:
                await loop.sock_connect(made, (self.address, self.port))
            finally:
                way.port = made.getsockname()[1]
            way.connected = time.monotonic() - way.began
            reader = asyncio.StreamReader()
            transport, protocol = await loop.create_connection(lambda: AtOnce(reader), sock=made)
        except BaseException:
            made.close()
            raise
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _bound(self) -> socket.socket:
        """A socket on the next port, so that no port comes again within PORTS connections: what a node's connection tracking
        still holds of the last one from there would lead the next to a pod that is gone."""
        made = socket.socket(self.family, socket.SOCK_STREAM)
        while True:
            self._used += 1
            try:
                made.bind(("", PORTS[self._used % len(PORTS)]))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    made.close()
                    raise
            else:
                return made

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: str) -> str:
        head = f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: {connection}\r\n\r\n"
        try:
            writer.write(head.encode())
            await writer.drain()
            first = await reader.readline()
        except ConnectionError as error:
            raise ClosedUnused if connection == "keep-alive" else error from None
        if not first:
            if connection == "keep-alive":
                raise ClosedUnused
            raise Lost("closed without an answer")
        length = 0
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "content-length":
                length = int(value)
        body = await reader.readexactly(length)
        if first.split()[1:2] != [b"200"]:
            raise Lost(f"answered {first.decode('latin-1').strip()}")
        return body.decode(errors="replace").strip()


async def send(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = Client(arguments.url, arguments.timeout)
    reporter = asyncio.create_task(report(client.tally))
    await client.run(arguments.rate, arguments.kept_rate, stop)
    reporter.cancel()
    say(client.tally.summary())


async def report(tally: Tally) -> None:
    while True:
        await asyncio.sleep(1)
        say(tally.lately())


def as_pod(name: str, image: str, arguments: list[str]) -> dict[str, Any]:
    """This file in a ConfigMap and a pod that runs it, on the control plane's node: tests drain and stop the others."""
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "client"}}
    script = Path(__file__).read_text()
    container = {
        "name": "client",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "/client/client.py", *arguments],
        "volumeMounts": [{"name": "script", "mountPath": "/client"}],
        "resources": {"requests": {"cpu": "100m"}},  # else whoever requests some lets it starve, and it measures that
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 15,
        "automountServiceAccountToken": False,
        "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "script", "configMap": {"name": name}}],
    }
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"client.py": script}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        ],
    }


def parse(argv: list[str]) -> argparse.Namespace:
    if argv[:1] == ["as-pod"]:
        parser = argparse.ArgumentParser(
            prog="client.py as-pod", description="Print the manifest of a pod that sends requests."
        )
        parser.add_argument("--name", default="traffic")
        parser.add_argument("--image", required=True, help="any image with python3 in it")
        parser.add_argument("arguments", nargs="+", help="what the client gets")
        return parser.parse_args(argv[1:])
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=50, help="requests a second, each over a connection of its own")
    parser.add_argument("--kept-rate", type=float, default=0, help="requests a second over connections that are kept")
    parser.add_argument("--timeout", type=float, default=10, help="seconds")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    arguments = parse(argv)
    if "image" in arguments:
        print(json.dumps(as_pod(arguments.name, arguments.image, arguments.arguments)))
    else:
        asyncio.run(send(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
