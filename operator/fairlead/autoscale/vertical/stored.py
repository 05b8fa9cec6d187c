"""What of the recommendations stands in status.autoscale.resources, so that the next leader goes on from there. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.autoscale.vertical.histogram import CPU, MEMORY, Packed, packed, unpacked
from fairlead.autoscale.vertical.model import Amounts, Applied, Estimate, quantities
from fairlead.autoscale.vertical.recommend import History
from fairlead.core.conditions import parse_time, timestamp
from fairlead.core.meta import JSON
from fairlead.core.quantity import milli

CONTAINERS = 16  # of an App, in the order of their names: a status has its size
MOST = 2048  # characters of the message
EVERY = 3600.0  # seconds between two checkpoints of what nobody waits for: with the process go its samples since
MOVED = 0.1  # a target that has moved by such a share is told at once


class Stored(msgspec.Struct, frozen=True):
    """What the status says. at: when it was written; applied: what pods are to request."""

    targets: dict[str, Amounts] = {}
    at: float = 0.0
    applied: Applied = Applied()


def news(stored: Stored, estimates: Mapping[str, Estimate], now: float) -> bool:
    """Whether it is worth a write of the status: something else is recommended, or the last checkpoint is old.

    >>> stored = Stored(targets={"web": {"cpu": 300}}, at=0)
    >>> near, far = Estimate({"cpu": 310}, {}, {}), Estimate({"cpu": 331}, {}, {})
    >>> news(stored, {"web": near}, 60), news(stored, {"web": far}, 60), news(stored, {"web": near}, 3600)
    (False, True, True)
    """
    if now >= stored.at + EVERY or now < stored.at or stored.targets.keys() != set(kept(estimates)):
        return True
    return any(_moved(stored.targets[name], estimates[name].target) for name in kept(estimates))


def kept(containers: Mapping[str, object]) -> list[str]:
    """Which of them stand in the status."""
    return sorted(containers)[:CONTAINERS]


def _moved(before: Amounts, after: Amounts) -> bool:
    return before.keys() != after.keys() or any(abs(after[name] - old) > MOVED * old for name, old in before.items())


class _Container(msgspec.Struct, rename="camel"):
    name: str
    target: dict[str, str] = {}
    applied: dict[str, str] = {}
    samples: int = 0
    first_sample: str = ""
    last_sample: str = ""
    cpu: Packed = Packed()
    memory: Packed = Packed()


class _Status(msgspec.Struct, rename="camel"):
    containers: tuple[_Container, ...] = ()
    checkpoint: str = ""
    applied_at: str = ""


def as_json(
    histories: Mapping[str, History], estimates: Mapping[str, Estimate], applied: Applied, message: str, now: float
) -> JSON:
    """What `stored_of` reads back, and in words. now: when it is written."""
    said = {
        "message": message[:MOST],
        "checkpoint": timestamp(now),
        "containers": [
            _container(name, histories[name], estimates[name], applied.amounts.get(name, {}))
            for name in kept(estimates)
        ],
    }
    return said | ({"appliedAt": timestamp(applied.at)} if applied.amounts else {})


def _container(name: str, history: History, told: Estimate, applied: Amounts) -> JSON:
    amounts = {"target": told.target, "lowerBound": told.lower, "upperBound": told.upper, "applied": applied}
    said: JSON = {"name": name, "samples": history.samples}
    said |= {field: quantities(known) for field, known in amounts.items() if known}
    if history.samples:
        said |= {"firstSample": timestamp(history.first), "lastSample": timestamp(history.last)}
    parts = {"cpu": packed(history.cpu), "memory": packed(history.memory)}
    return said | {field: msgspec.to_builtins(part) for field, part in parts.items() if part.buckets}


def stored_of(autoscale: JSON) -> Stored:
    """What status.autoscale says was recommended, and when; nothing where its `resources` are missing or damaged.

    >>> stored_of({"resources": {"containers": [{"name": "web", "target": {"cpu": "300m"}}]}}).targets
    {'web': {'cpu': 300}}
    >>> stored_of({"resources": {"containers": [{"name": "web", "target": {"cpu": "much"}}]}}) == Stored()
    True
    """
    status = _status(autoscale)
    try:
        targets = {one.name: _milli(one.target) for one in status.containers}
        amounts = {one.name: _milli(one.applied) for one in status.containers if one.applied}
    except ValueError:
        return Stored()
    applied = Applied(amounts, parse_time(status.applied_at) or 0.0) if amounts else Applied()
    return Stored(targets, parse_time(status.checkpoint) or 0.0, applied)


def _milli(amounts: Mapping[str, str]) -> Amounts:
    return {name: milli(amount) for name, amount in amounts.items()}


def histories_of(autoscale: JSON) -> dict[str, History]:
    """What containers have used, by what status.autoscale has of it.

    >>> histories_of({"resources": {"containers": [{"name": "web", "samples": 7}]}})["web"].samples
    7
    """
    return {one.name: _history(one) for one in _status(autoscale).containers}


def _status(autoscale: JSON) -> _Status:
    try:
        return msgspec.convert(autoscale.get("resources") or {}, _Status)
    except msgspec.ValidationError:
        return _Status()


def _history(one: _Container) -> History:
    first, last = parse_time(one.first_sample) or 0.0, parse_time(one.last_sample) or 0.0
    return History(unpacked(one.cpu, CPU), unpacked(one.memory, MEMORY), max(0, one.samples), min(first, last), last)
