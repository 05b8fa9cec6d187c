"""Which writes the API server was asked for: figures that no noisy machine can move."""

import re
from collections import Counter
from pathlib import Path

from substrate.api import Api
from substrate.lab import State

_WRITES = re.compile(rb"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(rb'(\w+)="([^"]*)"')
_VERBS = {"POST", "PUT", "PATCH", "APPLY", "DELETE"}
# Leases are renewed by the clock, reviews are questions that look like writes.
_NOT_COUNTED = {"leases", "tokenreviews", "subjectaccessreviews"}


class Requests:
    """Reads the API server's own count."""

    def __init__(self, state: State) -> None:
        self._api = Api(state.url, state.token, Path(state.ca), timeout=30)

    def read(self) -> Counter[str]:
        status, body = self._api.request("GET", "/metrics")
        self._api.close()  # a case lasts longer than the server keeps an idle connection
        if status != 200:
            raise RuntimeError(f"the API server's metrics cannot be read: {status}")
        return count(body)


def count(metrics: bytes) -> Counter[str]:
    """The writes in a page of metrics, by verb and resource.

    >>> page = b'''apiserver_request_total{code="201",resource="pods",subresource="binding",verb="POST"} 7
    ... apiserver_request_total{code="200",resource="pods",subresource="",verb="WATCH"} 9'''
    >>> count(page)
    Counter({'POST pods/binding': 7})
    """
    found: Counter[str] = Counter()
    for labels, value in _WRITES.findall(metrics):
        label = {name: text.decode() for name, text in _LABEL.findall(labels)}
        if label.get(b"verb") in _VERBS and label.get(b"resource") not in _NOT_COUNTED:
            part = f"/{label[b'subresource']}" if label.get(b"subresource") else ""
            found[f"{label[b'verb']} {label[b'resource']}{part}"] += int(float(value))
    return found
