"""Lives of autoscaled Apps, made from seeds: what each of some syncs finds, in upstream's words and in ours.

The size goes by our decisions, and pods follow it loosely, so that lives get to where they are interesting: full scale-ups,
windows that hold, rates that run out, zero and back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from fairlead.autoscale.history import State
from fairlead.autoscale.model import (
    Amount,
    Autoscale,
    Behavior,
    ContainerResourceMetric,
    DescribedObject,
    ExternalMetric,
    Identifier,
    Load,
    Metric,
    ObjectMetric,
    PodsMetric,
    Policy,
    Reading,
    ResourceMetric,
    Rules,
    Sample,
    Seen,
)
from fairlead.autoscale.plan import Decision, decide
from fairlead.autoscale.requests import requests_of
from fairlead.core.conditions import timestamp
from fairlead.core.quantity import milli

JSON = dict[str, Any]

EPOCH = 946_684_800  # 2000-01-01: where the virtual time of upstream's program begins
WINDOW = 30  # seconds of a sample
RESOURCES = {"cpu": 1_000, "memory": 100 * 1024**2 * 1000}  # about what a container requests, in thousandths
SERIES = ("hits", "depth", "length")
EDGES = (0.5, 0.9, 0.98, 1.0, 1.02, 1.1, 1.5)  # of the tolerances, and where a direction turns


@dataclass
class Life:
    """One autoscaler's, with what we decided at each sync."""

    seed: int
    spec: Autoscale
    period: int
    replicas: int
    steps: list[JSON] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def case(self) -> JSON:
        """For upstream's program."""
        return {
            "periodSeconds": self.period,
            "replicas": self.replicas,
            "spec": upstream_spec(self.spec),
            "steps": self.steps,
        }


def lived(seed: int) -> Life:
    """The life of this seed."""
    chance = random.Random(seed)
    life = Life(seed, _spec(chance), 15, 0)
    life.period = chance.choice([15, 15, 15, 30, 60] + [5] * (life.spec.behavior is not None))
    life.replicas = size = chance.randint(1, life.spec.max + chance.choice([0, 0, 5]))
    state, stopped, mood = State(), False, _Mood(chance)
    for number in range(1, chance.randint(6, 24) + 1):
        now = EPOCH + number * life.period
        scaled = _scaled_by_hand(chance, life.spec)
        if scaled == 0 and any(one.state.to_zero for one in life.decisions):
            scaled = None  # upstream goes on taking it for its own zero until the size changes by it
        stopped = stopped or scaled == 0
        if scaled is not None and not stopped:
            size, state = scaled, msgspec.structs.replace(state, replicas=scaled)
        mood = mood.next()
        pods = [mood.pod(f"p{index}", now) for index in range(max(0, size + chance.choice([0, 0, 0, 0, -1, 1, 3])))]
        readings = {key_of(metric): mood.reading(metric, pods, now) for metric in life.spec.metrics}
        active = max(0, size + chance.choice([0, 0, 0, -1, 2]))
        seen = Seen(
            size,
            active,
            0 if stopped else 1,
            tuple(load_of(pod) for pod in pods),
            tuple(our_reading(readings[key_of(metric)]) for metric in life.spec.metrics),
        )
        decision = decide(life.spec, state, seen, now)
        life.steps.append({"replicas": scaled, "statusReplicas": active, "pods": pods, "readings": readings})
        life.decisions.append(decision)
        state, size = decision.state, decision.replicas
        if stopped:
            break  # what was before a stop upstream remembers, and we do not
    return life


# ---------------------------------------------------------------- specs


def _spec(chance: random.Random) -> Autoscale:
    metrics = tuple(chance.sample(_metrics(chance), chance.choice([1, 1, 1, 2, 3])))
    to_zero = any(metric.beyond_pods for metric in metrics) and chance.random() < 0.5
    least = 0 if to_zero else chance.choice([1, 1, 2, 3])
    behavior = Behavior(_rules(chance), _rules(chance)) if chance.random() < 0.7 else None
    return Autoscale(least + chance.randint(1, 20), least, metrics, behavior, hold_seconds=0)


