"""hack/bench: Fairlead beside upstream's Deployment and beside bare pods, on a real API server, in one run.

Each contender gets a fresh lab (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, 50 KWOK nodes) and runs
the same pods through three cases: create, roll to a new image, scale to 0. Contenders take turns, in another order each
round; figures are medians. Compare within one run only: walls depend on the machine and on who else uses it.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import uvloop
from rich.console import Console

from bench import contenders, labs, machine, page, process, replay, reporting
from bench.contenders import Contender
from bench.measuring import Course
from bench.reporting import OURS, STOCK, UNSPREAD, Turn
from bench.requests import Counter
from bench.watching import Referee
from fairlead.kube.config import Access, StaticLogin
from fairlead.kube.http import HttpClient
from substrate import paths, tools
from substrate.lab import State
from substrate.progress import Failure, Progress, seconds

BUILD = paths.REPOSITORY / "build"
FIGURES = BUILD / "bench.json"
RUN = BUILD / "bench-run.json"
PAGE = paths.REPOSITORY / "docs" / "benchmarks.md"

Lines = tuple[bytes, ...]

_ROUNDS = 3
_ONCE = (STOCK, UNSPREAD)  # a throttle is the same every time, and minutes long
_CASE_LIMIT = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    pods: int
    rounds: int
    only: tuple[str, ...]
    cores: int
    profiler: tuple[str, ...]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="hack/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="a smoke test: 200 pods, one round, no page written")
    made.add_argument("--pods", type=int, help="pods of the one App or Deployment (default: 1000)")
    made.add_argument(
        "--rounds", type=int, help=f"turns of each contender (default: {_ROUNDS}; the stock Deployment always has one)"
    )
    made.add_argument(
        "--only",
        nargs="+",
        choices=reporting.CONTENDERS,
        metavar="NAME",
        help=f"some contenders only: {', '.join(reporting.CONTENDERS)}",
    )
    made.add_argument("--cores", type=int, default=2, help="cores everything shares (default: %(default)s)")
    made.add_argument(
        "--profiler",
        default="",
        metavar="'COMMAND'",
        help="run beside the operator, its pid as the last argument, such as: py-spy record -o operator.svg --pid",
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
            page.write(PAGE, FIGURES, RUN)
            return 0
        return _bench(_wish(arguments), publish=not (arguments.quick or arguments.only))
    except Failure as failure:
        print(f"hack/bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _wish(arguments: argparse.Namespace) -> Wish:
    quick = arguments.quick
    return Wish(
        pods=arguments.pods or (200 if quick else 1000),
        rounds=arguments.rounds or (1 if quick else _ROUNDS),
        only=tuple(arguments.only or reporting.CONTENDERS),
        cores=machine.use_cores(arguments.cores),
        profiler=tuple(arguments.profiler.split()),
    )


def _bench(wish: Wish, publish: bool) -> int:
    began = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    tools.ensure((*labs.options("stock").runs(), "kubectl", "helm"), Progress())
    turns: list[Turn] = []
    for number in range(wish.rounds):
        for name in order(wish.only, number):
            turns.append(_turn(name, wish))
            _say(_line(turns[-1], number))
    rows = reporting.figures(turns)
    took = time.monotonic() - began
    FIGURES.write_text(json.dumps(rows, indent=2) + "\n")
    RUN.write_text(json.dumps(_about(wish, turns, took), indent=2) + "\n")
    Console(width=None if sys.stdout.isatty() else 200).print(reporting.table(rows, wish.only))
    noise = reporting.noise(turns)
    _say(
        f"{wish.pods} pods, {wish.rounds} rounds, {seconds(took)}; others used up to {noise:.0%} of the machine{' (noisy)' if noise > reporting.NOISY else ''}"
    )
    if publish:
        page.write(PAGE, FIGURES, RUN)
    return 0


def order(names: Sequence[str], number: int) -> list[str]:
    """Who goes when: another first in each round, so that no one always has the warm or the busy machine.

    >>> order(("ours", "stock", "floor"), 0), order(("ours", "stock", "floor"), 1)
    (['ours', 'stock', 'floor'], ['floor', 'ours'])
    """
    present = [name for name in names if number == 0 or name not in _ONCE]
    start = -number % len(present)
    return [*present[start:], *present[:start]]


def _turn(name: str, wish: Wish) -> Turn:
    """One contender's three cases in a lab of its own."""
    with labs.fresh(name.replace("_", "-"), "stock" if name == STOCK else "unthrottled") as state:
        pids = {**labs.pids(state), "bench": os.getpid()}
        if name not in (OURS, UNSPREAD):
            return uvloop.run(_measured(name, wish, state, pids, controller="kcm"))[0]
        with process.running(state, BUILD / "bench-operator.log", wish.profiler) as pid:
            turn, lines = uvloop.run(_measured(name, wish, state, {**pids, "fairlead": pid}, controller="fairlead"))
    return replace(turn, event=replay.cost(lines))


async def _measured(name: str, wish: Wish, state: State, pids: dict[str, int], controller: str) -> tuple[Turn, Lines]:
    access = Access(server=state.url, authorization=f"Bearer {state.token}", ca_file=state.ca)
    client, requests = HttpClient(StaticLogin(access), access), Counter(state)
    try:
        async with Referee(client) as referee:
            course = Course(referee, pids, requests, controller, wish.cores, _CASE_LIMIT)
            samples = await course.run(_contender(name, client), wish.pods)
            return Turn(name, wish.pods, samples), tuple(referee.lines)
    finally:
        await client.close()


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


def _line(turn: Turn, number: int) -> str:
    walls = ", ".join(f"{sample.case.replace('_', '-')} {sample.seconds:.2f} s" for sample in turn.samples)
    foreign = max(sample.foreign for sample in turn.samples)
    return f"round {number + 1}: {reporting.HEADINGS[turn.contender]:<26} {walls}  (others {foreign:.0%})"


def _about(wish: Wish, turns: Sequence[Turn], took: float) -> dict[str, object]:
    return {
        "date": datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d"),
        "pods": wish.pods,
        "rounds": wish.rounds,
        "seconds": round(took),
        "noise": round(reporting.noise(turns), 3),
        "machine": machine.describe(wish.cores),
        "contenders": list(wish.only),
        "turns": [asdict(turn) for turn in turns],
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
