"""How many writes the API server was asked for: a figure that no noisy machine can move."""

import re
from pathlib import Path

from substrate.api import Api
from substrate.lab import State

_WRITES = re.compile(rb"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(rb'(\w+)="([^"]*)"')
_VERBS = {b"POST", b"PUT", b"PATCH", b"APPLY", b"DELETE"}
# Leases are renewed by the clock, reviews are questions that look like writes.
_NOT_COUNTED = {b"leases", b"tokenreviews", b"subjectaccessreviews"}


class Counter:
    """Reads the API server's own count."""

    def __init__(self, state: State) -> None:
        self._api = Api(state.url, state.token, Path(state.ca), timeout=30)

    def read(self) -> int:
        status, body = self._api.request("GET", "/metrics")
        self._api.close()  # a case lasts longer than the server keeps an idle connection
        if status != 200:
            raise RuntimeError(f"the API server's metrics cannot be read: {status}")
        return count(body)


def count(metrics: bytes) -> int:
    """All writes in a page of metrics.

    >>> count(b'apiserver_request_total{code="201",resource="pods",verb="POST"} 7\\napiserver_request_total{resource="pods",verb="WATCH"} 9\\n')
    7
    """
    total = 0
    for labels, value in _WRITES.findall(metrics):
        found = dict(_LABEL.findall(labels))
        if found.get(b"verb") in _VERBS and found.get(b"resource") not in _NOT_COUNTED:
            total += int(float(value))
    return total
