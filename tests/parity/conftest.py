"""Upstream's scenarios beside upstream: one control plane with its controllers and scheduler, KWOK for kubelets, and the
operator as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from fairlead.kube.config import KubeconfigLogin
from fairlead.kube.http import HttpClient
from parity.scene import Scene
from support.crds import install
from support.lab import Lab
from support.operator import Operator

STAGES = Path(__file__).with_name("stages.yaml")
_numbers = count(1)


@pytest.fixture(scope="package")
def plane() -> Iterator[Lab]:
    """Shared by this folder; tests keep to namespaces of their own."""
    with Lab(
        "parity",
        controllers=True,
        scheduler=True,
        kwok=True,
        nodes=10,
        qps="unthrottled",
        kwok_args=f"--config={STAGES}",
    ) as lab:
        install(lab)
        lab.kill("kcm")  # the garbage collector looks for new kinds every 30 s, and when it starts
        lab.start("kcm")
        with Operator(lab):
            yield lab


@pytest_asyncio.fixture
async def client(plane: Lab) -> AsyncIterator[HttpClient]:
    made = await HttpClient.connect(KubeconfigLogin(str(plane.kubeconfig)))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def scene(plane: Lab, client: HttpClient) -> AsyncIterator[Scene]:
    """A namespace of its own, and a person in it."""
    async with Scene(plane, client, f"parity-{next(_numbers)}") as made:
        yield made
