"""The in-memory API server behind a real HTTP socket: the CLI under test makes real requests over a real connection.

with ServedCluster() as server:
    server.add(APPS, {...})
    server.forbid("list", "pods")
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple, TypeVar

import yaml
from aiohttp import web

from fairlead.core.meta import JSON
from fairlead.kube.errors import ApiError
from fairlead.kube.fake import FakeClient, FakeCluster, Origin
from fairlead.kube.resources import BY_KIND, Resource
from support.waiting import PATIENCE

T = TypeVar("T")

SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
TOKEN = "let-me-in"
_STATUS = Origin("update", "operator", "fairlead-status", "status")


class Request(NamedTuple):
    """What arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: JSON


class ServedCluster:
    """A FakeCluster and the server in front of it, on a thread of its own."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.logs: dict[tuple[str, str, bool], str] = {}  # (pod, container, previous) -> text
        self.clock_ahead = 0.0  # seconds the server's clock is ahead of ours
        self.user = "jane"
        self._forbidden: set[tuple[str, str]] = set()
        self._broken: list[int] = []  # answers to give instead, one a request
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="served-cluster")
        self._ready: Future[int] = Future()
        self._stopping: asyncio.Event

    # ------------------------------------------------------------ from the test's thread

    def __enter__(self) -> ServedCluster:
        self._thread.start()
        self.port = self._ready.result(timeout=PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=PATIENCE)
        assert not self._thread.is_alive()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, path: Path, **context: str) -> Path:
        """A kubeconfig that leads here."""
        config = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", **context}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def add(self, resource: Resource, body: JSON, namespace: str = "default") -> JSON:
        """Create an object; its status is kept, as if its writer had been there."""

        def work() -> JSON:
            made = self._cluster.create(resource, namespace, body)
            if "status" in body:
                self._cluster.edit(resource, namespace, made.meta["name"], _status(body["status"]), _STATUS)
            return self._cluster.get(resource, namespace, made.meta["name"]).copy()

        return self._do(work)

    def set_status(self, resource: Resource, name: str, status: JSON, namespace: str = "default") -> None:
        self._do(lambda: self._cluster.edit(resource, namespace, name, _status(status), _STATUS))

    def change(self, resource: Resource, name: str, change: Callable[[JSON], None], namespace: str = "default") -> None:
        self._do(lambda: self._cluster.edit(resource, namespace, name, change))

    def delete(self, resource: Resource, name: str, namespace: str = "default") -> None:
        self._do(lambda: self._cluster.remove(resource, namespace, name))

    def delete_by_user(self, resource: Resource, name: str, namespace: str = "default") -> None:
        """As kubectl delete: finalizers keep it."""
        self._do(lambda: self._cluster.delete(resource, namespace, name, origin=Origin("delete", "user")))

    def get(self, resource: Resource, name: str, namespace: str = "default") -> JSON:
        return self._do(lambda: self._cluster.get(resource, namespace, name).copy())

    def forget(self, *resources: Resource) -> None:
        """The server has never heard of these kinds: no CRD is installed."""
        self._do(lambda: self._cluster.kinds.difference_update(resources))

    def forbid(self, verb: str, plural: str) -> None:
        self._forbidden.add((verb, plural))

    def break_next(self, *codes: int) -> None:
        """Answer the next requests with these codes; 0 cuts the connection."""
        self._broken += codes

    def close_watches(self) -> None:
        self._do(self._client.close_watches)

    def compact(self) -> None:
        """Watches end, and their history is gone."""
        self._do(self._client.lose_watches)

    def watching(self) -> int:
        return self._do(lambda: len(self._client.streams))

    def made(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    def _do(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=PATIENCE)

    # ------------------------------------------------------------ on the server's thread

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        asyncio.set_event_loop(None)

    async def _run(self) -> None:
        self._stopping = asyncio.Event()
        self._cluster = FakeCluster(lambda: time.time() + self.clock_ahead)
        self._cluster.kinds |= {SLICES, DEPLOYMENTS}
        self._client = FakeClient(self._cluster, latency=0, lag=0)
        self._kinds = {
            (kind.group, kind.version, kind.plural): kind for kind in [*BY_KIND.values(), SLICES, DEPLOYMENTS]
        }
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._ready.set_result(runner.addresses[0][1])
        await self._stopping.wait()
        await self._client.close()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else {}
        self.requests.append(Request(request.method, request.path, dict(request.query), dict(request.headers), body))
        if self._broken:
            code = self._broken.pop(0)
            if code == 0:
                assert request.transport is not None
                request.transport.abort()
            return self._refusal(ApiError(code, "Broken", "the server is broken"))
        try:
            return await self._route(request, body)
        except ApiError as error:
            return self._refusal(error)

    async def _route(self, request: web.Request, body: JSON) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if request.path == "/version":
            return self._json(b'{"gitVersion": "v1.36.3"}')
        resource, namespace, name, subresource = self._parse(request.path)
        self._authorize(request, resource, namespace, name, subresource)
        if subresource == "log":
            return self._log(request, name)
        if request.method == "PATCH":
            return self._json(
                await self._client.patch(
                    resource,
                    namespace,
                    name,
                    json.dumps(body).encode(),
                    type="merge",
                    subresource=subresource,
                    manager=request.query.get("fieldManager", ""),
                    dry_run="dryRun" in request.query,
                )
            )
        if request.method == "POST":
            return self._json(
                await self._client.create(
                    resource,
                    namespace,
                    json.dumps(body).encode(),
                    manager=request.query.get("fieldManager", ""),
                    dry_run="dryRun" in request.query,
                )
            )
        if name:
            return self._json(await self._client.get(resource, namespace, name))
        if "watch" in request.query:
            return await self._watch(request, resource, namespace)
        return self._json(
            await self._client.list(
                resource,
                namespace,
                label_selector=request.query.get("labelSelector", ""),
                field_selector=request.query.get("fieldSelector", ""),
                limit=int(request.query.get("limit", "0")),
                continue_token=request.query.get("continue", ""),
                metadata_only="PartialObjectMetadataList" in request.headers.get("Accept", ""),
            )
        )

    async def _watch(self, request: web.Request, resource: Resource, namespace: str | None) -> web.StreamResponse:
        stream = self._client.watch(
            resource,
            namespace,
            resource_version=request.query["resourceVersion"],
            label_selector=request.query.get("labelSelector", ""),
            field_selector=request.query.get("fieldSelector", ""),
            timeout_seconds=int(request.query["timeoutSeconds"]),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            async for lines in stream:
                await response.write(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
        except ConnectionError:
            pass  # the CLI has gone
        return response

    def _parse(self, path: str) -> tuple[Resource, str | None, str, str]:
        parts = path.strip("/").split("/")
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource = self._kinds.get((group, version, rest[0]))
        if resource is None or resource not in self._cluster.kinds:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return resource, namespace, *([*rest[1:], "", ""][:2])  # type: ignore[return-value]

    def _authorize(
        self, request: web.Request, resource: Resource, namespace: str | None, name: str, subresource: str
    ) -> None:
        verb = {"PATCH": "patch", "POST": "create"}.get(request.method) or ("get" if name else "list")
        verb = "watch" if "watch" in request.query else verb
        plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
        if (verb, plural) in self._forbidden:
            subject = f'{plural} is forbidden: User "{self.user}" cannot {verb} resource "{plural}"'
            scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            raise ApiError(403, "Forbidden", f'{subject} in API group "{resource.group}" {scope}')

    def _log(self, request: web.Request, pod: str) -> web.Response:
        key = (pod, request.query.get("container", ""), "previous" in request.query)
        if key not in self.logs:
            raise ApiError(400, "BadRequest", "previous terminated container not found")
        return web.Response(text=self.logs[key])

    def _json(self, data: bytes) -> web.Response:
        return web.Response(body=data, content_type="application/json", headers=self._date())

    def _refusal(self, error: ApiError) -> web.Response:
        status = {
            "kind": "Status",
            "status": "Failure",
            "code": error.code,
            "reason": error.reason,
            "message": error.message,
            "details": error.details,
        }
        return web.json_response(status, status=error.code or 500, headers=self._date())

    def _date(self) -> dict[str, str]:
        moment = time.gmtime(time.time() + self.clock_ahead)
        return {"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", moment)}


def _status(status: JSON) -> Callable[[JSON], None]:
    def change(obj: JSON) -> None:
        obj["status"] = status

    return change
