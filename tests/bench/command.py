"""hack/bench: Fairlead beside upstream's Deployment and beside bare pods, on a real API server, in one run.

cases    one App of 1000 pods, then 200 Apps of 5: create, roll to a new image, scale to 0
crowd    10,000 pods: memory, rest, the way back after a restart
latency  from a pod event to the write that answers it, at 1000 events a second
releases a canary 10/50/100 of 1000 pods beside a plain roll; from a promotion to the last label of the switch
secrets  4000 EncryptedSecrets: from the start of the process until all are open, the way back after a restart, one value's cost
autoscale  from a step of the load to the pods it takes, beside HorizontalPodAutoscalers; 2000 Apps decided in each period
zero     from a request to an App at zero to its answer, beside a client that makes the same pod at once

Each contender gets a fresh lab (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, 50 KWOK nodes). They take
turns, in another order each round; figures are medians. Compare within one run only: walls depend on the machine and on
who else uses it.
"""

import argparse
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from bench import (
    contenders,
    followers,
    kubelets,
    labs,
    latency,
    machine,
    metrics_server,
    page,
    process,
    replay,
    reporting,
    sealed,
    unsealed,
    writes,
    zero,
)
from bench.contenders import Contender
from bench.crowd import Crowd, Restart
from bench.measuring import Course
from bench.releases import Releases
from bench.reporting import FLOOR, OURS, SCHEDULED, STOCK, UNSPREAD, UNTHROTTLED, Turn
from bench.requests import Requests
from bench.watching import Referee
from bench.workload import Load
from fairlead.autoscale.model import KUBELETS
from fairlead.kube.config import Access, StaticLogin
from fairlead.kube.http import HttpClient
from substrate import lab, paths, tools
from substrate.lab import State
from substrate.progress import Failure, Progress, seconds

PAGE = paths.REPOSITORY / "docs" / "benchmarks.md"
PARTS = ("cases", "crowd", "latency", "releases", "secrets", "autoscale", "zero")
# Who takes part as well; in the cases everybody does.
_AGAINST = {"crowd": UNTHROTTLED, "releases": UNTHROTTLED, "autoscale": UNTHROTTLED, "zero": FLOOR}

Lines = tuple[bytes, ...]
Opening = Callable[[HttpClient, process.Operator, int], Awaitable[dict[str, float]]]
Measured = Callable[[Course, HttpClient, Contender], Awaitable[Turn]]

_ROUNDS = 2
_ONCE = (
    STOCK,
    UNSPREAD,
    FLOOR,
    SCHEDULED,
)  # a throttle is the same every time, and minutes long; the others only explain
_USUAL = tuple(name for name in reporting.CONTENDERS if name != UNSPREAD)
_EACH = 5  # pods of each of the many Apps
_CASE_LIMIT = 900.0  # seconds


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    parts: tuple[str, ...]
    pods: int
    crowd: int
    rate: int
    """Pod events a second that latency is measured at."""
    seconds: float
    """How long latency is measured."""
    idle: float
    """Seconds for which rest is looked at."""
    sealed: int
    """EncryptedSecrets."""
    autoscaled: followers.Size
    starts: int
    """Requests at zero."""
    rounds: int
    only: tuple[str, ...]
    cores: int
    profiler: tuple[str, ...]
    folder: Path


