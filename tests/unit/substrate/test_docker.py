"""What the project asks of a machine whose Docker daemon it starts itself."""

from pathlib import Path

from substrate.docker import weigh_containers


def test_containers_get_four_times_a_sessions_share_under_cgroups_v1(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.shares").write_text("1024")

    weigh_containers(tmp_path)

    assert (tmp_path / "cpu" / "docker" / "cpu.shares").read_text() == "4096"


def test_containers_get_four_times_a_sessions_share_under_cgroups_v2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")

    weigh_containers(tmp_path)

    assert (tmp_path / "docker" / "cpu.weight").read_text() == "400"


def test_a_machine_without_cgroups_is_left_alone(tmp_path: Path) -> None:
    weigh_containers(tmp_path)

    assert list(tmp_path.iterdir()) == []
