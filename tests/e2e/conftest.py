"""End-to-end tests on a kind cluster. They make whatever they need: `pytest tests/e2e` is enough on a fresh machine.

A test gets a namespace of its own, which is deleted after it; of a failed test build/e2e-logs/<test>/ keeps objects, events
and logs. Tests wait for what they want to see and never sleep. Those in apps/ keep to their namespace, and run side by side
where pytest has several processes; those in cluster/ stop nodes or the operator, and have the cluster to themselves.
"""

import os
import re
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from e2e.dsl import Cluster, Given, Operator, Scene, Then, When
from e2e.dsl.cluster import chosen, hack
from e2e.dsl.evidence import keep
from e2e.dsl.zero import Dial
from substrate.locks import first_of, held_by
from substrate.progress import Progress
from support.commands import CommandFailed

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for node in item.listchain():  # also for fixtures that a whole file has
        node.stash[_FAILED] = node.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def run() -> str:
    """The name of this run of pytest, the same for all its processes."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex


@pytest.fixture(scope="session")
def cluster(run: str) -> Iterator[Cluster]:
    """A kind cluster that answers, the project's own unless $FAIRLEAD_E2E_CONTEXT names another. This run's alone: a
    second one, or the demo, waits until it is over."""
    cluster = chosen()
    with held_by(run, cluster.context, Progress()):
        # Once a run: a process that comes later would wait for a moment in which no other has a test on the cluster.
        with first_of(run, f"{cluster.context} up") as first:
            if first:
                cluster.up()
        yield cluster


@pytest.fixture(scope="session")
def image(cluster: Cluster, run: str) -> str:
    """The operator's image, built from the tree and known to every node."""
    image = hack("image", "build").strip().splitlines()[-1]
    with first_of(run, f"{cluster.context} image") as first:
        if first:  # later a node may be stopped
            cluster.load(image)
    return image


@pytest.fixture(scope="session")
def operator(cluster: Cluster, image: str, run: str) -> Operator:
    """Fairlead, installed from the chart."""
    operator = Operator(cluster, image)
    with first_of(run, f"{cluster.context} operator") as first:
        if first:
            operator.install()
    return operator


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test."""
    with _namespace(cluster, request.node) as name:
        yield name


@pytest.fixture(scope="module")
def shared_namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for all tests of a file, where their Apps have to wait beside one another; its `namespace` returns it."""
    with _namespace(cluster, request.node) as name:
        yield name


@contextmanager
def _namespace(cluster: Cluster, node: pytest.Item | pytest.Collector) -> Iterator[str]:
    name = _name(node.name)
    try:
        cluster.kubectl("create", "namespace", name)
    except CommandFailed as failed:
        if "AlreadyExists" not in failed.output:
            raise
        # A run before this one left it, or is just leaving it.
        cluster.kubectl("delete", "namespace", name, "--ignore-not-found", timeout=180)
        cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=90s", timeout=100)
    yield name
    if node.stash.get(_FAILED, False):
        print(f"kept: {keep(cluster, name, node.name)}")
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


@pytest.fixture
def dial(scene: Scene) -> Dial:
    """For Apps of `e2e.dsl.zero`."""
    return Dial(scene)


def _name(test: str) -> str:
    """'test_a_pod_is_lost[x]' -> 'e2e-a-pod-is-lost-x', and of a file: 'test_nodes.py' -> 'e2e-nodes'."""
    bare = test.removeprefix("test_").removesuffix(".py").lower()
    return ("e2e-" + re.sub(r"[^a-z0-9]+", "-", bare))[:50].strip("-")
