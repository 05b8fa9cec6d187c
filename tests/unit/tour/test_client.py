"""The load client: what it calls lost is lost, and it loses nothing by itself. Against a server that misbehaves on purpose."""

import argparse
import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tour import client

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nshop-v1-abc"
Answer = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def good(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD)


async def sent_to(
    answer: Answer, *, rate: float = 0, kept_rate: float = 0, requests: int, timeout: float = 30
) -> client.Tally:
    """Send until so many requests were seen by a server whose every request is handled by `answer`."""
    seen, enough = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                seen += 1
                await answer(seen, reader, writer)
                await writer.drain()
                if seen >= requests:
                    enough.set()
                if b"Connection: close" in head:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    sender = client.Client(f"http://127.0.0.1:{port}/hostname", timeout)
    stop = asyncio.Event()
    sending = asyncio.create_task(sender.run(rate, kept_rate, stop))
    async with asyncio.timeout(60):
        await enough.wait()
        stop.set()
        await sending
        server.close()
        while len(asyncio.all_tasks()) > 1:  # the server's ends of the connections
            await asyncio.sleep(0.01)
    return sender.tally


async def test_every_request_that_is_answered_is_counted_once() -> None:
    tally = await sent_to(good, rate=200, kept_rate=200, requests=60)

    assert tally.sent == tally.answered == tally.answers["shop-v1-abc"] >= 60
    assert tally.lost == tally.asked_again == 0
    assert tally.lately()["by"] == {"shop-v1": tally.answered}


async def refuse(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


async def cut_off(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD[:-4])
    writer.close()


async def hang_up(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_nothing(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("lane", ["rate", "kept_rate"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [(refuse, "answered HTTP/1.1 503"), (cut_off, "IncompleteReadError"), (hang_up, ""), (say_nothing, "no answer in")],
)
async def test_anything_but_a_whole_answer_is_a_loss(answer: Answer, error: str, lane: str) -> None:
    async def now_and_then(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (answer if number % 10 == 0 else good)(number, reader, writer)

    timeout = 0.3 if answer is say_nothing else 30
    tally = await sent_to(now_and_then, **{lane: 400.0}, requests=40, timeout=timeout)

    if (
        answer is hang_up and lane == "kept_rate"
    ):  # the one thing that may be asked again, on a connection that was used before
        assert tally.asked_again + tally.lost > 0
        return
    assert tally.lost >= 3
    assert all(error in said for said in tally.errors), tally.errors
    assert tally.sent == tally.answered + tally.lost


async def test_a_kept_connection_is_closed_as_soon_as_the_server_closes_it() -> None:
    """Not when its turn comes again: whoever answers a goodbye, such as a pod that is being ended, may be gone by then."""
    said_goodbye = []

    async def closing(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GOOD)
        writer.write_eof()
        async with asyncio.timeout(60):
            said_goodbye.append(await reader.read())

    await sent_to(closing, kept_rate=20, requests=3)
    assert len(said_goodbye) >= 3
    assert set(said_goodbye) == {b""}


async def test_a_connection_that_closes_between_two_requests_costs_none() -> None:
    async def close_after(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GOOD)
        if number % 7 == 0:
            writer.close()

    tally = await sent_to(close_after, kept_rate=500, requests=150)

    assert tally.lost == 0
    assert tally.asked_again > 0


async def test_a_stall_does_not_make_it_send_less() -> None:
    stalled: list[asyncio.Event] = []

    async def stall(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if 10 <= number < 40:
            released = asyncio.Event()
            stalled.append(released)
            if len(stalled) == 30:
                for one in stalled:
                    one.set()
            await released.wait()
        writer.write(GOOD)

    tally = await sent_to(stall, rate=200, requests=60)

    assert len(stalled) == 30, "thirty were under way at once"
    assert tally.lost == 0


async def test_it_prints_a_summary_when_it_is_told_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(GOOD)
        writer.close()
        os.kill(os.getpid(), signal.SIGTERM)

    server = await asyncio.start_server(serve, "127.0.0.1")
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    async with asyncio.timeout(60):
        await client.send(argparse.Namespace(url=url, rate=50.0, kept_rate=0.0, timeout=60.0))
    server.close()

    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["summary"]
    assert summary["sent"] == summary["answered"] >= 1
    assert summary["lanes"]["fresh"]["count"] == summary["answered"]


def test_the_pod_carries_the_file_and_its_arguments() -> None:
    script, pod = client.as_pod("traffic", "python:3", ["--rate", "5", "http://shop/"])["items"]

    compile(script["data"]["client.py"], "client.py", "exec")
    container: dict[str, Any] = pod["spec"]["containers"][0]
    assert container["image"] == "python:3"
    assert container["command"][-3:] == ["--rate", "5", "http://shop/"]


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert client.percentiles([0.001 * n for n in range(1, 101)]) == {
        "count": 100,
        "p50": 50.0,
        "p99": 99.0,
        "max": 100.0,
    }
    assert client.percentiles([0.5]) == {"count": 1, "p50": 500.0, "p99": 500.0, "max": 500.0}
