"""What is remembered is bounded, and is enough."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.autoscale.behavior import stabilized, stabilized_down
from fairlead.autoscale.history import (
    KEPT,
    Recommendation,
    ScaleEvent,
    State,
    as_json,
    longest_period,
    news,
    not_ahead,
    recorded,
    remembered,
    resumed,
    state_of,
)
from fairlead.autoscale.model import Autoscale, Behavior, Policy, Rules

SIZES = st.integers(0, 12)
HISTORIES = st.lists(st.tuples(st.integers(1, 40), SIZES), min_size=1, max_size=60)
WINDOWS = st.integers(0, 300)


def times(history: list[tuple[int, int]]) -> list[Recommendation]:
    """From steps of so many seconds."""
    at, made = 1000.0, []
    for step, replicas in history:
        at += step
        made.append(Recommendation(at, replicas))
    return made


@given(HISTORIES, WINDOWS, WINDOWS, SIZES, SIZES, st.integers(0, 400))
def test_what_is_kept_decides_as_everything_would(
    history: list[tuple[int, int]], up: int, down: int, current: int, desired: int, later: int
) -> None:
    """At any time to come, wherever the size is then and whatever is wanted."""
    everything = times(history)
    kept: tuple[Recommendation, ...] = ()
    for one in everything:
        kept = remembered(kept, one, up, down)
    behavior = Behavior(Rules(up), Rules(down))
    now = everything[-1].at + later
    assert stabilized(current, desired, kept, behavior, now) == stabilized(current, desired, everything, behavior, now)
    if down == 300:
        assert stabilized_down(desired, kept, now) == stabilized_down(desired, everything, now)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300), st.integers(0, 3600), st.integers(0, 3600))
def test_however_the_load_goes_little_is_kept(sizes: list[int], up: int, down: int) -> None:
    kept: tuple[Recommendation, ...] = ()
    for number, size in enumerate(sizes):
        kept = remembered(kept, Recommendation(1000.0 + 5 * number, size), up, down)
    assert len(kept) <= 2 * KEPT


def test_what_is_thinned_out_holds_back_longer_and_never_shorter() -> None:
    """An hour of falling load at 5 s is 720 recommendations, each lower than the one before."""
    everything = [Recommendation(1000.0 + 5 * number, 720 - number) for number in range(720)]
    kept: tuple[Recommendation, ...] = ()
    for one in everything:
        kept = remembered(kept, one, 0, 3600)
    behavior = Behavior(scale_down=Rules(3600))
    for later in range(0, 3600, 97):
        now = everything[-1].at + later
        thinned, whole = (stabilized(9999, 1, past, behavior, now) for past in (kept, everything))
        assert (thinned.replicas if thinned else 1) >= (whole.replicas if whole else 1)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(-9, 9).filter(bool)), max_size=200), st.integers(15, 1800))
def test_scale_events_are_bounded_and_lose_no_change_of_their_period(
    changes: list[tuple[int, int]], longest: int
) -> None:
    at, kept, everything = 1000.0, tuple[ScaleEvent, ...](), []
    for step, change in changes:
        at += step
        everything.append(ScaleEvent(at, change))
        kept = recorded(kept, everything[-1], longest)
    assert len(kept) <= KEPT

    def recent(events: Iterable[ScaleEvent]) -> list[tuple[float, int]]:
        return sorted((one.at, one.change) for one in events if one.at > at - longest)

    if len(everything) <= KEPT:
        assert recent(kept) == recent(everything)


def test_an_event_takes_the_place_of_one_that_its_own_policies_count_no_more() -> None:
    """Upstream's: a policy of scaleDown over 180 s forgets an addition with the next one after scaleUp's own 15 s."""
    first, second = ScaleEvent(1015, 3), ScaleEvent(1060, 5)
    assert recorded((first,), second, 15) == (second,)
    assert recorded((first,), second, 45) == (first, second)
    assert recorded((first,), ScaleEvent(1060, -5), 15) == (first, ScaleEvent(1060, -5))


def test_events_that_are_thinned_out_keep_their_direction() -> None:
    events: tuple[ScaleEvent, ...] = ()
    for number in range(3 * KEPT):
        events = recorded(events, ScaleEvent(1000.0 + 5 * number, 1 if number < 2 * KEPT else -1), 1800)
    assert sum(one.change for one in events if one.change > 0) == 2 * KEPT
    assert sum(one.change for one in events if one.change < 0) == -KEPT


@pytest.mark.parametrize(
    ("spec", "up", "down"),
    [
        (Autoscale(max=3), 15, 15),
        (Autoscale(max=3, behavior=Behavior()), 15, 15),
        (Autoscale(max=3, behavior=Behavior(scale_down=Rules(policies=(Policy("Pods", 1, 600),)))), 15, 600),
        (Autoscale(max=3, behavior=Behavior(Rules(policies=(Policy("Pods", 1, 5), Policy("Pods", 9, 60))))), 60, 15),
    ],
)
def test_each_direction_counts_for_the_longest_period_of_its_policies(spec: Autoscale, up: int, down: int) -> None:
    assert (longest_period(spec, "Up"), longest_period(spec, "Down")) == (up, down)


# ---------------------------------------------------------------- another leader

SECONDS = st.integers(0, 10**9).map(float)
STATES = st.builds(
    State,
    replicas=st.none() | SIZES,
    asked=st.none() | SIZES,
    to_zero=st.booleans(),
    recommendations=st.lists(st.builds(Recommendation, SECONDS, SIZES), max_size=4).map(tuple),
    events=st.lists(st.builds(ScaleEvent, SECONDS, st.integers(-9, 9)), max_size=4).map(tuple),
    failing=st.dictionaries(st.text('aé"{}=/ ', min_size=1, max_size=8), SECONDS, max_size=3),
)


@given(STATES)
def test_the_status_gives_back_what_was_written(state: State) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(as_json(state)))
    assert state_of({"autoscale": stored, "other": 1}) == state


@pytest.mark.parametrize("damaged", [None, {}, {"replicas": "many"}, {"recommendations": [{"replicas": 3}]}, []])
def test_a_status_that_is_missing_or_damaged_is_a_beginning(damaged: object) -> None:
    assert state_of({"autoscale": damaged}) == State()


def test_a_status_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert state_of({"autoscale": {"replicas": 4, "mood": "fine"}}) == State(4)


def test_the_largest_state_is_small() -> None:
    """A status is written with every size: it stays under 10 KiB."""
    recommendations = tuple(Recommendation(1e9 + number, 99_999 - number) for number in range(2 * KEPT))
    events = tuple(ScaleEvent(1e9 + number, -99_999) for number in range(KEPT))
    failing = {f"a_long_name_of_a_metric_{number}": 1e9 for number in range(10)}
    assert len(msgspec.json.encode(as_json(State(99_999, 99_999, False, recommendations, events, failing)))) < 10_240


def test_silence_means_that_all_was_as_before() -> None:
    """The last word was that four are right. Who begins at 500 takes it for four until 500; what was before keeps its age."""
    found = resumed(State(6, recommendations=(Recommendation(0, 8), Recommendation(100, 4))), 500)
    assert found.recommendations == (Recommendation(0, 8), Recommendation(500, 4))
    assert resumed(State(), 500) == State()


@given(HISTORIES, st.integers(15, 300))
def test_an_operator_that_begins_from_what_was_written_goes_down_no_sooner(
    history: list[tuple[int, int]], down: int
) -> None:
    """Only news are written. Whenever the operator ends, the next one holds at least as many for at least as long."""
    kept: tuple[Recommendation, ...] = ()
    written = State()
    behavior = Behavior(scale_down=Rules(down))
    for one in times(history):
        kept = remembered(kept, one, 0, down)
        written = State(5, recommendations=kept) if news(written, State(5, recommendations=kept)) else written
    begun = resumed(written, kept[-1].at).recommendations
    for later in range(0, 320, 20):
        now = kept[-1].at + later
        next_one, last_one = (stabilized(99, 0, past, behavior, now) for past in (begun, kept))
        assert (next_one.replicas if next_one else 0) >= (last_one.replicas if last_one else 0)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (State(6, recommendations=(Recommendation(60, 6),)), False),
        (State(7, recommendations=(Recommendation(60, 6),)), True),
        (State(6, asked=3, recommendations=(Recommendation(60, 6),)), True),
        (State(6, to_zero=True, recommendations=(Recommendation(60, 6),)), True),
        (State(6, recommendations=(Recommendation(60, 5),)), True),
        (State(6, recommendations=(Recommendation(60, 6), Recommendation(75, 5))), True),
        (State(6, recommendations=(Recommendation(60, 6),), events=(ScaleEvent(60, 1),)), True),
        (State(6, recommendations=(Recommendation(60, 6),), failing={"cpu": 60}), True),
    ],
)
def test_what_is_news(changed: State, expected: bool) -> None:
    assert news(State(6, recommendations=(Recommendation(0, 6),)), changed) is expected


def test_two_recommendations_of_one_second_keep_their_order() -> None:
    """The size that an operator begins with, and what the metrics come to at once."""
    first = (Recommendation(60, 6),)
    assert remembered(first, Recommendation(60, 2), 0, 300) == (Recommendation(60, 6), Recommendation(60, 2))


def test_what_is_as_old_as_the_window_is_kept() -> None:
    """Without a behavior it still counts."""
    assert remembered((Recommendation(0, 9),), Recommendation(300, 2), 0, 300)[0] == Recommendation(0, 9)
    assert remembered((Recommendation(0, 9),), Recommendation(301, 2), 0, 300) == (Recommendation(301, 2),)


def test_what_a_clock_that_was_ahead_has_written_is_taken_for_now() -> None:
    ahead = State(3, None, False, (Recommendation(9000, 7),), (ScaleEvent(9000, 4),), {"cpu": 9000})
    assert not_ahead(ahead, 100) == State(
        3, None, False, (Recommendation(100, 7),), (ScaleEvent(100, 4),), {"cpu": 100}
    )
