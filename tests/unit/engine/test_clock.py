"""The time plans get, when the machine's clock is adjusted, set wrong for a moment, or put right."""

from __future__ import annotations

import pytest

from fairlead.engine.clock import LASTS, SteadyClock


class Machine:
    """What a process can ask for the time: a clock that people set, and one that only goes on."""

    def __init__(self) -> None:
        self.ran, self.ahead = 100.0, 1000.0
        self.steady = SteadyClock(lambda: self.ran + self.ahead, lambda: self.ran)

    def later(self, seconds: float) -> float:
        self.ran += seconds
        return self.steady()


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_it_is_the_wall_clocks_time(machine: Machine) -> None:
    assert machine.later(5) == 1105


def test_adjustments_are_followed_at_once(machine: Machine) -> None:
    for _ in range(10):
        machine.ahead += 2
        assert machine.later(1) == machine.ran + machine.ahead


@pytest.mark.parametrize("leap", [3600.0, -3600.0])
def test_trust_45_a_leap_that_does_not_last_is_never_seen(machine: Machine, leap: float) -> None:
    machine.ahead += leap
    assert [machine.later(10) for _ in range(3)] == [1110, 1120, 1130]
    machine.ahead -= leap
    assert machine.later(100) == 1230


def test_a_leap_that_lasts_is_the_truth(machine: Machine) -> None:
    machine.ahead += 3600
    assert machine.later(1) == 1101
    assert machine.later(LASTS - 1) == 1160
    assert machine.later(1) == 1161 + 3600


def test_one_leap_after_another_begins_anew(machine: Machine) -> None:
    machine.ahead += 3600
    machine.later(1)
    machine.later(LASTS - 1)
    machine.ahead += 3600
    assert machine.later(1) == 1161
    assert machine.later(LASTS) == 1161 + LASTS + 7200
