"""What every layer of tests shares."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings

# Machines are busy: how long an example takes, or making it, says nothing about what it shows.
_unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fairlead", _unhurried)
settings.register_profile("brief", _unhurried, max_examples=10)  # --hypothesis-profile=brief
settings.load_profile("fairlead")

pytest_plugins = ["support.figures", "support.order"]

# Test bodies that several layers import are no test modules by name; their assertions are to be as telling.
pytest.register_assert_rewrite("conformance.suite", "conformance.api", "sim", "support")

# pytest-asyncio asks for "the current loop" around fixtures; on Python 3.11 that makes one which nobody closes, unless
# it has been said before that there is none.
asyncio.set_event_loop(None)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Virtual time moves as soon as nothing is left to do. By itself looptime looks 42 times whether the outside world has
    stirred, before each move; where time is virtual here, there is no outside world."""
    if item.get_closest_marker("looptime"):
        item.add_marker(pytest.mark.looptime(noop_cycles=0))
