"""Something between the operator and a lab's API server that sees every request and can spoil it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from fairlead.kube.http import hang_up
from support.lab import Lab

_KEPT = ("Accept", "Authorization", "Content-Type", "User-Agent")
_PLURAL = re.compile(r"(?:/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/([^/]+)")
_ENTITY = ("Content-Type", "Retry-After")


@dataclass(slots=True)
class Request:
    """What the operator asked, and what the API server said to it (0: nothing yet, or a watch)."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    code: int = 0

    @property
    def watch(self) -> bool:
        return self.query.get("watch") == "true"

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def kind(self) -> str:
        """The plural: pods, apps."""
        found = _PLURAL.match(self.path)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"


class Fault:
    """What goes wrong. This one: nothing. All methods are called in the proxy's thread."""

    async def before(self, request: Request) -> Answer | None:
        """An answer in place of the API server's, which does not hear of the request then."""
        return None

    async def after(self, request: Request, answer: Answer) -> Answer | None:
        """The answer to pass on; None cuts the connection, so that nobody knows what became of the request."""
        return answer

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        """The lines of a watch to pass on; None cuts the stream."""
        return lines


class Unavailable(Fault):
    """503 to every request, and no stream lives on."""

    async def before(self, request: Request) -> Answer | None:
        return Answer(503, b'{"kind":"Status","code":503,"message":"busy"}')

    async def lines(self, request: Request, lines: list[bytes]) -> list[bytes] | None:
        return None


class Proxy:
    """Use as `with Proxy(lab) as proxy`. Speaks plain HTTP on a port of 127.0.0.1; who asks is passed on."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._fault = Fault()
        self.requests: list[Request] = []
        self.url = ""

    @contextmanager
    def suffers(self, fault: Fault) -> Iterator[None]:
        """Within the block; requests and streams under way suffer too."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = Fault()

    def kubeconfig(self, path: Path, token: str = "") -> Path:
        """For a client that comes this way, as the lab's administrator unless it brings a token."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "user", "user": {"token": token or self._lab.token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "user"}}],
            "current-context": "proxy",
        }
        path.write_text(json.dumps(config))
        return path

    def writes(self, method: str = "", kind: str = "") -> list[Request]:
        """The requests so far that write."""
        return [
            one
            for one in list(self.requests)
            if one.writes and one.method in (method or one.method) and one.kind == (kind or one.kind)
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._lab.ssl_context()),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=1 << 18,
        )
        application = web.Application(client_max_size=8 << 20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _end(self) -> None:
        assert self._runner is not None and self._session is not None
        await self._runner.cleanup()
        assert self._session.connector is not None
        await self._session.connector.close(abort_ssl=True)
        await self._session.close()
        for _ in range(3):  # aborted connections say so in the loop's next turns
            await asyncio.sleep(0)

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        request = Request(incoming.method, incoming.path, dict(incoming.query), await incoming.read())
        self.requests.append(request)
        said = await self._fault.before(request)
        if said is None:
            if request.watch:
                return await self._stream(incoming, request)
            said = await self._fault.after(request, await self._ask(incoming, request))
        if said is None:
            return _cut(incoming)
        request.code = said.status
        return web.Response(status=said.status, body=said.body, headers={"Content-Type": said.content_type})

    async def _ask(self, incoming: web.Request, request: Request) -> Answer:
        try:
            async with self._send(incoming, request) as response:
                return Answer(response.status, await response.read(), response.headers.get("Content-Type", ""))
        except aiohttp.ClientError as error:
            return Answer(503, json.dumps({"kind": "Status", "code": 503, "message": str(error)}).encode())

    async def _stream(self, incoming: web.Request, request: Request) -> web.StreamResponse:
        async with self._send(incoming, request) as upstream:
            response = web.StreamResponse(
                status=upstream.status,
                headers={name: upstream.headers[name] for name in _ENTITY if name in upstream.headers},
            )
            await response.prepare(incoming)
            rest = b""
            try:
                async for chunk in upstream.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    passed = await self._fault.lines(request, lines) if lines else []
                    if passed is None:
                        return _cut(incoming)
                    if passed:
                        await response.write(b"".join(line + b"\n" for line in passed))
            except (aiohttp.ClientError, ConnectionError):
                return _cut(incoming)
            finally:
                hang_up(upstream)
            if rest:
                await response.write(rest)
            return response

    def _send(self, incoming: web.Request, request: Request) -> aiohttp.client._RequestContextManager:
        assert self._session is not None
        headers = {name: incoming.headers[name] for name in _KEPT if name in incoming.headers}
        return self._session.request(
            request.method,
            self._lab.url + request.path,
            params=request.query,
            data=request.body or None,
            headers=headers,
        )


def _cut(incoming: web.Request) -> web.Response:
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()
