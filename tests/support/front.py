"""The in-memory API server behind a real socket: for the HTTP client and for whole processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from fairlead.core.meta import JSON
from fairlead.kube.client import CONTENT_TYPES, PatchType
from fairlead.kube.errors import ApiError, TooManyRequests, Unauthorized
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import BY_KIND, Resource

_PATCHES: dict[str, PatchType] = {content: type for type, content in CONTENT_TYPES.items()}  # type: ignore[misc]


class Front:
    """Serves a cluster on a port of 127.0.0.1; use as `async with Front(cluster) as front`."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.client = FakeClient(cluster, latency=0, lag=0)
        self.token = ""  # "": whoever comes
        self.requests: list[web.BaseRequest] = []
        self.answer: web.Response | None = None  # given to everybody in place of the real one
        self.silent = False  # nothing is answered
        self.chunk = 1000  # bytes of a watch that are sent at once: lines do not end where chunks do
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(
            _application(self), access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.close()
        assert self._runner is not None
        await self._runner.cleanup()

    def kubeconfig(self, path: Path, *, token: str = "", namespace: str = "default") -> Path:
        """A kubeconfig for this server."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": token} if token else {}}],
        }
        path.write_bytes(msgspec.yaml.encode(config))
        return path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.silent:
            await asyncio.Event().wait()
        if self.answer is not None:
            return web.Response(status=self.answer.status, body=self.answer.body, headers=self.answer.headers)
        try:
            if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
                raise Unauthorized(401, "Unauthorized", "Unauthorized")
            return await self._handle(request)
        except ApiError as error:
            return _refusal(error)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        if path in ("api", "apis"):
            return web.json_response({"versions": ["v1"], "groups": []})
        if path == "api/v1":
            return web.json_response({"kind": "APIResourceList", "resources": []})
        resource, namespace, name, subresource = _target(path)
        query, body = request.query, await request.read()
        options: dict[str, Any] = {"manager": query.get("fieldManager", ""), "dry_run": query.get("dryRun") == "All"}
        client = self.client
        match request.method:
            case "GET" if name:
                return _json(await client.get(resource, namespace, name, subresource=subresource))
            case "GET" if query.get("watch") == "true":
                return await self._watch(request, resource, namespace)
            case "GET":
                return _json(await self._list(request, resource, namespace))
            case "POST":
                return _json(
                    await client.create(resource, namespace, body, subresource=subresource, name=name, **options)
                )
            case "PUT":
                return _json(await client.replace(resource, namespace, name, body, subresource=subresource, **options))
            case "PATCH":
                kind, force = _PATCHES[request.content_type], query.get("force") == "true"
                patched = client.patch(
                    resource, namespace, name, body, type=kind, subresource=subresource, force=force, **options
                )
                return _json(await patched)
            case _:
                return _json(await self._delete(msgspec.json.decode(body), resource, namespace, name))

    async def _list(self, request: web.Request, resource: Resource, namespace: str | None) -> bytes:
        query = request.query
        return await self.client.list(
            resource,
            namespace,
            label_selector=query.get("labelSelector", ""),
            field_selector=query.get("fieldSelector", ""),
            limit=int(query.get("limit", 0)),
            continue_token=query.get("continue", ""),
            resource_version=query.get("resourceVersion", ""),
            metadata_only="PartialObjectMetadata" in request.headers["Accept"],
        )

    async def _delete(self, options: JSON, resource: Resource, namespace: str | None, name: str) -> bytes:
        preconditions = options.get("preconditions") or {}
        return await self.client.delete(
            resource,
            namespace,
            name,
            uid=preconditions.get("uid", ""),
            resource_version=preconditions.get("resourceVersion", ""),
            grace_period_seconds=options.get("gracePeriodSeconds"),
            propagation=options["propagationPolicy"],
            dry_run=bool(options.get("dryRun")),
        )

    async def _watch(self, request: web.Request, resource: Resource, namespace: str | None) -> web.StreamResponse:
        query = request.query
        response = web.StreamResponse()
        await response.prepare(request)
        stream = self.client.watch(
            resource,
            namespace,
            resource_version=query.get("resourceVersion", ""),
            label_selector=query.get("labelSelector", ""),
            timeout_seconds=int(query.get("timeoutSeconds", 300)),
        )
        async for lines in stream:
            data = b"".join(line + b"\n" for line in lines)
            for start in range(0, len(data), self.chunk):
                await response.write(data[start : start + self.chunk])
        return response


def _application(front: Front) -> web.Application:
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", "/{path:.*}", front.handle)
    return app


def _target(path: str) -> tuple[Resource, str | None, str, str]:
    """The resource, namespace, name and subresource that a path names."""
    parts = path.split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = next(r for r in BY_KIND.values() if (r.group, r.version, r.plural) == (group, version, rest[0]))
    name, subresource = (*rest[1:], "", "")[:2]
    return resource, namespace, name, subresource


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _refusal(error: ApiError) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": error.reason,
        "message": error.message,
        "details": error.details,
        "code": error.code,
    }
    headers = (
        {"Retry-After": f"{error.retry_after:g}"} if isinstance(error, TooManyRequests) and error.retry_after else {}
    )
    return web.Response(
        status=error.code, body=msgspec.json.encode(status), content_type="application/json", headers=headers
    )
