"""Thousands of specs that nobody would write, one after the other, on a real control plane.

Each App starts with a spec that runs, gets one changed spec after another (some are refused, some can never become pods),
and at last the latest that ran again. FAIRLEAD_FUZZ: how many specs (60). FAIRLEAD_FUZZ_SEED: the first App's seed (1).

What must hold, after Sieve's and Acto's oracles:
- the API server refuses a spec with a reason, or takes it, and then the App says what it waits for;
- the operator lives, logs no error, and rests, however wrong the specs are;
- with the last good spec, pods, Service and budget are those of an App that never had another.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import ssl
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import yaml

from fairlead.core.children import APPLIED
from fairlead.kube.http import hang_up
from support.crds import CRDS, install
from support.fuzz import Generator
from support.lab import Lab
from support.operator import Operator

JSON = dict[str, Any]
SPECS = int(os.environ.get("FAIRLEAD_FUZZ", "60"))
SEED = int(os.environ.get("FAIRLEAD_FUZZ_SEED", "1"))
SPECS_PER_APP = 5 if SPECS < 1000 else 25
APPS_AT_ONCE = 80
NAMESPACE, FRESH = "fuzz", "fuzz-fresh"  # where Apps are changed, and where others get their last spec at once
EVERY_APP = "/apis/fairlead.dev/v1alpha1/apps"
APPS = "/apis/fairlead.dev/v1alpha1/namespaces/{}/apps"
PATIENCE = 60.0  # seconds until an App must have said something, on a busy machine
UNHURRIED = 86_400  # seconds, longer than any minReadySeconds of a spec that ran
UNREADY = 2.5  # seconds that pods are given to become ready before it counts that they do not
UNORDERED = {"ports", "volumes", "volumeMounts", "tolerations", "imagePullSecrets", "topologySpreadConstraints"}
QUIET = 3.0  # seconds in which nothing is written by an operator that rests


@pytest.fixture(scope="module")
def plane() -> Iterator[Lab]:
    with Lab("fuzz", controllers=True, scheduler=True, kwok=True, nodes=20, qps="unthrottled") as lab:
        install(lab)
        for name in (NAMESPACE, FRESH):
            lab.kubectl("create", "namespace", name)
        yield lab


class Api:
    """The API server, as a person's client sees it; and the Apps there are, as of a moment ago."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.apps: dict[tuple[str, str], JSON] = {}
        self._told = asyncio.Condition()

    async def send(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, JSON]:
        content = "application/json-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content}
        async with self._session.request(method, path, data=data, params=query, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def items(self, path: str) -> list[JSON]:
        code, answer = await self.send("GET", path)
        assert code == 200, answer
        found: list[JSON] = answer["items"]
        return found

    async def watch(self) -> None:
        """Keep all Apps as they are, from one watch to the next."""
        while True:
            code, listed = await self.send("GET", EVERY_APP)
            assert code == 200, listed
            self.apps = {}
            for app in listed["items"]:
                self._take(app)
            since = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
            async with self._session.get(EVERY_APP, params=since, timeout=aiohttp.ClientTimeout(None)) as stream:
                try:
                    await self._hear(stream)
                finally:
                    hang_up(stream)

    async def _hear(self, stream: aiohttp.ClientResponse) -> None:
        rest = b""
        async for data in stream.content.iter_any():
            *lines, rest = (rest + data).split(b"\n")
            for event in map(json.loads, lines):
                if event["type"] == "ERROR":
                    break
                self._take(event["object"])
            async with self._told:
                self._told.notify_all()

    def _take(self, app: JSON) -> None:
        self.apps[app["metadata"]["namespace"], app["metadata"]["name"]] = app

    async def until(self, namespace: str, name: str, holds: Callable[[JSON], bool], within: float) -> JSON:
        """The App as soon as it is so. TimeoutError."""
        async with asyncio.timeout(within), self._told:
            while not ((app := self.apps.get((namespace, name))) and holds(app)):
                await self._told.wait()
            return app


@asynccontextmanager
async def connected(lab: Lab) -> AsyncIterator[Api]:
    connector = aiohttp.TCPConnector(ssl=lab.ssl_context(), limit=64)
    headers = {"Authorization": f"Bearer {lab.token}"}
    async with aiohttp.ClientSession(lab.url, connector=connector, headers=headers) as session:
        api = Api(session)
        watching = asyncio.create_task(api.watch())
        try:
            yield api
            assert not watching.done(), watching.exception()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


# ---------------------------------------------------------------- what an App says


def condition(app: JSON, type: str) -> JSON:
    found: JSON = next((c for c in (app.get("status") or {}).get("conditions") or () if c["type"] == type), {})
    return found


def heard(app: JSON, generation: int) -> bool:
    return bool((app.get("status") or {}).get("observedGeneration", 0) >= generation)


def ready(app: JSON) -> bool:
    return bool(condition(app, "Ready").get("status") == "True")


def explained(app: JSON) -> bool:
    """It says what is wrong."""
    bad = {"Stalled": "True", "ReplicaFailure": "True", "Accepted": "False", "Exposed": "False", "Disruption": "False"}
    return bool(app["status"].get("problems")) or any(
        condition(app, type).get("status") == status for type, status in bad.items()
    )


def waits_aloud(app: JSON) -> bool:
    """Nothing is wrong, and it says what it waits for: the pods are there (of none, all are), or a person has to go on."""
    said = condition(app, "Ready")
    there = app["status"].get("updatedReplicas", 0) > 0 or app["spec"]["rollout"].get("paused")
    there = there or app["spec"]["replicas"] == 0
    return bool(there and said.get("reason") and said.get("message"))


def stands_alone(spec: JSON) -> bool:
    """An App that never had another spec runs it, too, as this one does: it speaks of no past, goes on from no size that it
    had, speaks of nothing there is only one of, and of no other App: a release would wait for that, or go back with it, while one that
    runs already does neither."""
    ports = spec.get("expose", {}).get("ports") or ()
    past = spec["rollout"].get("undoTo") or spec["rollout"]["paused"] or "autoscale" in spec
    others = spec.get("after") or spec["rollout"].get("releaseGroup")
    return not past and not others and not any("nodePort" in port for port in ports)


# ---------------------------------------------------------------- one App's life


@dataclass
class Tally:
    """What became of all specs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{dict(self.outcomes)}\n{dict(self.reasons.most_common(40))}"


class Subject:
    """An App and the specs it gets."""

    def __init__(self, api: Api, tally: Tally, schema: JSON, seed: int) -> None:
        self.api, self.tally = api, tally
        self.name = f"app-{seed}"
        self._chance = random.Random(seed)
        self._generator = Generator(schema, self._chance)
        self.good: JSON = {}  # the latest spec that ran
        self.bad: JSON = {}  # the latest that was taken and did not

    def wrong(self, what: str, **more: Any) -> None:
        lines = [f"{self.name}: {what}", *(f"  {name}: {json.dumps(value)}" for name, value in more.items())]
        self.tally.wrong.append("\n".join(lines))
        print(self.tally.wrong[-1], flush=True)

    async def change(self) -> None:
        """One spec after the other."""
        try:
            current = await self._begin()
        except TimeoutError:
            self.wrong("a spec that runs anywhere does not run", app=self.api.apps.get((NAMESPACE, self.name)))
            return
        for _ in range(SPECS_PER_APP):
            how, spec = self._generator.change(current)
            # Strict is what kubectl asks for; another client is warned, and the unknown field dropped.
            strict = self._chance.choice(["Strict", "Warn"])
            code, answer = await self._put(spec, fieldValidation=strict)
            if code != 200:
                self._refused(how, code, answer)
                continue
            app = await self._answer(how, answer)
            if app is not None and ready(app):
                current = app["spec"]
                self.good = current if stands_alone(current) else self.good
            else:
                self.bad = answer["spec"]
                current = self._chance.choice([self.bad, self.good])

    async def park(self) -> None:
        """Back to the latest spec that does not run."""
        if self.bad:
            await self._put(self.bad)

    async def recover(self) -> None:
        """With its last good spec it is what an App is that never had another. What Fairlead adds to a pod reaches pods
        when they are replaced: they are, once, and by no deadline that a busy machine misses (the release would be
        taken back, as it should)."""
        if not self.good:
            return
        replaced = {"restartAt": "2031-01-31T12:00:00Z", "progressDeadlineSeconds": UNHURRIED}
        self.good = {**self.good, "rollout": {**self.good["rollout"], **replaced}}
        code, answer = await self._put(self.good)
        assert code == 200, answer
        await create(self.api, FRESH, self.name, self.good)
        try:
            await self._runs(FRESH, 1)
            app = await self._runs(NAMESPACE, answer["metadata"]["generation"])
            if condition(app, "Autoscaling").get("reason") == "TakenAway":
                await self._resized()
        except TimeoutError:
            said = self.api.apps.get((NAMESPACE, self.name), {}).get("status")
            fresh = self.api.apps.get((FRESH, self.name), {}).get("status")
            self.wrong(
                "not ready again with its last good spec", spec=self.good, bad=self.bad, status=said, fresh=fresh
            )
            return
        await self._compare()

    async def _runs(self, namespace: str, generation: int) -> JSON:
        return await self.api.until(
            namespace, self.name, lambda app: heard(app, generation) and ready(app), 2 * PATIENCE
        )

    async def _resized(self) -> None:
        """An App keeps the size that autoscaling gave it; the condition says how it gets another."""
        for replicas in (self.good["replicas"] + 1, self.good["replicas"]):
            code, answer = await self._put({**self.good, "replicas": replicas})
            assert code == 200, answer
            await self._runs(NAMESPACE, answer["metadata"]["generation"])

    async def _compare(self) -> None:
        """What it has made settles a moment after it is ready (the old pods are gone, the Service is changed)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            mine, fresh = await asyncio.gather(self._made(NAMESPACE), self._made(FRESH))
            if mine == fresh:
                self.tally.outcomes["restored"] += 1
                return
            if loop.time() > deadline:
                break
            await asyncio.sleep(0.2)
        differ = {kind: [mine[kind], fresh[kind]] for kind in mine if mine[kind] != fresh[kind]}
        self.wrong("not as a fresh App with its last good spec", spec=self.good, bad=self.bad, differ=differ)

    async def end(self) -> None:
        for namespace in (NAMESPACE, FRESH):
            await self.api.send("DELETE", f"{APPS.format(namespace)}/{self.name}")

    async def _begin(self) -> JSON:
        stored = await create(self.api, NAMESPACE, self.name, self._generator.base())
        app = await self.api.until(NAMESPACE, self.name, ready, PATIENCE)
        assert app["metadata"]["uid"] == stored["metadata"]["uid"]
        self.good = stored["spec"]
        return self.good

    async def _put(self, spec: JSON, **query: str) -> tuple[int, JSON]:
        body = [{"op": "replace", "path": "/spec", "value": spec}]
        return await self.api.send("PATCH", f"{APPS.format(NAMESPACE)}/{self.name}", body, **query)

    def _refused(self, how: str, code: int, answer: JSON) -> None:
        self.tally.outcomes["refused"] += 1
        if code not in (400, 422) or not answer.get("message"):
            self.wrong(f"refused with {code}", how=how, answer=answer)

    async def _answer(self, how: str, stored: JSON) -> JSON | None:
        """The App once it has said something to that spec; None where it does not."""
        generation = stored["metadata"]["generation"]
        try:
            app = await self.api.until(NAMESPACE, self.name, lambda app: heard(app, generation), PATIENCE)
            app = await self._settled(generation)
        except TimeoutError:
            status = self.api.apps[NAMESPACE, self.name].get("status")
            self.wrong("taken, and not explained", how=how, spec=stored["spec"], status=status)
            return None
        outcome = "ready" if ready(app) else "explained" if explained(app) else "waiting"
        self.tally.outcomes[outcome] += 1
        if outcome != "ready":
            problems = [problem["reason"] for problem in app["status"].get("problems") or ()]
            self.tally.reasons[(problems or [condition(app, "Ready").get("reason")])[0]] += 1
        return app

    async def _settled(self, generation: int) -> JSON:
        """Ready or explained; or, after some time, waiting for something it names."""

        def clear(app: JSON) -> bool:
            return heard(app, generation) and (ready(app) or explained(app))

        try:
            return await self.api.until(NAMESPACE, self.name, clear, UNREADY)
        except TimeoutError:
            return await self.api.until(NAMESPACE, self.name, lambda app: clear(app) or waits_aloud(app), PATIENCE)

    async def _made(self, namespace: str) -> dict[str, list[Any]]:
        """Pods, Service and budget, without what every object has of its own."""
        selector = f"?labelSelector=fairlead.dev/app={self.name}"
        pods = await self.api.items(f"/api/v1/namespaces/{namespace}/pods{selector}")
        services = await self.api.items(f"/api/v1/namespaces/{namespace}/services{selector}")
        budgets = await self.api.items(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets{selector}")
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return {
            "pods": sorted((essence(pod, "nodeName") for pod in alive), key=json.dumps),
            "services": [essence(one, "clusterIP", "clusterIPs", "healthCheckNodePort") for one in services],
            "budgets": [essence(one) for one in budgets],
        }


def unordered(value: Any, field: str = "") -> Any:
    """With the lists sorted whose order means nothing, and without what means nothing when it is empty: such changes replace no pod."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if inner or key not in ("affinity", "dnsConfig")}
        return {key: unordered(inner, key) for key, inner in kept.items()}
    if isinstance(value, list):
        items = [unordered(item) for item in value]
        return sorted(items, key=json.dumps) if field in UNORDERED else items
    return value


def essence(obj: JSON, *own: str) -> JSON:
    """Labels, annotations and spec, without the fields that the cluster chooses."""
    spec = {key: value for key, value in obj["spec"].items() if key not in own}
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)
    labels = {k: v for k, v in obj["metadata"].get("labels", {}).items() if not k.startswith("topology.")}
    annotations = {k: v for k, v in obj["metadata"].get("annotations", {}).items() if k != APPLIED}
    return {"labels": labels, "annotations": annotations, "spec": unordered(spec)}


async def create(api: Api, namespace: str, name: str, spec: JSON) -> JSON:
    body = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "metadata": {"name": name}, "spec": spec}
    code, answer = await api.send("POST", APPS.format(namespace), body)
    assert code == 201, answer
    return answer


# ---------------------------------------------------------------- what the operator does


def counters(operator: Operator, prefix: str) -> dict[str, float]:
    """Its series of that name; Events and what was only looked at are no work."""
    with urllib.request.urlopen(operator.metrics, timeout=30, context=_anyone()) as answer:
        lines = answer.read().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(prefix) and 'kind="Event"' not in line)
    return {name: float(value) for name, _, value in found}


def _anyone() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def work(operator: Operator) -> float:
    return sum(counters(operator, "fairlead_writes_total").values())


async def rests(operator: Operator, within: float) -> bool:
    """Whether nothing is written for a while."""
    loop = asyncio.get_running_loop()
    deadline, last, since = loop.time() + within, work(operator), loop.time()
    while loop.time() - since < QUIET:
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.5)
        if (now := work(operator)) != last:
            last, since = now, loop.time()
    return True


async def test_no_spec_breaks_the_operator_and_the_last_good_one_restores_the_state(plane: Lab) -> None:
    schema = yaml.load((CRDS / "app.yaml").read_text(), yaml.CSafeLoader)
    spec_schema = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    tally, busiest = Tally(), 0.0
    count = -(-SPECS // SPECS_PER_APP)
    with Operator(plane, "fuzz") as operator:
        async with connected(plane) as api:
            for first in range(SEED, SEED + count, APPS_AT_ONCE):
                seeds = range(first, min(first + APPS_AT_ONCE, SEED + count))
                subjects = [Subject(api, tally, spec_schema, seed) for seed in seeds]
                await asyncio.gather(*(subject.change() for subject in subjects))
                await asyncio.gather(*(subject.park() for subject in subjects))
                busiest = max(busiest, await pace(operator, len(subjects)))
                await asyncio.gather(*(subject.recover() for subject in subjects))
                if not await rests(operator, 100):  # what nobody waits for is told within a minute
                    tally.wrong.append("the operator does not rest, with good specs everywhere")
                await asyncio.gather(*(subject.end() for subject in subjects))
                print(f"seeds {seeds}: {tally}, {busiest:.2f} writes a second and App", flush=True)
                assert operator.ready(), "the operator is not ready any more"
        broken = {
            **counters(operator, "fairlead_plan_errors_total"),
            **counters(operator, "fairlead_unreadable_objects"),
        }
    assert not any(broken.values()), broken
    log = operator.log.read_text()
    assert not re.findall(r"^.*(?:Traceback| ERROR |status of .* was refused).*$", log, re.MULTILINE)
    assert busiest < 1, "writes per second of an App that cannot run"
    assert not tally.wrong, f"{len(tally.wrong)} wrong, all of them above; the first: {tally.wrong[0]}"
    assert (
        tally.outcomes.total() >= SPECS and min(tally.outcomes[name] for name in ("refused", "ready", "explained")) > 0
    )


async def pace(operator: Operator, apps: int) -> float:
    """Writes a second and App, once they are less than one, or at last: some time after all got a spec that does not run. How long it
    takes until the specs are acted on is the machine's."""
    for _ in range(5):
        await asyncio.sleep(QUIET)
        before, began = work(operator), time.monotonic()
        await asyncio.sleep(QUIET)
        rate = (work(operator) - before) / (time.monotonic() - began) / apps
        if rate < 1:
            break
    return rate
