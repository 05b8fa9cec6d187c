"""Anything a person or a machine may do, in any order, in any weather: the App ends as it was asked to be, in peace.

Hypothesis makes the stories and shrinks what fails to the shortest one. FAIRLEAD_SIM=all plays many more, and others
each time; what failed once is kept in `regressions`.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.regressions import RUNS, STORIES, Run
from sim.runner import clean, compare, run
from sim.scenarios import SCENARIOS
from sim.weather import WEATHER, named
from sim.wild import Act, acts, story

EXHAUSTIVE = os.environ.get("FAIRLEAD_SIM") == "all"
WEATHERS = ["fine", *WEATHER, *(f"seed {number}" for number in range(20))]


def play(script: list[Act], weather: str, seed: int) -> None:
    outcome = run(story(script), None if weather == "fine" else named(weather), seed)
    assert not outcome.violations, "\n".join([*outcome.violations, outcome.story])


@pytest.mark.parametrize("kind", ["fine", "rough"])
def test_whatever_happens_it_ends_as_asked(kind: str) -> None:
    weathers = st.just("fine") if kind == "fine" else st.sampled_from(WEATHERS)

    @settings(
        max_examples=3000 if EXHAUSTIVE else 15,
        derandomize=not EXHAUSTIVE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.lists(acts, min_size=1, max_size=20 if EXHAUSTIVE else 8), weathers, st.integers(0, 99))
    def whatever(script: list[Act], weather: str, seed: int) -> None:
        play(script, weather, seed)

    whatever()


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_once_ended_badly_ends_well(name: str) -> None:
    play(*STORIES[name])


@pytest.mark.parametrize("kept", RUNS, ids=str)
def test_a_run_that_once_ended_badly_ends_well(kept: Run) -> None:
    scenario = SCENARIOS[kept.scenario]
    outcome = run(scenario, named(kept.weather), kept.seed)
    wrong = compare(clean(scenario), outcome, replace(scenario, counted=False))
    assert not wrong, "\n".join([*wrong, outcome.story])
