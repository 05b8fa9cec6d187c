"""The benchmark of autoscaling, as small as it gets: by kubelets alone, which look at containers ten times as often. And of Apps that
go to zero."""

from pathlib import Path

from support.bench import measured


def test_loads_rise_and_sizes_are_decided(tmp_path: Path) -> None:
    rows = {name: row["ours"] for name, row in measured(tmp_path, "autoscale").items()}
    assert 0 < rows["react_kubelets_first"] <= rows["react_kubelets_all"] <= rows["react_kubelets_worst"]
    assert 4 < rows["decide_kubelets_every"] < 20, (
        "every five seconds; it is one of them that was timed, by a machine that may pause"
    )
    assert min(rows[f"decide_kubelets_{name}"] for name in ("cpu", "share", "servers", "memory")) > 0
    assert rows["memory_pairs"] > 0


def test_requests_at_zero_are_answered_and_the_activator_steps_aside(tmp_path: Path) -> None:
    rows = measured(tmp_path, "zero", only=("ours", "floor"))
    for name in ("wake", "whole"):
        assert all(0 < rows[f"zero_{name}_p50"][one] <= rows[f"zero_{name}_p99"][one] for one in ("ours", "floor"))
    assert {"zero_pass_p99", "zero_named_p99", "zero_aside_p99"} <= rows.keys()
