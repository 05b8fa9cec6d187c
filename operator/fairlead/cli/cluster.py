"""The CLI's requests to the cluster; as whom they are made, cli/access.py says.

One pooled connection and plain JSON, so that a command is done in a few milliseconds more than the API server takes.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3

from fairlead.cli.access import Credentials, environment_proxy, os_words
from fairlead.cli.kubeconfig import Access, ConfigError
from fairlead.core.meta import JSON
from fairlead.kube.errors import ApiError, Unreachable, from_status
from fairlead.kube.resources import Resource

T = TypeVar("T")

PAGE = 500  # objects a request
WATCH_SECONDS = 290
CONNECT_TIMEOUT = 10.0
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class _PageMeta(msgspec.Struct, frozen=True):
    next: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    """One page of a list; its items are not looked into."""

    items: list[msgspec.Raw] | None = None
    metadata: _PageMeta = _PageMeta()


_PAGE = msgspec.json.Decoder(_Page)
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Cluster:
    """One API server. All methods raise `kube.errors.ApiError` subclasses, ConfigError where it never gets that far."""

    def __init__(
        self, access: Access, *, request_timeout: float | None = None, field_manager: str = "fairlead-cli"
    ) -> None:
        """`request_timeout` in seconds for each request but watches; None waits as long as it takes."""
        self.access = access
        self.field_manager = field_manager
        self._timeout = request_timeout
        self._skew = 0.0
        self._streams: dict[Resource, urllib3.BaseHTTPResponse] = {}
        self._cut: set[Resource] = set()

    @property
    def namespace(self) -> str:
        return self.access.namespace

    def now(self) -> float:
        """The API server's clock (epoch seconds), as far as its answers told: ages and restarts are about its times."""
        return time.time() + self._skew

    @cached_property
    def _headers(self) -> urllib3.HTTPHeaderDict:
        credentials = Credentials(self.access)
        headers = urllib3.HTTPHeaderDict(credentials.headers())
        for key, value in credentials.impersonation():
            headers.add(key, value)
        return headers

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        access = self.access
        options: JSON = {"maxsize": 4, "retries": False}
        if access.server.startswith("https:"):
            options["ssl_context"] = Credentials(access).tls()
            if access.insecure:
                options["cert_reqs"] = "CERT_NONE"
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            if access.tls_server_name:
                options["server_hostname"] = options["assert_hostname"] = access.tls_server_name
        proxy = access.proxy_url or environment_proxy(access.server)
        if not proxy:
            return urllib3.PoolManager(**options)
        if not proxy.startswith(("http://", "https://")):
            raise ConfigError(f"the proxy {proxy} cannot be used: only http:// and https:// proxies are supported")
        return urllib3.ProxyManager(proxy, **options)

    def close(self) -> None:
        if "_pool" in self.__dict__:
            self._pool.clear()

    def get(self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "") -> JSON:
        return self._json("GET", resource.path(namespace or self.namespace, name, subresource))

    def pages(self, resource: Resource, **selection: Any) -> Iterator[list[JSON]]:
        """As `raw_pages`, decoded."""
        for page in self.raw_pages(resource, **selection):
            yield [msgspec.json.decode(item) for item in page]

    def raw_pages(
        self,
        resource: Resource,
        *,
        namespace: str | None = "",
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        metadata_only: bool = False,
    ) -> Iterator[list[bytes]]:
        """The objects page by page as the server wrote them, so that a caller reads and keeps only what it needs; namespace
        None means all of them. With a `limit` one page of at most so many."""
        scope = None if namespace is None else namespace or self.namespace
        query = _query(labelSelector=labels, fieldSelector=fields, limit=limit or PAGE)
        headers = {"Accept": METADATA_ONLY} if metadata_only else {}
        while True:
            page = self._decoded(_PAGE, self._request("GET", resource.path(scope), query, headers=headers))
            yield [bytes(item) for item in page.items or ()]
            query["continue"] = page.metadata.next
            if limit or not page.metadata.next:
                return

    def snapshot(self, resource: Resource, *, labels: str = "", fields: str = "") -> tuple[list[JSON], str]:
        """All matching objects in the namespace and the resourceVersion to watch from."""
        page = self._json("GET", resource.path(self.namespace), _query(labelSelector=labels, fieldSelector=fields))
        return page.get("items") or [], (page.get("metadata") or {}).get("resourceVersion", "")

    def watch(
        self, resource: Resource, *, version: str, labels: str = "", fields: str = "", seconds: int = WATCH_SECONDS
    ) -> Iterator[JSON]:
        """Watch events until the server ends the stream. Gone where the version is too old, at the start or in the middle."""
        query = _query(labelSelector=labels, fieldSelector=fields, resourceVersion=version, timeoutSeconds=seconds)
        query |= {"watch": "true", "allowWatchBookmarks": "true"}
        response = self._open("GET", resource.path(self.namespace), query, timeout=seconds + 30.0)
        self._streams[resource] = response
        try:
            if resource in self._cut:
                return
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise from_status(int(status.get("code") or 500), json.dumps(status).encode())
                yield event
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable(0, "StreamCut", f"the watch was cut: {error}") from None
        finally:
            self._streams.pop(resource, None)
            response.close()

    def cut(self, resource: Resource) -> None:
        """End the watch of that kind for good, from another thread."""
        self._cut.add(resource)
        stream = self._streams.get(resource)
        if isinstance(stream, urllib3.HTTPResponse):
            with suppress(ValueError, OSError, RuntimeError):  # it ended by itself in the meantime
                stream.shutdown()

    def patch(self, resource: Resource, name: str, body: JSON, *, subresource: str = "", dry_run: bool = False) -> JSON:
        """A merge patch; fields the server's schema does not know are refused instead of dropped."""
        query = _query(fieldManager=self.field_manager, fieldValidation="Strict", dryRun="All" if dry_run else "")
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._json(
            "PATCH",
            resource.path(self.namespace, name, subresource),
            query,
            body=json.dumps(body).encode(),
            headers=headers,
        )

    def create(self, resource: Resource, body: JSON, *, dry_run: bool = False) -> JSON:
        """A new object, in the namespace its metadata names. Conflict (AlreadyExists) where there is one of that name."""
        query = _query(fieldManager=self.field_manager, fieldValidation="Strict", dryRun="All" if dry_run else "")
        path = resource.path(body["metadata"].get("namespace") or self.namespace)
        headers = {"Content-Type": "application/json"}
        return self._json("POST", path, query, body=json.dumps(body).encode(), headers=headers)

    def log(self, pod: str, container: str, *, lines: int, previous: bool) -> str:
        """The end of a container's log."""
        query = _query(container=container, tailLines=lines, previous="true" if previous else "", limitBytes=20_000)
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        return self._request("GET", path, query, headers={"Accept": "*/*"}).decode("utf-8", "replace")

    def through(self, path: str, *, timeout: float) -> bytes:
        """What is behind one of the API server's proxies, as it says it. ApiError where that is an error status."""
        response = self._open("GET", path, None, headers={"Accept": "*/*"}, timeout=timeout)
        try:
            return bytes(response.read(decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(0, "AnswerCut", f"the answer was cut: {_reason(error)}") from None
        finally:
            response.release_conn()

    def raw(self, path: str, **query: str) -> JSON:
        """Any path that answers with a JSON object: /version, discovery."""
        return self._json("GET", path, dict(query))

    def _json(
        self,
        method: str,
        path: str,
        query: JSON | None = None,
        *,
        body: bytes | None = None,
        headers: JSON | None = None,
    ) -> JSON:
        return self._decoded(_OBJECT, self._request(method, path, query, body=body, headers=headers))

    def _decoded(self, decoder: msgspec.json.Decoder[T], answer: bytes) -> T:
        try:
            return decoder.decode(answer)
        except msgspec.MsgspecError:
            words = f"{self.access.server} does not answer like a Kubernetes API server"
            raise ApiError(0, "NotAnAPIServer", words) from None

    def _request(
        self,
        method: str,
        path: str,
        query: JSON | None = None,
        *,
        body: bytes | None = None,
        headers: JSON | None = None,
    ) -> bytes:
        response = self._open(method, path, query, body=body, headers=headers, timeout=self._timeout)
        try:
            return bytes(response.read(decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(0, "AnswerCut", f"the answer of {self.access.server} was cut: {_reason(error)}") from None
        finally:
            response.release_conn()

    def _open(
        self,
        method: str,
        path: str,
        query: JSON | None,
        *,
        body: bytes | None = None,
        headers: JSON | None = None,
        timeout: float | None,
    ) -> urllib3.BaseHTTPResponse:
        url = self.access.server + path + (f"?{urlencode(query)}" if query else "")
        merged = self._headers.copy()
        for key, value in (headers or {}).items():
            merged[key] = value
        connect = CONNECT_TIMEOUT if timeout is None else min(CONNECT_TIMEOUT, timeout)
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=merged,
                preload_content=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=connect, read=timeout),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(0, "Unreachable", _reason(error)) from None
        self._learn_clock(response.headers.get("Date"))
        if response.status >= 300:
            answer = response.read(decode_content=True)
            response.release_conn()
            raise from_status(response.status, answer, response.headers.get("Retry-After"))
        return response

    def _learn_clock(self, date: str | None) -> None:
        """Keep the skew to the server's clock where it is more than the header's own grain of a second."""
        if not date:
            return
        try:
            skew = parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
        except ValueError:
            return
        self._skew = skew if abs(skew) > 2 else 0.0


def _query(**values: Any) -> JSON:
    return {key: value for key, value in values.items() if value not in ("", 0)}


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The stream's lines as they come, not as a buffer fills."""
    rest = b""
    while chunk := response.read1(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def _reason(error: BaseException) -> str:
    """The innermost cause in few words: "connection refused", not a chain of objects."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)) and isinstance(
        inner, BaseException
    ):
        cause = inner
    if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return os_words(cause)


def server_host(access: Access) -> str:
    """The server for messages: host and port without credentials or path."""
    parts = urlsplit(access.server)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
