"""What nodes, the operator and its definitions go through: with nobody else on the cluster meanwhile."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Operator
from substrate.locks import exclusive


@pytest.fixture(scope="module", autouse=True)
def _alone(operator: Operator) -> Iterator[None]:
    with exclusive(operator.cluster.calm):
        yield
