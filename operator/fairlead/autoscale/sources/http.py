"""A number in a JSON answer, such as the length of a queue. Pure; the asking and reading is the gates'."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fairlead.autoscale.model import Metric, Reading
from fairlead.autoscale.sources.apis import thousandths
from fairlead.autoscale.sources.model import Answer, Ask, Unread, body_of, said
from fairlead.core.meta import JSON
from fairlead.gates.checks.http import at_pointer
from fairlead.gates.model import AskHttp, Subject


class HttpSourceSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Who is asked (the App's own Service, or a URL), and where the number is in the answer (JSON pointer, RFC 6901)."""

    pointer: str
    url: str = ""
    scheme: Literal["http", "https"] = "http"
    port: int | str = 80
    path: str = "/"
    timeout_seconds: int = 5


class HttpSource:
    """from.http"""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        wanted = msgspec.convert(spec, HttpSourceSpec)
        if wanted.url:
            return AskHttp("Url", wanted.timeout_seconds, url=wanted.url)
        return AskHttp("Service", wanted.timeout_seconds, port=wanted.port, path=wanted.path, scheme=wanted.scheme)

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        """
        >>> from fairlead.gates.model import HttpAnswer
        >>> told = (HttpAnswer("mq:8080", 200, b'{"queues": [{"length": 120}]}'),)
        >>> HttpSource().reads(Metric(), {"pointer": "/queues/0/length"}, told, 0).values
        (120000.0,)
        """
        wanted, first = msgspec.convert(spec, HttpSourceSpec), said(answer)[0]
        try:
            found: Any = at_pointer(msgspec.json.decode(body_of(first)), wanted.pointer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unread(f"{first.where}: the answer is no JSON") from None
        except LookupError as error:
            raise Unread(f"{first.where}: {error.args[0]}") from None
        if isinstance(found, bool):
            raise Unread(f"{first.where}: {wanted.pointer} is {str(found).lower()}, and a number is needed")
        return Reading(values=(thousandths(found),))