def _metrics(chance: random.Random) -> list[Metric]:
    amounts: list[list[Amount]] = [[1, "2500m", 10], [7, 40, "100"]]
    per_pod, whole = (chance.choice(some) for some in amounts)
    percent = chance.choice([10, 50, 60, 80, 150])
    described = DescribedObject("Ingress", "main")
    return [
        Metric(resource=ResourceMetric("cpu", percent)),
        Metric(resource=ResourceMetric("memory", average_value="60Mi")),
        Metric(resource=ResourceMetric("memory", percent)),
        Metric(container_resource=ContainerResourceMetric("cpu", percent, container="web")),
        Metric(container_resource=ContainerResourceMetric("cpu", average_value="700m", container="web")),
        Metric(pods=PodsMetric(Identifier(SERIES[0]), per_pod)),
        Metric(object=ObjectMetric(described, Identifier(SERIES[1]), value=whole)),
        Metric(object=ObjectMetric(described, Identifier(SERIES[1]), average_value=per_pod)),
        Metric(external=ExternalMetric(Identifier(SERIES[2]), value=whole)),
        Metric(external=ExternalMetric(Identifier(SERIES[2]), average_value=per_pod)),
    ]


def _rules(chance: random.Random) -> Rules:
    kinds: list[Literal["Pods", "Percent"]] = ["Pods", "Percent"]
    policies = tuple(
        Policy(chance.choice(kinds), chance.choice([1, 2, 3, 10, 50, 100]), chance.choice([5, 15, 30, 60, 180]))
        for _ in range(chance.randint(1, 3))
    )
    return Rules(
        chance.choice([None, 0, 0, 15, 60, 90, 300]),
        chance.choice(["Max", "Max", "Min", "Disabled"]),
        chance.choice([None, policies, policies]),
        chance.choice([None, None, "0", "20m", "0.5"]),
    )


def upstream_spec(spec: Autoscale) -> JSON:
    """autoscaling/v2's."""
    said: JSON = {
        "minReplicas": spec.min,
        "maxReplicas": spec.max,
        "metrics": [_upstream_metric(one) for one in spec.metrics],
    }
    if spec.behavior:
        said["behavior"] = {
            name: _upstream_rules(rules)
            for name, rules in (("scaleUp", spec.behavior.scale_up), ("scaleDown", spec.behavior.scale_down))
        }
    return said


def _upstream_rules(rules: Rules) -> JSON:
    return {name: value for name, value in msgspec.to_builtins(rules).items() if value is not None}


def _upstream_metric(metric: Metric) -> JSON:
    kind, said = next((name, said) for name, said in msgspec.to_builtins(metric).items() if said is not None)
    target = {name: said.pop(name) for name in ("averageUtilization", "averageValue", "value") if name in said}
    ((name, wanted),) = [(name, wanted) for name, wanted in target.items() if wanted is not None]
    types = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
    if "metric" in said:
        said["metric"] = {"name": said["metric"]["name"]}
    amount = wanted if name == "averageUtilization" else str(wanted)
    return {"type": kind[0].upper() + kind[1:], kind: said | {"target": {"type": types[name], name: amount}}}


def key_of(metric: Metric) -> str:
    """What upstream's program finds its reading under."""
    if resource := metric.resource or metric.container_resource:
        return f"resource/{resource.name}/{getattr(resource, 'container', '')}"
    if metric.pods:
        return f"pods/{metric.pods.metric.name}"
    if metric.object:
        return f"object/{metric.object.metric.name}"
    assert metric.external
    return f"external/{metric.external.metric.name}"


# ---------------------------------------------------------------- what a sync finds


