"""What gates measure in the simulation: a backend that answers like Prometheus, by how the new pods' image behaves, and pods that
answer health gates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.gates.model import Answer, Ask, AskPods, HttpAnswer, PodsAnswer, Subject
from fairlead.gates.probe import read_pods
from fairlead.kube.client import Client

# By the image's tag, or by the last word of the Secret that the pods have their variables from; others lose little.
RATES = {"lossy": "0.5", "unclear": "0.03", "odd": "NaN"}
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
        value = next((RATES[word] for word in _words(first) if word in RATES), "0.001")
        said = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, value]}]}}
        return (HttpAnswer("prometheus", 200, msgspec.json.encode(said)),)


def _words(pod: JSON) -> list[str]:
    if not pod:
        return []
    container = pod["spec"]["containers"][0]
    secrets = [source["secretRef"]["name"] for source in container.get("envFrom") or () if "secretRef" in source]
    return [container["image"].rpartition(":")[2], *(name.rpartition("-")[2] for name in secrets)]
