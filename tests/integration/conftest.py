"""Integration tests run against a real API server: see support/lab.py."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from support.backend import Backend
from support.crds import install
from support.lab import Lab, LabFactory
from support.team import Team, gathered


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """etcd and kube-apiserver, shared by this folder: tests keep to a namespace of their own. Down with the last of them, for
    an API server that nobody asks still takes a twentieth of a core from what runs next."""
    with Lab("pytest") as made:
        yield made


@pytest.fixture(scope="package")
def api(lab: Lab) -> Lab:
    """The folder's lab with our kinds installed."""
    install(lab)
    return lab


@pytest.fixture
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test. Nobody finishes its deletion here (no controllers run), and nobody has to."""
    name = f"test-{next(_numbers)}"
    lab.kubectl("create", "namespace", name)
    yield name


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    """A server that speaks as Prometheus does, the module's own."""
    with Backend() as backend:
        yield backend


@pytest.fixture
def team(plane: Lab) -> Iterator[Team]:
    """On the `plane` of the module, or of its folder."""
    with gathered(plane) as team:
        yield team


@pytest.fixture
def lab_factory() -> Iterator[LabFactory]:
    """Labs for one test, side by side with the folder's."""
    made: list[Lab] = []

    def make(**options: Any) -> Lab:
        one = Lab(f"pytest-{next(_numbers)}", **options)
        made.append(one)
        return one.up()

    yield make
    for one in made:
        one.down()


_numbers = count(1)
