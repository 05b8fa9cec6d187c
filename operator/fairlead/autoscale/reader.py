"""Carries out what sources ask for: the cluster's metrics APIs, kubelets, servers. Nothing is raised: what fails is a reading."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from fairlead.autoscale import rates
from fairlead.autoscale.kubelets import Kubelets
from fairlead.autoscale.model import KUBELETS, METRICS_API, Metric, Reading
from fairlead.autoscale.pod_metrics import PodMetrics
from fairlead.autoscale.rates import Pair, Point
from fairlead.autoscale.sources.apis import part
from fairlead.autoscale.sources.model import (
    Answer,
    ApiAnswer,
    Ask,
    AskApi,
    AskUsage,
    Sources,
    Unread,
    named,
)
from fairlead.autoscale.usage import Used
from fairlead.core.meta import JSON
from fairlead.gates.model import AskHttp, Subject
from fairlead.gates.probe import Prober
from fairlead.kube.client import Client
from fairlead.kube.errors import ApiError, Forbidden, NotFound

SETTING = "chart value autoscale.resourceMetrics"
SECONDS = 10.0  # for one metric to be read
_FOUND = 2.0  # seconds more, for a server to be found: its own limit comes first, since that names who did not answer
_ABSENT = 30.0  # seconds after which an API that is not served is looked for again
_TRACKS = 4096  # metrics whose last totals are kept


class Place(msgspec.Struct, frozen=True):
    """The App that is looked at, and its pods' nodes by the pods' names."""

    subject: Subject
    places: dict[str, str]
    now: float


class Reader:
    """ways: where cpu and memory are read, in this order, as far as they can be."""

    def __init__(self, sources: Sources, prober: Prober, ways: Sequence[str] = (METRICS_API,)) -> None:
        self._sources = sources
        self._prober = prober
        self._ways = tuple(ways)
        self._kubelets = Kubelets()
        self._pod_metrics = PodMetrics()
        self._absent: dict[str, tuple[float, str]] = {}  # until when (loop time) a way is not tried, and why
        self._plurals: dict[tuple[str, str], str] = {}
        self._tracks: dict[tuple[str, str], dict[str, Pair]] = {}

    def at(self, place: Place, client: Client) -> Glance:
        return Glance(self, place, client)

    async def reading(self, metric: Metric, glance: Glance) -> Reading:
        """What one metric of an App comes to."""
        name, spec = named(metric)
        source = self._sources.get(name)
        if source is None:
            return Reading(error=f"no source is called {name!r}; there are {', '.join(sorted(self._sources))}")
        try:
            ask = source.asks(metric, spec, glance.place.subject)
            answer = await self._answer(ask, glance)
            return self._counted(source.reads(metric, spec, answer, glance.place.now), metric, glance.place)
        except Unread as why:
            return Reading(error=str(why))
        except TimeoutError:
            return Reading(error=f"no answer within {seconds(ask):g} s")
        except ApiError as error:
            return Reading(error=str(error))
        except msgspec.ValidationError as error:
            return Reading(error=f"from.{name} cannot be read: {error}")

    async def used(self, place: Place, client: Client) -> Used:
        """What the App's pods use of cpu and memory, container by container."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._used(place, client)
        except TimeoutError:
            return Used(error=f"no answer within {SECONDS:g} s")

    async def _answer(self, ask: Ask, glance: Glance) -> Answer:
        if isinstance(ask, AskUsage):
            return await glance.used()
        async with asyncio.timeout(seconds(ask)):
            if isinstance(ask, AskApi):
                return await self._of_api(ask, glance.client)
            answer = await self._prober.ask(ask, glance.place.subject, glance.client)
            return answer if isinstance(answer, tuple) else ()

    def _counted(self, reading: Reading, metric: Metric, place: Place) -> Reading:
        """What totals rise by in a second, of this look and the last one."""
        if not reading.totals:
            return reading
        slot = (place.subject.app_uid, metric.title)
        points = {pod: Point(one.at, one.value) for pod, one in reading.samples.items()}
        track = rates.followed(self._tracks.pop(slot, {}), points)
        self._tracks[slot] = track  # the latest last
        if len(self._tracks) > _TRACKS:
            del self._tracks[next(iter(self._tracks))]
        return Reading({pod: pace for pod, pair in track.items() if (pace := rates.rate(pair))})

    # ------------------------------------------------------------ cpu and memory

    async def _used(self, place: Place, client: Client) -> Used:
        wrong = []
        loop = asyncio.get_running_loop()
        for way in self._ways:
            until, why = self._absent.get(way, (0.0, ""))
            if loop.time() < until:
                wrong.append(why)
                continue
            try:
                used = await (self._of_metrics_api if way == METRICS_API else self._of_kubelets)(place, client)
            except (ApiError, ValueError) as error:
                wrong.append(f"{way}: {error}")
                if isinstance(error, NotFound | Forbidden):
                    self._absent[way] = (loop.time() + _ABSENT, wrong[-1])
                continue
            if not used.error:
                return used
            wrong.append(used.error)
        hint = "" if KUBELETS in self._ways else f"; install metrics-server, or let kubelets be read ({SETTING})"
        return Used(error="; ".join(wrong) + hint)

    async def _of_metrics_api(self, place: Place, client: Client) -> Used:
        return await self._pod_metrics.used(place.subject.namespace, place.subject.app, place.places, client)

    async def _of_kubelets(self, place: Place, client: Client) -> Used:
        return await self._kubelets.used(place.subject.namespace, place.places, client, place.now)

    # ------------------------------------------------------------ aggregated APIs

    async def _of_api(self, ask: AskApi, client: Client) -> ApiAnswer:
        unknown = ""
        try:
            plural = await self._plural(ask.api_version, ask.kind, client) if ask.kind else ""
            for path in ask.paths:
                try:
                    return ApiAnswer(await client.fetch(path.replace("{resource}", plural), dict(ask.query)))
                except NotFound as error:
                    unknown = unknown or str(error)
        except ApiError as error:
            return ApiAnswer(error=str(error), status=error.code)
        return ApiAnswer(error=unknown, status=404)

    async def _plural(self, api_version: str, kind: str, client: Client) -> str:
        """What a kind is called in paths, with its group: `ingresses.networking.k8s.io`."""
        if (api_version, kind) not in self._plurals:
            group, _, version = api_version.rpartition("/")
            root = f"/apis/{part(group)}/{part(version)}" if group else f"/api/{part(version)}"
            try:
                found: JSON = msgspec.json.decode(await client.fetch(root))
            except NotFound:
                raise Unread(f"the cluster has no API {api_version}") from None
            names = [one["name"] for one in found.get("resources") or () if one.get("kind") == kind]
            plain = next((name for name in names if "/" not in name), "")
            if not plain:
                raise Unread(f"{api_version} has no kind {kind}")
            self._plurals[api_version, kind] = f"{plain}.{group}" if group else plain
        return self._plurals[api_version, kind]


def seconds(ask: Ask) -> float:
    """For what is asked to be answered.

    >>> seconds(AskUsage()), seconds(AskHttp("Url", 10, url="http://queue.shop.svc"))
    (10.0, 12.0)
    """
    return ask.timeout + _FOUND if isinstance(ask, AskHttp) else SECONDS


class Glance:
    """One look at one App. What its pods use is read once in it, whatever asks for it: cpu and memory stand in one answer."""

    def __init__(self, reader: Reader, place: Place, client: Client) -> None:
        self.place = place
        self.client = client
        self._reader = reader
        self._lock = asyncio.Lock()
        self._used: Used | None = None

    async def read(self, metrics: Sequence[Metric]) -> tuple[Reading, ...]:
        """All of an App's metrics at the same time, one reading for each, in their order."""
        return tuple(await asyncio.gather(*(self._reader.reading(metric, self) for metric in metrics)))

    async def used(self) -> Used:
        """What the App's pods use of cpu and memory, container by container."""
        async with self._lock:
            if self._used is None:
                self._used = await self._reader.used(self.place, self.client)
            return self._used
