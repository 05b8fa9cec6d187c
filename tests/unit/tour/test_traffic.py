"""The demo's count of requests: what the client prints is read as it is meant."""

from __future__ import annotations

import time

import pytest

from tour import client
from tour.traffic import totals_of


def test_a_slow_or_a_lost_request_is_not_taken_for_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    tally.answer("fresh", "shop-a", client.Way(began=time.monotonic() - client.SLOW - 1))
    tally.loss("fresh", "connection refused", client.Way())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert [totals_of(line) for line in lines] == [None, None]


def test_the_line_of_each_second_and_the_last_one_are_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    tally.answer("fresh", "shop-a", client.Way())
    client.say(tally.lately())
    totals = totals_of(capsys.readouterr().out)
    assert totals is not None
    assert totals["answered"] == 1
