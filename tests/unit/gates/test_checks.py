"""What each check asks, and what it makes of the answer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.core.podstate import Pod
from fairlead.gates.checks.window import WindowSpec, next_open
from fairlead.gates.counting import counted
from fairlead.gates.model import HttpAnswer, PodsAnswer, Rules, Run, Subject
from fairlead.gates.testing import make_checks
from fairlead.rollout.testing import make_pods

CHECKS = make_checks()
SUBJECT = Subject("shop", "web", "app-uid", "v2", 2)


def crashing(**fields: Any) -> tuple[Pod, ...]:
    return make_pods(1, ready=False, prefix="bad", problem="CrashLoopBackOff", **fields)


@pytest.mark.parametrize(
    ("spec", "pods", "outcome", "reason"),
    [
        ({}, make_pods(3), "Passed", "PodsWell"),
        ({}, (), "Error", "NoPods"),
        ({}, (*make_pods(3), *make_pods(1, ready=False, prefix="x")), "Passed", "PodsWell"),
        ({"minReadyPercent": 100}, (*make_pods(3), *make_pods(1, ready=False, prefix="x")), "Failed", "TooFewReady"),
        ({"minReadyPercent": 75}, (*make_pods(3), *make_pods(1, ready=False, prefix="x")), "Passed", "PodsWell"),
        ({"minReadyPercent": 0}, (*make_pods(3), *crashing()), "Failed", "CrashLoopBackOff"),
        ({"maxRestarts": 1}, make_pods(2, restarts=1), "Passed", "PodsWell"),
        ({"maxRestarts": 1}, make_pods(2, restarts=2), "Failed", "TooManyRestarts"),
    ],
)
def test_pods(spec: dict[str, Any], pods: tuple[Pod, ...], outcome: str, reason: str) -> None:
    found = CHECKS["pods"].judge(spec, PodsAnswer(pods))

    assert (found.outcome, found.reason) == (outcome, reason)


LAG = {"json": {"pointer": "/queue/lag", "success": {"max": 10}}}


@pytest.mark.parametrize(
    ("spec", "answer", "outcome", "words"),
    [
        ({}, HttpAnswer("a", 200), "Passed", "a answered 200 within 0 ms"),
        ({}, HttpAnswer("a", 302), "Failed", "a answered 302"),
        ({}, HttpAnswer("a", 503), "Failed", "a answered 503"),
        ({"status": [404]}, HttpAnswer("a", 404), "Passed", "a answered 404 within 0 ms"),
        ({}, HttpAnswer("a", error="no answer within 5 s"), "Error", "a: no answer within 5 s"),
        (
            {"maxLatencyMilliseconds": 100},
            HttpAnswer("a", 200, b"", 0.25),
            "Failed",
            "a took 250 ms, at most 100 ms are allowed",
        ),
        (LAG, HttpAnswer("a", 200, b'{"queue": {"lag": 3}}'), "Passed", "a: /queue/lag 3 is at most 10"),
        (LAG, HttpAnswer("a", 200, b'{"queue": {"lag": "3"}}'), "Passed", "a: /queue/lag 3 is at most 10"),
        (LAG, HttpAnswer("a", 200, b'{"queue": {"lag": 11}}'), "Failed", "a: /queue/lag 11 is above 10"),
        (
            LAG,
            HttpAnswer("a", 200, b'{"queue": {"lag": "high"}}'),
            "Error",
            "a: /queue/lag high is no number that could be compared",
        ),
        (
            LAG,
            HttpAnswer("a", 200, b'{"queue": {"lag": null}}'),
            "Error",
            "a: /queue/lag is no number, text or truth value",
        ),
        (LAG, HttpAnswer("a", 200, b'{"queue": []}'), "Error", "a: the answer has no /queue/lag"),
        (LAG, HttpAnswer("a", 200, b"<html>"), "Error", "a: the answer is no JSON"),
        (LAG, HttpAnswer("a", 200, b"[" * 100_000), "Error", "a: the answer is no JSON"),
        (LAG, HttpAnswer("a", 200, b"\xff\xfe"), "Error", "a: the answer is no JSON"),
        (
            {"json": {"pointer": "/ok", "success": {"equals": "true"}}},
            HttpAnswer("a", 200, b'{"ok": true}'),
            "Passed",
            'a: /ok true is "true"',
        ),
    ],
)
def test_http(spec: dict[str, Any], answer: HttpAnswer, outcome: str, words: str) -> None:
    found = CHECKS["http"].judge(spec, (answer,))

    assert (found.outcome, found.message) == (outcome, words)


def test_of_several_answers_the_worst_counts_and_a_failure_before_an_error() -> None:
    well, dead, bad = HttpAnswer("a", 200), HttpAnswer("b", error="no answer"), HttpAnswer("c", 500)

    assert CHECKS["http"].judge({}, (well, dead)).outcome == "Error"
    assert CHECKS["http"].judge({}, (well, dead, bad)).message == "c answered 500"
    assert CHECKS["http"].judge({}, ()).outcome == "Error"


def prometheus(*values: str, kind: str = "vector") -> HttpAnswer:
    series = ",".join(f'{{"metric": {{}}, "value": [1, "{value}"]}}' for value in values)
    return HttpAnswer(
        "prom", 200, f'{{"status": "success", "data": {{"resultType": "{kind}", "result": [{series}]}}}}'.encode()
    )


RATE = {"query": "q", "success": {"max": 0.01}, "failure": {"min": 0.05}}


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (prometheus("0.01"), "Passed", "0.01 is at most 0.01"),
        (prometheus("0.07"), "Failed", "0.07 is at least 0.05, which means failure"),
        (prometheus("0.03"), "Inconclusive", "0.03 meets neither success nor failure"),
        (prometheus("NaN"), "Error", "nan is no number that could be compared"),
        (prometheus("+Inf"), "Error", "inf is no number that could be compared"),
        (prometheus(), "Error", "prom: the query gives nothing; `or vector(0)` says what that means"),
        (
            prometheus("1", "2"),
            "Error",
            "prom: the query gives more than one series; aggregate them, for example with sum() or max()",
        ),
        (prometheus(kind="matrix"), "Error", "prom: the query gives a matrix, a single number is needed"),
        (HttpAnswer("prom", 400, b'{"status": "error", "error": "parse error"}'), "Error", "prom: parse error"),
        (HttpAnswer("prom", 502, b"Bad Gateway"), "Error", "prom: it did not answer as Prometheus does"),
        (HttpAnswer("prom", error="no answer within 10 s"), "Error", "prom: no answer within 10 s"),
        (
            HttpAnswer("prom", 200, b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "0"]}}'),
            "Passed",
            "0 is at most 0.01",
        ),
    ],
)
def test_prometheus(answer: HttpAnswer, outcome: str, words: str) -> None:
    found = CHECKS["prometheus"].judge(RATE, (answer,))

    assert (found.outcome, found.message) == (outcome, words)


def test_an_approval_waits_for_its_own_release_alone() -> None:
    check = CHECKS["approval"]
    approved = Subject("shop", "web", "app-uid", "v2", 2, approved=True)

    assert check.waits({}, SUBJECT, 0.0) is not None
    assert check.waits({}, approved, 0.0) is None
    assert check.judge({}, None).outcome == "Passed"


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> float:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC).timestamp()


OFFICE = WindowSpec(days=("Mon", "Tue", "Wed", "Thu", "Fri"), start="09:00", end="17:00", time_zone="Europe/Berlin")
NIGHT = WindowSpec(days=("Fri",), start="22:00", end="04:00")


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        (OFFICE, at(20, 12), at(20, 12)),
        (OFFICE, at(20, 7, 59), at(20, 8)),
        (OFFICE, at(20, 16), at(23, 8)),
        (OFFICE, at(21, 12), at(23, 8)),
        (NIGHT, at(20, 23), at(20, 23)),
        (NIGHT, at(21, 3, 59), at(21, 3, 59)),
        (NIGHT, at(21, 4), at(27, 22)),
        (WindowSpec(), at(21, 12), at(21, 12)),
    ],
)
def test_when_a_window_is_open_next(window: WindowSpec, now: float, opens: float) -> None:
    assert next_open(window, now) == opens


def test_trust_12_a_window_in_the_hour_that_a_change_of_clocks_skips_opens_once_after_it() -> None:
    spring = WindowSpec(start="02:30", end="02:45", time_zone="Europe/Berlin")

    # On 2026-03-29 there is no 02:30: as the zone has it, 02:30 is what 01:30 UTC is then.
    assert next_open(spring, at(29, 0, month=3)) == at(29, 1, 30, month=3)


def test_trust_12_a_window_in_the_hour_that_there_is_twice_opens_the_first_time() -> None:
    autumn = WindowSpec(start="02:30", end="02:45", time_zone="Europe/Berlin")

    assert next_open(autumn, at(25, 0, month=10)) == at(25, 0, 30, month=10)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", ""])
def test_trust_12_a_time_zone_that_nobody_knows_is_told_and_opens_nothing(zone: str) -> None:
    wait = CHECKS["window"].waits({"timeZone": zone}, SUBJECT, 0.0)

    assert wait is not None
    assert "correct window.timeZone" in wait.message


@pytest.mark.parametrize(
    ("now", "opens"), [(at(11, 3), at(13, 22)), (at(13, 23), at(13, 23))], ids=["between windows", "in one"]
)
def test_trust_13_windows_that_were_missed_for_weeks_are_not_made_up_for(now: float, opens: float) -> None:
    assert next_open(NIGHT, now) == opens, "it is open when it is, however often nobody looked"


NOTHING_MEASURED = {
    "a metric that nobody knows": prometheus(),
    "a metric that is not a number": prometheus("NaN"),
    "a metric without end": prometheus("+Inf"),
    "several metrics where one is asked for": prometheus("0", "0"),
    "a backend that is down": HttpAnswer("prom", error="no connection"),
    "a backend that is not there yet": HttpAnswer("prom", 503, b"starting"),
}


@pytest.mark.parametrize("case", NOTHING_MEASURED)
def test_trust_15_what_was_not_measured_neither_passes_nor_fails_a_release_and_holds_it(case: str) -> None:
    run = Run("errors", "Step2", 2)
    for measurement in range(100):
        run = counted(run, Rules(), CHECKS["prometheus"].judge(RATE, (NOTHING_MEASURED[case],)), 30.0 * measurement)

    assert (run.phase, run.blocks, run.over) == ("Error", True, False)
    assert (run.failures, run.passes) == (0, 0)
    assert counted(run, Rules(), CHECKS["prometheus"].judge(RATE, (prometheus("0"),)), 3000.0).phase == "Passed"
