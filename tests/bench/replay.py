"""What one pod event costs Fairlead: the run's own watch lines, put once more through informer, store and queue."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import uvloop

from fairlead.app import app_controller
from fairlead.engine.engine import Engine
from fairlead.kube.client import Lines
from fairlead.kube.resources import PODS

_TIMES = 5
_BATCH = 20  # lines that arrive together; on a busy API server it is about as many


class Recorded:
    """An API server that knows nothing, and then tells the same story."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self.told = asyncio.Event()
        self.seconds = 0.0

    async def list(self, *_: Any, **__: Any) -> bytes:
        return b'{"metadata":{"resourceVersion":"1"},"items":[]}'

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Lines]:
        began = time.process_time()
        for start in range(0, len(self._lines), _BATCH):
            yield list(self._lines[start : start + _BATCH])
        self.seconds = time.process_time() - began
        self.told.set()
        await asyncio.Event().wait()  # an open stream that has nothing more to say


def cost(lines: Sequence[bytes]) -> float:
    """Seconds of CPU per event, the least of some repetitions."""
    return min(uvloop.run(_once(lines)) for _ in range(_TIMES)) / len(lines)


async def _once(lines: Sequence[bytes]) -> float:
    client: Any = Recorded(lines)
    engine = Engine(client, [app_controller()], clock=time.time)  # never run: nobody works on what is queued
    informer = next(one for one in engine.informers if one.source.resource is PODS)
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(client.told.wait(), 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return float(client.seconds)
