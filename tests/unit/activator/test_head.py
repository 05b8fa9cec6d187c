"""What a connection begins with, and the one thing that is changed in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.activator import head

KINDS = {
    "a request line": (b"DELETE /a?b HTTP/1.0\r\n", "http"),
    "an empty line before it, as RFC 9112 2.2 allows": (b"\r\nGET / HTTP/1.1\r\n", "http"),
    "an end of line without a return": (b"GET / HTTP/1.1\n", "http"),
    "a proxy's request": (b"CONNECT shop:80 HTTP/1.1\r\n", "http"),
    "the start of a method": (b"GE", "more"),
    "a target that goes on": (b"GET /" + b"a" * 9000, "more"),
    "a target that never ends": (b"GET /" + b"a" * 20000, "other"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "other"),
    "HTTP/0.9": (b"GET /\r\n", "other"),
    "TLS": (b"\x16\x03\x01", "other"),
    "a bare zero": (b"\x00", "other"),
    "an answer": (b"HTTP/1.1 200 OK\r\n", "other"),
}


@pytest.mark.parametrize("case", KINDS, ids=list(KINDS))
def test_the_first_bytes_say_what_it_is(case: str) -> None:
    data, kind = KINDS[case]
    assert head.kind(data) == kind


@given(st.binary(max_size=200))
def test_more_bytes_never_make_another_kind_of_it(data: bytes) -> None:
    known = next((head.kind(data[:at]) for at in range(1, len(data) + 1) if head.kind(data[:at]) != "more"), "more")
    assert head.kind(data) in (known, "more" if known == "more" else known) if data else True


UNCHANGED = {
    "an upgrade": b"GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a field that is folded": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "lines without returns": b"GET / HTTP/1.1\nHost: a\n\n",
    "a name with a space, which servers refuse": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a line that is no field": b"GET / HTTP/1.1\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("case", UNCHANGED, ids=list(UNCHANGED))
def test_is_passed_on_as_it_is(case: str) -> None:
    assert head.closing(UNCHANGED[case]) == UNCHANGED[case]


CLOSING = {
    "no word of the connection": (b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n"),
    "one that is to be kept": (b"connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n", b"Connection: close\r\n"),
    "one that closes anyway": (b"Connection: close\r\nHost: a\r\n", b"Host: a\r\nConnection: close\r\n"),
    "options in two fields": (
        b"Connection: TE\r\nTE: trailers\r\nConnection: X\r\n",
        b"TE: trailers\r\nConnection: TE, X, close\r\n",
    ),
    "a value with a colon": (b"Host: a:80\r\n", b"Host: a:80\r\nConnection: close\r\n"),
}


@pytest.mark.parametrize("case", CLOSING, ids=list(CLOSING))
def test_asks_to_close(case: str) -> None:
    fields, wanted = CLOSING[case]
    assert head.closing(b"GET / HTTP/1.1\r\n" + fields + b"\r\n") == b"GET / HTTP/1.1\r\n" + wanted + b"\r\n"


@given(st.binary(max_size=300), st.integers(0, 300))
def test_the_end_of_a_head_is_found_however_it_arrives(data: bytes, first: int) -> None:
    data = data.replace(b"\x00", b"\r\n")
    early = head.end(data[:first])
    assert (early or head.end(data, min(first, len(data)))) == head.end(data)
