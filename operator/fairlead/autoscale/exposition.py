"""Metrics as a server exposes them, in Prometheus' text format. Pure; the format is prometheus_client's to read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families


class Line(NamedTuple):
    """One sample: `at` is its own time (epoch seconds), None where it has none."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: float | None


def lines_of(body: bytes, names: Collection[str]) -> Iterator[Line]:
    """The samples of these names. ValueError where one of them is not what the format says. All others are not looked at: an
    application may expose ten thousand.

    >>> text = b'# TYPE hits counter\\nhits{path="/"} 3\\nhits_total{path="/"} 4 1700000000500\\nother 1\\n'
    >>> list(lines_of(text, {"hits_total"}))
    [Line(name='hits_total', labels={'path': '/'}, value=4.0, at=1700000000.5)]
    """
    wanted = [line for line in body.decode("utf-8", "replace").splitlines() if _name_of(line) in names]
    for family in text_string_to_metric_families("\n".join(wanted) + "\n"):
        for sample in family.samples:
            if sample.name in names:
                at = sample.timestamp
                yield Line(sample.name, sample.labels, float(sample.value), None if at is None else float(at))


def _name_of(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]


def fits(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """
    >>> fits({"path": "/", "code": "200"}, {"code": "200"}), fits({}, {"code": "200"})
    (True, False)
    """
    return all(labels.get(name) == value for name, value in selector.items())
