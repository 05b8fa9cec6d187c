"""The one place where metrics.k8s.io is read: an App's pods alone where few Apps of a namespace ask, and one list of the namespace's pods
once in a period for all of them where many do."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote

from fairlead.autoscale.kubelets import PERIOD
from fairlead.autoscale.model import METRICS_API
from fairlead.autoscale.usage import Listed, Used, listed, of_listed, of_metrics_api
from fairlead.core.meta import LABEL_APP
from fairlead.kube.client import Client
from fairlead.kube.errors import ApiError, Unreachable

FEW = 3  # Apps of a namespace that are asked for one by one: it may have thousands of pods of others
SECONDS = 9.0  # for a list to be answered: an App waits 10 s, so all who wait hear of it
_RECENT = 2 * PERIOD  # seconds after which an App that has not asked again counts no more: each asks once in five


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a list said, or why it failed. When it was asked for, and when it was told (loop time)."""

    pods: Listed
    failed: ApiError | ValueError | None
    began: float
    told: float


@dataclass(slots=True)
class _Namespace:
    """Who asks about it (by App, when it did last, the latest last), and the last list of all its pods."""

    asked: OrderedDict[str, float] = field(default_factory=OrderedDict)
    answer: _Answer | None = None
    # Whoever comes first reads, the others wait for it. The first may be cancelled while they wait, as its App is deleted or its
    # own time is up: that ends its request and nobody else's look, since the next one in the line reads then.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class PodMetrics:
    """What metrics.k8s.io says of pods. In memory alone, and no longer than it is asked for."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}
        self._sweep_at = 0.0

    async def used(self, namespace: str, app: str, names: Collection[str], client: Client) -> Used:
        """What an App's pods use. names: theirs. ApiError where that cannot be had, ValueError where the answer is something else."""
        now = asyncio.get_running_loop().time()
        self._sweep(now)
        about = self._namespaces.setdefault(namespace, _Namespace())
        about.asked[app] = now
        about.asked.move_to_end(app)
        path = f"/apis/{METRICS_API}/v1beta1/namespaces/{quote(namespace, safe='')}/pods"
        if whole(about.asked, now):
            return of_listed(await _listed(about, path, client), app, names)
        return of_metrics_api(await client.fetch(path, {"labelSelector": f"{LABEL_APP}={app}"}))

    def _sweep(self, now: float) -> None:
        """Forgets Apps, lists and namespaces that nobody has asked about lately."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + PERIOD
        for name, about in list(self._namespaces.items()):
            while about.asked and next(iter(about.asked.values())) <= now - _RECENT:
                about.asked.popitem(last=False)
            if about.answer and about.answer.told <= now - PERIOD:
                about.answer = None
            if not about.asked and not about.lock.locked():
                del self._namespaces[name]


def whole(asked: dict[str, float], now: float) -> bool:
    """Whether a namespace's pods are listed as a whole: so many of its Apps ask that one list for all is less than a request for
    each. asked: when each App did last, the latest last.

    >>> whole({"web": 97, "shop": 98, "mail": 100}, now=100)
    False
    >>> whole({"jobs": 96, "web": 97, "shop": 98, "mail": 100}, now=100), whole({"gone": 50, "web": 97, "shop": 98, "mail": 100}, now=100)
    (True, False)
    """
    return any(at > now - _RECENT for at in islice(reversed(asked.values()), FEW, FEW + 1))


def serves(answer: _Answer, asked: float, now: float) -> bool:
    """Whether a list is an answer to who asked then: each, where it was under way; later only what is fresh and no failure.

    >>> slow, failed = _Answer(Listed(), None, began=100, told=106), _Answer(Listed(), Unreachable(0, "", "cut"), began=100, told=101)
    >>> serves(slow, asked=105, now=106), serves(slow, asked=107, now=107)
    (True, False)
    >>> serves(failed, asked=100.5, now=101), serves(failed, asked=102, now=102)
    (True, False)
    """
    return asked <= answer.told or (answer.failed is None and now < answer.began + PERIOD)


async def _listed(about: _Namespace, path: str, client: Client) -> Listed:
    loop = asyncio.get_running_loop()
    asked = loop.time()
    async with about.lock:
        answer, now = about.answer, loop.time()
        if answer is None or not serves(answer, asked, now):
            answer = about.answer = await _look(path, client, now)
    if answer.failed:
        raise answer.failed.with_traceback(None)  # or it would grow by each of those who are told
    return answer.pods


async def _look(path: str, client: Client, began: float) -> _Answer:
    time = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(SECONDS):
            return _Answer(listed(await client.fetch(path)), None, began, time())
    except TimeoutError:
        return _Answer(Listed(), Unreachable(0, "Timeout", f"no answer within {SECONDS:g} s"), began, time())
    except (ApiError, ValueError) as error:
        return _Answer(Listed(), error, began, time())
