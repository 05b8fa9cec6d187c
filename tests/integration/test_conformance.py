"""The conformance suite on a real kube-apiserver, with upstream's garbage collector behind it: what keeps the fake honest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio

from conformance.api import Api, encode
from conformance.suite import *  # noqa: F403
from fairlead.kube.config import Access, StaticLogin
from fairlead.kube.http import HttpClient
from fairlead.kube.resources import NAMESPACES
from support.crds import install
from support.lab import Lab

# One loop and one client: a TLS connection that a watch leaves takes a moment to close.
pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(1)


@pytest.fixture(scope="module")
def lab_with_collector() -> Iterator[Lab]:
    with Lab("conformance", controllers="garbage-collector-controller,namespace-controller") as lab:
        install(lab)
        lab.kill("kcm")  # the collector looks for new kinds every 30 s, and when it starts
        lab.start("kcm")
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(lab_with_collector: Lab) -> AsyncIterator[HttpClient]:
    lab = lab_with_collector
    access = Access(server=lab.url, authorization=f"Bearer {lab.token}", ca_file=str(lab.ca))
    made = HttpClient(StaticLogin(access), access)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def api(client: HttpClient) -> Api:
    name = f"conformance-{next(_numbers)}"
    await client.create(NAMESPACES, None, encode({"metadata": {"name": name}}))
    return Api(client, name)
