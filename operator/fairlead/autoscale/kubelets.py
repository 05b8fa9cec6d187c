"""The one place where kubelets are read: through the API server's node proxy, each node once in a period for all Apps."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote

from fairlead.autoscale.shared import Shared
from fairlead.autoscale.usage import Node, Used, looked, of_nodes
from fairlead.kube.client import Client
from fairlead.kube.errors import ApiError

SECONDS = 5.0  # for one node to answer
_FORGOTTEN = 600.0  # seconds after which a node that nobody asked for is forgotten


class Kubelets:
    """What nodes say of their pods. In memory alone: a new operator looks twice before it knows any pace."""

    def __init__(self) -> None:
        # Whatever a node comes to lasts, a failure too: it is not asked once more by each App that has pods on it.
        self._nodes: defaultdict[str, Shared[Node]] = defaultdict(Shared)
        self._sweep_at = 0.0

    async def used(self, namespace: str, places: Mapping[str, str], client: Client, now: float) -> Used:
        """What pods use. places: each pod's node, by the pod's name. Nothing is raised: what fails is told in the answer."""
        self._sweep(asyncio.get_running_loop().time())
        names = sorted(set(places.values()))
        nodes = await asyncio.gather(*(self._nodes[name].of(partial(_look, name, client, now)) for name in names))
        return of_nodes(dict(zip(names, nodes, strict=True)), namespace, places)

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + _FORGOTTEN / 10
        for name in [name for name, node in self._nodes.items() if node.idle(now, _FORGOTTEN)]:
            del self._nodes[name]


async def _look(name: str, client: Client, now: float, last: Node | None) -> Node:
    before = last or Node()
    try:
        async with asyncio.timeout(SECONDS):
            body = await client.fetch(f"/api/v1/nodes/{quote(name, safe='')}/proxy/metrics/resource")
        return looked(before, body, now)
    except TimeoutError:
        return Node(before.track, failed=f"no answer within {SECONDS:g} s")
    except (ApiError, ValueError) as error:
        return Node(before.track, failed=str(error)[:200])