_AUTOSCALED = followers.Size(steps=12, spread=60.0, apps=2000, seconds=60.0, look=kubelets.LOOK, api=True)
_AUTOSCALED_QUICK = followers.Size(steps=2, spread=1.0, apps=20, seconds=5.0, look=1.0, api=False)
FULL = Wish(
    PARTS, 1000, 10_000, 1000, 10.0, 60.0, 4000, _AUTOSCALED, 40, _ROUNDS, _USUAL, 2, (), paths.REPOSITORY / "build"
)
QUICK = replace(
    FULL,
    pods=200,
    crowd=500,
    rate=200,
    seconds=1.0,
    idle=1.0,
    sealed=50,
    autoscaled=_AUTOSCALED_QUICK,
    starts=2,
    rounds=1,
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="hack/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="a smoke test: few pods, one round, no page written")
    made.add_argument("--parts", nargs="+", choices=PARTS, metavar="PART", help=f"some parts only: {', '.join(PARTS)}")
    made.add_argument("--pods", type=int, help=f"pods of the cases (default: {FULL.pods})")
    made.add_argument("--crowd", type=int, help=f"pods of the crowd (default: {FULL.crowd})")
    made.add_argument("--rate", type=int, help=f"pod events a second (default: {FULL.rate})")
    made.add_argument("--rounds", type=int, help=f"turns of each contender (default: {_ROUNDS}; some have one always)")
    made.add_argument(
        "--only",
        nargs="+",
        choices=reporting.CONTENDERS,
        metavar="NAME",
        help=f"some contenders only: {', '.join(reporting.CONTENDERS)} (default: all but {UNSPREAD})",
    )
    made.add_argument("--cores", type=int, default=2, help="cores everything shares (default: %(default)s)")
    made.add_argument(
        "--profiler",
        default="",
        metavar="'COMMAND'",
        help="run beside the operator, its pid as the last argument, such as: py-spy record -o operator.svg --pid",
    )
    made.add_argument(
        "--folder", type=Path, default=FULL.folder, help="where figures and logs go (default: build of this repository)"
    )
    made.add_argument(
        "--page",
        action="store_true",
        help="only write docs/benchmarks.md anew from the last run's figures",
    )
    return made


def main() -> int:
    arguments = parser().parse_args()
    try:
        if arguments.page:
            page.write(PAGE, arguments.folder)
            return 0
        return _bench(_wish(arguments), publish=_whole(arguments))
    except Failure as failure:
        print(f"hack/bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _wish(arguments: argparse.Namespace) -> Wish:
    start = QUICK if arguments.quick else FULL
    named = ("parts", "pods", "crowd", "rate", "rounds", "only")
    given = {name: value for name in named if (value := getattr(arguments, name)) is not None}
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return replace(
        start,
        **plain,
        cores=machine.use_cores(arguments.cores),
        profiler=tuple(arguments.profiler.split()),
        folder=arguments.folder,
    )


def _whole(arguments: argparse.Namespace) -> bool:
    """Only a whole run makes the page."""
    return not any(getattr(arguments, name) for name in ("quick", "parts", "pods", "crowd", "rate", "rounds", "only"))


def _bench(wish: Wish, publish: bool) -> int:
    began = time.monotonic()
    wish.folder.mkdir(parents=True, exist_ok=True)
    tools.ensure((*labs.options("stock").runs(), "kubectl", "helm", *_beside(wish)), Progress())
    turns = list(_turns(wish))
    rows = reporting.figures(turns)
    took = time.monotonic() - began
    page.save(wish.folder, rows, _about(wish, turns, took))
    Console(width=None if sys.stdout.isatty() else 200).print(reporting.table(rows, wish.only))
    noise = reporting.noise(turns)
    _say(
        f"{wish.pods} pods, {wish.rounds} rounds, {seconds(took)}; others used up to {noise:.0%} of the machine{' (noisy)' if noise > reporting.NOISY else ''}"
    )
    if publish:
        page.write(PAGE, wish.folder)
    return 0


def _turns(wish: Wish) -> Iterator[Turn]:
    if "cases" in wish.parts:
        for number in range(wish.rounds):
            for name in order(wish.only, number):
                yield _said(f"round {number + 1}", _cases(name, wish))
    for part, say, measure in (
        ("crowd", "the crowd", _crowd),
        ("latency", "latency", _latency),
        ("releases", "releases", _releases),
        ("secrets", "secrets", _sealed),
        ("secrets", "secrets", _unsealed),
        ("autoscale", "autoscaling", _autoscaled),
        ("zero", "from zero", _zero),
    ):
        for name in (OURS, _AGAINST.get(part)):
            if part in wish.parts and name in wish.only:
                yield _said(say, measure(name, wish))


def _said(what: str, turn: Turn) -> Turn:
    _say(f"{what}: {reporting.in_words(turn)}")
    return turn


def _beside(wish: Wish) -> tuple[str, ...]:
    """Programs that not every run needs."""
    follows = "autoscale" in wish.parts and (wish.autoscaled.api or UNTHROTTLED in wish.only)
    return (metrics_server.PROGRAM,) if follows else ()


def order(names: Sequence[str], number: int) -> list[str]:
    """Who goes when: another first in each round, so that no one always has the warm or the busy machine.

    >>> order(("ours", "stock", "unthrottled"), 0), order(("ours", "stock", "unthrottled"), 1)
    (['ours', 'stock', 'unthrottled'], ['unthrottled', 'ours'])
    """
    present = [name for name in names if number == 0 or name not in _ONCE]
    start = -number % len(present)
    return [*present[start:], *present[:start]]


def _cases(name: str, wish: Wish) -> Turn:
    """One contender's cases in a lab of its own."""
    loads = {"": Load("one", 1, wish.pods), "many_": Load("many", wish.pods // _EACH, _EACH)}

    async def measured(course: Course, client: HttpClient, contender: Contender) -> Turn:
        samples = await course.run(contender, loads)
        return Turn(name, wish.pods, samples, reporting.peak_memory(name, samples))

    with _lab(name) as state:
        if name not in (OURS, UNSPREAD):
            return uvloop.run(_on(state, name, wish, {}, measured))[0]
        with process.running(state, wish.folder / "bench-operator.log", wish.profiler) as pid:
            turn, lines = uvloop.run(_on(state, name, wish, {"fairlead": pid}, measured))
        if name != OURS:
            return turn
        costs = {"event_cpu": replay.cost(lines), "write_cpu": uvloop.run(_write_cost(state))}
        return replace(turn, singles={**turn.singles, **{one: cost * 1e6 for one, cost in costs.items()}})


def _crowd(name: str, wish: Wish) -> Turn:
    """One contender's ten thousand pods in a lab of its own."""
    with _lab(name) as state:
        if name != OURS:
            return uvloop.run(_on(state, name, wish, {}, _crowded(name, wish, _kcm(state))))[0]
        with process.installed(state, wish.folder / "bench-operator.log") as operator:
            pid = operator.start()
            operator.wait_ready()
            measured = _crowded(name, wish, Restart(operator.stop, operator.start))
            return uvloop.run(_on(state, name, wish, {"fairlead": pid}, measured))[0]


def _releases(name: str, wish: Wish) -> Turn:
    """One contender's releases in a lab of its own."""
    load, small = Load("one", 1, wish.pods), Load("small", 1, 10)

    async def measured(course: Course, client: HttpClient, contender: Contender) -> Turn:
        await course.warm_up(contender)
        releases = Releases(course, client)
        plain = name != OURS
        done = releases.plain(contender, load) if plain else releases.stepped(contender, load, small)
        rolled, figures = await done
        return Turn(name, wish.pods, (rolled,), figures)

    with _lab(name) as state:
        if name != OURS:
            return uvloop.run(_on(state, name, wish, {}, measured))[0]
        with process.running(state, wish.folder / "bench-operator.log", wish.profiler) as pid:
            return uvloop.run(_on(state, name, wish, {"fairlead": pid}, measured))[0]


def _latency(name: str, wish: Wish) -> Turn:
    return Turn(name, wish.pods, (), uvloop.run(latency.measure(wish.folder, wish.rate, wish.seconds)))


def _sealed(name: str, wish: Wish) -> Turn:
    """Thousands of EncryptedSecrets."""
    return _opened(name, wish, "bench-secrets.log", sealed.measure)


def _unsealed(name: str, wish: Wish) -> Turn:
    """As many SealedSecrets of sealed-secrets."""
    return _opened(name, wish, "bench-unsealed.log", unsealed.measure, unsealed.manifest())


def _opened(name: str, wish: Wish, log: str, measure: Opening, manifest: str = "") -> Turn:
    """Sealed objects in a lab of their own, where the manifest was applied first."""

    async def measured(operator: process.Operator) -> dict[str, float]:
        client = _connected(state)
        try:
            return await measure(client, operator, wish.sealed)
        finally:
            await client.close()

    with _lab(name) as state, process.installed(state, wish.folder / log, "secrets") as operator:
        if manifest:
            tools.kubectl("--kubeconfig", state.kubeconfig, "apply", "-f", "-", text=manifest)
        return Turn(name, wish.pods, (), uvloop.run(measured(operator)))


def _autoscaled(name: str, wish: Wish) -> Turn:
    """One contender's autoscaling in a lab of its own."""
    size, folder = wish.autoscaled, wish.folder

    def turn(figures: dict[str, float]) -> Turn:
        return Turn(name, wish.pods, (), figures)

    with _lab(name) as state:
        if name != OURS:

            async def theirs(course: Course, client: HttpClient, _: Contender) -> Turn:
                return turn(await followers.upstream(course, client, state, size, folder))

            return uvloop.run(_on(state, name, wish, {}, theirs))[0]
        with process.installed(state, folder / "bench-autoscale.log", values=followers.VALUES) as operator:

            async def ours(course: Course, client: HttpClient, _: Contender) -> Turn:
                return turn(await followers.ours(course, client, state, operator, size, folder))

            pid = followers.start(operator, KUBELETS)
            return uvloop.run(_on(state, name, wish, {"fairlead": pid}, ours))[0]


def _zero(name: str, wish: Wish) -> Turn:
    """One contender's cold starts in a lab of its own."""

    def turn(figures: dict[str, float]) -> Turn:
        return Turn(name, wish.pods, (), figures)

    with _lab(name) as state:
        if name != OURS:

            async def bare(course: Course, client: HttpClient, _: Contender) -> Turn:
                return turn(await zero.bare(course.referee, client, wish.starts))

            return uvloop.run(_on(state, name, wish, {}, bare))[0]
        with (
            process.installed(state, wish.folder / "bench-zero.log", values=zero.VALUES) as operator,
            process.prepared(state, wish.folder / "bench-activator.log", "activator") as activator,
        ):

            async def ours(course: Course, client: HttpClient, _: Contender) -> Turn:
                return turn(await zero.ours(course.referee, client, operator, activator, wish.starts))

            return uvloop.run(_on(state, name, wish, {}, ours))[0]


def _kcm(state: State) -> Restart:
    def start() -> int:
        process = lab.start(stopped[-1], "kube-controller-manager").components["kube-controller-manager"].process
        assert process
        return process.pid

    stopped: list[State] = []
    return Restart(lambda: stopped.append(lab.kill(state, "kube-controller-manager")), start)


def _crowded(name: str, wish: Wish, restart: Restart) -> Measured:
    async def measured(course: Course, client: HttpClient, contender: Contender) -> Turn:
        filled, figures = await Crowd(course, client, wish.idle).run(contender, wish.crowd, labs.NODES, restart)
        return Turn(name, wish.crowd, [filled], figures)

    return measured


def _lab(name: str) -> AbstractContextManager[State]:
    return labs.fresh(name.replace("_", "-"), "stock" if name == STOCK else "unthrottled")


async def _on(state: State, name: str, wish: Wish, own: dict[str, int], measured: Measured) -> tuple[Turn, Lines]:
    """A turn on a lab, and the last watch lines of its pods."""
    pids = {**labs.pids(state), "bench": os.getpid(), **own}
    client, requests = _connected(state), Requests(state)
    try:
        async with Referee(client) as referee:
            controller = reporting.controller(name) or "kcm"
            course = Course(referee, pids, requests, controller, wish.cores, _CASE_LIMIT)
            turn = await measured(course, client, _contender(name, client))
            return turn, tuple(referee.lines)
    finally:
        await client.close()


async def _write_cost(state: State) -> float:
    client = _connected(state)
    try:
        return await writes.cost(client)
    finally:
        await client.close()


def _connected(state: State) -> HttpClient:
    access = Access(server=state.url, authorization=f"Bearer {state.token}", ca_file=state.ca)
    return HttpClient(StaticLogin(access), access)


def _contender(name: str, client: HttpClient) -> Contender:
    match name:
        case "ours":
            return contenders.apps(client)
        case "ours_unspread":
            return contenders.apps(client, spread="None")
        case "floor":
            return contenders.Bare(client, labs.NODES)
        case "floor_scheduled":
            return contenders.Bare(client, nodes=0)
        case _:
            return contenders.deployments(client)


def _about(wish: Wish, turns: Sequence[Turn], took: float) -> dict[str, object]:
    return {
        "date": datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d"),
        "pods": wish.pods,
        "parents": wish.pods // _EACH,
        "each": _EACH,
        "crowd": wish.crowd,
        "rate": wish.rate,
        "sealed": wish.sealed,
        "steps": wish.autoscaled.steps,
        "apps": wish.autoscaled.apps,
        "starts": wish.starts,
        "idle": round(wish.idle),
        "rounds": wish.rounds,
        "seconds": round(took),
        "noise": round(reporting.noise(turns), 3),
        "machine": machine.describe(wish.cores),
        "contenders": list(wish.only),
        "turns": [asdict(turn) for turn in turns],
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
