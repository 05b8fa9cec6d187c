"""The one place where metrics.k8s.io is read: an App's pods alone where few Apps of a namespace ask, and one list of the namespace's pods
once in a period for all of them where many do."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from urllib.parse import quote

from fairlead.autoscale.model import METRICS_API
from fairlead.autoscale.shared import PERIOD, Shared
from fairlead.autoscale.usage import Listed, Used, listed, of_listed, of_metrics_api
from fairlead.core.meta import LABEL_APP
from fairlead.kube.client import Client
from fairlead.kube.errors import ApiError, Unreachable

FEW = 3  # Apps of a namespace that are asked for one by one: it may have thousands of pods of others
SECONDS = 9.0  # for a list to be answered: an App waits 10 s, so all who wait hear of it
_RECENT = 2 * PERIOD  # seconds after which an App that has not asked again counts no more: each asks once in five


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a list said, or why it failed."""

    pods: Listed
    failed: ApiError | ValueError | None = None


@dataclass(slots=True)
class _Namespace:
    """Who asks about it (by App, when it did last, the latest last), and the list of all its pods. A failure is told to those who
    wait for it and to nobody later."""

    asked: OrderedDict[str, float] = field(default_factory=OrderedDict)
    listed: Shared[_Answer] = field(default_factory=lambda: Shared(lasts=lambda answer: answer.failed is None))


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
            answer = await about.listed.of(partial(_look, path, client))
            if answer.failed:
                raise answer.failed.with_traceback(None)  # or it would grow by each of those who are told
            return of_listed(answer.pods, app, names)
        return of_metrics_api(await client.fetch(path, {"labelSelector": f"{LABEL_APP}={app}"}))

    def _sweep(self, now: float) -> None:
        """Forgets Apps, lists and namespaces that nobody has asked about lately."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + PERIOD
        for name, about in list(self._namespaces.items()):
            while about.asked and next(iter(about.asked.values())) <= now - _RECENT:
                about.asked.popitem(last=False)
            if about.listed.idle(now, PERIOD):
                about.listed.let_go()
                if not about.asked:
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


async def _look(path: str, client: Client, _: _Answer | None) -> _Answer:
    try:
        async with asyncio.timeout(SECONDS):
            return _Answer(listed(await client.fetch(path)))
    except TimeoutError:
        return _Answer(Listed(), Unreachable(0, "Timeout", f"no answer within {SECONDS:g} s"))
    except (ApiError, ValueError) as error:
        return _Answer(Listed(), error)
