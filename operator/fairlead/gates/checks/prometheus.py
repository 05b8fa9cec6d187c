"""What do the metrics say? One query, one number. Pure."""

from __future__ import annotations

import msgspec

from fairlead.core.meta import JSON
from fairlead.gates import bounds
from fairlead.gates.model import Answer, Ask, AskHttp, Bounds, Result, Subject, Wait

SETTING = "prometheus"


class PrometheusSpec(msgspec.Struct, frozen=True, rename="camel"):
    """address: of the server; "" for the operator's own setting. $(app), $(namespace) and $(revision) in the query stand for
    what is judged, and $(pod) where that is one pod."""

    query: str
    address: str = ""
    success: Bounds | None = None
    failure: Bounds | None = None
    timeout_seconds: int = 10


class _Data(msgspec.Struct, rename="camel"):
    result_type: str = ""
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Answer(msgspec.Struct, rename="camel"):
    status: str = ""
    data: _Data = msgspec.field(default_factory=_Data)
    error: str = ""


class Series(msgspec.Struct):
    """One series of an instant vector: its labels, and (time, value as text)."""

    value: tuple[float, str]
    metric: dict[str, str] = {}


_answer = msgspec.json.Decoder(_Answer)


class PrometheusCheck:
    """checks[].prometheus"""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        return None

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        """
        >>> subject = Subject("shop", "web", "uid", "x7k2", 4)
        >>> PrometheusCheck().asks({"query": 'up{revision="$(revision)"}', "address": "http://prom:9090"}, subject).form[0]
        ('query', 'up{revision="x7k2"}')

        Of one pod alone:
        >>> from fairlead.rollout.testing import make_pods
        >>> one = Subject("shop", "web", "uid", "x7k2", 4, pod=make_pods(1)[0])
        >>> PrometheusCheck().asks({"query": 'queue{pod="$(pod)"}', "address": "http://prom:9090"}, one).form[0]
        ('query', 'queue{pod="shop-v1-0"}')
        """
        wanted = msgspec.convert(spec, PrometheusSpec)
        known = {"app": subject.app, "namespace": subject.namespace, "revision": subject.revision}
        if subject.pod is not None:
            known["pod"] = subject.pod.name
        query = wanted.query
        for name, value in known.items():
            query = query.replace(f"$({name})", value)
        address = wanted.address.rstrip("/")
        return AskHttp(
            "Url",
            wanted.timeout_seconds,
            url=f"{address}/api/v1/query" if address else "",
            path="/api/v1/query",
            form=(("query", query), ("timeout", f"{wanted.timeout_seconds}s"), ("limit", "2")),
            default=SETTING,
        )

    def judge(self, spec: JSON, answer: Answer) -> Result:
        """Everything but one finite number is an error: it says nothing of the release."""
        wanted = msgspec.convert(spec, PrometheusSpec)
        if not isinstance(answer, tuple) or not answer:
            return Result("Error", "NoAnswer", "Prometheus was not asked")
        said = answer[0]
        if said.error:
            return Result("Error", "NoAnswer", f"{said.where}: {said.error}")
        if said.status in (401, 403):
            words = f"{said.where} answered {said.status}: it wants a credential from the operator, or another one (chart value gates.credentials)"
            return Result("Error", "NotAllowed", words)
        try:
            value = value_of(said.body)
        except ValueError as error:
            return Result("Error", "NoValue", f"{said.where}: {error}")
        return bounds.judge(value, wanted.success, wanted.failure)


def value_of(body: bytes) -> float:
    """The number in an answer of /api/v1/query. ValueError says in words why there is none.

    >>> value_of(b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.5"]}]}}')
    0.5
    """
    try:
        said = _decoded(body)
        if said.result_type == "scalar":
            return float(msgspec.json.decode(said.result, type=tuple[float, str])[1])
        series = _vector(said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("it did not answer as Prometheus does") from None
    if not series:
        raise ValueError("the query gives nothing; `or vector(0)` says what that means")
    if len(series) > 1:
        raise ValueError("the query gives more than one series; aggregate them, for example with sum() or max()")
    return float(series[0].value[1])


def series_in(body: bytes) -> list[Series]:
    """All series of an answer. ValueError says in words why there are none to be read.

    >>> series_in(b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"a"},"value":[1,"0.5"]}]}}')
    [Series(value=(1.0, '0.5'), metric={'pod': 'a'})]
    """
    try:
        return _vector(_decoded(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("it did not answer as Prometheus does") from None


def _decoded(body: bytes) -> _Data:
    said = _answer.decode(body)
    if said.status != "success":
        raise ValueError(said.error[:200] or "it did not answer as Prometheus does")
    return said.data


def _vector(data: _Data) -> list[Series]:
    if data.result_type != "vector":
        raise ValueError(f"the query gives a {data.result_type or 'nothing'}, a single number is needed")
    return msgspec.json.decode(data.result, type=list[Series])
