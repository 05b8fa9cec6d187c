"""The keys to reconcile: each at most once in line, each with at most one worker, the urgent ones first."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from itertools import count

from fairlead.core.meta import Key
from fairlead.engine.settings import EngineSettings
from fairlead.metrics.collect import Metrics

RESOLUTION = 0.001  # seconds a timer may come early: uvloop counts in milliseconds


class QueueStopped(Exception):
    """No key will come any more."""


class Queue:
    """A keyed work queue on the running loop's clock.

    `add`        an event: soon, together with the events of the next few milliseconds (the window grows with what the
                 key's last plan cost, so that a parent of thousands of pods is not planned for each of them);
    `hurry`      a person waits: before all others, at once;
    `add_after`  a time the plan asked for; of several wishes the soonest wins;
    `retry`      after a failure: exponential backoff with jitter, until `forget`.

    A key that is asked for while a worker has it comes again when the worker is done.
    """

    def __init__(self, name: str, settings: EngineSettings, rng: random.Random, metrics: Metrics) -> None:
        self._settings = settings
        self._rng = rng
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []  # entries that `_due` no longer agrees with are skipped
        self._serial = count()
        self._ready: dict[Key, float] = {}  # key -> since when, oldest first
        self._urgent: dict[Key, float] = {}
        self._active: dict[Key, float] = {}
        self._again: dict[Key, float] = {}  # asked for while active; -inf: urgent
        self._windows: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._gathering: dict[Key, None] = {}  # in `_due` because of an event: more of them change nothing
        self._asked = 0  # not yet counted: a metric a second is enough for thousands of events
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._adds = metrics.queue_adds.labels(name)
        self._retries = metrics.queue_retries.labels(name)
        self._waits = metrics.queue_wait.labels(name)
        metrics.queue_depth.labels(name).set_function(lambda: len(self._ready) + len(self._urgent))
        metrics.queue_delayed.labels(name).set_function(lambda: len(self._due))
        metrics.queue_oldest.labels(name).set_function(self._oldest)

    # ------------------------------------------------------------ asking for a key

    def add(self, key: Key) -> None:
        self._asked += 1
        if key in self._gathering or key in self._ready or key in self._urgent:
            return
        self._schedule(key, _now() + self._window(key))
        if key in self._due:
            self._gathering[key] = None

    def add_after(self, key: Key, delay: float) -> None:
        self._schedule(key, _now() + max(0.0, delay))

    def hurry(self, key: Key) -> None:
        self._asked += 1
        self._failures.pop(key, None)
        if key in self._active:
            self._again[key] = float("-inf")
            return
        since = self._ready.pop(key, None)
        self._due.pop(key, None)
        self._gathering.pop(key, None)
        if key not in self._urgent:
            self._urgent[key] = _now() if since is None else since
            self._wake()

    def retry(self, key: Key, pause: tuple[float, float] | None = None) -> float:
        """Put the key back with a backoff, the settings' unless another first and longest pause is given; the seconds
        until then."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = backoff(failures, *(pause or self._settings.retry_backoff), self._rng)
        self._retries.inc()
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """It went well: the next failure starts from the shortest backoff."""
        self._failures.pop(key, None)

    def drop(self, key: Key) -> None:
        """The parent is gone: nothing about it is kept."""
        self._failures.pop(key, None)
        self._windows.pop(key, None)

    # ------------------------------------------------------------ working

    async def get(self) -> Key:
        """The next key; the caller has it for itself until `done`. QueueStopped after `stop`."""
        while not (self._urgent or self._ready):
            if self._stopped:
                raise QueueStopped
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif self._urgent or self._ready:
                    self._wake()  # this worker was chosen for a key: another one must hear of it
                raise
        if self._stopped:
            raise QueueStopped
        lane = self._urgent or self._ready
        key = next(iter(lane))
        since = lane.pop(key)
        now = _now()
        self._waits.observe(max(0.0, now - since))
        self._adds.inc(self._asked)
        self._asked = 0
        self._active[key] = now
        return key

    def done(self, key: Key, cost: float = 0.0) -> None:
        """The worker lets go of the key. `cost`: seconds its plan held the loop."""
        del self._active[key]
        window = min(self._settings.window_limit, max(self._settings.window, cost * self._settings.window_factor))
        if window > self._settings.window:
            self._windows[key] = window
        else:
            self._windows.pop(key, None)
        again = self._again.pop(key, None)
        if again is None:
            return
        if again == float("-inf"):
            self.hurry(key)
            return
        self._schedule(key, max(again, _now() + self._window(key)))

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    @property
    def idle(self) -> bool:
        """Nothing is ready and nobody works; times to come do not count."""
        return not (self._ready or self._urgent or self._active)

    # ------------------------------------------------------------ inside

    def _window(self, key: Key) -> float:
        return self._windows.get(key, self._settings.window)

    def _schedule(self, key: Key, when: float) -> None:
        if key in self._active:
            self._again[key] = min(when, self._again.get(key, when))
            return
        if key in self._ready or key in self._urgent:
            return
        known = self._due.get(key)
        if known is not None and known <= when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, next(self._serial), key))
        if self._heap[0][2] == key:
            self._arm()
        if len(self._heap) > 4 * len(self._due) + 64:
            # A key that waits for minutes and is asked for each few milliseconds leaves an entry behind each time.
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap and not self._stopped:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = _now() + RESOLUTION
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self._gathering.pop(key, None)
                self._ready[key] = when
                self._wake()
        self._arm()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _oldest(self) -> float:
        since = [next(iter(lane.values())) for lane in (self._ready, self._urgent) if lane]
        return max(0.0, _now() - min(since)) if since else 0.0


def backoff(failures: int, first: float, longest: float, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row: doubling, up to `longest`, a quarter of it up to chance.

    >>> [round(backoff(n, 0.2, 300, random.Random(1)), 2) for n in (1, 2, 12)]
    [0.16, 0.31, 235.08]
    """
    full = min(longest, first * 2.0 ** min(failures - 1, 40))
    return full * (0.75 + 0.25 * rng.random())


def _now() -> float:
    return asyncio.get_running_loop().time()
