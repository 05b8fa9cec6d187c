"""The HTTP client says what was asked, and gives back what was answered, or why not."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web

from fairlead.core.meta import JSON
from fairlead.kube.config import Access, StaticLogin
from fairlead.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from fairlead.kube.fake import FakeCluster
from fairlead.kube.http import HttpClient
from fairlead.kube.resources import APPS, CONFIG_MAPS, NODES, PODS
from substrate.lab import write_keys
from support.front import Front

NAMESPACE = "default"


def config_map(name: str, **data: str) -> bytes:
    return msgspec.json.encode(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"n": name}}, "data": data}
    )


def decoded(body: bytes) -> JSON:
    return cast(JSON, msgspec.json.decode(body))


@dataclass
class Changing:
    """A login whose token changes, as a service account's does."""

    accesses: list[Access]
    renewed: int = 0

    def access(self) -> Access:
        return self.accesses[0]

    def renew(self) -> Access:
        self.renewed += 1
        if len(self.accesses) > 1:
            self.accesses.pop(0)
        return self.accesses[0]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Front, HttpClient]]:
    async with Front(FakeCluster(lambda: 1_800_000_000.0)) as front:
        client = await HttpClient.connect(StaticLogin(Access(front.url, authorization="Bearer t")))
        try:
            yield front, client
        finally:
            await client.close()


async def test_create_get_list_delete() -> None:
    async with serving() as (front, client):
        made = decoded(await client.create(CONFIG_MAPS, NAMESPACE, config_map("a", x="1"), manager="me"))
        assert made["data"] == {"x": "1"}
        assert front.requests[-1].query["fieldManager"] == "me"
        assert decoded(await client.get(CONFIG_MAPS, NAMESPACE, "a")) == made
        await client.create(CONFIG_MAPS, NAMESPACE, config_map("b"))
        page = decoded(await client.list(CONFIG_MAPS, NAMESPACE, limit=1))
        assert [item["metadata"]["name"] for item in page["items"]] == ["a"]
        page = decoded(await client.list(CONFIG_MAPS, NAMESPACE, limit=1, continue_token=page["metadata"]["continue"]))
        assert [item["metadata"]["name"] for item in page["items"]] == ["b"]
        assert len(decoded(await client.list(CONFIG_MAPS, None, label_selector="n in (a,b)"))["items"]) == 2
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, NAMESPACE, "a", uid="another")
        await client.delete(CONFIG_MAPS, NAMESPACE, "a", uid=made["metadata"]["uid"])
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAPS, NAMESPACE, "a")


async def test_patches_and_replace() -> None:
    async with serving() as (_, client):
        made = decoded(await client.create(CONFIG_MAPS, NAMESPACE, config_map("a", x="1", y="2")))
        merged = await client.patch(CONFIG_MAPS, NAMESPACE, "a", b'{"data":{"x":null}}', type="merge")
        assert decoded(merged)["data"] == {"y": "2"}
        operations = b'[{"op":"add","path":"/data/z","value":"3"}]'
        assert decoded(await client.patch(CONFIG_MAPS, NAMESPACE, "a", operations, type="json"))["data"]["z"] == "3"
        applied = await client.patch(
            CONFIG_MAPS, NAMESPACE, "a", config_map("a", y="4"), type="apply", manager="me", force=True
        )
        assert decoded(applied)["data"] == {"y": "4", "z": "3"}
        with pytest.raises(Conflict):
            await client.replace(CONFIG_MAPS, NAMESPACE, "a", msgspec.json.encode(made))


async def test_what_is_no_object_is_fetched_by_its_path_as_it_is_quoted() -> None:
    async with serving() as (front, client):
        front.answer = web.Response(body=b"container_cpu 1\n")
        told = await client.fetch("/api/v1/nodes/n%3A1/proxy/metrics/resource", {"labelSelector": "a=b", "limit": ""})

        assert told == b"container_cpu 1\n"
        assert front.requests[-1].raw_path == "/api/v1/nodes/n%3A1/proxy/metrics/resource?labelSelector=a%3Db"
        front.answer = web.Response(status=403, body=b'{"reason": "Forbidden", "message": "nodes/proxy"}')
        with pytest.raises(Forbidden, match="nodes/proxy"):
            await client.fetch("/api/v1/nodes/n/proxy/metrics/resource")


async def test_refusals_are_told_apart_by_the_servers_words() -> None:
    async with serving() as (front, client):
        await client.create(CONFIG_MAPS, NAMESPACE, config_map("a"))
        with pytest.raises(AlreadyExists, match="already exists"):
            await client.create(CONFIG_MAPS, NAMESPACE, config_map("a"))
        front.answer = web.Response(status=429, body=b"{}", headers={"Retry-After": "7"})
        with pytest.raises(TooManyRequests) as refused:
            await client.get(CONFIG_MAPS, NAMESPACE, "a")
        assert refused.value.retry_after == 7
        front.answer = web.Response(status=503, body=b"upstream connect error")
        with pytest.raises(Unavailable, match="upstream connect error"):
            await client.get(CONFIG_MAPS, NAMESPACE, "a")


