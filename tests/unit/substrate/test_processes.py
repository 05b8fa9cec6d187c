"""Nothing is signalled but what was started here, and nobody is given a port that another has."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from substrate import ports
from substrate.processes import Process, identify, spawn


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = spawn(["sleep", "60"], tmp_path / "log", os.environ, tmp_path)
    yield process
    process.kill()


def test_a_killed_process_is_gone_when_kill_returns(sleeper: Process) -> None:
    assert sleeper.alive()
    sleeper.kill()
    assert not sleeper.alive()


def test_another_process_with_the_same_number_is_left_alone(sleeper: Process) -> None:
    recorded = replace(sleeper, started=sleeper.started - 1)

    recorded.kill()

    assert not recorded.alive()
    assert sleeper.alive()


def test_nothing_recorded_before_a_restart_of_the_machine_is_alive() -> None:
    assert not replace(identify(os.getpid()), boot="an earlier one").alive()


def test_a_frozen_process_is_alive_and_stopped(sleeper: Process) -> None:
    sleeper.send(signal.SIGSTOP)
    while not sleeper.stopped():  # the kernel takes its moment
        os.sched_yield()
    sleeper.send(signal.SIGCONT)
    assert sleeper.alive()


def test_ports_promised_to_another_lab_are_not_given_out() -> None:
    first = ports.free(5, taken=[])
    second = ports.free(5, taken=first)

    assert len(set(first + second)) == 10
