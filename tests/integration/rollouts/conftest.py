"""Releases on one control plane with upstream's controllers and scheduler, KWOK for kubelets, and the operator as a process
of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.crds import install
from support.lab import Lab, whole_lab
from support.operator import Operator


@pytest.fixture(scope="package")
def plane() -> Iterator[Lab]:
    """Shared by this folder; tests keep to namespaces of their own."""
    with whole_lab("rollouts") as lab:
        install(lab)
        with Operator(lab):
            yield lab
