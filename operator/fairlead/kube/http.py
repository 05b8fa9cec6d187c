"""The client for a real API server: raw JSON over aiohttp, measured at 100 to 165 µs a create.

A session of its own (kopf closes the one it is given on a 401), connections kept alive, no compression, bodies neither
built nor parsed here. Every request has a time limit; a watch has one between two chunks.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from fairlead import __version__
from fairlead.kube.client import CONTENT_TYPES, Lines, PatchType
from fairlead.kube.config import Access, ConfigError, Login
from fairlead.kube.errors import ApiError, Unauthorized, Unreachable, from_status
from fairlead.kube.resources import Resource

log = logging.getLogger(__name__)

REQUEST_SECONDS = 30.0  # one request, from connecting to the last byte
LIST_SECONDS = 60.0  # one page
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 75.0  # between two chunks of a watch; the informer's own limit comes first
LOGIN_SECONDS = 30.0  # how often token and certificates are looked at

_JSON = "application/json"
_PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


class HttpClient:
    """`kube.client.Client` over HTTP. Make it in the loop it is used in; `close` it."""

    def __init__(self, login: Login, access: Access, *, request_seconds: float = REQUEST_SECONDS) -> None:
        self._login = login
        self._access = access
        self._tls = _tls(access)
        self._checked = asyncio.get_running_loop().time()
        self._renewing: asyncio.Task[None] | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            headers={"User-Agent": f"fairlead/{__version__}", "Accept-Encoding": "identity"},
            auto_decompress=False,
            read_bufsize=1 << 18,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=request_seconds, sock_connect=CONNECT_SECONDS),
        )
        self._list_timeout = aiohttp.ClientTimeout(total=LIST_SECONDS, sock_connect=CONNECT_SECONDS)
        self._watch_timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)

    @classmethod
    async def connect(cls, login: Login, *, request_seconds: float = REQUEST_SECONDS) -> HttpClient:
        """With what the login gives now. ConfigError where it gives nothing."""
        return cls(login, await asyncio.to_thread(login.access), request_seconds=request_seconds)

    # ------------------------------------------------------------ the protocol

    async def get(self, resource: Resource, namespace: str | None, name: str, *, subresource: str = "") -> bytes:
        return await self._request("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> bytes:
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": str(limit) if limit else "",
            "continue": continue_token,
            "resourceVersion": resource_version,
        }
        accept = _PARTIAL_LIST if metadata_only else _JSON
        return await self._request("GET", resource.path(namespace), query, accept=accept, timeout=self._list_timeout)

    async def fetch(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        return await self._request("GET", path, dict(query or {}))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 290,
        metadata_only: bool = False,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Lines]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": str(timeout_seconds),
        }
        accept, access = _PARTIAL if metadata_only else _JSON, self._access
        try:
            async with self._send(
                "GET", resource.path(namespace), query, accept=accept, timeout=self._watch_timeout
            ) as response:
                if response.status >= 400:
                    raise await self._refusal(response)
                opened()
                try:
                    rest = b""
                    async for chunk in response.content.iter_any():
                        *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                        if lines:
                            yield lines
                finally:
                    hang_up(response)
        except Unauthorized:
            await self._renew(access)  # whoever watches tries again anyway
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: bytes,
        *,
        subresource: str = "",
        name: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> bytes:
        query = {"fieldManager": manager, "dryRun": "All" if dry_run else ""}
        return await self._request("POST", resource.path(namespace, name, subresource), query, body)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        type: PatchType,
        subresource: str = "",
        manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> bytes:
        query = {"fieldManager": manager, "force": "true" if force else "", "dryRun": "All" if dry_run else ""}
        path = resource.path(namespace, name, subresource)
        return await self._request("PATCH", path, query, body, content_type=CONTENT_TYPES[type])

    async def replace(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> bytes:
        query = {"fieldManager": manager, "dryRun": "All" if dry_run else ""}
        return await self._request("PUT", resource.path(namespace, name, subresource), query, body)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> bytes:
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        preconditions = {name: value for name, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        if preconditions:
            options["preconditions"] = preconditions
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if dry_run:
            options["dryRun"] = ["All"]
        return await self._request("DELETE", resource.path(namespace, name), None, msgspec.json.encode(options))

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self._session.close()

    # ------------------------------------------------------------ one request

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        *,
        accept: str = _JSON,
        content_type: str = _JSON,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> bytes:
        access = self._access
        try:
            return await self._once(method, path, query, body, accept, content_type, timeout)
        except Unauthorized:
            await self._renew(access)
            if self._access.authorization == access.authorization and self._access.versions == access.versions:
                raise
        return await self._once(method, path, query, body, accept, content_type, timeout)

    async def _once(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: bytes | None,
        accept: str,
        content_type: str,
        timeout: aiohttp.ClientTimeout | None,
    ) -> bytes:
        try:
            async with self._send(method, path, query, body, accept, content_type, timeout) as response:
                if response.status >= 400:
                    raise await self._refusal(response)
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: bytes | None = None,
        accept: str = _JSON,
        content_type: str = _JSON,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.client._RequestContextManager:
        access = self._access
        if asyncio.get_running_loop().time() - self._checked > LOGIN_SECONDS:
            self._look_again()
        headers = {"Accept": accept}
        if access.authorization:
            headers["Authorization"] = access.authorization
        if body is not None:
            headers["Content-Type"] = content_type
        options: dict[str, Any] = {}
        if timeout is not None:
            options["timeout"] = timeout
        if access.tls_server_name:
            options["server_hostname"] = access.tls_server_name
        if access.proxy:
            options["proxy"] = access.proxy
        return self._session.request(
            method, _url(access.server, path, query), data=body, headers=headers, ssl=self._tls, **options
        )

    async def _refusal(self, response: aiohttp.ClientResponse) -> ApiError:
        return from_status(response.status, await response.read(), response.headers.get("Retry-After"))

    # ------------------------------------------------------------ credentials

    def _look_again(self) -> None:
        """Every half minute: have token, CA or client certificate been replaced, or run out? Requests do not wait for it."""
        self._checked = asyncio.get_running_loop().time()
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._take(self._login.access))

    async def _renew(self, refused: Access) -> None:
        """After a 401: begin anew, once for all requests that met it."""
        if self._access is not refused:
            return
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._take(self._login.renew))
        await asyncio.shield(self._renewing)

    async def _take(self, give: Callable[[], Access]) -> None:
        try:
            access = await asyncio.to_thread(give)
            if access != self._access:
                if _tls_part(access) != _tls_part(self._access):
                    self._tls = await asyncio.to_thread(_tls, access)  # new connections use it, old ones run out
                self._access = access
        except (ConfigError, OSError, ssl.SSLError) as error:
            log.warning("credentials could not be read again: %s", error)


def hang_up(response: aiohttp.ClientResponse) -> None:
    """End a stream that was left before its end: nobody can use its connection again. Without TLS's words of goodbye, which a
    server that hangs would not answer: the connection would outlive the client that is closed next."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


def _url(server: str, path: str, query: dict[str, str] | None) -> URL:
    return _joined(server, path, tuple(query.items()) if query else ())


@lru_cache(maxsize=512)
def _joined(server: str, path: str, query: tuple[tuple[str, str], ...]) -> URL:
    """All creates of a kind in a namespace have one URL: 15 µs each to put together and to parse."""
    given = [(name, value) for name, value in query if value]
    return URL(f"{server}{path}?{urlencode(given)}" if given else f"{server}{path}", encoded=True)


def _tls_part(access: Access) -> tuple[object, ...]:
    return access.ca_file, access.cert_file, access.key_file, access.verify, access.versions


def _tls(access: Access) -> ssl.SSLContext | bool:
    if not access.server.startswith("https"):
        return True
    context = ssl.create_default_context(cafile=access.ca_file or None)
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.cert_file:
        context.load_cert_chain(access.cert_file, access.key_file or None)
    return context


def _unreachable(error: BaseException) -> Unreachable:
    if isinstance(error, TimeoutError):
        return Unreachable(0, "Timeout", str(error) or "no answer within the time limit")
    return Unreachable(0, "Unreachable", str(error) or type(error).__name__)
