"""`fairlead autoscale simulate`: what an App would have done under a load, decided by the operator's own rules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import click
import msgspec

from fairlead.autoscale import simulation
from fairlead.autoscale.calculator import Unmeasured
from fairlead.autoscale.history import size_of
from fairlead.autoscale.model import Autoscale, ContainerResourceMetric, Metric
from fairlead.autoscale.requests import requests_of
from fairlead.autoscale.simulation import Course, Moment, World
from fairlead.cli.failures import Failed
from fairlead.cli.lint import read_texts
from fairlead.cli.linting import packaged
from fairlead.cli.linting.check import dotted
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.cli.linting.schema import check, with_defaults, without_nulls
from fairlead.cli.loads import Recorded, amounts, from_csv, from_words, titles
from fairlead.cli.options import Duration, Verb, VerbGroup, output
from fairlead.cli.screen import Screen
from fairlead.cli.simulated import Run, lines
from fairlead.core.conditions import parse_time, timestamp
from fairlead.core.meta import JSON
from fairlead.core.quantity import milli

MOST_DECISIONS = 500_000  # a minute or two


@click.group(cls=VerbGroup)
def autoscale() -> None:
    """Try autoscaling before pods depend on it."""


@autoscale.command("simulate", cls=Verb)
@click.option("-f", "--filename", "filename", required=True, metavar="FILE", help="The App; - for standard input.")
@click.option("--app", "name", metavar="NAME", help="This one of the file's Apps.")
@click.option(
    "--trace", "trace", metavar="FILE", help="A recorded load: CSV with a column time and one for each metric."
)
@click.option(
    "--load",
    "loads",
    multiple=True,
    metavar="TEXT",
    help='A load in words: "0 200, 10m 800, 20m 200". METRIC= before it where there are several.',
)
@click.option("--for", "length", type=Duration(), metavar="DURATION", help="How long; else as long as the load says.")
@click.option(
    "--replicas", type=click.IntRange(min=0), metavar="N", help="Pods at the beginning; else as many as a new App has."
)
@click.option(
    "--startup",
    type=Duration(),
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long a new pod takes to become ready.",
)
@click.option(
    "--pod-capacity",
    "capacity",
    multiple=True,
    metavar="METRIC=AMOUNT",
    help="How much one pod can carry at most; of cpu its limit where it has one.",
)
@click.option(
    "--period",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="Between two decisions. The operator's is 5.",
)
@click.option("--at", "began", metavar="TIME", help="When the load begins, for schedules: 2026-11-22T08:00:00Z.")
@output("text", "json", "yaml")
def simulate(filename: str, output: str | None, **said: Any) -> int:
    """Show how many pods an App would have had under a load, and why, without a cluster. The decisions are those of the operator;
    the load is shared evenly by the pods that are ready.

    The load is that of the whole App: cores, bytes or requests a second of all pods together; of object and external metrics the
    value itself. Each value holds until the next.

    \b
      fairlead autoscale simulate -f app.yaml --trace load.csv
      fairlead autoscale simulate -f app.yaml --load "0 2, 10m 8, 20m 2" --startup 1m
    """
    asked = _Asked(**said)
    app = _app(filename, asked.name)
    recorded = _recorded(asked, app.spec.metrics)
    try:
        world = _world(app, asked, recorded)
    except ValueError as error:
        raise Failed(f"{filename}: App {app.name}: resources: {error}") from None
    if recorded.trace.length / world.period > MOST_DECISIONS:
        raise Failed(
            f"that would be more than {MOST_DECISIONS:,} decisions; take a longer --period, or a shorter time by --for"
        )
    try:
        course = simulation.simulate(app.spec, recorded.trace, world)
    except Unmeasured as why:
        raise Failed(f"{filename}: {why}") from None
    clock = recorded.began is not None or asked.began is not None
    figures = simulation.summary(course, app.spec, recorded.trace)
    run = Run(app.name, app.spec, recorded.trace, world, course, figures, clock)
    screen = Screen()
    if output in ("json", "yaml"):
        screen.objects(_object(run), output)
    else:
        screen.lines(lines(run, screen.width))
    return 0


class _Asked(NamedTuple):
    """The flags as they were given."""

    name: str | None
    trace: str | None
    loads: tuple[str, ...]
    length: float | None
    replicas: int | None
    startup: float
    capacity: tuple[str, ...]
    period: int
    began: str | None


# ---------------------------------------------------------------- the App


class _App(NamedTuple):
    """What of an App matters here."""

    name: str
    spec: Autoscale
    replicas: int
    pod: JSON
    available: int


def _app(filename: str, name: str | None) -> _App:
    """The file's App with spec.autoscale, or the one that is named, as the API server would store it."""
    apps = {_name(body): body for body in _bodies(filename)}
    able = [one for one, body in apps.items() if isinstance(body.get("spec"), dict) and "autoscale" in body["spec"]]
    if not able:
        raise Failed(f"{filename}: there is no App with spec.autoscale; add one, such as autoscale: {{max: 10}}")
    if name not in (None, *able):
        raise Failed(f"{filename}: there is no App {name} with spec.autoscale; there is {', '.join(able)}")
    if name is None and len(able) > 1:
        raise Failed(f"{filename}: there are several Apps with spec.autoscale; say which by --app: {', '.join(able)}")
    chosen = name or able[0]
    return _read(filename, chosen, apps[chosen])


def _name(body: JSON) -> str:
    metadata = body.get("metadata")
    return str(metadata.get("name")) if isinstance(metadata, dict) else "without a name"


