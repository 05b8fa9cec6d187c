"""Apps, Revisions and what hangs on them, as far as people are shown them: typed, frozen, every string inert.

What another version of the operator adds is ignored; what it leaves out reads as zero or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from fairlead.autoscale.history import size_of
from fairlead.autoscale.model import Autoscale
from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.core.podstate import Pod, project_pod
from fairlead.view.inert import inert, inert_object

T = TypeVar("T")


class Base(msgspec.Struct, frozen=True, rename="camel"):
    """A piece of an API object."""


class Metadata(Base, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managed_fields: list[JSON] = []
    finalizers: list[str] = []

    @property
    def created(self) -> float | None:
        return parse_time(self.creation_timestamp)

    @property
    def deleting(self) -> bool:
        return self.deletion_timestamp is not None


class Condition(Base, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None

    @property
    def since(self) -> float | None:
        return parse_time(self.last_transition_time)


class Rollout(Base, frozen=True):
    strategy: str = "Rolling"
    on_failure: str = "Rollback"
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"
    min_ready_seconds: int = 0
    progress_deadline_seconds: int = 600
    paused: bool = False
    revision_history_limit: int = 10
    undo_to: int | None = None
    restart_at: str | None = None


class AppSpec(Base, frozen=True):
    type: str = "Stateless"
    replicas: int = 1
    template: JSON = {}
    rollout: Rollout = Rollout()
    expose: JSON | None = None
    disruption: JSON | None = None
    autoscale: Autoscale | None = None


class Problem(Base, frozen=True):
    """One reason why pods are not well, as the operator sums it up."""

    reason: str = ""
    message: str = ""
    count: int = 0
    sample_pod: str = ""
    container: str = ""
    revision: str = ""  # the Revision's name or its hash
    since: str | None = None

    @property
    def since_epoch(self) -> float | None:
        return parse_time(self.since)


class Undo(Base, frozen=True):
    to: int | None = None
    revision: str = ""  # the name of the one that was meant, none where nobody keeps it
    rejected: str = ""  # the hash of the template that was turned away


class RolloutStatus(Base, frozen=True):
    started_at: str | None = None
    last_progress_at: str | None = None
    waiting_for: str = ""
    step: int = 0
    steps: int = 0
    weight: int = 0
    share: int = 0
    held_at: str | None = None


class Rejected(Base, frozen=True):
    """The release that was taken back."""

    digest: str = ""
    number: int = 0
    reason: str = ""
    message: str = ""


class GateStatus(Base, frozen=True):
    """A gate that is judged now."""

    name: str
    moment: str = ""
    phase: str = ""
    message: str = ""
    value: str = ""
    measured: int = 0
    measured_at: str = ""
    since: str = ""
    dry_run: bool = False


class AppStatus(Base, frozen=True):
    observed_generation: int = 0
    conditions: list[Condition] = []
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int = 0
    selector: str = ""
    revision: int | None = None
    active_revision: str = ""
    stable_revision: str = ""
    summary: str = ""
    problems: list[Problem] = []
    undo: Undo | None = None
    rejected: Rejected | None = None
    rollout: RolloutStatus = RolloutStatus()
    gates: list[GateStatus] = []
    autoscale: JSON | None = None


class App(Base, frozen=True):
    metadata: Metadata
    spec: AppSpec = AppSpec()
    status: AppStatus = AppStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    def condition(self, type: str) -> Condition | None:
        return next((c for c in self.status.conditions if c.type == type), None)

    def is_true(self, type: str) -> bool:
        found = self.condition(type)
        return found is not None and found.status == "True"

    @property
    def replicas(self) -> int:
        """How many pods it is to have: what its autoscaling has come to, else spec.replicas."""
        said = {"autoscale": self.status.autoscale} if self.status.autoscale else {}
        return size_of(self.spec.autoscale, self.spec.replicas, said)

    @property
    def observed(self) -> bool:
        """Whether the operator has looked at the spec as it is now."""
        return self.status.observed_generation >= self.metadata.generation and self.status.observed_generation > 0

    @property
    def images(self) -> list[str]:
        return images_of(self.spec.template)


class RevisionSpec(Base, frozen=True):
    app: str = ""
    number: int = 0
    template_hash: str = ""
    template: JSON = {}
    images: list[str] = []
    cause: str = ""
    created_by: str = ""
    config: list[JSON] = []


class RevisionStatus(Base, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int = 0
    phase: str = ""
    conditions: list[Condition] = []


class Revision(Base, frozen=True):
    metadata: Metadata
    spec: RevisionSpec = RevisionSpec()
    status: RevisionStatus = RevisionStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def number(self) -> int:
        return self.spec.number

    @property
    def images(self) -> list[str]:
        return self.spec.images or images_of(self.spec.template)


class Event(Base, frozen=True):
    """A core/v1 Event; its time is whichever of the fields its writer filled."""

    metadata: Metadata = Metadata()
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    count: int | None = None
    last_timestamp: str | None = None
    first_timestamp: str | None = None
    event_time: str | None = None
    series: JSON | None = None
    involved_object: JSON = {}

    @property
    def last_seen(self) -> float:
        series = (self.series or {}).get("lastObservedTime")
        return parse_time(series or self.last_timestamp or self.event_time or self.metadata.creation_timestamp) or 0.0

    @property
    def times(self) -> int:
        return (self.series or {}).get("count") or self.count or 1

    @property
    def about(self) -> str:
        return f"{self.involved_object.get('kind', '')}/{self.involved_object.get('name', '')}"


def images_of(template: JSON) -> list[str]:
    """The images of a pod template's containers, in their order.

    >>> images_of({"spec": {"containers": [{"name": "web", "image": "shop:2"}, {"name": "log"}]}})
    ['shop:2']
    """
    containers = (template.get("spec") or {}).get("containers") or []
    return [container["image"] for container in containers if container.get("image")]


def read(raw: JSON, kind: type[T]) -> T:
    """A decoded API object as one of the types above. ValueError where it is something else."""
    return msgspec.convert(inert_object(_without_nulls(raw)), kind)


def read_all(raws: list[JSON], kind: type[T]) -> list[T]:
    return [read(raw, kind) for raw in raws]


def read_pods(raws: Iterable[bytes]) -> list[Pod]:
    """Pods as the engine sees them, from their JSON: the same diagnosis, so that the operator and its users read the same
    reasons."""
    pods = (project_pod(raw) for raw in raws)
    return [_inert_pod(pod) for pod in pods if pod is not None]


def _inert_pod(pod: Pod) -> Pod:
    """What of a pod may hold anyone's text; names and labels cannot."""
    words = {"problem": inert(pod.problem), "message": inert(pod.message), "container": inert(pod.container)}
    return msgspec.structs.replace(pod, phase=inert(pod.phase), node=inert(pod.node), **words)


