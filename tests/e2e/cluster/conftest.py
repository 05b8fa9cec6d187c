"""What nodes, the operator and its definitions go through: with nobody else on the cluster meanwhile."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Operator
from substrate.locks import exclusive


@pytest.fixture(scope="package", autouse=True)
def _alone(operator: Operator) -> Iterator[None]:
    """From the first to the last of them: between two files another process would begin one that takes minutes."""
    with exclusive(operator.cluster.calm):
        yield
