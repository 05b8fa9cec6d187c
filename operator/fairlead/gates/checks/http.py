"""Does the new revision answer as it should? Status, a value in the answer, latency. Pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fairlead.core.meta import JSON
from fairlead.gates import bounds
from fairlead.gates.model import Answer, Ask, AskHttp, Bounds, HttpAnswer, Result, Subject, Wait

_ORDER = {"Failed": 0, "Error": 1, "Inconclusive": 2, "Passed": 3}


class JsonSpec(msgspec.Struct, frozen=True):
    """A value in the answer: where (JSON pointer, RFC 6901) and what it is to be."""

    pointer: str
    success: Bounds | None = None
    failure: Bounds | None = None


class HttpSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Who is asked (each pod of the revision, the App's Service, or a URL), and what counts as well."""

    target: Literal["Pods", "Service"] = "Pods"
    url: str = ""
    scheme: Literal["http", "https"] = "http"
    port: int | str = 80
    path: str = "/"
    status: tuple[int, ...] = ()
    max_latency_milliseconds: int | None = None
    timeout_seconds: int = 5
    json: JsonSpec | None = None


class HttpCheck:
    """checks[].http"""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        return None

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        wanted = msgspec.convert(spec, HttpSpec)
        if wanted.url:
            return AskHttp("Url", wanted.timeout_seconds, url=wanted.url)
        return AskHttp(wanted.target, wanted.timeout_seconds, port=wanted.port, path=wanted.path, scheme=wanted.scheme)

    def judge(self, spec: JSON, answer: Answer) -> Result:
        """The worst of all that were asked: a failure, then an error, then what is inconclusive.

        >>> answers = (HttpAnswer("a", 200, b"{}", 0.01), HttpAnswer("b", 503, b"", 0.01))
        >>> HttpCheck().judge({}, answers).message
        'b answered 503'
        """
        wanted = msgspec.convert(spec, HttpSpec)
        answers = answer if isinstance(answer, tuple) else ()
        if not answers:
            return Result("Error", "NothingToAsk", "the revision has no pod that could be asked")
        return min((judge_one(wanted, one) for one in answers), key=lambda result: _ORDER[result.outcome])


def judge_one(wanted: HttpSpec, answer: HttpAnswer) -> Result:
    """No answer is an error; else the status, then the latency, then the value.

    >>> spec = HttpSpec(json=JsonSpec("/lag", success=Bounds(max=10)))
    >>> judge_one(spec, HttpAnswer("shop-1", 200, b'{"lag": 12}', 0.01)).message
    'shop-1: /lag 12 is above 10'
    """
    where, took = answer.where, f"{1000 * answer.seconds:.0f} ms"
    if answer.error:
        return Result("Error", "NoAnswer", f"{where}: {answer.error}")
    expected = wanted.status
    if not (answer.status in expected if expected else 200 <= answer.status < 300):
        return Result("Failed", "UnexpectedStatus", f"{where} answered {answer.status}", str(answer.status))
    if wanted.max_latency_milliseconds is not None and 1000 * answer.seconds > wanted.max_latency_milliseconds:
        words = f"{where} took {took}, at most {wanted.max_latency_milliseconds} ms are allowed"
        return Result("Failed", "TooSlow", words, took)
    if wanted.json is None:
        return Result("Passed", "Answered", f"{where} answered {answer.status} within {took}", str(answer.status))
    try:
        value = at_pointer(msgspec.json.decode(answer.body), wanted.json.pointer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Result("Error", "NoJSON", f"{where}: the answer is no JSON")
    except LookupError as error:
        return Result("Error", "NoValue", f"{where}: {error.args[0]}")
    found = bounds.judge(value, wanted.json.success, wanted.json.failure)
    return msgspec.structs.replace(found, message=f"{where}: {wanted.json.pointer} {found.message}")


def at_pointer(document: Any, pointer: str) -> float | str | bool:
    """The number, text or truth value a JSON pointer names. LookupError says in words where it leads nowhere.

    >>> at_pointer({"a/b": [{"c": 2}]}, "/a~1b/0/c")
    2
    """
    found = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise LookupError(f"the answer has no {pointer}")
    if isinstance(found, bool | int | float | str):
        return found
    raise LookupError(f"{pointer} is no number, text or truth value")
