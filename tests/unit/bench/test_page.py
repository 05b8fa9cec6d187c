"""docs/benchmarks.md says what a run has found, also where it is short of a goal."""

from pathlib import Path
from typing import Any

from bench import page
from bench.measuring import Sample
from bench.reporting import FLOOR, OURS, UNTHROTTLED, Turn, figures

RUN: dict[str, Any] = {
    "date": "2026-11-21",
    "pods": 1000,
    "parents": 200,
    "each": 5,
    "crowd": 10_000,
    "sealed": 4000,
    "steps": 12,
    "apps": 2000,
    "starts": 40,
    "rate": 1000,
    "idle": 60,
    "rounds": 3,
    "noise": 0.02,
    "machine": {"processor": "one", "cores": "2"},
    "contenders": [OURS, UNTHROTTLED],
    "turns": [{"contender": OURS, "samples": [{"case": "many_create", "seconds": 7.0, "foreign": 0.01}]}],
}


def rendered(ours: float, theirs: float, **run: Any) -> str:
    cpu = dict.fromkeys(("etcd", "apiserver", "kcm", "scheduler", "kwok", "fairlead"), 1.0)
    turns = [
        Turn(name, 1000, [Sample("create", seconds, 0, {}, cpu, {}, {}, 0.0)], {"memory_crowd": 80.0})
        for name, seconds in ((OURS, ours), (UNTHROTTLED, theirs))
    ]
    return page.render(figures(turns), RUN | run)


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_a_goal_that_is_met_is_told_with_both_figures() -> None:
    assert line(rendered(6.0, 8.0), "| create:").endswith(
        "| 6.00 / 8.00 s = 0.75 | ≤ 0.95 × upstream unthrottled | met |"
    )


def test_a_goal_that_is_not_met_is_called_short() -> None:
    assert line(rendered(9.0, 8.0), "| create:").endswith("| short |")


def test_a_goal_that_was_not_measured_says_so() -> None:
    assert line(rendered(9.0, 8.0), "| restart").endswith("| ≤ 5 s | not measured |")


def test_only_contenders_with_a_figure_have_a_column() -> None:
    assert "bare pods" not in rendered(6.0, 8.0).partition("## How it is measured")[0]


def test_what_a_request_at_zero_takes_stands_beside_bare_pods() -> None:
    turns = [Turn(name, 1000, (), {"zero_whole_p50": took}) for name, took in ((OURS, 60.0), (FLOOR, 20.0))]
    text = page.render(figures(turns), RUN | {"contenders": [OURS, FLOOR], "turns": []})
    assert line(text, "| a request at zero to its answer, half").endswith("(ms) | 60 | 20 | 3.00 |")


def test_a_noisy_run_is_told_to_be_one() -> None:
    assert "not quiet" in rendered(6.0, 8.0, noise=0.4) and "not quiet" not in rendered(6.0, 8.0)


def test_a_run_that_was_kept_is_rendered_as_it_was(tmp_path: Path) -> None:
    turns = [Turn(OURS, 1000, (), {"event_cpu": 22.0})]
    page.save(tmp_path, figures(turns), RUN)
    page.write(tmp_path / "page.md", tmp_path)
    assert (tmp_path / "page.md").read_text() == page.render(figures(turns), RUN)
