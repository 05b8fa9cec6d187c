"""A pytest plugin: which tests come first, and which stay together when several processes share the work.

The longest chain decides how long a run takes. It is the end-to-end tests that have the cluster to themselves: so they
begin, and whoever is free meanwhile takes what needs no cluster. Those that share it come as soon as it is free, file by file,
the slow ones first; they wait for kubelets most of the time, so somebody goes on beside them with what keeps a core busy. Files
that start a control plane stay whole, or each process would start it again.
"""

from collections.abc import Collection
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_CLUSTER = "e2e/cluster"  # has it to itself
_SHARED = "tests/e2e/apps/"  # share it, each a chain of its own
_SHARERS = 2  # as long as there is anything else
_WHOLE = (_CLUSTER, "parity")  # each with one cluster or control plane for all of its files
_FIRST = (_CLUSTER, "integration", "parity", "chart", "sim", "unit", "conformance", "fairlead", "e2e/apps")
_STATELESS = ("unit", "sim", "conformance", "fairlead")


class Chains(LoadScopeScheduling):
    """Tests of one chain run in one process, in order."""

    def _split_scope(self, nodeid: str) -> str:
        return chain(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        others = [work for other, work in self.assigned_work.items() if other is not node]
        under_way = [name for work in others for name, tests in work.items() if not all(tests.values())]
        self.workqueue.move_to_end(next_chain(self.workqueue, under_way), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Chains:
    return Chains(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def chain(nodeid: str) -> str:
    """What a test has to stay together with: the others that have the cluster to themselves, its file or folder, those of
    the same story (each is compared with its clean run, which a process plays once), or nothing.

    >>> chain("tests/e2e/cluster/test_nodes.py::test_x"), chain("tests/e2e/apps/test_config.py::test_x")
    ('e2e/cluster', 'tests/e2e/apps/test_config.py')
    >>> chain("tests/integration/test_apps.py::test_x"), chain("tests/integration/faults/test_watch.py::test_x")
    ('tests/integration/test_apps.py', 'tests/integration/faults')
    >>> chain("tests/parity/test_disruption.py::test_x")
    'parity'
    >>> chain("tests/sim/test_faults.py::test_x[an app is created-a crash]"), chain("tests/sim/test_scenarios.py::test_y[an app is created]")
    ('sim an app is created', 'sim an app is created')
    >>> chain("tests/unit/test_docs.py::test_x")
    'tests/unit/test_docs.py::test_x'
    """
    layer = _layer(nodeid)
    if layer == "sim" and "[" in nodeid:
        return f"sim {nodeid.partition('[')[2].partition('-')[0].rstrip(']')}"
    if layer in _STATELESS:
        return nodeid
    if layer in _WHOLE:
        return layer
    depth = 4 if layer.startswith("e2e/") else 3
    return "/".join(nodeid.partition("::")[0].split("/")[:depth])


def next_chain(queue: Collection[str], under_way: Collection[str]) -> str:
    """The chain that whoever is free takes. queue: those that are left, in order; under_way: what the others are at.

    >>> left = ["sim a roll", "tests/e2e/apps/test_config.py"]
    >>> next_chain(left, ["e2e/cluster"]), next_chain(left, ["parity"])
    ('sim a roll', 'tests/e2e/apps/test_config.py')
    >>> next_chain(left, ["tests/e2e/apps/test_gates.py", "tests/e2e/apps/test_health.py"])
    'sim a roll'
    >>> next_chain(left[1:], ["tests/e2e/apps/test_gates.py", "tests/e2e/apps/test_health.py"])
    'tests/e2e/apps/test_config.py'
    """
    sharing = [name for name in queue if name.startswith(_SHARED)]
    others = [name for name in queue if not name.startswith(_SHARED)]
    sharers = sum(name.startswith(_SHARED) for name in under_way)
    free = _CLUSTER not in queue and _CLUSTER not in under_way and sharers < _SHARERS
    return (sharing + others if free else others + sharing)[0]


def _place(item: pytest.Item) -> tuple[int, bool, bool]:
    layer = _layer(item.nodeid)
    place = _FIRST.index(layer) if layer in _FIRST else len(_FIRST)
    return place, item.get_closest_marker("runs_last") is not None, item.get_closest_marker("slow") is None


def _layer(nodeid: str) -> str:
    """'tests/sim/test_wild.py::test_x' -> 'sim', 'tests/e2e/apps/test_config.py::test_x' -> 'e2e/apps'; doctests are a
    layer by the package's name."""
    parts = nodeid.partition("::")[0].split("/")
    if parts[1:2] == ["e2e"]:
        return "/".join(parts[1:3])
    return parts[1] if len(parts) > 1 else ""
