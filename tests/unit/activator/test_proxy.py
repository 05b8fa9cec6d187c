"""What becomes of a connection, over real sockets: held, passed on or refused, and never half of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from itertools import pairwise
from typing import Any

import pytest

from fairlead.activator.proxy import BUFFER, Limits
from support.waiting import PATIENCE
from unit.activator.hold import BRISK, IMPATIENT, SHOP, Stream, all_of, pod, says_hello, scene, until

GET = b"GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n"


def cut(stream: Stream) -> None:
    """A reset, and no goodbye."""
    raw = stream.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.writer.transport.abort()


async def test_a_request_waits_for_a_pod_and_is_answered_by_it() -> None:
    async with scene() as app, pod(says_hello) as port:
        client = await app.connect()
        client.writer.write(GET)
        await app.waits()
        app.pods(port)
        answer = await all_of(client)
        assert answer.startswith(b"HTTP/1.1 200 OK") and b"GET /cart HTTP/1.1\r\nHost: shop\r\n" in answer
        assert b"Connection: close\r\n\r\n" in answer.partition(b"\r\n\r\n")[2], "the pod is asked to close"
        assert app.woken == [True, False] and app.hall.held == 0 and app.hall.bytes == 0
        assert app.count("fairlead_activator_requests_total", result="passed") == 1
        assert app.count("fairlead_activator_cold_start_seconds_count") == 1


async def test_where_there_is_a_pod_nobody_is_woken() -> None:
    async with scene() as app, pod(says_hello) as port:
        app.pods(port)
        client = await app.connect()
        client.writer.write(GET)
        assert (await all_of(client)).startswith(b"HTTP/1.1 200")
        assert app.woken == [] and app.count("fairlead_activator_cold_start_seconds_count") == 0


async def test_a_head_that_comes_in_pieces_wakes_nobody_before_its_end() -> None:
    async with scene() as app, pod(says_hello) as port:
        client = await app.connect()
        for at in range(0, len(GET) - 1, 5):
            client.writer.write(GET[at : min(at + 5, len(GET) - 1)])
            await asyncio.sleep(0.005)
        assert app.woken == [] and app.hall.held == 1
        client.writer.write(GET[-1:])
        await app.waits()
        app.pods(port)
        assert b"GET /cart HTTP/1.1" in await all_of(client)


async def test_after_the_deadline_it_is_refused_with_the_reason_and_when_to_ask_again() -> None:
    async with scene(hold_seconds=0) as app:
        client = await app.connect()
        client.writer.write(GET)
        answer = await all_of(client)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 5\r\n" in answer
        assert answer.endswith(b"no pod of this App was ready in time\n")
        assert app.refused("deadline") == 1 and app.hall.held == 0


BOUNDS = {
    "of its App": ({"most": 2}, "app"),
    "of all": ({"all": 2}, "all"),
    "of bytes": ({"bytes": 3 * len(GET) - 1}, "bytes"),
}


@pytest.mark.parametrize("case", BOUNDS, ids=list(BOUNDS))
async def test_beyond_a_bound_it_is_refused_and_the_others_go_on(case: str) -> None:
    bound, cause = BOUNDS[case]
    async with scene(**bound) as app, pod(says_hello) as port:
        held = [await app.connect() for _ in range(2)]
        for client in held:
            client.writer.write(GET)
        await app.waits(2)
        late = await app.connect()
        late.writer.write(GET)
        assert (await all_of(late)).startswith(b"HTTP/1.1 503 ")
        assert app.refused(cause) == 1 and app.hall.held == 2
        app.pods(port)
        for client in held:
            assert (await all_of(client)).startswith(b"HTTP/1.1 200")


async def test_a_client_that_leaves_is_forgotten_and_wakes_nobody_any_more() -> None:
    async with scene() as app:
        client = await app.connect()
        client.writer.write(GET)
        await app.waits()
        client.writer.close()
        await until(lambda: app.hall.held == 0)
        assert app.woken == [True, False] and app.refused("gone") == 1 and app.hall.bytes == 0


async def test_a_client_that_is_cut_off_is_forgotten() -> None:
    async with scene() as app:
        client = await app.connect()
        client.writer.write(GET)
        await app.waits()
        cut(client)
        await until(lambda: app.hall.held == 0)
        assert app.woken == [True, False] and app.refused("gone") == 1


async def test_a_pod_that_refuses_is_passed_over_for_one_that_does_not() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        async with scene() as app, pod(says_hello) as port:
            app.pods(closed.getsockname()[1], port)
            for _ in range(4):  # whichever comes first
                client = await app.connect()
                client.writer.write(GET)
                assert (await all_of(client)).startswith(b"HTTP/1.1 200")
                client.writer.close()


async def test_where_all_pods_refuse_it_waits_and_tries_again() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        async with scene() as app:
            app.pods(port)
            client = await app.connect()
            client.writer.write(GET)
            await app.waits()
            closed.close()
            async with pod(says_hello, port):
                assert (await all_of(client)).startswith(b"HTTP/1.1 200")


async def test_a_body_larger_than_any_buffer_arrives_whole_both_ways() -> None:
    size = 8 << 20
    body = bytes(range(256)) * (size // 256)

    async def echoes(stream: Stream) -> None:
        head = await stream.reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length" in head
        stream.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = await stream.reader.read(65536)
            left -= len(data)
            stream.writer.write(data)
            await stream.writer.drain()

    async with scene() as app, pod(echoes) as port:
        client = await app.connect()

        async def send() -> None:
            client.writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
            for at in range(0, size, 65536):
                client.writer.write(body[at : at + 65536])
                await client.writer.drain()

        sending = asyncio.create_task(send())
        await app.waits()
        assert app.hall.bytes <= 128 * 1024, "no more than some bytes are kept while it waits"
        app.pods(port)
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readexactly(size) == body
        await sending


async def test_a_client_that_does_not_read_slows_its_pod_down() -> None:
    sent = 0

    async def floods(stream: Stream) -> None:
        nonlocal sent
        await stream.reader.readuntil(b"\r\n\r\n")
        while True:
            stream.writer.write(bytes(65536))
            await stream.writer.drain()
            sent += 65536

    async with scene() as app, pod(floods) as port:
        app.pods(port)
        client = await app.connect()
        client.writer.write(GET)
        await until(lambda: sent > 0)
        before = -1
        while before != sent:  # until it stands still
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 64 << 20  # what the kernel's buffers take on the way


async def test_a_websocket_stays_a_websocket() -> None:
    async def echoes(stream: Stream) -> None:
        head = await stream.reader.readuntil(b"\r\n\r\n")
        assert b"Connection: Upgrade\r\n" in head and b"close" not in head
        stream.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await stream.reader.read(100):
            stream.writer.write(data)

    async with scene() as app, pod(echoes) as port:
        client = await app.connect()
        client.writer.write(b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nHost: shop\r\n\r\n")
        await app.waits()
        app.pods(port)
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        for frame in (b"\x81\x85abcdhello", b"\x82\x00"):
            client.writer.write(frame)
            assert await client.reader.readexactly(len(frame)) == frame


async def test_a_client_that_waits_for_100_continue_hears_it_from_the_pod() -> None:
    async def continues(stream: Stream) -> None:
        await stream.reader.readuntil(b"\r\n\r\n")
        stream.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await stream.reader.readexactly(4)
        stream.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)

    async with scene() as app, pod(continues) as port:
        client = await app.connect()
        client.writer.write(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        await app.waits()
        app.pods(port)
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"body")
        assert (await all_of(client)).endswith(b"\r\n\r\nbody")


async def test_chunks_and_what_a_client_sends_ahead_arrive_byte_by_byte() -> None:
    rest = b"5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: shop\r\n\r\n"

    async def tells(stream: Stream) -> None:
        await stream.reader.readuntil(b"\r\n\r\n")
        body = await stream.reader.readexactly(len(rest))
        stream.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)

    async with scene() as app, pod(tells) as port:
        client = await app.connect()
        client.writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + rest)
        await app.waits()
        app.pods(port)
        assert (await all_of(client)).partition(b"\r\n\r\n")[2] == rest


RAW = {
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "TLS": b"\x16\x03\x01\x00\x05hello",
    "a line of something else": b"*1\r\n$4\r\nPING\r\n",
}


@pytest.mark.parametrize("case", RAW, ids=list(RAW))
async def test_what_is_no_http_1_is_passed_on_as_it_is_and_its_half_close_too(case: str) -> None:
    async def echoes(stream: Stream) -> None:
        stream.writer.write(await stream.reader.read())  # until its client has said that it was all

    async with scene() as app, pod(echoes) as port:
        client = await app.connect()
        client.writer.write(RAW[case])
        client.writer.write_eof()
        await app.waits()
        app.pods(port)
        assert await all_of(client) == RAW[case]


async def test_what_is_no_http_1_is_closed_without_a_word_where_it_cannot_be_passed_on() -> None:
    async with scene(hold_seconds=0) as app:
        client = await app.connect()
        client.writer.write(RAW["TLS"])
        assert await all_of(client) == b"" and app.refused("deadline") == 1


async def test_who_says_nothing_wakes_nobody() -> None:
    async with scene(limits=IMPATIENT) as app:
        client = await app.connect()
        assert await all_of(client) == b""
        assert app.woken == [] and app.refused("silent") == 1


async def test_a_head_without_an_end_is_given_up() -> None:
    async with scene(limits=IMPATIENT) as app:
        slow = await app.connect()
        slow.writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n")
        assert (await all_of(slow)).startswith(b"HTTP/1.1 408 ")
        assert app.woken == [] and app.refused("slow") == 1
    async with scene() as app:
        large = await app.connect()
        large.writer.write(b"GET / HTTP/1.1\r\n" + b"X-Long: 0123456789\r\n" * 4000)
        assert (await all_of(large)).startswith(b"HTTP/1.1 431 ")
        assert app.woken == [] and app.refused("head") == 1


async def test_an_answer_that_comes_before_the_request_is_over_arrives() -> None:
    async def declines(stream: Stream) -> None:
        await stream.reader.readuntil(b"\r\n\r\n")
        stream.writer.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\n")
        stream.writer.write_eof()
        await asyncio.sleep(0.1)

    async with scene() as app, pod(declines) as port:
        app.pods(port)
        client = await app.connect()
        client.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + bytes(BUFFER))
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")


async def test_many_that_wait_are_all_answered_when_one_pod_is_there() -> None:
    async with scene() as app, pod(says_hello) as port:
        clients = [await app.connect() for _ in range(200)]
        for client in clients:
            client.writer.write(GET)
        await app.waits(200)
        app.pods(port)
        for client in clients:
            assert (await all_of(client)).startswith(b"HTTP/1.1 200")
            client.writer.close()
        assert app.woken == [True, False]


async def test_at_its_end_it_finishes_what_it_copies_and_tells_who_waits() -> None:
    go = asyncio.Event()

    async def takes_its_time(stream: Stream) -> None:
        await stream.reader.readuntil(b"\r\n\r\n")
        await go.wait()
        stream.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")

    async with scene() as app, pod(takes_its_time) as port:
        app.pods(port)
        served = await app.connect()
        served.writer.write(GET)
        await until(lambda: app.count("fairlead_activator_requests_total", result="passed") == 1)
        for each in list(app.board._slices[SHOP].values()):
            if not each.ours:
                app.board.changed(each, None)
        waits = await app.connect()
        waits.writer.write(GET)
        await app.waits()
        finishing = asyncio.create_task(app.proxy.finish(0.05, PATIENCE))
        assert b"is stopping" in await all_of(waits)
        waits.writer.close()
        go.set()
        assert (await all_of(served)).startswith(b"HTTP/1.1 200")
        served.writer.close()
        await finishing


async def test_an_answer_that_is_cut_off_does_not_seem_to_be_whole() -> None:
    """Of one without a length the connection's end is the answer's."""

    async def breaks(stream: Stream) -> None:
        await stream.reader.readuntil(b"\r\n\r\n")
        stream.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it")
        await asyncio.sleep(0.05)
        cut(stream)

    async with scene(limits=BRISK) as app, pod(breaks) as port:
        app.pods(port)
        client = await app.connect()
        client.writer.write(GET)
        assert (await client.reader.readuntil(b"half of it")).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionResetError):
            await all_of(client)


async def test_a_client_that_is_cut_off_does_not_seem_to_have_ended() -> None:
    heard: list[str] = []

    async def listens(stream: Stream) -> None:
        try:
            await stream.reader.read()
            heard.append("an end")
        except ConnectionResetError:
            heard.append("a reset")

    async with scene(limits=BRISK) as app, pod(listens) as port:
        app.pods(port)
        client = await app.connect()
        client.writer.write(RAW["TLS"])
        await until(lambda: app.count("fairlead_activator_requests_total", result="passed") == 1)
        cut(client)
        await until(lambda: bool(heard))
        assert heard == ["a reset"]


async def test_at_its_end_what_a_slow_client_has_not_taken_yet_is_not_lost() -> None:
    """That all is copied does not say that the kernel has taken all, and what it has not goes with the process."""
    sent = 0

    async with scene() as app:

        async def fills_up(stream: Stream) -> None:
            nonlocal sent
            await stream.reader.readuntil(b"\r\n\r\n")
            while not app.accepted[0].writer.transport.get_write_buffer_size():
                stream.writer.write(bytes(16384))
                await stream.writer.drain()
                sent += 16384
                await asyncio.sleep(0)

        async with pod(fills_up) as port:
            app.pods(port)
            client = await app.connect(taking=4096)
            client.writer.write(GET)
            await until(lambda: sent > 0)
            client.writer.write_eof()
            await until(lambda: app.accepted[0].writer.is_closing())
            finishing = asyncio.create_task(app.proxy.finish(PATIENCE, 0.0))
            await asyncio.sleep(0.05)
            assert not finishing.done(), "the process would end, and the answer with it"
            assert len(await all_of(client)) == sent
            await finishing


async def test_pods_that_refuse_are_asked_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand requests for an App whose port nobody listens on would leave an activator no time for others."""
    connect, asked = asyncio.open_connection, list[float]()

    async def noted(*address: Any, **others: Any) -> Any:
        if address[1:] == (closed.getsockname()[1],):
            asked.append(asyncio.get_running_loop().time())
        return await connect(*address, **others)

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with scene(limits=Limits(again=0.01, again_at_most=0.16)) as app:
            monkeypatch.setattr(asyncio, "open_connection", noted)
            app.pods(closed.getsockname()[1])
            client = await app.connect()
            client.writer.write(GET)
            await until(lambda: len(asked) >= 7)
            pauses = [later - earlier for earlier, later in pairwise(asked)]
            at_least = (0.01, 0.02, 0.04, 0.08, 0.16, 0.16)  # timers may be a millisecond early
            assert all(pause > least - 0.002 for pause, least in zip(pauses, at_least, strict=False)), pauses


async def test_an_apps_pods_are_not_connected_to_by_all_who_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first pod would be run over, and the other Apps' requests would stand behind thousands of attempts."""
    connect, now, most = asyncio.open_connection, 0, 0

    async def counted(*address: Any, **others: Any) -> Any:
        nonlocal now, most
        if address[1:] != (served,):
            return await connect(*address, **others)
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(0.01)
            return await connect(*address, **others)
        finally:
            now -= 1

    async with pod(says_hello) as served, scene(limits=Limits(connects_at_once=3)) as app:
        monkeypatch.setattr(asyncio, "open_connection", counted)
        clients = [await app.connect() for _ in range(20)]
        for client in clients:
            client.writer.write(GET)
        await app.waits(20)
        app.pods(served)
        assert all([b"200" in await all_of(client) for client in clients])
        assert most == 3
