"""The script that gives a node its pod network, run with programs that note down what they are asked for."""

import json
import os
import signal
import subprocess
from pathlib import Path

from substrate import paths

# What the API server holds while Docker has given both workers the address of the other.
NODES = """\
worker 172.18.0.3,fc00::3, 10.244.1.0/24,fd00:10:244:1::/64,
worker2 172.18.0.2,fc00::2, 10.244.2.0/24,fd00:10:244:2::/64,
control-plane 172.18.0.4,fc00::4, 10.244.0.0/24,fd00:10:244::/64,
joining 172.18.0.5,
"""


def program(folder: Path, name: str, lines: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def run(folder: Path, node: str, nodes: str) -> list[str]:
    """The routes that were set, once every node was seen."""
    (folder / "nodes").write_text(nodes)
    routes = folder / "routes"
    program(folder, "hostname", f"echo {node}")
    program(folder, "nft", "cat >/dev/null")
    program(folder, "ip", f'echo "$@" >>{routes}')
    program(folder, "kubectl", f"cat {folder}/nodes; touch {folder}/told")
    program(folder, "sleep", "kill -TERM $PPID")  # one round is enough
    done = subprocess.run(
        ["sh", paths.FILES / "node-network.sh"],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "CNI_FOLDER": str(folder), "POD_SUBNET": "10.244.0.0/16,fd00:10:244::/56"},
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM), done.stderr
    return routes.read_text().splitlines()


def ranges(folder: Path) -> list[str]:
    configuration = json.loads((folder / "10-kindnet.conflist").read_text())
    return [one["subnet"] for [one] in configuration["plugins"][0]["ipam"]["ranges"]]


def test_a_node_takes_its_own_range_though_its_address_was_that_of_another(tmp_path: Path) -> None:
    run(tmp_path, "worker", NODES)

    assert ranges(tmp_path) == ["10.244.1.0/24", "fd00:10:244:1::/64"]


def test_it_reaches_every_other_node_in_both_families(tmp_path: Path) -> None:
    assert run(tmp_path, "control-plane", NODES) == [
        "route replace 10.244.1.0/24 via 172.18.0.3",
        "-6 route replace fd00:10:244:1::/64 via fc00::3",
        "route replace 10.244.2.0/24 via 172.18.0.2",
        "-6 route replace fd00:10:244:2::/64 via fc00::2",
    ]
