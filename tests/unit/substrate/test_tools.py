"""Programs in the cache: which of them stand on PATH, and on whose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from substrate import paths, tools
from substrate.command import environment, host_environment
from substrate.progress import Progress


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which every program of a node has been built."""
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path))
    for name in tools.NODE:
        program = tools.TOOLS[name].program
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    return tmp_path


def test_what_runs_in_a_node_gets_no_link(cache: Path) -> None:
    """A Docker daemon that finds our containerd-shim of another version on PATH starts no container any more."""
    (cache / "bin").mkdir()
    (cache / "bin" / "runc").symlink_to(tools.TOOLS["runc"].program)  # as once made
    tools.ensure(tools.NODE, Progress())
    linked = {path.name for path in paths.programs().iterdir()}
    assert {"kind", "kubectl", "etcd", "kube-apiserver"} <= linked
    assert not linked & {"containerd", "containerd-shim-runc-v2", "ctr", "runc", "ptp", "portmap", "loopback"}


def test_the_hosts_daemon_does_not_see_our_programs(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = str(paths.programs())
    monkeypatch.setenv("PATH", os.pathsep.join([ours, "/usr/bin"]))
    assert environment()["PATH"].split(os.pathsep)[0] == ours
    assert ours not in host_environment()["PATH"].split(os.pathsep)


def test_a_program_of_ours_is_another_one_when_its_source_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    ours = tools.Tool("ours", "", "v1", source="programs/ours")
    (tmp_path / "programs" / "ours").mkdir(parents=True)
    main = tmp_path / "programs" / "ours" / "main.go"
    main.write_text("package main")
    before = ours.folder
    main.write_text("package main // better")
    assert ours.folder != before
    assert ours.sources == [main]
    assert {before.parent, ours.folder.parent} == {paths.cache() / "tools" / "ours"}
    assert tools.Tool("theirs", "example.org/theirs", "v1").folder.name == "v1"