class _Mood:
    """How an App is doing at the time: its load, how even it is, how well its pods and sources are."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.load = chance.choice([0.0, 0.3, 0.6, 1.0, 2.0])
        self.even = chance.random() < 0.6
        self.ill = chance.choice([0.0, 0.0, 0.1, 0.4])
        self.aim = chance.choice([None, None, None, *EDGES])  # so many times the target, where rules have their edges

    def next(self) -> _Mood:
        """A little later: mostly the same."""
        if self.chance.random() < 0.15:
            return _Mood(self.chance)
        if self.chance.random() < 0.4:
            self.load = max(0.0, self.load * self.chance.choice([0.9, 0.95, 1.05, 1.1, 1.5]))
        return self

    def pod(self, name: str, now: int) -> JSON:
        chance = self.chance
        ill = chance.random() < self.ill
        started = now - (chance.choice([1, 20, 40, 290, 300, 310, 400]) if ill else 5000)
        changed = min(now, started + chance.choice([0, 10, 29, 30, 31, 200, 280]))
        status: JSON = {
            "phase": chance.choice(["Running", "Running", "Running", "Pending", "Failed", "Succeeded"])
            if ill
            else "Running"
        }
        if not ill or chance.random() < 0.95:
            status["startTime"] = timestamp(started)
        if not ill or chance.random() < 0.95:
            ready = chance.choice(["True", "False", "False", "Unknown"]) if ill else "True"
            status["conditions"] = [{"type": "Ready", "status": ready, "lastTransitionTime": timestamp(changed)}]
        meta: JSON = {"name": name}
        if ill and chance.random() < 0.15:
            meta["deletionTimestamp"] = timestamp(now + 30)
        return {"metadata": meta, "spec": self._spec(), "status": status}

    def _spec(self) -> JSON:
        chance = self.chance
        odd = chance.random() < self.ill / 10  # of requests that are missing a metric of the whole App fails
        web: JSON = {"name": "web", "resources": {"requests": {"cpu": chance.choice(["1", "500m"]), "memory": "100Mi"}}}
        spec: JSON = {"containers": [web]}
        if chance.random() < 0.3:
            spec["containers"].append(
                {"name": "proxy", "resources": {"requests": {} if odd else {"cpu": "50m", "memory": "10Mi"}}}
            )
        if chance.random() < 0.1:
            always = {"restartPolicy": "Always"} if chance.random() < 0.5 else {}
            requests = {"requests": {"cpu": chance.choice(["25m", "3"]), "memory": "5Mi"}}
            spec["initContainers"] = [{"name": "init", "resources": requests} | always]
        if chance.random() < 0.1:
            spec["resources"] = {"requests": {"cpu": "1500m"}}
        if chance.random() < 0.1:
            spec["overhead"] = {"cpu": "10m", "memory": "1Mi"}
        return spec

    def reading(self, metric: Metric, pods: list[JSON], now: int) -> JSON:
        chance = self.chance
        if chance.random() < 0.05:
            return {"error": "no answer"}
        if metric.beyond_pods:
            series = 1 if metric.object else chance.choice([1, 1, 2])
            whole = chance.choice([1_000, 7_000, 40_000, 100_000]) if self.even else chance.randint(0, 200_000)
            total = self.load * whole if self.aim is None else self.aim * _target_in_all(metric, len(pods))
            return {"values": [int(total) for _ in range(series)]}
        return {
            "pods": {
                pod["metadata"]["name"]: {
                    "value": self._value(metric, pod),
                    "at": timestamp(now - chance.choice([0, 5, 29, 30, 31, 60])),
                    "windowSeconds": WINDOW,
                }
                for pod in pods
                if chance.random() >= self.ill / 2
            }
        }

    def _value(self, metric: Metric, pod: JSON) -> int:
        if self.aim is not None:
            return round(self.aim * _target_of(metric, pod))
        unit = RESOURCES[metric.resource.name] if metric.resource else 1_000
        return int(self.load * unit * (1 if self.even else self.chance.uniform(0.5, 2)))


def _target_of(metric: Metric, pod: JSON) -> float:
    """What a pod has when it is at the target of an average, in thousandths."""
    if metric.pods:
        return milli(metric.pods.average_value)
    source = metric.resource or metric.container_resource
    assert source
    if source.average_value is not None:
        return milli(source.average_value)
    containers = requests_of(pod["spec"]).containers
    wanted = [containers["web"]] if metric.container_resource else containers.values()
    return sum(amounts.get(source.name, 0) for amounts in wanted) * (source.average_utilization or 0) / 100


def _target_in_all(metric: Metric, pods: int) -> float:
    """The same of a total."""
    source = metric.object or metric.external
    assert source
    return milli(source.value) if source.value is not None else milli(source.average_value or 0) * pods


def _scaled_by_hand(chance: random.Random, spec: Autoscale) -> int | None:
    luck = chance.random()
    if luck < 0.005:
        return 0
    return chance.randint(1, spec.max + 3) if luck < 0.04 else None


# ---------------------------------------------------------------- the same in our words


def load_of(pod: JSON) -> Load:
    status = pod["status"]
    ready: JSON = next(iter(status.get("conditions", [])), {})
    return Load(
        pod["metadata"]["name"],
        status["phase"],
        ready.get("status", ""),
        float(_seconds(ready["lastTransitionTime"])) if ready else 0.0,
        float(_seconds(status["startTime"])) if "startTime" in status else None,
        "deletionTimestamp" in pod["metadata"],
        requests_of(pod["spec"]),
    )


def our_reading(reading: JSON) -> Reading:
    samples = {
        name: Sample(one["value"], float(_seconds(one["at"])), float(one["windowSeconds"]))
        for name, one in reading.get("pods", {}).items()
    }
    return Reading(samples, tuple(reading.get("values", ())), reading.get("error", ""))


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