def counted(app: App, revisions: Sequence[Revision]) -> list[Revision]:
    """The same Revisions, with counts of pods that go together with the App's."""
    return [msgspec.structs.replace(revision, status=_counts(app, revision)) for revision in revisions]


def _counts(app: App, revision: Revision) -> RevisionStatus:
    """A revision's counts of pods. Revisions are told of a moment after their App, and busy operators take up to a minute: where the App says
    that all its pods are of the active revision, its own counts are that one's, and no other has any but such as terminate.

    >>> was, busy = RevisionStatus(replicas=1, ready_replicas=1, terminating_replicas=2), AppStatus(active_revision="shop-v2")
    >>> done = msgspec.structs.replace(busy, replicas=6, updated_replicas=6, ready_replicas=6, terminating_replicas=2)
    >>> left = Revision(Metadata(name="shop-v1"), status=was)
    >>> (counts,) = [one.status for one in counted(App(Metadata(), AppSpec(), done), [left])]
    >>> counts.replicas, counts.terminating_replicas
    (0, 2)
    """
    told, said = app.status, revision.status
    if not told.replicas or told.replicas != told.updated_replicas:
        return said
    terminating = min(told.terminating_replicas, said.replicas + said.terminating_replicas)
    if revision.name != told.active_revision:
        return RevisionStatus(terminating_replicas=terminating, phase=said.phase, conditions=said.conditions)
    return msgspec.structs.replace(
        said,
        replicas=told.replicas,
        ready_replicas=told.ready_replicas,
        available_replicas=told.available_replicas,
        terminating_replicas=min(told.terminating_replicas, said.terminating_replicas),
    )


def read_revisions(raws: list[JSON], app: App) -> list[Revision]:
    """The App's Revisions, newest number first. One that only carries the label but belongs to a namesake is left out."""
    revisions = [read(raw, Revision) for raw in raws if _belongs(raw, app)]
    return sorted(revisions, key=lambda revision: -revision.number)


def _belongs(raw: JSON, app: App) -> bool:
    meta = raw.get("metadata") or {}
    owner = next((ref for ref in meta.get("ownerReferences") or () if ref.get("controller")), None)
    if owner is None:
        return bool((meta.get("labels") or {}).get(LABEL_APP) == app.name)
    return bool(owner.get("uid") == app.metadata.uid)


def _without_nulls(value: Any) -> Any:
    """Absent and null are one to the API; only absent takes a default here."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
