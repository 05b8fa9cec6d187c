"""The one place where kubelets are read: through the API server's node proxy, each node once in a period for all Apps."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from fairlead.autoscale.usage import Node, Used, looked, of_nodes
from fairlead.kube.client import Client
from fairlead.kube.errors import ApiError

PERIOD = 4.0  # seconds a look is good for: a little less than the time between two decisions
SECONDS = 5.0  # for one node to answer
_FORGOTTEN = 600.0  # seconds after which a node that nobody asked for is forgotten


@dataclass(slots=True)
class _Kept:
    """The last look at a node, when it began and when it was over (loop time)."""

    node: Node
    began: float
    over: float


class Kubelets:
    """What nodes say of their pods. In memory alone: a new operator looks twice before it knows any pace."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        # Whoever comes first reads, the others wait for it; should it be cancelled, the next one reads.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def used(self, namespace: str, places: Mapping[str, str], client: Client, now: float) -> Used:
        """What pods use. places: each pod's node, by the pod's name. Nothing is raised: what fails is told in the answer."""
        names = sorted(set(places.values()))
        nodes = await asyncio.gather(*(self._node(name, client, now) for name in names))
        return of_nodes(dict(zip(names, nodes, strict=True)), namespace, places)

    async def _node(self, name: str, client: Client, now: float) -> Node:
        time = asyncio.get_running_loop().time
        asked = time()
        async with self._locks[name]:
            began, kept = time(), self._kept.get(name)
            # Whoever has waited for a look takes what it came to, although a slow one is not fresh any more: would each of them look
            # anew in its turn, the second would be out of time, and its App without the other nodes' pods as well.
            if kept is None or (asked > kept.over and began >= kept.began + PERIOD):
                node = await _look(kept.node if kept else Node(), name, client, now)
                kept = self._kept[name] = _Kept(node, began, time())
                self._sweep(began)
            return kept.node

    def _sweep(self, now: float) -> None:
        for name in [name for name, kept in self._kept.items() if kept.began + _FORGOTTEN < now]:
            del self._kept[name]
            if not self._locks[name].locked():
                del self._locks[name]


async def _look(before: Node, name: str, client: Client, now: float) -> Node:
    try:
        async with asyncio.timeout(SECONDS):
            body = await client.fetch(f"/api/v1/nodes/{quote(name, safe='')}/proxy/metrics/resource")
        return looked(before, body, now)
    except TimeoutError:
        return Node(before.track, failed=f"no answer within {SECONDS:g} s")
    except (ApiError, ValueError) as error:
        return Node(before.track, failed=str(error)[:200])
