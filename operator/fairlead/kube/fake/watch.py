"""Watch streams over a cluster's history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fairlead.kube.fake.cluster import FakeCluster
from fairlead.kube.fake.records import Commit, Stored, encode
from fairlead.kube.fake.selectors import Match
from fairlead.kube.resources import Resource

if TYPE_CHECKING:
    from collections.abc import Callable

BOOKMARK_SECONDS = 60.0


class Stream:
    """One open watch. `held` streams deliver nothing until they are released; a closed one ends.

    lag: seconds between a commit and its delivery, asked anew for each delivery.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        resource: Resource,
        namespace: str | None,
        match: Match | None,
        *,
        since: int,
        timeout: float,
        lag: Callable[[], float],
        body: Callable[[Stored], bytes],
        horizon: Callable[[], int | None],
    ):
        self.cluster, self.resource, self.namespace = cluster, resource, namespace
        self._match, self._body, self._horizon = match, body, horizon
        self.cursor = since
        self._lag, self.lag = lag, lag()
        self.held = False
        self.closed = False
        self.skip = 0  # so many of the next matching events are lost
        loop = asyncio.get_running_loop()
        self._ends = loop.time() + timeout
        self._bookmark = loop.time() + BOOKMARK_SECONDS
        self._waiter: asyncio.Future[None] | None = None
        cluster.subscribers.append(self._committed)

    def close(self) -> None:
        self.closed = True
        if self._committed in self.cluster.subscribers:
            self.cluster.subscribers.remove(self._committed)
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False
        self.wake()

    def _committed(self, commit: Commit) -> None:
        if commit.resource == self.resource and not self.held:
            self.wake()

    async def next(self) -> list[bytes] | None:
        """The next lines, None at the end of the stream."""
        loop = asyncio.get_running_loop()
        while not self.closed and loop.time() < self._ends:
            due = None
            if not self.held:
                if lines := self._take():
                    return lines
                due = self._due_in()
            if loop.time() >= self._bookmark:
                self._bookmark = loop.time() + BOOKMARK_SECONDS
                # A watch from a version that is yet to come (etcd was restored) hears nothing at all until then.
                if not self.held and due is None and self._horizon() is None and self.cursor <= self.cluster.rv:
                    return [self._bookmark_line()]
            await self._wait(min(self._ends, self._bookmark, self._ends if due is None else loop.time() + due))
        return None

    def _due_in(self) -> float | None:
        """Seconds until the next commit has arrived; None where nothing is under way."""
        horizon = self._horizon()
        coming = (
            commit
            for commit in self.cluster.since(self.cursor)
            if commit.resource == self.resource and (horizon is None or commit.rv <= horizon)
        )
        first = next(coming, None)
        # Never 0: what floating point makes of "due now" would not be taken, and asked for again and again.
        return None if first is None else max(first.at + self.lag - self.cluster.clock(), 1e-6)

    async def _wait(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        alarm = loop.call_at(until + 1e-6, self.wake)  # a timer may fire a clock tick early
        try:
            await self._waiter
        finally:
            alarm.cancel()
            self._waiter = None

    def _arrived(self) -> list[Commit]:
        """What has come this way: committed long enough ago, and within the horizon of a server that lags."""
        horizon, now = self._horizon(), self.cluster.clock()
        return [
            commit
            for commit in self.cluster.since(self.cursor)
            if commit.at + self.lag <= now and (horizon is None or commit.rv <= horizon)
        ]

    def _take(self) -> list[bytes]:
        if self.cursor < self.cluster.compacted:
            self.close()
            return [_error_line("too old resource version", self.cursor, self.cluster.compacted)]
        arrived = self._arrived()
        if not arrived:
            return []
        self.cursor = arrived[-1].rv
        self.lag = self._lag()
        kept = [line for line in map(self._line, arrived) if line]
        lost, self.skip = min(self.skip, len(kept)), max(self.skip - len(kept), 0)
        return kept[lost:]

    def _line(self, commit: Commit) -> bytes:
        """The commit as this watch sees it: an object that starts or stops to match is ADDED or DELETED."""
        if commit.resource != self.resource or (self.namespace and commit.namespace != self.namespace):
            return b""
        matched = commit.old is not None and (self._match is None or self._match(commit.old.object))
        matches = commit.type != "DELETED" and (self._match is None or self._match(commit.new.object))
        if matches:
            return _event("MODIFIED" if matched else "ADDED", self._body(commit.new))
        if not matched:
            return b""
        last = commit.new
        if commit.type != "DELETED" and commit.old is not None:  # it no longer matches: its last state that did
            obj = commit.old.copy()
            obj["metadata"]["resourceVersion"] = str(commit.rv)
            last = commit.old._replace(object=obj, data=encode(obj))
        return _event("DELETED", self._body(last))

    def _bookmark_line(self) -> bytes:
        self.cursor = max(self.cursor, self.cluster.rv)
        meta = {"resourceVersion": str(self.cluster.rv), "creationTimestamp": None}
        return encode(
            {
                "type": "BOOKMARK",
                "object": {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": meta},
            }
        )


def _event(type: str, data: bytes) -> bytes:
    return b'{"type":"%s","object":%s}' % (type.encode(), data)


def _error_line(message: str, asked: int, oldest: int) -> bytes:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"{message}: {asked} ({oldest})",
        "reason": "Expired",
        "code": 410,
    }
    return encode({"type": "ERROR", "object": status})
