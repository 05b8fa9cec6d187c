"""Anything a person or a machine may do, in any order, in any weather: the App ends as it was asked to be, in peace.

Hypothesis makes the stories and shrinks what fails to the shortest one; how many: sim/extent.py. What failed once is kept
in `regressions`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from sim.extent import BRIEF, EXHAUSTIVE
from sim.regressions import RUNS, STORIES, Run
from sim.runner import clean, compare, run
from sim.scenarios import SCENARIOS
from sim.weather import named
from sim.wild import AnyWeather, FairWeather, Leaders, Life, replay

MANNER = settings(
    max_examples=2000 if EXHAUSTIVE else 3 if BRIEF else 10,
    stateful_step_count=20 if EXHAUSTIVE else 6,
    derandomize=not EXHAUSTIVE,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("life", [FairWeather, AnyWeather, Leaders], ids=lambda life: life.__name__)
def test_whatever_happens_it_ends_as_asked(life: type[Life]) -> None:
    run_state_machine_as_test(life, settings=MANNER)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_once_ended_badly_ends_well(name: str) -> None:
    replay(*STORIES[name])


@pytest.mark.parametrize("kept", RUNS, ids=str)
def test_a_run_that_once_ended_badly_ends_well(kept: Run) -> None:
    scenario = SCENARIOS[kept.scenario]
    outcome = run(scenario, named(kept.weather), kept.seed)
    wrong = compare(clean(scenario), outcome, replace(scenario, counted=False))
    assert not wrong, "\n".join([*wrong, outcome.story])
