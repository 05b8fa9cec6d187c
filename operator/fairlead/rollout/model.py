"""Apps and Revisions as the store keeps them, and everything a rollout decision looks at."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeVar

import msgspec

from fairlead.autoscale.history import size_of
from fairlead.autoscale.holds import hand_scaled
from fairlead.autoscale.model import Autoscale, HandScaled
from fairlead.config.model import Entry, Pin, digest_with
from fairlead.core.actions import Failure
from fairlead.core.conditions import parse_time
from fairlead.core.hashing import canonical
from fairlead.core.meta import (
    ANNOTATION_ABORT,
    ANNOTATION_APPROVE,
    ANNOTATION_PROMOTE,
    ANNOTATION_RETRY,
    JSON,
    LABEL_REVISION,
    Key,
    controller_of,
    stable_hash,
)
from fairlead.core.podstate import Pod
from fairlead.disruption.model import Disruption
from fairlead.expose.model import Expose, Routed
from fairlead.gates.model import AFTER, BACKGROUND, BEFORE, GateEntry, step_moment
from fairlead.health.model import Health
from fairlead.placement.model import Placement

CAUSE_ANNOTATIONS = ("fairlead.dev/change-cause", "kubernetes.io/change-cause")


class Pause(msgspec.Struct, frozen=True):
    """A step that waits: for so many seconds, or for `fairlead promote` where none are said."""

    seconds: int | None = None


class Scale(msgspec.Struct, frozen=True, rename="camel"):
    """How many pods the new revision has, apart from its weight: exactly one field is set (the schema's rule)."""

    replicas: int | None = None
    percent: int | None = None
    match_weight: bool = False

    def of(self, replicas: int) -> int:
        """In pods; never more than the App has replicas.

        >>> Scale(percent=50).of(5), Scale(replicas=7).of(5)
        (3, 5)
        """
        wanted = -(-replicas * self.percent // 100) if self.percent is not None else self.replicas or 0
        return min(wanted, replicas)


class Step(msgspec.Struct, frozen=True):
    """One entry of spec.rollout.steps: exactly one of its fields is set (the schema's rule)."""

    weight: int | None = None
    pause: Pause | None = None
    scale: Scale | None = None
    gate: str = ""
    moment: str = ""  # never written by people: where spec.rollout.gates are judged


class BlueGreen(msgspec.Struct, frozen=True, rename="camel"):
    """spec.rollout.blueGreen: how the new revision is shown, and when the traffic moves to it."""

    preview_service: str = ""
    preview_replicas: int | None = None
    auto_promote: bool = True
    auto_promote_seconds: int = 0
    scale_down_delay_seconds: int = 30


class Rollout(msgspec.Struct, frozen=True, rename="camel"):
    """spec.rollout: how one revision gives way to the next."""

    strategy: str = "Rolling"
    steps: tuple[Step, ...] = ()
    blue_green: BlueGreen = BlueGreen()
    gates: tuple[GateEntry, ...] = ()
    fast_undo_seconds: int = 0
    on_failure: Literal["Rollback", "Pause"] = "Rollback"
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"
    max_total: int | None = None
    min_per_revision: int = 1
    min_ready_seconds: int = 0
    progress_deadline_seconds: int = 600
    paused: bool = False
    revision_history_limit: int = 10
    undo_to: int | None = None
    restart_at: str = ""
    release_group: str = ""

    def judged_at(self, moment: str) -> tuple[str, ...]:
        """The names of the gates that are judged at a moment of a release.

        >>> rollout = Rollout(steps=(Step(weight=10), Step(gate="errors")), gates=(GateEntry(name="load", when="Background"),))
        >>> rollout.judged_at("Background"), rollout.judged_at("Step2"), rollout.judged_at("Step1")
        (('load',), ('errors',), ())
        """
        if moment in (BACKGROUND, BEFORE, AFTER):
            return tuple(entry.name for entry in self.gates if entry.when == moment)
        return tuple(step.gate for index, step in enumerate(self.steps) if step.gate and step_moment(index) == moment)


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of an App; the template stays raw, it is only decoded when pods are rendered."""

    template: msgspec.Raw
    type: str = "Stateless"
    replicas: int = 1
    rollout: Rollout = Rollout()
    expose: Expose | None = None
    disruption: Disruption | None = None
    placement: Placement = Placement()
    config: tuple[Entry, ...] = ()
    health: Health = Health()
    autoscale: Autoscale | None = None
    after: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """What a person asked for by annotation: verbs that belong to one release, and to no manifest.

    promote: "4" takes revision 4 past all its steps, "4/2" past its second; abort: "4" takes revision 4 back;
    retry: any new value tries the template again that was taken back. approve: "4/sign-off,4/errors" passes these gates of
    revision 4.
    """

    promote: str = ""
    abort: str = ""
    retry: str = ""
    approve: str = ""


class App(msgspec.Struct, frozen=True):
    """One App. `digest` is the hash of what its template means, with its configuration once a plan looks at it ("" while
    nobody knows what that comes to); `invalid` why the spec cannot be read ("" if it can). `autoscaled`: how many pods
    spec.autoscale has come to, as the status says; `hand_scaled`: who else set a size, beside it."""

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int
    deleting: bool
    labels: dict[str, str]
    cause: str
    manager: str
    spec: Spec
    digest: str
    status: JSON
    invalid: str = ""
    asked: Asked = Asked()
    autoscaled: int | None = None
    hand_scaled: HandScaled | None = None

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def replicas(self) -> int:
        """How many pods it is to have: what autoscaling has come to, and that is stored; else spec.replicas."""
        return self.spec.replicas if self.autoscaled is None else self.autoscaled


class Revision(msgspec.Struct, frozen=True):
    """One kept revision. `hash` is the label its pods carry; `digest` says what its template and its configuration mean,
    computed by this version of Fairlead, so that a change of the hash algorithm never rolls a fleet. `lost`: the copies of
    its configuration that were deleted and cannot be made again."""

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int
    created: float
    deleting: bool
    owner_uid: str
    owner_name: str
    app: str
    number: int
    hash: str
    digest: str
    template: msgspec.Raw
    images: tuple[str, ...]
    cause: str
    status: JSON
    config: tuple[Pin, ...] = ()
    lost: tuple[str, ...] = ()


class Undo(msgspec.Struct, frozen=True):
    """status.undo: which spec.rollout.undoTo was obeyed, the digest of the template it was written against, and the
    Revision it meant, by name: its number changes when it is gone back to."""

    to: int = 0
    rejected: str = ""
    revision: str = ""


class Rejected(msgspec.Struct, frozen=True, rename="camel"):
    """status.rejected: the template that was taken back, by its digest, and the Revision it was; why, with what was
    measured; and the retry that had been asked for by then. In a release group: `began_at`, since when the round lasted that
    it was part of; or, where it was another's fault, whose (`member`, the App, and `cause`, that App's Revision)."""

    digest: str = ""
    revision: str = ""
    number: int = 0
    reason: str = ""
    message: str = ""
    at: str = ""
    retry: str = ""
    began_at: str = ""
    member: str = ""
    cause: str = ""


class Round(msgspec.Struct, frozen=True, rename="camel"):
    """status.round: what an App has released together with others of its group. `before`: the Revision that ran when the
    round began."""

    group: str = ""
    before: str = msgspec.field(default="", name="from")
    began_at: str = ""
    completed_at: str = ""


class Progress(msgspec.Struct, frozen=True, rename="camel"):
    """status.rollout: what has to outlive the operator. `sizes` are the pods each revision is to have (upstream keeps
    them in ReplicaSet.spec.replicas), `desired` and `bound` the replicas and replicas+surge they were made for, `step`
    how many of the steps are passed, `heldAt` since when the current one waits for nothing but time, a gate or a person,
    `moment` which gates may be measured by now (Background: those alone; "": there is nothing to be judged), `serving` how
    many pods may get traffic, of the revisions of which not all may; `weights` what a route is to give each revision in per
    cent, `tried` which of them gets the requests with the headers for the one on trial."""

    sizes: dict[str, int] = {}
    serving: dict[str, int] = {}
    desired: int | None = None
    bound: int = 0
    restart_at: str = ""
    started_at: str = ""
    last_progress_at: str = ""
    paused_at: str = ""
    step: int = 0
    step_at: str = ""
    held_at: str = ""
    moment: str = ""
    weights: dict[str, int] = {}
    tried: str = ""


class Order(msgspec.Struct, frozen=True):
    """Whom the next release waits for, in words, and the circle of names that it waits in."""

    waits: tuple[str, ...] = ()
    cycle: tuple[str, ...] = ()


class Observed(msgspec.Struct, frozen=True):
    """Everything a rollout plan looks at. `pods` are those the App owns; `orphans` carry its label and have no owner;
    `strangers` carry its label and belong to someone else."""

    app: App
    revisions: tuple[Revision, ...]
    pods: tuple[Pod, ...]
    orphans: tuple[Pod, ...] = ()
    strangers: tuple[Pod, ...] = ()
    orphan_revisions: tuple[Revision, ...] = ()
    failures: tuple[Failure, ...] = ()
    order: Order = Order()
    members: tuple[App, ...] = ()  # the other Apps of its release group, by name
    pins: tuple[Pin, ...] = ()  # what spec.config comes to now; not known while the App's digest is ""
    routed: Routed | None = None  # what the App's route gives now; None where none shares the traffic by weights


T = TypeVar("T")
Phase = Literal["Active", "Progressing", "Retired", "Failed"]


# ---------------------------------------------------------------- projection


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[JSON] | None = None
    managed_fields: list[JSON] | None = None


class _App(msgspec.Struct):
    metadata: _Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: JSON = {}


class _RevisionSpec(msgspec.Struct, rename="camel"):
    template: msgspec.Raw = msgspec.Raw(b"{}")
    app: str = ""
    number: int = 0
    template_hash: str = ""
    images: tuple[str, ...] = ()
    cause: str = ""
    config: tuple[Pin, ...] = ()


class _Revision(msgspec.Struct):
    metadata: _Meta
    spec: _RevisionSpec = msgspec.field(default_factory=_RevisionSpec)
    status: JSON = {}


_app = msgspec.json.Decoder(_App)
_spec = msgspec.json.Decoder(Spec)
_revision = msgspec.json.Decoder(_Revision)
_ASKED = (ANNOTATION_PROMOTE, ANNOTATION_ABORT, ANNOTATION_RETRY, ANNOTATION_APPROVE)
_UNREADABLE = Spec(template=msgspec.Raw(b"{}"))


def project_app(data: bytes) -> App:
    """An App's JSON to an `App`. A spec that cannot be read (stored before a schema forbade it) is kept as `invalid`."""
    raw = _app.decode(data)
    meta = raw.metadata
    invalid = ""
    try:
        spec = _spec.decode(raw.spec)
    except msgspec.ValidationError as error:
        spec, invalid = _UNREADABLE, f"spec cannot be read: {error}"
    annotations = meta.annotations or {}
    return App(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        deleting=meta.deletion_timestamp is not None,
        labels=meta.labels or {},
        cause=next((annotations[key] for key in CAUSE_ANNOTATIONS if key in annotations), ""),
        manager=_last_writer(meta.managed_fields or []),
        spec=spec,
        digest=_digest(bytes(spec.template)),
        status=raw.status,
        invalid=invalid,
        asked=Asked(*(annotations.get(name, "") for name in _ASKED)),
        autoscaled=size_of(spec.autoscale, spec.replicas, raw.status) if _sized(spec, raw.status) else None,
        hand_scaled=hand_scaled(meta.managed_fields or [], spec.replicas) if spec.autoscale else None,
    )


def _sized(spec: Spec, status: JSON) -> bool:
    """spec.autoscale has a say in how many pods there are, or had the last one."""
    return spec.autoscale is not None or "autoscale" in status


def project_revision(data: bytes) -> Revision:
    """A Revision's JSON to a `Revision`."""
    raw = _revision.decode(data)
    meta, spec = raw.metadata, raw.spec
    owner = controller_of({"ownerReferences": meta.owner_references})
    return Revision(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        rv=int(meta.resource_version),
        generation=meta.generation,
        created=parse_time(meta.creation_timestamp) or 0.0,
        deleting=meta.deletion_timestamp is not None,
        owner_uid=owner.uid if owner else "",
        owner_name=owner.name if owner else "",
        app=spec.app,
        number=spec.number,
        hash=(meta.labels or {}).get(LABEL_REVISION, spec.template_hash),
        digest=digest_with(_digest(bytes(spec.template)), spec.config),
        template=spec.template,
        images=spec.images,
        cause=spec.cause,
        status=raw.status,
        config=spec.config,
    )


@lru_cache(maxsize=1024)
def _digest(template: bytes) -> str:
    """Remembered: the same template comes again with the echo of each status write, and costs 25 µs and more to take apart."""
    return stable_hash(canonical(msgspec.json.decode(template)))


def _last_writer(managed: list[JSON]) -> str:
    """Who wrote the spec last, by managedFields: who only wrote metadata, a status or the scale does not count."""
    writers = [e for e in managed if not e.get("subresource") and "f:spec" in (e.get("fieldsV1") or {})]
    if not writers:
        return ""
    return str(max(writers, key=lambda entry: str(entry.get("time") or "")).get("manager") or "")


def progress_of(status: JSON) -> Progress:
    """status.rollout as last written; an empty one where it is missing or damaged."""
    return _convert(status.get("rollout"), Progress)


def undo_of(status: JSON) -> Undo:
    """status.undo as last written."""
    return _convert(status.get("undo"), Undo)


def approved_gates(asked: str, number: int) -> frozenset[str]:
    """The gates that the annotation approves for this revision.

    >>> sorted(approved_gates("4/sign-off, 4/errors, 3/load, odd", 4))
    ['errors', 'sign-off']
    """
    pairs = (part.strip().partition("/") for part in asked.split(","))
    return frozenset(gate for revision, _, gate in pairs if revision == str(number) and gate)


def round_of(status: JSON) -> Round:
    """status.round as last written."""
    return _convert(status.get("round"), Round)


def rejected_of(status: JSON) -> Rejected:
    """status.rejected as last written."""
    return _convert(status.get("rejected"), Rejected)


def _convert(value: object, kind: type[T]) -> T:
    if not value:
        return kind()
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return kind()
