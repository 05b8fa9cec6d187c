"""A pytest plugin: which tests come first, and which stay together when several processes share the work.

The longest chain decides how long a run takes. It is the end-to-end tests, one after the other on the one cluster: so
they begin, and whoever is free meanwhile takes the rest. Files that start a control plane stay whole, or each process
would start it again.
"""

import pytest

_FIRST = ("e2e", "integration", "parity", "bench", "chart", "sim")
_STATELESS = ("unit", "sim", "conformance", "fairlead")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    for item in items:
        if _layer(item) not in _STATELESS:
            item.add_marker(pytest.mark.xdist_group(_chain(item)))


def _chain(item: pytest.Item) -> str:
    layer = _layer(item)
    return layer if layer == "e2e" else "/".join(item.nodeid.partition("::")[0].split("/")[:3])


def _place(item: pytest.Item) -> tuple[int, bool]:
    layer = _layer(item)
    place = _FIRST.index(layer) if layer in _FIRST else len(_FIRST)
    return place, item.get_closest_marker("runs_last") is not None


def _layer(item: pytest.Item) -> str:
    """'tests/sim/test_wild.py::test_x' -> 'sim'; doctests are a layer by the package's name."""
    parts = item.nodeid.partition("::")[0].split("/")
    return parts[1] if len(parts) > 1 else ""
