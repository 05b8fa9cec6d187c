"""`make soak SECONDS=600`: stories, faults, weather and time, all by chance, for so long.

Each round prints its seed. `FAIRLEAD_SOAK_SEED=…` plays that round alone, and makes a story that ends badly as short as
it can; what is found goes to `regressions`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sim.releases import RELEASES
from sim.runner import TROUBLES, clean, compare, run
from sim.scenarios import SCENARIOS
from sim.weather import WEATHER, named
from sim.wild import AnyWeather

SECONDS = float(os.environ.get("FAIRLEAD_SOAK", "60"))
SEED = os.environ.get("FAIRLEAD_SOAK_SEED")
FAULTED = [scenario for scenario in (SCENARIOS | RELEASES).values() if scenario.faulted]
WEATHERS = ["fine", *WEATHER, *(f"seed {number}" for number in range(1000))]
STORIES_PER_ROUND = 10


def one_fault(seed: int) -> str:
    """A scenario with one fault at one write. Returns what was played; raises what went wrong."""
    chance = random.Random(seed)
    scenario, (trouble, at) = chance.choice(FAULTED), chance.choice(list(TROUBLES.items()))
    calm = run(scenario, seed=seed)
    number = chance.randint(1, len(calm.writes))
    outcome = run(scenario, at(number), seed)
    wrong = compare(calm, outcome, scenario)
    played = f"{scenario}, with {trouble}: {outcome.hit}"
    assert not wrong, "\n".join([played, *wrong, outcome.story])
    return played


def some_weather(seed: int) -> str:
    """A scenario in some weather."""
    chance = random.Random(seed)
    scenario, weather = chance.choice(FAULTED), chance.choice(WEATHERS[1:])
    outcome = run(scenario, named(weather), seed)
    wrong = compare(clean(scenario), outcome, replace(scenario, counted=False))
    played = f"{scenario}, in {weather}"
    assert not wrong, "\n".join([played, *wrong, outcome.story])
    return played


def wild_stories(seed: int) -> str:
    """Stories that hypothesis makes up, in any weather. The seed's stories are found again and shrunk by playing the seed
    alone."""
    manner = settings(
        max_examples=STORIES_PER_ROUND,
        stateful_step_count=20,
        phases=(Phase.generate, Phase.shrink) if SEED else (Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(hypothesis.seed(seed)(AnyWeather), settings=manner)
    return f"{STORIES_PER_ROUND} wild stories"


ROUNDS: list[Callable[[int], str]] = [one_fault, some_weather, wild_stories]


def play(seed: int) -> str:
    return ROUNDS[seed % len(ROUNDS)](seed)


@pytest.mark.skipif(SEED is None, reason="no round is asked for: FAIRLEAD_SOAK_SEED")
def test_one_round_goes_well() -> None:
    print(play(int(SEED or 0)))


@pytest.mark.skipif(SEED is not None, reason="one round is asked for")
def test_every_round_goes_well() -> None:
    until, played, failed = time.monotonic() + SECONDS, Counter[str](), list[int]()
    while time.monotonic() < until:
        seed = random.SystemRandom().randrange(10**9)
        name = ROUNDS[seed % len(ROUNDS)].__name__.replace("_", " ")
        played[name] += 1
        try:
            print(f"{seed:>9}  {play(seed)}", flush=True)
        except Exception as error:
            failed.append(seed)
            print(f"{seed:>9}  {name}: FAILED\n{error}", flush=True)
    print(", ".join(f"{count} x {name}" for name, count in played.items()))
    assert not failed, f"play one again with FAIRLEAD_SOAK_SEED=…: {failed}"
