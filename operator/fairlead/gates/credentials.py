"""What the operator says of itself where a gate asks a server that wants to know. Pure.

The operator's owner names the servers, each by its origin, and the file that a kubelet has put there for it: no right on
Secrets is needed. What is in the file goes to that origin and nowhere else, and into no status, log or message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

SETTING = "--gate-credentials (chart value gates.credentials)"
MOST_BYTES = 8192  # of a file: more than servers take for a header
LEAST_BYTES = 8  # less guards nothing, and could not be kept out of an answer without spoiling it
HIDDEN = b"(hidden)"
_PORTS = {"http": 80, "https": 443}
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_VISIBLE = re.compile(
    rb"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?"
)  # what RFC 9110 5.5 lets a field have, without what is not ASCII
# What frames a request, or says where it goes, is not for others to say.
_RESERVED = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "cookie", "te", "upgrade"}
)


class Credential(msgspec.Struct, frozen=True):
    """For one origin: the file, and the header its content goes into; "" for Authorization, as a bearer token (RFC 6750)."""

    origin: str
    file: str
    header: str = ""

    def sent(self, content: bytes) -> tuple[str, str]:
        """The header's name and value. ValueError says what is wrong with the content, and nothing of what it is.

        >>> Credential("https://prom.example:443", "/t").sent(b"abcd1234" + bytes([10]))
        ('Authorization', 'Bearer abcd1234')
        >>> Credential("https://prom.example:443", "/t", "X-Api-Key").sent(b"abcd1234")
        ('X-Api-Key', 'abcd1234')
        """
        text = secret_of(content).decode("ascii")
        return (self.header, text) if self.header else ("Authorization", f"Bearer {text}")


class Credentials(msgspec.Struct, frozen=True):
    """All that the operator was given, by origin."""

    by_origin: dict[str, Credential] = {}

    def of(self, url: str) -> Credential | None:
        """What goes with a request to this URL; None for every other origin than those that were named.

        >>> known = parse(["https://prom.example=/run/token"])
        >>> known.of("https://PROM.example:443/api/v1/query").file
        '/run/token'
        >>> known.of("http://prom.example/"), known.of("https://prom.example:444/"), known.of("https://a.prom.example/")
        (None, None, None)
        """
        try:
            return self.by_origin.get(origin_of(url))
        except ValueError:
            return None


def parse(entries: Iterable[str]) -> Credentials:
    """The setting as people write it: `ORIGIN=FILE` for a bearer token, `ORIGIN=HEADER:FILE` for another header. ValueError
    names the entry that is neither.

    >>> parse(["https://prom.example=X-Api-Key:/run/key"]).by_origin["https://prom.example:443"].header
    'X-Api-Key'
    """
    found: dict[str, Credential] = {}
    for entry in entries:
        address, equals, rest = entry.partition("=")
        header, _, file = rest.partition(":") if not rest.startswith("/") else ("", "", rest)
        parts = urlsplit(address)
        if not equals or not file.startswith("/") or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(
                f"{entry!r} is neither ORIGIN=FILE nor ORIGIN=HEADER:FILE, such as https://prom.example=/run/token"
            )
        if header and (not _HEADER.fullmatch(header) or header.lower() in _RESERVED):
            raise ValueError(f"{entry!r}: {header!r} is no header that a credential may stand in")
        origin = origin_of(address)
        if origin in found:
            raise ValueError(f"{entry!r}: there is another one for {origin}; a server is told one")
        found[origin] = Credential(origin, file, header)
    return Credentials(found)


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL (RFC 6454). ValueError where it has none of http and https.

    >>> origin_of("HTTP://Prom.Example./x"), origin_of("https://[::1]:9090")
    ('http://prom.example:80', 'https://[::1]:9090')
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in _PORTS or not host or parts.username is not None:
        raise ValueError(f"{url!r} is no http or https address without a user name")
    port = parts.port or _PORTS[parts.scheme]
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def secret_of(content: bytes) -> bytes:
    """What of a file's content is secret: all but the white space around it. ValueError where no header can hold it."""
    secret = content.strip()
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise ValueError(f"it has {len(secret)} bytes, {LEAST_BYTES} to {MOST_BYTES} are wanted")
    if not _VISIBLE.fullmatch(secret):
        raise ValueError("it has characters that no header can hold, such as a line break")
    return secret


def hidden(body: bytes, content: bytes) -> bytes:
    """An answer without what was sent: a server may show its callers what they said, and whoever writes a check reads that.

    >>> hidden(b'{"you-sent": "Bearer abcd1234"}', b"abcd1234")
    b'{"you-sent": "Bearer (hidden)"}'
    """
    return body.replace(secret_of(content), HIDDEN)
