"""Single writes: paced by their lane, fenced by leadership, counted, and sent again where that is safe; and what a refusal means."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Histogram

from fairlead.engine.limiter import Lanes, Limiter
from fairlead.engine.queue import backoff
from fairlead.engine.settings import EngineSettings
from fairlead.kube.errors import ApiError, Forbidden, Invalid, NotFound, TooManyRequests, Unavailable, Unreachable
from fairlead.metrics.collect import Metrics

NAMESPACE_TERMINATING = "NamespaceTerminating"
_HIDDEN = (NAMESPACE_TERMINATING, "NodeCapacity", "UnsupportedPlatform")


class Fenced(Exception):
    """This process may not write: it does not lead (any more), or it is stopping."""


class Requests:
    """Sends single writes: the lane's budget, the fence, the metrics, and patience with a server in trouble."""

    def __init__(
        self,
        lanes: Lanes,
        settings: EngineSettings,
        rng: random.Random,
        metrics: Metrics,
        may_write: Callable[[], bool],
    ) -> None:
        self.lanes = lanes
        self._settings = settings
        self._rng = rng
        self._metrics = metrics
        self._may_write = may_write
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def send(self, lane: Limiter, verb: str, kind: str, request: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer, or the ApiError of the last attempt. The same request is repeated where its outcome is unknown
        (Unreachable), the server in trouble (Unavailable) or asking for patience (429). Fenced without leadership."""
        clock = asyncio.get_running_loop().time
        attempt = 0
        while True:
            attempt += 1
            async with lane:
                if not self._may_write():
                    raise Fenced
                began = clock()
                try:
                    answer = await request()
                except ApiError as error:
                    failure = error
                else:
                    latency = clock() - began
                    lane.answered(latency)
                    self._count(verb, kind, 200, latency)
                    return answer
                self._count(verb, kind, failure.code, clock() - began)
            if isinstance(failure, TooManyRequests):
                lane.push_back(1.0 if failure.retry_after is None else failure.retry_after)
            elif not isinstance(failure, Unavailable | Unreachable):
                raise failure
            if attempt >= self._settings.write_attempts:
                raise failure
            if not isinstance(failure, TooManyRequests):  # after a 429 the lane itself makes us wait
                await asyncio.sleep(max(failure.retry_after or 0.0, backoff(attempt, 0.2, 5.0, self._rng)))

    def _count(self, verb: str, kind: str, code: int, latency: float) -> None:
        slot = (kind, verb, code)
        series = self._series.get(slot)
        if series is None:  # looking a series up by its labels costs as much as all the rest of this
            series = self._metrics.writes.labels(*slot), self._metrics.write_seconds.labels(verb)
            self._series[slot] = series
        counter, histogram = series
        counter.inc()
        histogram.observe(latency)


class Refusal(ApiError):
    """Our own no, before the API server was asked to write."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(409, reason, message)


def reason_of(error: ApiError) -> str:
    """The reason to keep: some hide in the causes of a 403.

    >>> reason_of(Forbidden(403, "Forbidden", "no", details={"causes": [{"reason": "NamespaceTerminating"}]}))
    'NamespaceTerminating'
    """
    causes = (cause.get("reason") for cause in error.details.get("causes") or ())
    hidden = next((cause for cause in causes if cause in _HIDDEN), "") if isinstance(error, Forbidden) else ""
    return hidden or error.reason or type(error).__name__


def names_another(error: ApiError) -> bool:
    """Whether a patch met another object of that name: the API server does not call the uid in it a conflict but a field
    that may not change.

    >>> names_another(Invalid(422, "Invalid", "no", details={"causes": [{"field": "metadata.uid"}]}))
    True
    """
    causes = error.details.get("causes") or ()
    return isinstance(error, Invalid) and any(cause.get("field") == "metadata.uid" for cause in causes)


def speaks_of_no_object(error: ApiError) -> bool:
    """Whether it is a 404 of the path and not of the object: the server does not know such a subresource.

    >>> speaks_of_no_object(NotFound(404, "", "404 page not found"))
    True
    >>> speaks_of_no_object(NotFound(404, "NotFound", 'pods "one" not found', details={"name": "one", "kind": "pods"}))
    False
    """
    return isinstance(error, NotFound) and not error.details.get("name")
