"""What gates measure in the simulation: a backend that answers like Prometheus, by how the new pods' image behaves, and pods that
answer health gates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from fairlead.core.podstate import Pod
from fairlead.gates.model import Answer, Ask, AskPods, HttpAnswer, PodsAnswer, Subject
from fairlead.gates.probe import read_pods
from fairlead.kube.client import Client

RATES = {"lossy": "0.5", "unclear": "0.03", "odd": "NaN"}  # by the image's tag; others lose little
_SECONDS = 0.5  # an answer takes


class Backend:
    """down: neither it nor a pod answers at all."""

    def __init__(self) -> None:
        self.down = False
        self.cold: Callable[[Pod], bool] = lambda _pod: False  # which pods say 503 when a health gate asks them

    async def ask(self, ask: Ask, subject: Subject, client: Client) -> Answer:
        await asyncio.sleep(_SECONDS)
        if subject.pod is not None:
            if self.down:
                return (HttpAnswer("/warm", error="no answer within 5 s"),)
            return (HttpAnswer("/warm", 503 if self.cold(subject.pod) else 200, b"", _SECONDS),)
        pods = await read_pods(subject, client)
        if isinstance(ask, AskPods):
            return PodsAnswer(tuple(pod for pod, _ in pods))
        if self.down:
            return (HttpAnswer("prometheus", error="no answer within 10 s"),)
        first = msgspec.json.decode(pods[0][1]) if pods else {}
        image = first["spec"]["containers"][0]["image"] if first else ""
        value = RATES.get(image.rpartition(":")[2], "0.001")
        said = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, value]}]}}
        return (HttpAnswer("prometheus", 200, msgspec.json.encode(said)),)
