"""How fast the size follows: upstream's rules, one by one."""

from __future__ import annotations

import pytest

from fairlead.autoscale.behavior import allowance, normalize, stabilized, stabilized_down
from fairlead.autoscale.history import Recommendation, ScaleEvent, State
from fairlead.autoscale.model import DOWN, UP, Behavior, Bounds, Direction, Policy, Rules, Select

NOW = 1000.0


def told(*pairs: tuple[float, int]) -> list[Recommendation]:
    """Recommendations so many seconds ago."""
    return [Recommendation(NOW - ago, replicas) for ago, replicas in pairs]


def windows(up: int, down: int) -> Behavior:
    return Behavior(Rules(stabilization_window_seconds=up), Rules(stabilization_window_seconds=down))


def rate(*policies: Policy, select: Select = "Max") -> Rules:
    return Rules(0, select, policies)


# ---------------------------------------------------------------- defaults


def test_what_is_not_said_is_upstreams() -> None:
    some = Behavior(scale_up=Rules(policies=(Policy("Pods", 1, 60),)), scale_down=Rules(tolerance="50m"))
    assert (some.up.stabilization_window_seconds, some.up.select_policy, some.up.tolerance) == (0, "Max", "0.1")
    assert (some.down.stabilization_window_seconds, some.down.policies) == (300, (Policy("Percent", 100, 15),))
    assert (Behavior().up, Behavior().down) == (UP, DOWN)


def test_a_window_of_nothing_is_said_and_no_default() -> None:
    assert windows(0, 0).down.stabilization_window_seconds == 0


# ---------------------------------------------------------------- stabilization


@pytest.mark.parametrize(
    ("current", "desired", "history", "expected"),
    [
        pytest.param(6, 2, told((60, 6)), 6, id="down no lower than the highest of its window"),
        pytest.param(6, 2, told((60, 4), (30, 3)), 4, id="down to the highest of its window"),
        pytest.param(6, 2, told((60, 9)), 6, id="the way down never leads up"),
        pytest.param(6, 2, told((300, 6)), 2, id="what is as old as the window is not in it"),
        pytest.param(6, 2, told((299, 6)), 6, id="what is a second younger is"),
        pytest.param(6, 2, [], 2, id="without a past there is nothing to wait for"),
        pytest.param(6, 9, told((60, 2)), 9, id="up at once where its window is nothing"),
        pytest.param(6, 6, told((60, 2), (30, 9)), 6, id="what is there already may stay"),
    ],
)
def test_the_way_down_waits_for_its_window(
    current: int, desired: int, history: list[Recommendation], expected: int
) -> None:
    held = stabilized(current, desired, history, windows(0, 300), NOW)
    assert (held.replicas if held else desired) == expected


@pytest.mark.parametrize(
    ("current", "desired", "history", "expected"),
    [
        pytest.param(3, 9, told((30, 3)), 3, id="up no higher than the lowest of its window"),
        pytest.param(3, 9, told((30, 5), (15, 7)), 5, id="up to the lowest of its window"),
        pytest.param(3, 9, told((30, 1)), 3, id="the way up never leads down"),
        pytest.param(3, 9, told((60, 3)), 9, id="what is as old as the window is not in it"),
        pytest.param(3, 2, told((59, 1)), 2, id="down at once where its window is nothing"),
    ],
)
def test_the_way_up_waits_for_its_window(
    current: int, desired: int, history: list[Recommendation], expected: int
) -> None:
    held = stabilized(current, desired, history, windows(60, 0), NOW)
    assert (held.replicas if held else desired) == expected


@pytest.mark.parametrize(
    ("desired", "history", "expected"),
    [
        pytest.param(2, told((300, 6)), 6, id="down no lower than the highest of 300 s, and what is as old is in it"),
        pytest.param(2, told((301, 6)), 2, id="what is a second older is not"),
        pytest.param(9, told((30, 3)), 9, id="up at once"),
        pytest.param(2, told((30, 20)), 20, id="a higher one that was limited goes on being wanted"),
    ],
)
def test_without_a_behavior_the_way_down_waits_300_seconds(
    desired: int, history: list[Recommendation], expected: int
) -> None:
    held = stabilized_down(desired, history, NOW)
    assert (held.replicas if held else desired) == expected


