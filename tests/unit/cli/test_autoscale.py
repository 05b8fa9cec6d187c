"""`fairlead autoscale simulate`, from files to figures, as people use it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.commands import REPOSITORY
from unit.cli import objects
from unit.cli.conftest import Cli, Result

QUEUE = {"external": {"metric": {"name": "queue_length"}, "averageValue": 10}}
CPU = {"resource": {"name": "cpu", "averageUtilization": 50}}
PEAK = "0 20, 10m 60, 20m 20"

Simulate = Callable[..., Result]


def app(*metrics: Any, name: str = "shop", replicas: int = 2, resources: Any = None, **autoscale: Any) -> Any:
    made = objects.app(name, replicas=replicas, autoscale={"max": 10, "metrics": list(metrics), **autoscale})
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = resources or {"requests": {"cpu": "500m"}}
    return made


@pytest.fixture
def simulate(cli: Cli, tmp_path: Path) -> Simulate:
    """`simulate(app, "--load", ...)`: the command with a file of these Apps; `trace=` writes a file for --trace."""

    def call(*arguments: Any, trace: str | None = None) -> Result:
        apps = [one for one in arguments if isinstance(one, dict)]
        (tmp_path / "app.yaml").write_text("\n---\n".join(map(json.dumps, apps)))
        flags = [one for one in arguments if not isinstance(one, dict)]
        if trace is not None:
            (tmp_path / "load.csv").write_text(trace)
            flags += ["--trace", str(tmp_path / "load.csv")]
        result = cli("autoscale", "simulate", "-f", str(tmp_path / "app.yaml"), *flags)
        return result._replace(err=result.err.replace(f"{tmp_path}/", ""))

    return call


def figures(result: Result) -> dict[str, str]:
    """The last lines, by what they are called."""
    assert result.code == 0, result.err
    pairs = (line.strip().split("  ", 1) for line in result.lines if line.startswith("  ") and "  " in line.strip())
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def decisions(result: Result) -> list[tuple[float, int, int]]:
    assert result.code == 0, result.err
    return [(one["at"], one["before"], one["after"]) for one in json.loads(result.out)["decisions"]]


# ---------------------------------------------------------------- what it shows


def test_a_peak_in_words_comes_to_the_figures_worked_out_by_hand(simulate: Simulate) -> None:
    """As tests/unit/autoscale/test_simulation.py has them: 7170 pod-seconds."""
    result = simulate(app(QUEUE), "--load", PEAK)

    assert result.lines[0] == "shop  30m"
    assert result.lines[1] == (
        "  queue_length at 10 for each pod · 1 to 10 pods · a pod is ready after 30s · a decision every 5s"
    )
    said = figures(result)
    assert said["pod-hours"] == "1.992, 40 % of those of max"
    assert said["pods"] == "2 to 6; 2 times up, once down"
    assert said["over target"] == "45s (2.5 %); at most 3 times the target, at 10:00"
    assert [line.split()[:4] for line in result.lines if "→" in line] == [
        ["10:00", "2", "→", "4"],
        ["10:15", "4", "→", "6"],
        ["25:00", "6", "→", "2"],
    ]


def test_the_plot_has_the_load_and_over_it_the_pods_ready_and_starting(simulate: Simulate) -> None:
    """91 columns of 1800 s: the load rises in column 30. The second row of pods is the first of those that are there all along."""
    lines = simulate(app(QUEUE), "--load", PEAK, "--startup", "2m").lines
    load = lines[lines.index("  queue_length") + 1]
    pods = lines.index("  pods  █ ready  ░ starting")

    assert load == "     60 ┤" + " " * 30 + "█" * 31
    assert [line[:9] for line in lines[pods + 1 : pods + 8]] == ["      6 ┤", *["        │"] * 5, "      0 └"]
    highest, lowest = lines[pods + 1], lines[pods + 6]
    assert highest.lstrip(" 6┤").startswith("░") and "█" in highest
    assert lowest == "        │" + "█" * 91
    assert lines[pods + 8].split()[:3] == ["0", "5m", "10m"]


def test_for_programs_there_is_the_same_in_numbers(simulate: Simulate) -> None:
    said = json.loads(simulate(app(QUEUE), "--load", PEAK, "-o", "json").out)

    assert said["summary"] == {
        "podHours": 7170 / 3600,
        "lowest": 2,
        "highest": 6,
        "ups": 2,
        "downs": 1,
        "overTargetSeconds": 45,
        "overCapacitySeconds": 0,
        "withoutReadyPodsSeconds": 0,
        "largestOverload": {"times": 3.0, "at": 600},
    }
    assert [(point["at"], point["replicas"], point["ready"]) for point in said["course"]] == [
        (0, 2, 2),
        (600, 4, 2),
        (615, 6, 2),
        (630, 6, 4),
        (645, 6, 6),
        (1200, 6, 6),
        (1500, 2, 2),
    ]
    assert said["course"][1]["load"] == {"queue_length": 60}
    assert said["began"] is None


def test_a_recorded_load_is_read_from_a_file(simulate: Simulate) -> None:
    """The same peak, with dates, other columns and a byte order mark, as spreadsheets write it."""
    rows = [
        ("time", "note", "queue_length"),
        ("2026-11-23T08:00:00Z", "", "20"),
        ("2026-11-23T08:10:00Z", "sale, all of it", "60"),
        ("2026-11-23T08:20:00Z", "", "20"),
    ]
    text = "\ufeff" + "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows)
    result = simulate(app(QUEUE), trace=text)

    assert result.lines[0] == "shop  30m from 2026-11-23T08:00:00Z"
    assert figures(result)["pod-hours"].startswith("1.992,")
    assert "2026-11-23T08:10:15Z  4 → 6" in result.out


@pytest.mark.parametrize(
    "times", [("0", "600", "1200"), ("0s", "10m", "20m"), ("1800000000", "1800000600", "1800001200")]
)
def test_times_are_seconds_durations_or_a_clocks(simulate: Simulate, times: tuple[str, ...]) -> None:
    text = "time,queue_length\n" + "\n".join(f"{at},{load}" for at, load in zip(times, (20, 60, 20), strict=True))

    assert decisions(simulate(app(QUEUE), "-o", "json", trace=text)) == [(600, 2, 4), (615, 4, 6), (1500, 6, 2)]


def test_where_a_file_has_no_value_the_source_is_down_and_the_size_stays(simulate: Simulate) -> None:
    result = simulate(app(QUEUE), trace="time,queue_length\n0,20\n60,\n900,NaN\n1800,20")

    assert decisions(simulate(app(QUEUE), "-o", "json", trace="time,queue_length\n0,20\n60,\n900,20")) == [(60, 2, 2)]
    assert "stays at 2, since metrics cannot be told: queue_length: there is no value at this time" in result.out


def test_several_metrics_have_a_column_each_and_the_highest_decides(simulate: Simulate) -> None:
    """2 cores over pods of half a core at 50 % are 8 pods; the queue is for 3."""
    text = "time,cpu,queue_length\n0,500m,20\n60,2,30\n600,2,30"
    told = decisions(simulate(app(CPU, QUEUE), "-o", "json", trace=text))

    assert told == [(60, 2, 4), (75, 4, 8)]


def test_the_container_of_a_metric_need_not_be_said_where_it_is_the_only_one(simulate: Simulate) -> None:
    metric = {"containerResource": {"name": "cpu", "container": "web", "averageUtilization": 50}}
    result = simulate(app(metric), "--load", "cpu=0 500m, 60 1", "--for", "5m", "-o", "json")

    assert decisions(result) == [(60, 2, 4)]


def test_cpu_beyond_its_limit_a_pod_cannot_use_and_another_capacity_can_be_given(simulate: Simulate) -> None:
    """8 cores over 2 pods: at a limit of 1 they use 2 together, which is 8 pods at half of half a core."""
    made = app(CPU, resources={"requests": {"cpu": "500m"}, "limits": {"cpu": 1}}, max=100)
    result = simulate(made, "--load", "0 8", "--for", "5s")

    assert "a pod carries at most 1 cpu" in result.out
    assert "cpu 200 % of 50 % over 2 ready pods → 8" in result.out
    assert figures(result)["beyond what pods can carry"] == "5s (100.0 %)"
    assert "→ 32" in simulate(made, "--load", "0 8", "--for", "5s", "--pod-capacity", "cpu=8").out


def test_the_first_size_can_be_given(simulate: Simulate) -> None:
    assert decisions(simulate(app(QUEUE), "--load", "0 20", "--for", "10m", "--replicas", "5", "-o", "json")) == [
        (305, 5, 2)
    ]


def test_nothing_that_changes_is_told_by_the_last_decision(simulate: Simulate) -> None:
    assert "queue_length 20 of 10 for each pod → 2" in simulate(app(QUEUE), "--load", "0 20", "--for", "1m").out


def test_a_day_with_schedules_begins_when_it_is_said(simulate: Simulate) -> None:
    office = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "min": 4}
    made = app(QUEUE, schedules=[office])
    flags = ["--load", "0 10", "--for", "24h", "--period", "600", "--at", "2026-11-23T00:00:00Z", "-o", "json"]

    assert decisions(simulate(made, *flags)) == [(600, 2, 1), (8 * 3600, 1, 4), (18 * 3600, 4, 1)]


def test_one_of_several_apps_is_named(simulate: Simulate) -> None:
    both = [app(QUEUE), app(QUEUE, name="blog")]

    assert simulate(*both, "--app", "blog", "--load", PEAK).lines[0] == "blog  30m"
    assert simulate(*both, "--load", PEAK).err == (
        "error: app.yaml: there are several Apps with spec.autoscale; say which by --app: shop, blog\n"
    )


def test_the_example_with_its_trace_is_what_the_documentation_shows(cli: Cli) -> None:
    """Nothing of it is written by hand, but what it comes to is: five hours are recorded in steps of ten minutes."""
    trace = REPOSITORY / "examples" / "with-autoscale.load.csv"
    with trace.open() as opened:
        rows = list(csv.DictReader(opened))
    result = cli(
        "autoscale", "simulate", "-f", str(REPOSITORY / "examples" / "with-autoscale.yaml"), "--trace", str(trace)
    )

    assert (len(rows), rows[1]["time"]) == (30, "2026-11-23T05:40:00Z")
    assert result.code == 0, result.err
    page = (REPOSITORY / "docs" / "cli.md").read_text()
    assert all(line in page for line in result.lines if line.startswith(("  pod-hours", "  pods  ", "  over target")))


# ---------------------------------------------------------------- what cannot be


def without_autoscale() -> Any:
    return objects.app("shop")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(
            [without_autoscale(), "--load", PEAK],
            "app.yaml: there is no App with spec.autoscale; add one, such as autoscale: {max: 10}",
            id="no autoscale",
        ),
        pytest.param(
            [app(QUEUE), "--app", "shp", "--load", PEAK],
            "app.yaml: there is no App shp with spec.autoscale; there is shop",
            id="another App",
        ),
        pytest.param(
            [app(QUEUE, min=20), "--load", PEAK],
            "app.yaml: App shop: spec.autoscale: autoscale.min is above autoscale.max; give a max that is at least min",
            id="what the schema refuses",
        ),
        pytest.param(
            [app(CPU, resources={"limits": {"memory": "1Gi"}}), "--load", "0 1, 10m 2"],
            "app.yaml: container web of pod p0 requests no cpu: set resources.requests.cpu",
            id="no requests",
        ),
        pytest.param(
            [app(CPU, resources={"requests": {"cpu": "1e99999999"}}), "--load", "0 1, 10m 2"],
            "app.yaml: App shop: resources: '1e99999999' has more digits than any amount; write it as 500m, 1.5, 2k or 512Mi",
            id="an amount beyond all",
        ),
        pytest.param(
            [{"kind": "App", "metadata": [1], "spec": 3}, "--load", PEAK],
            "app.yaml: there is no App with spec.autoscale; add one, such as autoscale: {max: 10}",
            id="no App at all",
        ),
        pytest.param(
            [app(QUEUE)],
            "give the load either by --trace or by --load; see: fairlead autoscale simulate --help",
            id="no load",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20 30"],
            "--load: '0 20 30' must be a time and an amount, such as 10m 800",
            id="three words",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20, soon 30"],
            "--load: 'soon' is no time; write 90s, 1h30m or 2026-11-22T10:00:00Z",
            id="no time",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20, 10m lots"],
            "--load: 'lots' is no amount; write one of 0 or more, as 20, 4500m or 8Gi",
            id="no amount",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20, 10m -1"],
            "--load: '-1' is no amount; write one of 0 or more, as 20, 4500m or 8Gi",
            id="below 0",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20, 10m 30, 5m 20"],
            "--load: the times of queue_length must rise, and 300s comes after 600s",
            id="back in time",
        ),
        pytest.param(
            [app(QUEUE), "--load", "5m 20, 10m 30"],
            "--load: queue_length must begin at 0, and begins at 300s",
            id="a late beginning",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20"],
            "--load: a single value does not say how long it holds; add --for, such as --for 30m",
            id="one value",
        ),
        pytest.param(
            [app(CPU, QUEUE), "--load", PEAK],
            f"'{PEAK}' does not say of which metric it is; write METRIC= before it: 'cpu', 'queue_length'",
            id="of which metric",
        ),
        pytest.param(
            [app(CPU, QUEUE), "--load", f"cpu={PEAK}"],
            '--load: there is none for the metric queue_length; add --load "queue_length=0 100, 10m 200"',
            id="not of each metric",
        ),
        pytest.param(
            [app(QUEUE), "--load", f"queue={PEAK}"],
            "--load: there is no metric 'queue' in spec.autoscale: 'queue_length'",
            id="another metric",
        ),
        pytest.param(
            [app(QUEUE), "--load", PEAK, "--pod-capacity", "0"],
            "--pod-capacity: '0' must be an amount above 0, such as 500m or 20",
            id="no capacity",
        ),
        pytest.param(
            [app(QUEUE), "--load", "0 20", "--for", "1000d"],
            "that would be more than 500,000 decisions; take a longer --period, or a shorter time by --for",
            id="too long",
        ),
        pytest.param(
            [app(QUEUE, schedules=[{"name": "a", "start": "0 8 * * *", "end": "0 9 * * *", "min": 2}]), "--load", PEAK],
            "spec.autoscale.schedules go by the clock; say when the load begins by --at 2026-11-22T08:00:00Z, or give the "
            "trace's times as dates",
            id="no clock",
        ),
        pytest.param(
            [app(QUEUE), "--load", PEAK, "--at", "noon"],
            "--at: 'noon' is no time; write it as 2026-11-22T08:00:00Z",
            id="no date",
        ),
    ],
)
def test_what_cannot_be_simulated_is_told_in_a_line(simulate: Simulate, arguments: list[Any], error: str) -> None:
    result = simulate(*arguments)

    assert (result.code, result.out, result.err) == (1, "", f"error: {error}\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "load.csv: there must be a line of headings, such as time,cpu, and one for each time"),
        ("time,cpu\n0,1\n60,2", "load.csv: there is no column for the metric queue_length; give one the heading "),
        ("at,queue_length\n0,1\n60,2", "load.csv: one column must have the heading 'time'. There is 'at', "),
        ("time,queue_length\n0,1\n60", "load.csv:3: there are 1 fields, and 2 headings"),
        ("time,queue_length\n0,1\n60,1;5", "load.csv:3: '1;5' is no amount; write one of 0 or more"),
        (
            "time,queue_length\n0,1\n60,2\n60,3",
            "load.csv: the times of queue_length must rise, and 60s comes after 60s",
        ),
        (
            "time,queue_length,queue_length\n0,1,1\n60,2,2",
            "load.csv: there are several columns for the metric queue_length; give one the heading 'queue_length'. ",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_line(simulate: Simulate, text: str, error: str) -> None:
    result = simulate(app(QUEUE), trace=text)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {error}")


def test_a_file_that_is_not_there_is_told(simulate: Simulate) -> None:
    result = simulate(app(QUEUE), "--trace", "/nowhere/load.csv")

    assert (result.code, result.err) == (1, "error: /nowhere/load.csv cannot be read: No such file or directory\n")
