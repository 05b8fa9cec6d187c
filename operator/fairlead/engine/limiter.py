"""How many writes may be under way at once: as many as the API server takes without queueing them.

Measured (one API server, 2 cores): 10 in flight make 734 pods/s, 50 make 905, 200 make 917 and watches that lag by
300 ms. So the limit starts at 8, doubles per round trip as TCP does until something pushes back, and then moves by
additive increase and multiplicative decrease below a cap of about 64.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from fairlead.metrics.collect import Metrics

_DECREASE = 0.7
# Of a cap of 64, slow answers alone never take it below this: a machine that is busy with something else is slow for
# everyone, and who then sends ever less gets ever less done (200 pods rolled in 45 s beside upstream's 14, with 8 in
# flight at a second each). Only a refusal says that even so few are too many.
_PATIENCE = 32
_BASELINE_LIFE = 60.0  # seconds after which the best latency is measured anew: the path may have changed


class Limiter:
    """One lane of writes, first come first served. Use as `async with limiter:` around each request."""

    def __init__(self, lane: str, bounds: tuple[int, int], queueing_delay: float, metrics: Metrics) -> None:
        start, self._cap = bounds
        self._limit = float(start)
        self._patience = max(start, self._cap * _PATIENCE // 64)
        self._delay = queueing_delay
        self._in_flight = 0
        self._bursts = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._probing = True  # still doubling
        self._best = float("inf")
        self._best_at = 0.0
        self._quiet_until = 0.0  # one decrease per round trip
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._pushbacks = metrics.limiter_pushbacks
        self._lane = lane
        metrics.limiter_in_flight.labels(lane).set_function(lambda: self._in_flight)
        metrics.limiter_limit.labels(lane).set_function(lambda: self._limit)

    @property
    def limit(self) -> int:
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @contextmanager
    def burst(self) -> Iterator[Callable[[], int]]:
        """For who has many writes at once: how many of them may be under way or in line. All bursts share the limit, so
        that one App's single write does not stand behind sixteen times the limit of others'."""
        self._bursts += 1
        try:
            yield lambda: max(1, -(-self.limit // self._bursts))
        finally:
            self._bursts -= 1

    async def __aenter__(self) -> None:
        if not self._waiters and self._free():
            self._in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._watch_pause()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._in_flight -= 1  # the slot had been given to this waiter
                self._hand_out()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in_flight -= 1
        self._hand_out()

    def answered(self, latency: float) -> None:
        """A request was answered after `latency` seconds: grow, or shrink when the server has begun to queue."""
        now = asyncio.get_running_loop().time()
        if latency < self._best or now - self._best_at > _BASELINE_LIFE:
            self._best, self._best_at = latency, now
        if latency > self._best + self._delay and self._limit > self._patience:
            self._shrink(now, max(_DECREASE, self._patience / self._limit), latency, "latency")
        elif self._in_flight >= self.limit - 1:  # only a limit that is used has shown that it can be borne
            self._limit = min(float(self._cap), self._limit + (1.0 if self._probing else 1.0 / self._limit))

    def push_back(self, retry_after: float) -> None:
        """429: nothing is sent in this lane for `retry_after` seconds, and half as much at once afterwards."""
        now = asyncio.get_running_loop().time()
        self._paused_until = max(self._paused_until, now + retry_after)
        self._shrink(now, 0.5, retry_after, "refused")
        self._watch_pause()

    def _shrink(self, now: float, factor: float, quiet: float, cause: str) -> None:
        if now < self._quiet_until:
            return
        self._pushbacks.labels(self._lane, cause).inc()
        self._probing = False
        self._limit = max(1.0, self._limit * factor)
        self._quiet_until = now + quiet

    def _free(self) -> bool:
        if self._in_flight >= self.limit:
            return False
        return self._paused_until == 0.0 or asyncio.get_running_loop().time() >= self._paused_until

    def _hand_out(self) -> None:
        while self._waiters and self._free():
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._in_flight += 1
                waiter.set_result(None)

    def _watch_pause(self) -> None:
        """Wake the waiters when a pause ends: no answer may be under way that would do it. The clock is not asked: a
        pause that has ended since the last look (somebody waits because of it) still needs the timer."""
        if self._timer is None and self._paused_until:
            self._timer = asyncio.get_running_loop().call_at(self._paused_until, self._resume)

    def _resume(self) -> None:
        self._timer = None
        if asyncio.get_running_loop().time() < self._paused_until:
            self._watch_pause()
            return
        self._paused_until = 0.0
        self._hand_out()


class Lanes:
    """The process's writes: a burst of creates starves neither deletes nor status. Lease renewals pass no limiter."""

    def __init__(
        self,
        creates: tuple[int, int],
        deletes: tuple[int, int],
        others: tuple[int, int],
        queueing_delay: float,
        metrics: Metrics,
    ) -> None:
        self.creates = Limiter("creates", creates, queueing_delay, metrics)
        self.deletes = Limiter("deletes", deletes, queueing_delay, metrics)
        self.others = Limiter("others", others, queueing_delay, metrics)
