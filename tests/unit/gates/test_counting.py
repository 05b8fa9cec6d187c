"""What becomes of a gate as its results come in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.gates.counting import counted, recorded
from fairlead.gates.model import KEPT, Result, Rules, Run, runs_of

RESULTS = {
    "P": Result("Passed", "AsExpected", "0.001 is at most 0.01", "0.001"),
    "F": Result("Failed", "NotAsExpected", "0.07 is above 0.01", "0.07"),
    "I": Result("Inconclusive", "BetweenConditions", "0.03 meets neither", "0.03"),
    "E": Result("Error", "NoAnswer", "prom:9090: no answer within 10 s"),
}


def after(results: str, rules: Rules = Rules(), moment: str = "Step2") -> Run:
    """The run after these results, as long as it is measured."""
    run = Run("errors", moment, 4)
    for at, letter in enumerate(results):
        if run.over:
            break
        run = counted(run, rules, RESULTS[letter], 30.0 * at)
    return run


@pytest.mark.parametrize(
    ("results", "rules", "moment", "phase"),
    [
        ("", Rules(), "Step2", "Running"),
        ("P", Rules(), "Step2", "Passed"),
        ("F", Rules(), "Step2", "Failed"),
        ("PPP", Rules(count=4), "Step2", "Running"),
        ("PPPP", Rules(count=4), "Step2", "Passed"),
        ("PFPP", Rules(count=4, failure_threshold=2), "Step2", "Passed"),
        ("PFPF", Rules(count=4, failure_threshold=2), "Step2", "Failed"),
        ("PFF", Rules(count=9, failure_threshold=2), "Step2", "Failed"),
        ("PPFPPP", Rules(success_threshold=3, failure_threshold=5), "Step2", "Passed"),
        ("PPFPP", Rules(success_threshold=3, failure_threshold=5), "Step2", "Running"),
        ("PPEP", Rules(success_threshold=3), "Step2", "Passed"),
        ("I", Rules(), "Step2", "Inconclusive"),
        ("IP", Rules(inconclusive_limit=1, count=2), "Step2", "Passed"),
        ("IPI", Rules(inconclusive_limit=1, count=3), "Step2", "Inconclusive"),
        ("EEEE", Rules(), "Step2", "Running"),
        ("EEEEE", Rules(), "Step2", "Error"),
        ("EEEEEEEEEEEEEEE", Rules(), "Step2", "Error"),
        ("EEEEEP", Rules(), "Step2", "Passed"),
        ("EEEEEF", Rules(), "Step2", "Failed"),
        ("EEPEEPEEP", Rules(error_limit=2, count=9), "Step2", "Running"),
        ("EE", Rules(error_limit=1, count=9), "Background", "Error"),
        ("EEP", Rules(error_limit=1, count=9), "Background", "Running"),
        ("P" * 60, Rules(), "Background", "Running"),
        ("P" * 60, Rules(count=60), "Background", "Passed"),
        ("P" * 60 + "F", Rules(), "Background", "Failed"),
    ],
)
def test_what_a_row_of_results_means(results: str, rules: Rules, moment: str, phase: str) -> None:
    assert after(results, rules, moment).phase == phase


def test_an_error_is_not_the_end_and_everything_else_is() -> None:
    assert not after("EEEEE").over
    assert [after(letter).over for letter in "PFI"] == [True, True, True]


def test_a_dry_run_counts_and_blocks_nothing() -> None:
    run = after("F", Rules(dry_run=True))

    assert (run.phase, run.blocks) == ("Failed", False)
    assert after("F").blocks


def test_only_the_last_measurements_are_kept_and_all_are_counted() -> None:
    run = after("P" * 25, Rules(), "Background")

    assert len(run.measurements) == KEPT
    assert (run.taken, run.passes, run.successes) == (25, 25, 25)
    assert run.measurements[-1].at == "1970-01-01T00:12:00Z"


def test_the_time_of_a_phase_is_that_of_its_first_measurement() -> None:
    run = after("EEEEEEE")

    assert run.since == "1970-01-01T00:02:00Z"


RULES = st.builds(
    Rules,
    count=st.none() | st.integers(1, 6),
    success_threshold=st.none() | st.integers(1, 4),
    failure_threshold=st.integers(1, 4),
    inconclusive_limit=st.integers(0, 3),
    error_limit=st.integers(0, 3),
)


@given(results=st.text("PFIE", max_size=40), rules=RULES, moment=st.sampled_from(["Background", "Step1"]))
def test_no_order_of_results_lets_a_gate_pass_that_failed_too_often(results: str, rules: Rules, moment: str) -> None:
    run = Run("errors", moment, 4)
    seen = ""
    for at, letter in enumerate(results):
        if run.over:
            break
        seen += letter
        run = counted(run, rules, RESULTS[letter], float(at))
    failures, inconclusive = seen.count("F"), seen.count("I")

    if run.phase == "Passed":
        assert failures < rules.failure_threshold
        assert inconclusive <= rules.inconclusive_limit
        assert (
            "P" in seen or (rules.count is not None and failures + inconclusive >= rules.count) or rules.count is None
        )
    assert (run.phase == "Failed") == (failures >= rules.failure_threshold)
    if set(seen) <= {"E"}:
        assert run.phase in ("Running", "Error"), "errors say nothing of the release"


@given(results=st.text("PFIE", max_size=20), rules=RULES)
def test_a_run_that_is_written_and_read_again_is_the_same(results: str, rules: Rules) -> None:
    status: dict[str, Any] = {}
    run = Run("errors", "Step1", 4)
    for at, letter in enumerate(results):
        if run.over:
            break
        written = recorded(status, "errors", "Step1", 4, run.taken, rules, RESULTS[letter], float(at))
        assert written is not None
        status = {"gates": written}
        run = counted(run, rules, RESULTS[letter], float(at))
        kept = runs_of(status, 4)["errors", "Step1"]
        assert (kept.phase, kept.taken, kept.failures) == (run.phase, run.taken, run.failures)


def test_a_measurement_that_another_operator_has_recorded_by_now_is_dropped() -> None:
    once = recorded({}, "errors", "Step1", 4, 0, Rules(count=5), RESULTS["P"], 0.0)

    assert once is not None
    assert recorded({"gates": once}, "errors", "Step1", 4, 0, Rules(count=5), RESULTS["F"], 1.0) is None


def test_what_another_release_of_the_same_revision_measured_counts_no_more() -> None:
    before = recorded({}, "errors", "Step1", 4, 0, Rules(), RESULTS["F"], 0.0)
    after_retry = recorded({"gates": before}, "errors", "Step1", 6, 0, Rules(), RESULTS["P"], 0.0)

    assert after_retry is not None
    assert [(gate["release"], gate["phase"]) for gate in after_retry] == [(6, "Passed")]


def test_of_a_gate_that_is_over_the_last_measurement_is_enough() -> None:
    status: dict[str, Any] = {}
    for taken in range(4):
        written = recorded(status, "errors", "Step1", 4, taken, Rules(count=4), RESULTS["P"], 0.0)
        status = {"gates": written}
    written = recorded(status, "load", "Step3", 4, 0, Rules(), RESULTS["P"], 0.0)

    assert written is not None
    assert {gate["name"]: len(gate["measurements"]) for gate in written} == {"errors": 1, "load": 1}
