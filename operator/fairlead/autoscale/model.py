"""spec.autoscale as people write it, and what every decision shares. Pure.

Values are whole thousandths (milli), as upstream counts them (Quantity.MilliValue): 250 is a quarter of a core, 1500 are
one and a half requests. Times are epoch seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fairlead.autoscale.vertical.model import Vertical
from fairlead.core.meta import JSON

Direction = Literal["Up", "Down"]
Select = Literal["Max", "Min", "Disabled"]
Ready = Literal["True", "False", "Unknown", ""]  # a pod's Ready condition; "" where there is none yet
Amount = int | float | str  # a Quantity: "500m", 2, "512Mi"

METRICS_API, KUBELETS = "metrics.k8s.io", "kubelets"
WAYS = (METRICS_API, KUBELETS)  # where cpu and memory may be read

INT32_MAX = 2**31 - 1
TOLERANCE: Amount = (
    "0.1"  # how far a ratio may be from 1 before anything happens (kcm: --horizontal-pod-autoscaler-tolerance)
)


# ---------------------------------------------------------------- metrics


class ResourceMetric(msgspec.Struct, frozen=True, rename="camel"):
    """A resource of whole pods. Exactly one target is set: per cent of what the pods request, or an amount for each pod."""

    name: str
    average_utilization: int | None = None
    average_value: Amount | None = None


class ContainerResourceMetric(ResourceMetric, frozen=True, rename="camel", kw_only=True):
    """The same of one container of each pod: a sidecar's share does not count."""

    container: str


class Identifier(msgspec.Struct, frozen=True, rename="camel"):
    """Which series: its name, and labels that narrow it down."""

    name: str
    selector: dict[str, str] = {}


class PodsMetric(msgspec.Struct, frozen=True, rename="camel"):
    """A value each pod has, such as requests a second. source: where it is read, by one field that names the sort of source;
    nothing for the custom metrics API."""

    metric: Identifier
    average_value: Amount
    source: JSON = msgspec.field(default_factory=dict, name="from")


class DescribedObject(msgspec.Struct, frozen=True, rename="camel"):
    """The object a value belongs to, of the App's own namespace."""

    kind: str
    name: str
    api_version: str = ""


class ObjectMetric(msgspec.Struct, frozen=True, rename="camel"):
    """One value that belongs to another object. Exactly one target is set: `value` for all pods together, which the size
    follows by ratio, or `average_value` for each."""

    described_object: DescribedObject
    metric: Identifier
    value: Amount | None = None
    average_value: Amount | None = None


class ExternalMetric(msgspec.Struct, frozen=True, rename="camel"):
    """A value from outside the cluster, such as a queue's length; several series are added up. Targets as of an object. source:
    as of pods; nothing for the external metrics API."""

    metric: Identifier
    value: Amount | None = None
    average_value: Amount | None = None
    source: JSON = msgspec.field(default_factory=dict, name="from")


class Fallback(msgspec.Struct, frozen=True, rename="camel"):
    """How many pods a metric stands for when it has failed for so long (upstream: KEP-5679)."""

    replicas: int
    after_seconds: int = 180


