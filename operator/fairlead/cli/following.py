"""Following one App until its rollout ends: two watches, and a state after each change."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

from fairlead.cli.cluster import Cluster
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.kube.errors import ApiError, Forbidden, Gone, TooManyRequests, Unavailable, Unreachable
from fairlead.kube.resources import APPS, REVISIONS, Resource
from fairlead.view.model import App, Revision, read, read_revisions

RETRY = 1.0  # seconds between attempts while the server cannot be reached
POLL = 2.0  # seconds between reads where the user may read but not watch
TICK = 1.0  # seconds after which ages are drawn anew
PATIENCE = 3.0  # seconds to wait for both kinds before the first moment


class Vanished(Exception):
    """The App was deleted, or another of its name took its place."""


class Moment:
    """What is known at one time. `trouble` is why the picture may be old, "" where it is fresh."""

    def __init__(self, app: App, revisions: list[Revision], trouble: str) -> None:
        self.app, self.revisions, self.trouble = app, revisions, trouble


class _Change:
    """From a watching thread: all objects of its kind, or what went wrong."""

    def __init__(self, resource: Resource, objects: dict[str, JSON] | None, error: ApiError | None = None) -> None:
        self.resource, self.objects, self.error = resource, objects, error


class Following:
    """The moments of one App. Use as a context manager: it ends the watching threads."""

    def __init__(self, cluster: Cluster, app: App) -> None:
        self._cluster = cluster
        self._app = app
        self._changes: queue.Queue[_Change] = queue.Queue()
        self._stop = threading.Event()
        self._watchers = [
            _Watcher(cluster, APPS, "", f"metadata.name={app.name}", self._changes, self._stop),
            _Watcher(cluster, REVISIONS, f"{LABEL_APP}={app.name}", "", self._changes, self._stop),
        ]

    def __enter__(self) -> Following:
        for watcher in self._watchers:
            watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for watcher in self._watchers:
            watcher.cut()
        for watcher in self._watchers:
            watcher.join(timeout=2)

    def moments(self) -> Iterator[Moment]:
        """A moment after every change and at least every second. Vanished when the App goes; what cannot get better is raised."""
        app, raw_revisions, trouble = self._app, list[JSON](), ""
        known = set[Resource]()
        first_by = time.monotonic() + PATIENCE
        while True:
            for change in self._next():
                known.add(change.resource)
                if change.error is not None:
                    trouble = _trouble(change)
                elif change.resource == APPS and change.objects is not None:
                    app, trouble = self._current(change.objects), ""
                elif change.objects is not None:
                    raw_revisions, trouble = list(change.objects.values()), ""
            if len(known) == len(self._watchers) or time.monotonic() >= first_by:
                yield Moment(app, read_revisions(raw_revisions, app), trouble)

    def _next(self) -> list[_Change]:
        """All changes there are, after waiting for one at most a tick: a burst becomes one moment."""
        try:
            changes = [self._changes.get(timeout=TICK)]
        except queue.Empty:
            return []
        while not self._changes.empty():
            changes.append(self._changes.get_nowait())
        return changes

    def _current(self, objects: dict[str, JSON]) -> App:
        found = next(iter(objects.values()), None)
        if found is None:
            raise Vanished(f"App {self._app.name} was deleted while it was followed")
        app = read(found, App)
        if app.metadata.uid != self._app.metadata.uid:
            raise Vanished(f"App {self._app.name} was deleted and made anew while it was followed")
        return app


def _trouble(change: _Change) -> str:
    """What to say of an error that may pass; one that will not is raised. Without Revisions the App still can be followed."""
    error = change.error
    assert error is not None
    if isinstance(error, (Unreachable, Unavailable, TooManyRequests)):
        return f"no connection to the API server, trying again: {error.message}"
    if change.resource == REVISIONS:
        return ""
    raise error


class _Watcher(threading.Thread):
    """Keeps the matching objects of one kind and reports them after every change."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        labels: str,
        fields: str,
        changes: queue.Queue[_Change],
        stop: threading.Event,
    ) -> None:
        super().__init__(daemon=True, name=f"watch-{resource.plural}")
        self._cluster, self._resource, self._labels, self._fields = cluster, resource, labels, fields
        self._changes, self._stop_event = changes, stop

    def run(self) -> None:
        while not self._stop_event.is_set():
            try:
                self._follow()
            except Gone:
                continue
            except ApiError as error:
                self._report(None, error)
                if not isinstance(error, (Unreachable, Unavailable, TooManyRequests)):
                    return
                self._stop_event.wait(error.retry_after or RETRY)

    def cut(self) -> None:
        """End the stream that is open, from another thread."""
        self._cluster.cut(self._resource)

    def _follow(self) -> None:
        """List, then watch from there; return when the server ends the stream after its time."""
        items, version = self._cluster.snapshot(self._resource, labels=self._labels, fields=self._fields)
        objects = {item["metadata"]["name"]: item for item in items}
        self._report(objects)
        try:
            for event in self._cluster.watch(self._resource, version=version, labels=self._labels, fields=self._fields):
                if self._stop_event.is_set():
                    return
                self._apply(objects, event)
        except Forbidden:
            self._stop_event.wait(POLL)

    def _apply(self, objects: dict[str, JSON], event: JSON) -> None:
        if event["type"] == "BOOKMARK":
            return
        name = event["object"]["metadata"]["name"]
        if event["type"] == "DELETED":
            objects.pop(name, None)
        else:
            objects[name] = event["object"]
        self._report(objects)

    def _report(self, objects: dict[str, JSON] | None, error: ApiError | None = None) -> None:
        self._changes.put(_Change(self._resource, None if objects is None else dict(objects), error))
