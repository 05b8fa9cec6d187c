"""Real faults on a real control plane: the list of bad inputs and faults (docs/limits.md), by number.

Each test runs an operator of its own, for a namespace of its own, on one control plane. Faults that last (a minute of
silence, three minutes without an API server) are stories: they begin with the folder's first test, go on beside the
others, and are judged by their own test, which comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import account
from support.crds import install
from support.lab import Lab, whole_lab
from support.operator import Operator
from support.proxy import Proxy
from support.team import Team, gathered

Story = Callable[[Lab, Path], Any]
_STORY = "story"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_STORY}(function): goes on beside other tests; its end is the fixture `told`")


@pytest.fixture(scope="session")
def plane() -> Iterator[Lab]:
    with whole_lab("faults") as lab:
        install(lab)
        account.install(lab)
        yield lab


@pytest.fixture(scope="session", autouse=True)
def stories(
    request: pytest.FixtureRequest, plane: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Story, Future[Any]]]:
    """Those of the tests that are to be run."""
    marks = [mark for item in request.session.items if (mark := item.get_closest_marker(_STORY))]
    wanted: list[Story] = list(dict.fromkeys(mark.args[0] for mark in marks))
    with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
        yield {story: pool.submit(story, plane, tmp_path_factory.mktemp("story")) for story in wanted}


@pytest.fixture
def told(request: pytest.FixtureRequest, stories: dict[Story, Future[Any]]) -> Any:
    """What the test's story came to."""
    mark = request.node.get_closest_marker(_STORY)
    return stories[mark.args[0]].result(timeout=420)


@pytest.fixture(scope="module")
def fragile(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A control plane of the module's own, for faults that everybody on it feels."""
    with whole_lab(request.path.stem.removeprefix("test_").replace("_", "-")) as lab:
        install(lab)
        account.install(lab)
        yield lab


@pytest.fixture
def crew(fragile: Lab) -> Iterator[Team]:
    """A team on it."""
    with gathered(fragile) as team:
        yield team


@pytest.fixture
def steward(crew: Team) -> Iterator[Operator]:
    """The operator of a crew."""
    with Operator(crew.lab, crew.name, namespaces=crew.name) as operator:
        yield operator


@pytest.fixture
def proxy(plane: Lab) -> Iterator[Proxy]:
    with Proxy(plane) as proxy:
        yield proxy


@pytest.fixture
def operator(team: Team, proxy: Proxy, tmp_path: Path) -> Iterator[Operator]:
    """Works for the team, through the proxy, with the rights that the chart gives it."""
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", account.token(team.lab))
    with Operator(team.lab, team.name, kubeconfig=kubeconfig, namespaces=team.name) as operator:
        yield operator
