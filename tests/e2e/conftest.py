"""End-to-end tests on a kind cluster. They make whatever they need: `pytest tests/e2e` is enough on a fresh machine.

A test gets a namespace of its own, which is deleted after it; of a failed test build/e2e-logs/<test>/ keeps objects, events
and logs. Tests wait for what they want to see and never sleep. Those in apps/ keep to their namespace, and run side by side
where pytest has several processes; those in cluster/ stop nodes or the operator, and have the cluster to themselves.
"""

import os
import re
from collections.abc import Generator, Iterator

import pytest

from e2e.dsl import Cluster, Given, Operator, Scene, Then, When
from e2e.dsl.cluster import chosen, hack
from e2e.dsl.evidence import keep
from substrate.locks import exclusive, held_by
from substrate.progress import Progress

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A kind cluster that answers, the project's own unless $FAIRLEAD_E2E_CONTEXT names another. This run's alone: a
    second one, or the demo, waits until it is over."""
    cluster = chosen()
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"process {os.getpid()}")
    with held_by(run, cluster.context, Progress()):
        with exclusive(cluster.calm):
            cluster.up()
        yield cluster


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> str:
    """The operator's image, built from the tree and known to every node."""
    image = hack("image", "build").strip().splitlines()[-1]
    cluster.load(image)
    return image


@pytest.fixture(scope="session")
def operator(cluster: Cluster, image: str) -> Operator:
    """Fairlead, installed from the chart."""
    operator = Operator(cluster, image)
    with exclusive(cluster.calm):
        operator.install()
    return operator


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test."""
    name = _name(request.node.name)
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", timeout=180)
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    yield name
    if request.node.stash.get(_FAILED, False):
        print(f"kept: {keep(cluster, name, request.node.name)}")
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def scene(operator: Operator, namespace: str) -> Scene:
    return Scene(operator.cluster, namespace, operator.image)


@pytest.fixture
def given(scene: Scene) -> Given:
    return Given(scene)


@pytest.fixture
def when(scene: Scene) -> When:
    return When(scene)


@pytest.fixture
def then(scene: Scene) -> Then:
    return Then(scene)


def _name(test: str) -> str:
    """'test_a_pod_is_lost[x]' -> 'e2e-a-pod-is-lost-x'."""
    return ("e2e-" + re.sub(r"[^a-z0-9]+", "-", test.removeprefix("test_").lower()))[:50].strip("-")