class Metric(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of spec.autoscale.metrics: exactly one of the sources is set (the schema's rule)."""

    resource: ResourceMetric | None = None
    container_resource: ContainerResourceMetric | None = None
    pods: PodsMetric | None = None
    object: ObjectMetric | None = None
    external: ExternalMetric | None = None
    fallback: Fallback | None = None

    @property
    def title(self) -> str:
        """What people call it, and what its failure is remembered under.

        >>> Metric(resource=ResourceMetric("cpu")).title, Metric(external=ExternalMetric(Identifier("queue_length"))).title
        ('cpu', 'queue_length')
        >>> Metric(object=ObjectMetric(DescribedObject("Ingress", "main"), Identifier("hits", {"path": "a"}))).title
        'hits{path=a} of Ingress/main'
        """
        if self.resource:
            return self.resource.name
        if self.container_resource:
            return f"{self.container_resource.name} of container {self.container_resource.container}"
        if self.object:
            described = self.object.described_object
            return f"{_series(self.object.metric)} of {described.kind}/{described.name}"
        source = self.pods or self.external
        return _series(source.metric) if source else ""

    @property
    def beyond_pods(self) -> bool:
        """It can be told while there is no pod: what an App at zero can wake by."""
        return bool(self.object or self.external)


def _series(metric: Identifier) -> str:
    labels = ",".join(f"{key}={value}" for key, value in sorted(metric.selector.items()))
    return f"{metric.name}{{{labels}}}" if labels else metric.name


CPU_AT_80_PERCENT = Metric(
    resource=ResourceMetric("cpu", average_utilization=80)
)  # upstream's, where no metric is given


# ---------------------------------------------------------------- behaviour


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    """At most so many pods, or per cent of them, in any period of so many seconds."""

    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: int


class Rules(msgspec.Struct, frozen=True, rename="camel"):
    """spec.autoscale.behavior.scaleUp and scaleDown. What is None is as upstream has it (`Behavior.up`, `Behavior.down`)."""

    stabilization_window_seconds: int | None = None
    select_policy: Select = "Max"
    policies: tuple[Policy, ...] | None = None
    tolerance: Amount | None = None


UP = Rules(0, "Max", (Policy("Pods", 4, 15), Policy("Percent", 100, 15)), TOLERANCE)
DOWN = Rules(300, "Max", (Policy("Percent", 100, 15),), TOLERANCE)


class Behavior(msgspec.Struct, frozen=True, rename="camel"):
    """spec.autoscale.behavior: how fast the size follows."""

    scale_up: Rules = Rules()
    scale_down: Rules = Rules()

    @property
    def up(self) -> Rules:
        """With upstream's defaults (pkg/apis/autoscaling/v2/defaults.go): 4 pods or 100 % in 15 s, whichever is more, at once.

        >>> Behavior(scale_up=Rules(policies=(Policy("Pods", 2, 60),))).up.stabilization_window_seconds
        0
        """
        return _filled(self.scale_up, UP)

    @property
    def down(self) -> Rules:
        """With upstream's defaults: as many as wanted, when that was so for 300 s.

        >>> Behavior().down == DOWN
        True
        """
        return _filled(self.scale_down, DOWN)


def _filled(said: Rules, default: Rules) -> Rules:
    window = said.stabilization_window_seconds
    return Rules(
        default.stabilization_window_seconds if window is None else window,
        said.select_policy,
        default.policies if said.policies is None else said.policies,
        default.tolerance if said.tolerance is None else said.tolerance,
    )


# ---------------------------------------------------------------- windows of time


class Schedule(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of spec.autoscale.schedules: from each `start` (cron, by the clocks of `time_zone`) until the next `end`, or
    for `duration_seconds`, `min` and `max` are these. Exactly one of `end` and `duration_seconds` is set (the schema's
    rule), and at least one of `min` and `max`."""

    name: str
    start: str
    end: str = ""
    duration_seconds: int | None = None
    time_zone: str = "Etc/UTC"
    min: int | None = None
    max: int | None = None


class Idle(msgspec.Struct, frozen=True, rename="camel"):
    """spec.autoscale.idle: to zero after so many seconds in which every metric came to nothing. timeout_seconds: how long a request
    is held then."""

    after_seconds: int = 300
    timeout_seconds: int = 60


class Autoscale(msgspec.Struct, frozen=True, rename="camel"):
    """spec.autoscale. `behavior` None is upstream's older rule: at most twice as many, or four. `hold_seconds`: how long a
    size that a person has set through the scale subresource stands. `idle` None: a request wakes nobody."""

    max: int
    min: int = 1
    metrics: tuple[Metric, ...] = (CPU_AT_80_PERCENT,)
    behavior: Behavior | None = None
    schedules: tuple[Schedule, ...] = ()
    hold_seconds: int = 600
    resources: Vertical | None = None
    idle: Idle | None = None


class Timing(msgspec.Struct, frozen=True):
    """When a young pod's cpu counts (kube-controller-manager: --horizontal-pod-autoscaler-cpu-initialization-period and
    --horizontal-pod-autoscaler-initial-readiness-delay), in seconds."""

    cpu_initialization: float = 300.0
    initial_readiness_delay: float = 30.0


# ---------------------------------------------------------------- what a decision looks at


class Requests(msgspec.Struct, frozen=True):
    """What a pod asks for, in thousandths: by container, restartable init containers among them, and of the pod as a whole
    where spec.resources says so (None where it does not)."""

    containers: dict[str, dict[str, int]] = {}
    pod: dict[str, int] | None = None


class Load(msgspec.Struct, frozen=True):
    """One pod as upstream's calculator looks at it. `ready` is the Ready condition's status, "" where there is none yet, and
    `ready_changed` when it became so; `idle`: it gets no traffic (a preview, a canary at weight 0)."""

    name: str
    phase: str = "Running"
    ready: Ready = "True"
    ready_changed: float = 0.0
    started: float | None = None  # status.startTime
    deleting: bool = False
    requests: Requests = Requests()
    idle: bool = False


class Sample(msgspec.Struct, frozen=True):
    """One pod's value, in thousandths, over the `window` seconds before `at`. Not a finite number: as if it were not there."""

    value: float
    at: float = 0.0
    window: float = 0.0


class Reading(msgspec.Struct, frozen=True):
    """What a source said of one metric: a value for each pod, or values beyond them in thousandths, or why it could not.
    totals: the samples count up from each pod's start, and what they rise by in a second is meant."""

    samples: dict[str, Sample] = {}
    values: tuple[float, ...] = ()
    error: str = ""
    totals: bool = False


class HandScaled(msgspec.Struct, frozen=True):
    """The scale subresource was the last to write spec.replicas: who (the field manager), since when that stands (None: nobody
    knows yet), how many."""

    by: str
    at: float | None
    replicas: int


class Standby(msgspec.Struct, frozen=True):
    """Who holds the App's requests while it has no pod. ready: how many activators would; trouble: why none does, "" where one does,
    and `since` when that is so; waiting: since when a request has been waiting for a pod (None: there is none)."""

    ready: int = 0
    trouble: str = ""
    since: float = 0.0
    waiting: float | None = None


class Seen(msgspec.Struct, frozen=True):
    """What a decision looks at besides the spec. size: of the App as it is now decided (upstream: scale.spec.replicas).
    active: its pods that are neither finished nor going (scale.status.replicas). asked: spec.replicas. readings: one for each
    of spec.autoscale.metrics, in their order. releasing: there are more pods than the size, since a revision gives way to
    another. refused: why the API server takes no more pods, "" while it does. available: spec.disruption.minAvailable in
    pods, as far as it is a number. standby: who would hold its requests at zero, where spec.autoscale.idle is there; released: no release is under way, which zero would
    complete unseen."""

    size: int
    active: int
    asked: int
    pods: tuple[Load, ...]
    readings: tuple[Reading, ...]
    hand_scaled: HandScaled | None = None
    releasing: bool = False
    refused: str = ""
    available: int = 0
    standby: Standby | None = None
    released: bool = True


# ---------------------------------------------------------------- what it says


class Proposal(msgspec.Struct, frozen=True):
    """What one metric comes to. usage and target as people read them ("83 %", "250m"), `over` the pods they are an average
    of; `error` is set where it cannot be told, and then `replicas` means nothing."""

    metric: str
    replicas: int = 0
    usage: str = ""
    target: str = ""
    over: str = ""
    error: str = ""


class Bounds(msgspec.Struct, frozen=True):
    """How few and how many pods there may be, what says so in words, and when that changes next (None: never). `problems`:
    schedules that cannot be followed."""

    min: int
    max: int
    min_by: str = "min"
    max_by: str = "max"
    until: float | None = None
    problems: tuple[str, ...] = ()