def _bodies(filename: str) -> list[JSON]:
    try:
        found: list[Any] = [one.value for _, text in read_texts([filename]) for one in documents(text)]
    except Unreadable as error:
        raise Failed(f"{filename}:{error.line}: {error.message}") from None
    return [body for body in found if isinstance(body, dict) and body.get("kind") == "App"]


def _read(filename: str, name: str, body: JSON) -> _App:
    schema = packaged.schema(body.get("apiVersion"), "App")
    if schema is None:
        raise Failed(
            f"{filename}: App {name}: {body.get('apiVersion')!r} is no apiVersion of an App; see: fairlead lint"
        )
    for finding in check(body, schema):
        where = dotted(finding.path)
        text = finding.message if finding.message.startswith(where) else f"{where}: {finding.message}"
        raise Failed(f"{filename}: App {name}: {text}")
    spec: JSON = with_defaults(without_nulls(body, schema), schema)["spec"]
    available = (spec.get("disruption") or {}).get("minAvailable")
    return _App(
        name,
        msgspec.convert(spec["autoscale"], Autoscale),
        int(spec.get("replicas", 1)),
        spec["template"]["spec"],
        available if isinstance(available, int) else 0,
    )


# ---------------------------------------------------------------- the world


def _recorded(asked: _Asked, metrics: Sequence[Metric]) -> Recorded:
    if bool(asked.trace) == bool(asked.loads):
        raise click.UsageError("give the load either by --trace or by --load", click.get_current_context())
    if asked.trace:
        ((name, text),) = read_texts([asked.trace])
        return from_csv(name, text, metrics, asked.length)
    return from_words(asked.loads, metrics, asked.length)


def _world(app: _App, asked: _Asked, recorded: Recorded) -> World:
    said = amounts(asked.capacity, app.spec.metrics, "--pod-capacity")
    return World(
        replicas=size_of(app.spec, app.replicas, {}) if asked.replicas is None else asked.replicas,
        asked=app.replicas,
        requests=requests_of(app.pod),
        startup=asked.startup,
        period=asked.period,
        capacity={title: math.floor(most) for title, most in {**_limits(app), **said}.items()},
        available=app.available,
        began=_began(app.spec, asked.began, recorded.began),
    )


def _began(spec: Autoscale, said: str | None, recorded: float | None) -> float:
    """The first moment by the clock: what the trace says, or a person. Where neither does, and no schedule asks, it is 0, so that
    times of day in decisions are those since the beginning."""
    if said is not None:
        at = parse_time(said)
        if at is None:
            raise Failed(f"--at: {said!r} is no time; write it as 2026-11-22T08:00:00Z")
        return float(math.floor(at))
    if recorded is None and spec.schedules:
        raise Failed(
            "spec.autoscale.schedules go by the clock; say when the load begins by --at 2026-11-22T08:00:00Z, or "
            "give the trace's times as dates"
        )
    return float(math.floor(recorded or 0.0))


def _limits(app: _App) -> Mapping[str, int]:
    """More cpu than its limit a pod, or one container of it, cannot use, whatever it is asked for."""
    found: dict[str, int] = {}
    for metric in app.spec.metrics:
        resource = metric.resource or metric.container_resource
        if resource is not None and resource.name == "cpu":
            container = resource.container if isinstance(resource, ContainerResourceMetric) else None
            most = _limit(app.pod["containers"], container)
            found |= {metric.title: most} if most else {}
    return found


def _limit(containers: Iterable[JSON], only: str | None) -> int:
    """In thousandths of a core, of a container or of all; 0 where one has none.

    >>> _limit([{"name": "web", "resources": {"limits": {"cpu": 1}}}, {"name": "proxy"}], "web")
    1000
    >>> _limit([{"name": "web", "resources": {"limits": {"cpu": 1}}}, {"name": "proxy"}], None)
    0
    """
    limits: list[Any] = [
        ((container.get("resources") or {}).get("limits") or {}).get("cpu")
        for container in containers
        if only in (None, container["name"])
    ]
    return 0 if None in limits else sum(map(milli, limits))


# ---------------------------------------------------------------- for programs


def _object(run: Run) -> JSON:
    """Loads in whole units (cores, bytes); times in seconds since the beginning."""
    said = run.summary
    return {
        "app": run.name,
        "began": timestamp(run.world.began) if run.clock else None,
        "seconds": run.trace.length,
        "assumptions": {
            "replicas": run.world.replicas,
            "startupSeconds": run.world.startup,
            "periodSeconds": run.world.period,
            "podCapacity": {title: most / 1000 for title, most in run.world.capacity.items()},
        },
        "summary": {
            "podHours": said.pod_seconds / 3600,
            "lowest": said.lowest,
            "highest": said.highest,
            "ups": said.ups,
            "downs": said.downs,
            "overTargetSeconds": said.over_target,
            "overCapacitySeconds": said.over_capacity,
            "withoutReadyPodsSeconds": said.unserved,
            "largestOverload": said.worst and {"times": said.worst.overload, "at": said.worst.at},
        },
        "decisions": [msgspec.to_builtins(change) for change in run.course.told],
        "course": list(_course(run.course, titles(run.spec.metrics))),
    }


def _course(course: Course, metrics: Sequence[str]) -> Iterable[JSON]:
    """The moments at which something was different."""
    before: JSON = {}
    for moment in course.moments:
        now = _point(moment, metrics)
        if now != before:
            yield {"at": moment.at, **now}
        before = now


def _point(moment: Moment, metrics: Sequence[str]) -> JSON:
    loads = {title: None if (load := moment.loads[title]) is None else load / 1000 for title in metrics}
    return {"replicas": moment.replicas, "ready": moment.ready, "recommended": moment.recommended, "load": loads}
