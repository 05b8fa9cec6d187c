"""The arithmetic between what was measured and what is claimed."""

import pytest

from bench import reporting
from bench.measuring import Sample
from bench.reporting import CROWD, GOALS, OURS, SINGLES, STOCK, TITLES, UNTHROTTLED, Goal, Turn, figures, verdict

PROCESSES = ("etcd", "apiserver", "kcm", "scheduler", "kwok", "bench", "fairlead")


def sample(
    case: str, seconds: float, *, cpu: float = 1.0, writes: dict[str, int] | None = None, foreign: float = 0.0
) -> Sample:
    everyone = dict.fromkeys(PROCESSES, cpu)
    memory = dict.fromkeys(PROCESSES, 50_000_000)
    return Sample(case, seconds, 0, writes or {}, everyone, memory, memory, foreign)


def turn(contender: str, *samples: Sample, pods: int = 1000, **singles: float) -> Turn:
    return Turn(contender, pods, samples, singles)


def test_a_figure_is_the_median_of_the_rounds() -> None:
    rounds = [turn(OURS, sample("create", seconds)) for seconds in (9.0, 5.0, 6.0)]
    assert figures(rounds)["create"]["ours"] == 6.0


def test_a_ratio_is_ours_by_theirs() -> None:
    rows = figures(
        [turn(OURS, sample("roll", 6.0)), turn(UNTHROTTLED, sample("roll", 8.0)), turn(STOCK, sample("roll", 60.0))]
    )
    assert (rows["roll"]["ratio_unthrottled"], rows["roll"]["ratio_stock"]) == (0.75, 0.1)


def test_what_was_not_measured_is_no_ratio_and_no_zero() -> None:
    row = figures([turn(OURS, sample("create", 6.0))])["create"]
    assert row["unthrottled"] is None and row["ratio_unthrottled"] is None


def test_a_row_has_the_columns_that_were_promised() -> None:
    row = figures([turn(OURS, sample("create", 6.0))])["create"]
    assert {"ours", "stock", "unthrottled", "floor", "ratio_unthrottled", "ratio_floor", "unit"} <= set(row)


def test_cpu_is_told_per_pod_of_that_turn() -> None:
    cases = figures(
        [turn(OURS, sample("create", 6.0, cpu=2.0), pods=1000), turn(OURS, sample(CROWD, 60.0, cpu=5.0), pods=10_000)]
    )
    assert cases["cpu_create"]["ours"] == 2000
    assert cases[f"cpu_{CROWD}"]["ours"] == 500


def test_each_contender_is_charged_for_its_own_controller() -> None:
    mine, theirs = sample("create", 1.0), sample("create", 1.0)
    mine.cpu["fairlead"], mine.cpu["kcm"], theirs.cpu["kcm"] = 3.0, 1.0, 4.0  # type: ignore[index]
    row = figures([turn(OURS, mine), turn(UNTHROTTLED, theirs)])["cpu_create"]
    assert (row["ours"], row["unthrottled"], row["ratio_unthrottled"]) == (3000, 4000, 0.75)


def test_bare_pods_have_no_controller_to_charge() -> None:
    assert figures([turn("floor", sample("create", 1.0))])["cpu_create"]["floor"] is None


def test_writes_are_told_per_pod() -> None:
    assert (
        figures([turn(OURS, sample("create", 1.0, writes={"POST pods": 3200, "POST pods/binding": 1000}))])[
            "writes_create"
        ]["ours"]
        == 4.2
    )


def test_single_figures_are_medians_too_and_absent_where_nobody_has_one() -> None:
    rows = figures([turn(OURS, sample("create", 1.0), event_cpu=value) for value in (21.0, 30.0, 22.0)])
    assert rows["event_cpu"]["ours"] == 22.0
    assert "restart" not in rows


def test_noise_is_the_worst_case_of_all_turns() -> None:
    quiet, loud = turn(OURS, sample("create", 1.0, foreign=0.02)), turn(STOCK, sample("create", 1.0, foreign=0.4))
    assert reporting.noise([quiet, loud]) == 0.4


@pytest.mark.parametrize(("value", "said"), [(50.0, "met"), (50.1, "short"), (None, "not measured")])
def test_a_goal_is_met_at_its_limit_and_short_above_it(value: float | None, said: str) -> None:
    assert verdict(Goal("ours", 50), {"ours": value}) == said


def test_every_goal_and_every_figure_has_a_title() -> None:
    assert set(GOALS) | set(SINGLES) <= set(TITLES)


def test_the_goals_are_those_of_the_design() -> None:
    said = {name: goal.limit for name, goal in GOALS.items()}
    assert {
        name: said[name] for name in ("create", "roll", "scale_down", "many_create", "many_roll", "many_scale_down")
    } == {
        "create": 0.95,
        "roll": 0.8,
        "scale_down": 0.8,
        "many_create": 0.95,
        "many_roll": 0.8,
        "many_scale_down": 0.8,
    }
    assert (said["memory_crowd"], said["event_cpu"], said["event_to_write_p99"], said["idle_cpu"], said["restart"]) == (
        0.6,
        25,
        50,
        1,
        5,
    )
