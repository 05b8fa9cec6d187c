"""What keeps to a namespace of its own, or only looks: beside one another, on nodes and with an operator that nobody stops
meanwhile."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Operator
from substrate.locks import shared


@pytest.fixture(scope="module", autouse=True)
def _calm(operator: Operator) -> Iterator[None]:
    with shared(operator.cluster.calm):
        yield