def test_without_a_behavior_what_has_just_been_added_is_not_taken_away_again() -> None:
    """Twice the two of a moment ago is four; the five there are stay, and min holds."""
    state = State(5, events=(ScaleEvent(NOW - 5, 3),))
    assert normalize(5, 6, Bounds(5, 10, "min 5", "max 10"), None, state, NOW).replicas == 5


def test_a_wait_says_what_for_and_until_when() -> None:
    held = stabilized(6, 2, told((100, 5), (60, 6), (30, 6)), windows(0, 300), 36_000 + NOW - NOW % 1000)
    assert held is None  # all of that was long ago
    held = stabilized(6, 2, told((100, 5), (60, 6), (30, 6)), windows(0, 300), NOW)
    assert held is not None
    assert (held.reason, held.until) == ("ScaleDownStabilized", NOW - 30 + 300)
    assert held.text == "6 were recommended at 00:16:10Z, within the scaleDown window of 300 s"


# ---------------------------------------------------------------- policies


@pytest.mark.parametrize(
    ("direction", "rules", "events", "expected"),
    [
        pytest.param("Up", rate(Policy("Pods", 3, 60)), [], 13, id="up by so many pods"),
        pytest.param("Up", rate(Policy("Percent", 15, 60)), [], 12, id="up by per cent, rounded up"),
        pytest.param("Up", rate(Policy("Percent", 1, 60)), [], 11, id="up by per cent of a pod is a pod"),
        pytest.param(
            "Up", rate(Policy("Pods", 3, 60), Policy("Percent", 50, 60)), [], 15, id="up by the most of several"
        ),
        pytest.param(
            "Up", rate(Policy("Pods", 3, 60), Policy("Percent", 50, 60), select="Min"), [], 13, id="or the least"
        ),
        pytest.param("Up", rate(Policy("Pods", 3, 60), select="Disabled"), [], 10, id="or not at all"),
        pytest.param("Up", rate(Policy("Pods", 3, 60)), [(59, 2)], 11, id="what was added in the period counts"),
        pytest.param("Up", rate(Policy("Pods", 3, 60)), [(60, 2)], 13, id="what was added before it does not"),
        pytest.param("Up", rate(Policy("Pods", 3, 60)), [(30, -4)], 17, id="what was taken away in it gives room"),
        pytest.param(
            "Up", rate(Policy("Percent", 100, 60)), [(30, 5)], 10, id="per cent are of the period's beginning"
        ),
        pytest.param(
            "Up", rate(Policy("Pods", 3, 60)), [(30, 8)], 5, id="a policy that is made stricter leads nowhere yet"
        ),
        pytest.param("Down", rate(Policy("Pods", 3, 60)), [], 7, id="down by so many pods"),
        pytest.param("Down", rate(Policy("Percent", 15, 60)), [], 8, id="down by per cent, cut off"),
        pytest.param("Down", rate(Policy("Percent", 100, 60)), [], 0, id="down by all"),
        pytest.param(
            "Down", rate(Policy("Pods", 3, 60), Policy("Percent", 50, 60)), [], 5, id="down by the most of several"
        ),
        pytest.param(
            "Down", rate(Policy("Pods", 3, 60), Policy("Percent", 50, 60), select="Min"), [], 7, id="or the least "
        ),
        pytest.param("Down", rate(Policy("Pods", 3, 60), select="Disabled"), [], 10, id="or not at all "),
        pytest.param("Down", rate(Policy("Pods", 3, 60)), [(30, -2)], 9, id="what was taken away in the period counts"),
        pytest.param("Down", rate(Policy("Pods", 3, 60)), [(30, 2)], 5, id="what was added in it gives room"),
    ],
)
def test_a_policy_counts_from_the_beginning_of_its_period(
    direction: Direction, rules: Rules, events: list[tuple[float, int]], expected: int
) -> None:
    past = [ScaleEvent(NOW - ago, change) for ago, change in events]
    assert allowance(10, past, rules, direction, NOW).replicas == expected


