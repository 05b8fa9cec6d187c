"""What the operator hears of activators, and which Apps it looks at for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from fairlead.activation.activators import Activators, Address, over_http
from fairlead.activation.model import Endpoint, Line, Slice, SlicePort
from fairlead.core.meta import Key

SHOP = Key("default", "shop")


def there(*pods: str, **moved: str) -> list[Slice]:
    """moved: pods that have another address than their own, by name."""
    endpoints = tuple(Endpoint(f"10.0.0.{moved.get(f'pod{pod}', pod)}", pod=pod) for pod in pods)
    return [Slice("home", "a", "u", 1, "", "activator", ports=(SlicePort("control", 8082),), endpoints=endpoints)]


class Scene:
    """Activators `1` and `2`, whose lines a test says. size: how many pods the App is to have."""

    def __init__(self) -> None:
        self.size = 0
        self.known = True
        self.present = there("1", "2")
        self.lines: dict[str, asyncio.Queue[Line | Exception]] = {}
        self.asked: list[Key] = []
        self.clock = 1000.0
        self.activators = Activators(lambda view: self.present, self.connect)

    def get(self, kind: str, namespace: str, name: str) -> Any:
        return SimpleNamespace(replicas=self.size) if self.known else None

    async def connect(self, address: Address) -> AsyncGenerator[Line, None]:
        lines = self.lines[address[0].rpartition(".")[2]] = asyncio.Queue()
        while True:
            line = await lines.get()
            if isinstance(line, Exception):
                raise line
            yield line

    async def says(self, pod: str, listens: bool = True, since: float | None = None) -> None:
        while pod not in self.lines:
            await asyncio.sleep(0.1)
        self.lines[pod].put_nowait(Line("default", "shop", listens, since))
        await asyncio.sleep(0.01)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    run = asyncio.create_task(made.activators.run(made, made.asked.append, lambda: made.clock))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    try:
        yield made
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


@pytest.mark.looptime
async def test_who_listens_is_known_and_the_app_looked_at_when_that_changes() -> None:
    async with scene() as heard:
        await heard.says("1")
        await heard.says("1")
        assert heard.activators.listening(SHOP) == {"1"} and heard.asked == [SHOP]
        await heard.says("1", listens=False)
        assert heard.activators.listening(SHOP) == frozenset() and heard.asked == [SHOP, SHOP]


@pytest.mark.looptime
async def test_the_first_request_of_an_app_at_zero_has_it_looked_at_once() -> None:
    async with scene() as heard:
        await heard.says("1")
        await heard.says("2")
        heard.asked.clear()
        heard.clock = 1010.0
        await heard.says("1", since=77.0)
        assert heard.activators.waiting(SHOP) == 1010.0, "by the operator's clock, whatever the activator's says"
        heard.clock = 1020.0
        await heard.says("2", since=78.0)
        assert heard.asked == [SHOP] and heard.activators.waiting(SHOP) == 1010.0
        await heard.says("1")
        assert heard.activators.waiting(SHOP) == 1020.0
        await heard.says("2")
        assert heard.activators.waiting(SHOP) is None


@pytest.mark.looptime
async def test_clients_that_come_and_go_have_an_app_with_pods_looked_at_by_nobody() -> None:
    async with scene() as heard:
        heard.size = 1
        await heard.says("1")
        heard.asked.clear()
        for _ in range(10):
            await heard.says("1", since=1.0)
            await heard.says("1")
        assert heard.asked == []


@pytest.mark.looptime
async def test_what_is_said_of_an_app_that_is_not_there_is_forgotten() -> None:
    async with scene() as heard:
        heard.known = False
        await heard.says("1", since=1.0)
        assert heard.asked == [] and heard.activators.waiting(SHOP) is None


@pytest.mark.looptime
async def test_an_app_that_takes_the_name_of_one_that_is_gone_is_not_listened_for_yet() -> None:
    async with scene() as heard:
        await heard.says("1", since=1.0)
        heard.known = False
        await heard.says("1", listens=False)  # its slice has gone with it
        heard.known = True
        assert heard.activators.listening(SHOP) == frozenset() and heard.activators.waiting(SHOP) is None


@pytest.mark.looptime
@pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), ValueError("no JSON")], ids=str)
async def test_a_stream_that_ends_counts_for_nothing_and_is_opened_again(error: Exception) -> None:
    async with scene() as heard:
        await heard.says("1", since=1.0)
        heard.clock = 1060.0
        heard.lines.pop("1").put_nowait(error)
        await asyncio.sleep(0.01)
        assert heard.activators.listening(SHOP) == frozenset() and heard.activators.waiting(SHOP) is None
        assert heard.activators.deaf_since(SHOP) == 1060.0
        await heard.says("1")
        assert heard.activators.listening(SHOP) == {"1"}


@pytest.mark.looptime
async def test_nobody_was_there_before_this_process_began_to_lead() -> None:
    async with scene() as heard:
        assert heard.activators.deaf_since(SHOP) == 1000.0


@pytest.mark.looptime
async def test_an_activator_that_is_gone_is_not_listened_to_any_more() -> None:
    async with scene() as heard:
        await heard.says("1")
        await heard.says("2")
        heard.present = there("2")
        await asyncio.sleep(2)
        assert heard.activators.listening(SHOP) == {"2"}


@pytest.mark.looptime
async def test_an_activator_whose_node_started_again_is_heard_at_its_new_address() -> None:
    """It is the same pod still, and nobody answers at the old one."""
    async with scene() as heard:
        await heard.says("1")
        await heard.says("2")
        heard.present = there("1", "2", pod1="7")
        await asyncio.sleep(2)
        assert heard.activators.listening(SHOP) == {"2"}
        await heard.says("7")
        assert heard.activators.listening(SHOP) == {"1", "2"}


@pytest.mark.looptime
async def test_an_activator_with_addresses_of_both_families_is_heard_at_one_of_them_all_the_while() -> None:
    async with scene() as heard:
        heard.present = there("1", "2") + there("1", "2", pod1="8", pod2="9")
        await heard.says("1")
        heard.present = list(reversed(heard.present))
        await asyncio.sleep(2)
        assert heard.activators.listening(SHOP) == {"1"}
        assert set(heard.lines) == {"1", "2"}


async def test_the_stream_of_a_real_server_is_read_line_by_line() -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"namespace":"default","app":"shop","listens":true,"since":1.5}\n{"whole":true}\n')
        return response

    app = web.Application()
    app.add_routes([web.get("/waiting", serve)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        lines = [line async for line in over_http(("127.0.0.1", runner.addresses[0][1]))]
        assert lines == [Line("default", "shop", True, 1.5), Line(whole=True)]
    finally:
        await runner.cleanup()
