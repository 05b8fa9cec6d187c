"""What the benchmark takes from EndpointSlices: who requests go to, and since when."""

import asyncio

import pytest

from bench.slices import Slices
from fairlead.activation.model import Endpoint, Slice
from fairlead.activation.testing import ours

PODS = Slice("default", "shop-x", "p", 2, "shop", "shop", endpoints=(Endpoint("10.0.0.7"),))


@pytest.mark.looptime
async def test_it_tells_when_the_way_is_another_and_not_when_that_was_asked() -> None:
    slices, loop = Slices(), asyncio.get_running_loop()
    slices.put(ours(addresses=("10.0.0.1",)))
    assert slices.to_activators() and not slices.to_pods() and slices.port == 20007
    named, aside = slices.when(slices.to_pods), slices.when(lambda: not slices.to_activators())
    await asyncio.sleep(1)
    slices.put(PODS)
    began = loop.time()
    await asyncio.sleep(1)
    assert not aside.done()
    slices.put(ours())
    assert (await named, await aside) == (began, began + 1)


@pytest.mark.looptime
async def test_what_is_so_already_is_told_at_once() -> None:
    slices = Slices()
    slices.put(PODS)
    assert slices.when(slices.to_pods).done()