def test_a_policy_says_when_it_gives_way() -> None:
    rules = rate(Policy("Pods", 2, 60))
    once = [ScaleEvent(NOW - 40, 1), ScaleEvent(NOW - 20, 1), ScaleEvent(NOW - 50, -1)]
    assert allowance(10, once, rules, "Up", NOW).until == NOW - 40 + 60
    assert allowance(10, once, rules, "Down", NOW).until == NOW - 50 + 60
    assert allowance(10, [], rules, "Up", NOW).until == NOW + 60


# ---------------------------------------------------------------- all of it


@pytest.mark.parametrize(
    ("current", "desired", "behavior", "expected", "reason"),
    [
        pytest.param(3, 5, None, 5, "", id="within everything"),
        pytest.param(3, 40, None, 6, "ScaleUpLimit", id="twice as many"),
        pytest.param(1, 40, None, 4, "ScaleUpLimit", id="or four"),
        pytest.param(18, 40, None, 30, "TooManyReplicas", id="no more than max"),
        pytest.param(9, 1, None, 2, "TooFewReplicas", id="no fewer than min"),
        pytest.param(3, 40, Behavior(), 7, "ScaleUpLimit", id="four more, or twice as many"),
        pytest.param(10, 40, Behavior(), 20, "ScaleUpLimit", id="twice as many, or four more"),
        pytest.param(18, 40, Behavior(), 30, "TooManyReplicas", id="no more than max, with a behavior"),
        pytest.param(9, 1, Behavior(), 2, "TooFewReplicas", id="no fewer than min, with a behavior"),
        pytest.param(9, 3, Behavior(scale_down=rate(Policy("Pods", 1, 60))), 8, "ScaleDownLimit", id="slowly down"),
        pytest.param(9, 3, Behavior(scale_down=rate(select="Disabled")), 9, "ScaleDownLimit", id="never down"),
        pytest.param(9, 20, Behavior(scale_up=rate(select="Disabled")), 9, "ScaleUpLimit", id="never up"),
        pytest.param(9, 9, Behavior(), 9, "", id="nothing to do"),
    ],
)
def test_rates_min_and_max_follow_one_another(
    current: int, desired: int, behavior: Behavior | None, expected: int, reason: str
) -> None:
    found = normalize(current, desired, Bounds(2, 30), behavior, State(current), NOW)
    assert (found.replicas, found.limited.reason if found.limited else "") == (expected, reason)


def test_a_policy_that_has_become_stricter_takes_nothing_back() -> None:
    """Eight were added within the period of a policy of three: those stay, and no more come."""
    behavior = Behavior(scale_up=rate(Policy("Pods", 3, 60)), scale_down=rate(Policy("Pods", 3, 60)))
    grown = State(10, events=(ScaleEvent(NOW - 30, 8),))
    assert normalize(10, 12, Bounds(1, 30), behavior, grown, NOW).replicas == 10
    shrunk = State(10, events=(ScaleEvent(NOW - 30, -8),))
    assert normalize(10, 8, Bounds(1, 30), behavior, shrunk, NOW).replicas == 10


def test_stabilization_comes_before_the_rates() -> None:
    """20 are wanted, 8 were a moment ago, and two in a minute are let through."""
    behavior = Behavior(Rules(60, policies=(Policy("Pods", 2, 60),)))
    found = normalize(3, 20, Bounds(1, 30), behavior, State(3, recommendations=tuple(told((10, 8)))), NOW)
    assert found.stabilized is not None and found.limited is not None
    assert (found.stabilized.replicas, found.limited.replicas, found.replicas) == (8, 5, 5)


def test_the_older_rule_counts_from_15_seconds_ago() -> None:
    """Who looks every five seconds does not grow eightfold while upstream would have doubled."""
    state, size = State(4), 4
    for step in range(7):
        now = NOW + 5 * step
        found = normalize(size, 1000, Bounds(1, 1000), None, state, now).replicas
        state = State(found, events=(*state.events, ScaleEvent(now, found - size)) if found != size else state.events)
        size = found
    assert size == 4 * 2 * 2 * 2  # at 0, at 15 and at 30 seconds