async def test_no_answer_within_the_time_is_unreachable() -> None:
    async with Front(FakeCluster(lambda: 0.0)) as front:
        client = await HttpClient.connect(StaticLogin(Access(front.url)), request_seconds=0.2)
        front.silent = True
        with pytest.raises(Unreachable):
            await client.get(NODES, None, "n1")
        await client.close()


async def test_no_server_is_unreachable() -> None:
    client = await HttpClient.connect(StaticLogin(Access("http://127.0.0.1:1")))
    with pytest.raises(Unreachable):
        await client.create(PODS, NAMESPACE, b"{}")
    with pytest.raises(Unreachable):
        await anext(aiter(client.watch(PODS, None, resource_version="1")))
    await client.close()


async def test_a_watch_gives_whole_lines_wherever_the_chunks_end() -> None:
    async with serving() as (front, client):
        start = str(front.client.cluster.rv)
        events: list[JSON] = []
        async with aclosing(cast(Any, client.watch(CONFIG_MAPS, None, resource_version=start))) as stream:
            for number in range(20):
                await client.create(CONFIG_MAPS, NAMESPACE, config_map(f"cm-{number}", text="ü" * number * 400))
            async for lines in stream:
                events += [decoded(line) for line in lines]
                if len(events) == 20:
                    break
        assert [event["object"]["metadata"]["name"] for event in events] == [f"cm-{number}" for number in range(20)]
        assert events[19]["object"]["data"]["text"] == "ü" * 19 * 400


async def test_a_watch_that_is_too_late_is_gone() -> None:
    async with serving() as (front, client):
        front.answer = web.Response(status=410, body=b'{"reason": "Expired", "message": "too old"}')
        with pytest.raises(Gone):
            await anext(aiter(client.watch(PODS, None, resource_version="1")))


def test_a_watch_that_is_left_keeps_no_connection_open(tmp_path: Path) -> None:
    """Also where the server hangs, and answers TLS's goodbye with nothing: the client may be closed right after it."""
    write_keys(tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        hanging = threading.Thread(target=_answer_and_hang, args=(listening, tmp_path, over := threading.Event()))
        hanging.start()
        login = StaticLogin(Access(f"https://127.0.0.1:{listening.getsockname()[1]}", ca_file=str(tmp_path / "ca.crt")))
        asyncio.run(_look_once(login))
        gc.collect()
        over.set()
        hanging.join()
    assert [str(warning.message) for warning in said if warning.category is ResourceWarning] == []


async def _look_once(login: StaticLogin) -> None:
    client = await HttpClient.connect(login)
    async with aclosing(cast(Any, client.watch(PODS, None, resource_version="1"))) as stream:
        assert await anext(stream) == [b"{}"]
    await client.close()


def _answer_and_hang(listening: socket.socket, keys: Path, over: threading.Event) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "ca.crt", keys / "server.key")
    with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n")
        over.wait(60)


async def test_a_watch_ends_when_the_server_ends_it() -> None:
    async with serving() as (front, client):
        start = str(front.client.cluster.rv)
        stream = client.watch(PODS, None, resource_version=start, timeout_seconds=1)
        assert [lines async for lines in stream] == []


async def test_after_a_401_the_login_is_begun_anew_once_for_all() -> None:
    async with Front(FakeCluster(lambda: 0.0)) as front:
        login = Changing([Access(front.url, authorization="Bearer old"), Access(front.url, authorization="Bearer new")])
        client = await HttpClient.connect(login)
        front.token = "old"
        await client.create(CONFIG_MAPS, NAMESPACE, config_map("a"))
        front.token = "new"
        found = await asyncio.gather(*(client.get(CONFIG_MAPS, NAMESPACE, "a") for _ in range(10)))
        assert len(found) == 10
        assert login.renewed == 1
        front.token = "newer"
        with pytest.raises(Unauthorized):
            await client.get(CONFIG_MAPS, NAMESPACE, "a")
        await client.close()


async def test_a_token_the_kubelet_has_replaced_is_used_without_a_401(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.kube.http.LOGIN_SECONDS", 0.0)
    async with Front(FakeCluster(lambda: 0.0)) as front:
        login = Changing([Access(front.url, authorization="Bearer old"), Access(front.url, authorization="Bearer new")])
        client = await HttpClient.connect(login)
        await client.list(APPS)
        login.accesses.pop(0)
        async with asyncio.timeout(60):
            while front.requests[-1].headers["Authorization"] != "Bearer new":
                await client.list(APPS)
        assert login.renewed == 0
        await client.close()


async def test_a_watch_after_a_401_uses_the_new_login() -> None:
    async with Front(FakeCluster(lambda: 0.0)) as front:
        login = Changing([Access(front.url, authorization="Bearer old"), Access(front.url, authorization="Bearer new")])
        client = await HttpClient.connect(login)
        front.token = "new"
        start = str(front.client.cluster.rv)
        with pytest.raises(Unauthorized):
            await anext(aiter(client.watch(CONFIG_MAPS, None, resource_version=start)))
        await client.create(CONFIG_MAPS, NAMESPACE, config_map("a"))
        async with (
            asyncio.timeout(60),
            aclosing(cast(Any, client.watch(CONFIG_MAPS, None, resource_version=start))) as s,
        ):
            lines = await anext(aiter(s))
            assert decoded(lines[0])["type"] == "ADDED"
        await client.close()
