"""What one write costs the client: the executor's own path, from an action to its answer, on a real API server over TLS."""

import json
import random
import time
from collections.abc import Sequence
from typing import Any

from bench import workload
from bench.workload import NAMESPACE
from fairlead.core.actions import Action, Create, Delete
from fairlead.core.meta import Key
from fairlead.engine.execute import Executor
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.failures import Failures
from fairlead.engine.job import Job
from fairlead.engine.limiter import Lanes
from fairlead.engine.perform import Performer
from fairlead.engine.requests import Requests
from fairlead.engine.settings import EngineSettings
from fairlead.kube.client import Client
from fairlead.kube.resources import PODS
from fairlead.metrics.collect import Metrics

_PODS = 500
_LABEL = "writes"


async def cost(client: Client) -> float:
    """Seconds of this process's CPU per write: so many pods made, and deleted again. Nothing else may run in it."""
    executor, names = _executor(client), [f"write-{number}" for number in range(_PODS)]
    made = await _spent(executor, [Create("Pod", NAMESPACE, name, _pod(name), "") for name in names])
    listed = json.loads(await client.list(PODS, NAMESPACE, label_selector=_LABEL, limit=0))
    uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in listed["items"]}
    gone = await _spent(executor, [Delete("Pod", NAMESPACE, name, uids[name]) for name in names])
    return (made + gone) / (2 * _PODS)


async def _spent(executor: Executor, actions: Sequence[Action]) -> float:
    job = Job(Key(NAMESPACE, "writes"), "App", "", 1, actions, interrupted=lambda: False)
    began = time.process_time()
    outcome = await executor.run(job)
    spent = time.process_time() - began
    if outcome.succeeded != len(actions):
        raise RuntimeError(f"{outcome.succeeded} of {len(actions)} writes went through: {job.refusals}")
    return spent


def _pod(name: str) -> bytes:
    """A pod that no scheduler looks at, so that nothing follows from it."""
    pod: dict[str, Any] = json.loads(workload.bare_pod(name, 1, ""))
    pod["metadata"]["labels"] = {_LABEL: "true"}
    pod["spec"]["schedulerName"] = "nobody"
    return json.dumps(pod).encode()


def _executor(client: Client) -> Executor:
    settings, metrics, rng = EngineSettings(), Metrics(), random.Random()
    lanes = Lanes(
        settings.create_concurrency,
        settings.delete_concurrency,
        settings.other_concurrency,
        settings.queueing_delay,
        metrics,
    )
    performer = Performer(
        client,
        {},
        Requests(lanes, settings, rng, metrics, lambda: True),
        Expectations(settings.expectation_ttl, time.monotonic),
        OwnWrites(settings.own_write_timeout, time.monotonic),
    )
    failures = Failures(settings.refusal_backoff, clock=time.time, monotonic=time.monotonic, rng=rng)
    return Executor(performer, lanes, failures)
