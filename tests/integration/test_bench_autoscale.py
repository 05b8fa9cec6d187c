"""The benchmark of autoscaling, as small as it gets: by kubelets alone, which look at containers ten times as often."""

from pathlib import Path

from support.bench import measured


def test_loads_rise_and_sizes_are_decided(tmp_path: Path) -> None:
    rows = {name: row["ours"] for name, row in measured(tmp_path, "autoscale").items()}
    assert 0 < rows["react_kubelets_first"] <= rows["react_kubelets_all"] <= rows["react_kubelets_worst"]
    assert 4 < rows["decide_kubelets_every"] < 10
    assert min(rows[f"decide_kubelets_{name}"] for name in ("cpu", "share", "servers", "memory")) > 0
    assert rows["memory_pairs"] > 0
