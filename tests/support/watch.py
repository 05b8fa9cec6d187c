"""Waiting without sleeping: the API server's own watch, through kubectl, so that whatever kubectl can reach can be watched."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from support.stream import Stream
from support.waiting import PATIENCE

JSON = dict[str, Any]
Objects = list[JSON]
T = TypeVar("T")

_PAUSE = 0.1


class Watch:
    """The objects of one collection, always complete: yields them once all are known and again after each change."""

    def __init__(self, kubectl: Sequence[str], path: str, *, labels: str = "", fields: str = "") -> None:
        """`kubectl` with the options that say which cluster is meant."""
        query = {
            "watch": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        }
        query |= {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        self.path = path
        self._argv = [*kubectl, "get", "--raw", f"{path}?{urlencode(query)}"]
        self._stream: Stream | None = None
        self._closed = False

    def close(self) -> None:
        """May be called from another thread: the one that iterates comes to its end."""
        self._closed = True
        if self._stream:
            self._stream.kill()

    def until(self, holds: Callable[[Objects], T], within: float) -> T:
        """The first true answer of `holds`. AssertionError, with what there was at last, after `within` seconds."""
        last: Objects = []
        for last in self.states(within):
            if answer := holds(last):
                return answer
        shown = json.dumps([_short(one) for one in last], indent=1)
        raise AssertionError(f"not within {within:.0f} s; the objects of {self.path} at last:\n{shown[:6000]}")

    def states(self, within: float = float("inf")) -> Iterator[Objects]:
        """Every state there is, for `within` seconds or until closed."""
        deadline = time.monotonic() + within
        while not self._closed and time.monotonic() < deadline:
            with Stream(self._argv) as self._stream:
                yield from _states(self._stream.lines(deadline))
            time.sleep(_PAUSE)  # where nobody answers, kubectl ends at once


def _states(lines: Iterator[str]) -> Iterator[Objects]:
    """Of one request: it ends when the API server goes, or finds it too old."""
    known: dict[str, JSON] = {}
    complete = False
    for line in lines:
        event = json.loads(line)
        if event.get("kind") == "Status" or event["type"] == "ERROR":
            return
        subject = event["object"]
        if event["type"] == "BOOKMARK":
            complete = complete or "k8s.io/initial-events-end" in (subject["metadata"].get("annotations") or {})
        elif event["type"] == "DELETED":
            known.pop(subject["metadata"]["uid"], None)
        else:
            known[subject["metadata"]["uid"]] = subject
        if complete:
            yield list(known.values())


def _short(subject: JSON) -> JSON:
    """What one wants to read of an object in a test's report."""
    status = subject.get("status") or {}
    kept = ("phase", "summary", "replicas", "updatedReplicas", "availableReplicas", "problems", "conditions")
    return {"name": subject["metadata"]["name"], **{key: status[key] for key in kept if key in status}}


class PodHistory:
    """All pods of an App from now on: who was ever made and ended, the most there were at once, the fewest that were ready.

    A pod counts as there until it is being ended, and as ready while it is there: what drains still serves, but is not
    counted, so the figures are on the strict side.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.made: dict[str, JSON] = {}
        self.before: set[str] = set()
        self.ended: set[str] = set()
        self.most = 0
        self.fewest_ready = 1 << 30
        self.most_kinds = 0
        """The most revisions whose processes ran at once, those that were being ended included."""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(PATIENCE), "the watch on pods did not begin"
        self.before = set(self.made)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.close()
        self._thread.join(10)

    def new(self) -> list[JSON]:
        """The pods that were made since it began."""
        return [pod for uid, pod in self.made.items() if uid not in self.before]

    def lost(self) -> set[str]:
        """Those that were there when it began and have been ended since."""
        return self.before & self.ended

    def _follow(self) -> None:
        for pods in self._watch.states():
            self.made |= {pod["metadata"]["uid"]: pod for pod in pods}
            there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            self.ended |= set(self.made) - {pod["metadata"]["uid"] for pod in there}
            self.most = max(self.most, len(there))
            self.fewest_ready = min(self.fewest_ready, sum(map(is_ready, there)))
            running = [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]
            kinds = {pod["metadata"]["labels"].get("fairlead.dev/revision") for pod in running}
            self.most_kinds = max(self.most_kinds, len(kinds))
            self._begun.set()


def is_ready(pod: JSON) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
