"""What the API server accepts and an App's users will regret: warnings, each with its cure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fairlead.autoscale.model import Autoscale
from fairlead.autoscale.windows import bounds
from fairlead.cli.linting.schema import Finding
from fairlead.config.model import Entry
from fairlead.config.pins import clashes
from fairlead.core.budget import evictions, fenceposts
from fairlead.rollout.fleet import limits
from fairlead.rollout.model import Rollout
from fairlead.rollout.weights import exactness

App = dict[str, Any]


def warnings(app: App) -> Iterator[Finding]:
    """All warnings about an App whose schema is in order and whose defaults are filled in."""
    for rule in _RULES:
        yield from rule(app["spec"])


def _containers(spec: App) -> list[tuple[int, App]]:
    return list(enumerate(spec["template"]["spec"]["containers"]))


def _replicas(spec: App) -> int:
    """How many pods there are at least, as far as the manifest says."""
    replicas = int(spec.get("replicas", 1))
    return max(replicas, int((spec.get("autoscale") or {}).get("min", 1))) if replicas else 0


def moving_image(spec: App) -> Iterator[Finding]:
    """A tag that moves makes undo a promise nobody can keep: the old revision pulls the new image."""
    for index, container in _containers(spec):
        path = ("spec", "template", "spec", "containers", index, "image")
        image = container.get("image")
        if not image:
            yield Finding(path[:-1], "it has no image: nothing can be started")
        elif "@" not in image and image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
            yield Finding(
                path, f"{image} has no fixed tag: undo cannot bring back what it was; give it a version or a digest"
            )


def unprobed(spec: App) -> Iterator[Finding]:
    """Without a readiness probe a pod gets traffic as soon as its process is there."""
    if not spec.get("expose") or spec["template"]["spec"].get("readinessGates"):
        return
    if not any(container.get("readinessProbe") for _, container in _containers(spec)):
        yield Finding(
            ("spec", "template", "spec", "containers"),
            "no container of this exposed App has a readinessProbe: requests come before it can answer, in every release",
        )


def no_eviction(spec: App) -> Iterator[Finding]:
    """A budget that never allows an eviction stops every drain of a node."""
    budget, replicas = spec.get("disruption") or {}, _replicas(spec)
    if not budget or replicas == 0 or evictions(budget.get("minAvailable"), budget.get("maxUnavailable"), replicas):
        return
    field = "minAvailable" if "minAvailable" in budget else "maxUnavailable"
    yield Finding(
        ("spec", "disruption", field),
        f"{budget[field]} of {replicas} allows no eviction at all: draining a node would wait forever",
    )


def everything_down(spec: App) -> Iterator[Finding]:
    """A release that takes all pods away before new ones are there."""
    rollout, replicas = spec.get("rollout") or {}, _replicas(spec)
    if rollout.get("strategy", "Rolling") != "Rolling" or replicas == 0:
        return
    _, unavailable = fenceposts(rollout.get("maxSurge", "25%"), rollout.get("maxUnavailable", "25%"), replicas)
    if unavailable >= replicas:
        yield Finding(
            ("spec", "rollout", "maxUnavailable"),
            f"with {replicas} replicas it lets a release take every pod away at once: set maxSurge 1 and maxUnavailable 0",
        )


def inexact_weights(spec: App) -> Iterator[Finding]:
    """Weights of a Canary that whole pods cannot come to, and that no route gives exactly."""
    if (spec.get("expose") or {}).get("route"):
        return
    try:
        rollout = msgspec.convert(spec.get("rollout") or {}, Rollout)
        surge, _ = limits(rollout, _replicas(spec))
    except (msgspec.ValidationError, ValueError):
        return  # the schema has said it better
    if found := exactness(rollout, _replicas(spec), surge):
        yield Finding(("spec", "rollout", "steps"), found.message)


def config_clash(spec: App) -> Iterator[Finding]:
    """What the API server cannot see and the operator refuses: a place that the template has taken already."""
    entries = msgspec.convert(spec.get("config") or [], list[Entry])
    for lack in clashes(entries, spec["template"]):
        yield Finding(("spec", "config"), lack.message.removeprefix("spec."))


def no_window(spec: App) -> Iterator[Finding]:
    """A cron or a time zone that is none: the window never opens."""
    if spec.get("autoscale"):
        for problem in bounds(msgspec.convert(spec["autoscale"], Autoscale), 0, 0.0).problems:
            yield Finding(("spec", "autoscale", "schedules"), problem)


def nothing_requested(spec: App) -> Iterator[Finding]:
    """Per cent of what is not there: the metric can never be told."""
    for index, metric in enumerate((spec.get("autoscale") or {}).get("metrics") or ()):
        source = metric.get("resource") or metric.get("containerResource") or {}
        if "averageUtilization" not in source:
            continue
        for _, container in _containers(spec):
            asked = (container.get("resources") or {}).get("requests") or {}
            meant = source.get("container") in (None, container["name"])
            limited = source["name"] in (
                (container.get("resources") or {}).get("limits") or {}
            )  # which then is the request
            if meant and source["name"] not in asked and not limited:
                yield Finding(
                    ("spec", "autoscale", "metrics", index),
                    f"container {container['name']} requests no {source['name']} to take per cent of, so the App keeps its "
                    f"size: set resources.requests.{source['name']}",
                )


_RULES: tuple[Callable[[App], Iterator[Finding]], ...] = (
    moving_image,
    unprobed,
    no_eviction,
    everything_down,
    inexact_weights,
    config_clash,
    no_window,
    nothing_requested,
)
