"""What a connection begins with: whether it is HTTP/1, and the head of its first request. Pure.

Nothing but the head is looked at, and one thing in it is changed: the client is told not to use the connection again. Bodies are
passed on byte by byte, one connection to one, so nobody here has to agree with a server about where a request ends.
"""

from __future__ import annotations

import re
from typing import Literal

MOST = 64 * 1024  # bytes of a head
_MOST_OF_A_LINE = 16 * 1024  # bytes of a request line: beyond that it is taken for something else

Kind = Literal["http", "other", "more"]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_LINE = re.compile(_TOKEN + rb"{1,32} [^\x00-\x20\x7f]+ HTTP/1\.[01]\r?")
_BEGUN = re.compile(_TOKEN + rb"{0,32}( [^\x00-\x20\x7f]*( [HTP/.01]{0,8}\r?)?)?")
_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(_TOKEN + rb"+")


def kind(data: bytes | bytearray) -> Kind:
    """What the first bytes of a connection are: a request line of HTTP/1 (RFC 9112), something else, or too few to say.

    >>> kind(b"GET / HTTP/1.1\\r\\nHost: a"), kind(b"GET /ite"), kind(b"PRI * HTTP/2.0\\r\\n"), kind(b"\\x16\\x03\\x01")
    ('http', 'more', 'other', 'other')
    """
    line, newline, _ = data[:_MOST_OF_A_LINE].lstrip(b"\r\n").partition(b"\n")
    if newline:
        return "http" if _LINE.fullmatch(line) else "other"
    return "more" if len(data) < _MOST_OF_A_LINE and _BEGUN.fullmatch(line) else "other"


def end(data: bytes | bytearray, searched: int = 0) -> int:
    """Where the head ends, 0 while it does not. searched: so many bytes were looked at before, to no end.

    >>> end(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\nbody"), end(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n")
    (27, 0)
    """
    start = next((at for at, byte in enumerate(data) if byte not in b"\r\n"), len(data))
    found = _END.search(data, max(start, searched - 3))
    return found.end() if found else 0


def closing(head: bytes) -> bytes:
    """The head, with the wish to close the connection after the answer, so that the client's next request finds its way to a pod.

    An upgrade stays as it is: its connection is meant to last. So does a head that is written in an unusual way: it is the server's
    to judge, and a client that goes on using the connection reaches the same pod. Options of `Connection` that name other fields stay
    (RFC 9110 7.6.1): each connection here is of one client and one server, so what the two agree on holds.

    >>> closing(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: keep-alive, TE\\r\\n\\r\\n")
    b'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: TE, close\\r\\n\\r\\n'
    >>> upgrade = b"GET /ws HTTP/1.1\\r\\nHost: a\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n"
    >>> closing(upgrade) == upgrade
    True
    """
    if not head.endswith(b"\r\n\r\n"):
        return head
    first, *fields = head[:-4].split(b"\r\n")
    options: list[bytes] = []
    kept: list[bytes] = []
    for field in fields:
        name, colon, value = field.partition(b":")
        if not colon or b"\n" in field or not _NAME.fullmatch(name):
            return head
        if name.lower() == b"connection":
            options += [option.strip() for option in value.split(b",") if option.strip()]
        elif name.lower() != b"keep-alive":
            kept.append(field)
    if any(option.lower() == b"upgrade" for option in options):
        return head
    left = [option for option in options if option.lower() not in (b"keep-alive", b"close")]
    return b"\r\n".join([first, *kept, b"Connection: " + b", ".join([*left, b"close"]), b"", b""])


def refusal(status: str, why: str, retry_after: int) -> bytes:
    """A whole answer of one line.

    >>> refusal("503 Service Unavailable", "later", 5).split(b"\\r\\n")[-1]
    b'later\\n'
    """
    body = f"{why}\n".encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Retry-After: {retry_after}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
