"""Gates as people write them, what a check asks for and is answered, and what is remembered of a gate's runs. Pure.

A gate is judged at a moment of a release: all through it (Background), before the wanted revision takes everything
(BeforePromotion), when it has (AfterPromotion), or at a step that names it. One gate at one moment of one release is a
run; its counts and last measurements are in the Revision's status, so that an operator that starts anew goes on counting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeVar

import msgspec

from fairlead.core.conditions import parse_time
from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION
from fairlead.core.podstate import Pod

Outcome = Literal["Passed", "Failed", "Inconclusive", "Error"]
Phase = Literal["Running", "Passed", "Failed", "Inconclusive", "Error"]
When = Literal["Background", "BeforePromotion", "AfterPromotion"]

BACKGROUND: When = "Background"
BEFORE: When = "BeforePromotion"
AFTER: When = "AfterPromotion"
KEPT = 10  # measurements kept of a run
TEXT_LIMIT = 256  # characters of a message or a value that are kept


class Rules(msgspec.Struct, frozen=True, rename="camel"):
    """How often a gate is measured, and what becomes of the results.

    count: measurements that end the run; None: one, and in the background as many as there is time for.
    success_threshold: so many successes in a row pass at once. failure_threshold: so many failures in all fail.
    inconclusive_limit: so many inconclusive results are put up with. error_limit: so many errors in a row.
    dry_run: it is measured and told, and decides nothing.
    """

    interval_seconds: int = 30
    delay_seconds: int = 0
    count: int | None = None
    success_threshold: int | None = None
    failure_threshold: int = 1
    inconclusive_limit: int = 0
    error_limit: int = 4
    dry_run: bool = False


class GateSpec(Rules, frozen=True, rename="camel"):
    """spec of a Gate: its rules and its checks, each with one field that names its kind."""

    checks: tuple[JSON, ...] = ()


class GateEntry(GateSpec, frozen=True, rename="camel"):
    """One entry of spec.rollout.gates: a Gate by name (`gate`), or rules and checks of its own. Without `when` it is judged
    where a step names it."""

    name: str = ""
    gate: str = ""
    when: When | None = None


class Gate(msgspec.Struct, frozen=True):
    """One Gate as the store keeps it; `invalid` why its spec cannot be read ("" if it can)."""

    namespace: str
    name: str
    uid: str
    rv: int
    generation: int
    spec: GateSpec
    invalid: str = ""


class Bounds(msgspec.Struct, frozen=True):
    """A condition on a value: not below `min`, not above `max`, the same text as `equals`; all that are set."""

    min: float | None = None
    max: float | None = None
    equals: str | None = None


# ---------------------------------------------------------------- checks: what they ask, what they are answered


class Subject(msgspec.Struct, frozen=True):
    """What is judged: the release of one revision of an App. `approved`: a person has said so of this gate. `pod`: where one
    pod alone is asked (health gates)."""

    namespace: str
    app: str
    app_uid: str
    revision: str  # the hash its pods carry
    number: int
    approved: bool = False
    pod: Pod | None = None
    image: str = ""  # of the revision's first container

    @property
    def selector(self) -> str:
        """The label selector of the revision's pods; of all the App's, where no revision is said."""
        return f"{LABEL_APP}={self.app}" + (f",{LABEL_REVISION}={self.revision}" if self.revision else "")


class AskPods(msgspec.Struct, frozen=True):
    """The revision's pods, as the API server has them."""


class AskHttp(msgspec.Struct, frozen=True):
    """One request. target: each of the revision's pods, the App's own Service, or the URL's host. `port` and `path` are of
    the first two; `trusted`: the address is the operator's own setting."""

    target: Literal["Pods", "Service", "Url"]
    timeout: float
    url: str = ""
    port: int | str = 80
    path: str = "/"
    scheme: Literal["http", "https"] = "http"
    form: tuple[tuple[str, str], ...] = ()  # sent as a POST, url-encoded; () for a GET
    default: str = ""  # the setting that names the address, where none is given
    most: int = 10  # pods that are asked, of those that are ready


class AskRun(msgspec.Struct, frozen=True):
    """A pod that is run to its end, once for each measurement. timeout: seconds from its making."""

    spec: JSON
    timeout: float


Probe = AskPods | AskHttp  # what a Prober is asked
Ask = Probe | AskRun


class PodsAnswer(msgspec.Struct, frozen=True):
    """The revision's active pods."""

    pods: tuple[Pod, ...]


class HttpAnswer(msgspec.Struct, frozen=True):
    """What one server said, or (`error`) why there is no answer. `where`: the pod or host, for people."""

    where: str
    status: int = 0
    body: bytes = b""
    seconds: float = 0.0
    error: str = ""


class RunAnswer(msgspec.Struct, frozen=True):
    """How the pod that was run ended: its program's exit code and last words; or (`error`) why that is not known."""

    pod: str
    code: int = 0
    message: str = ""
    error: str = ""


class Ran(msgspec.Struct, frozen=True):
    """A pod whose end is the answer, by its name; or (`error`) why nothing more is awaited of it."""

    pod: str
    error: str = ""


Answer = PodsAnswer | RunAnswer | tuple[HttpAnswer, ...] | None


class Result(msgspec.Struct, frozen=True):
    """What a check found: the outcome, why in one word and in words, and the value that was measured."""

    outcome: Outcome
    reason: str
    message: str
    value: str = ""


class Wait(msgspec.Struct, frozen=True):
    """A check that cannot be measured yet: what is awaited, and until when (epoch seconds), where that is known."""

    message: str
    until: float | None = None


class Check(Protocol):
    """One kind of check. Built-in ones and third parties' are found by entry point `fairlead.checks`, under the name of
    their field in `checks`. Pure: what it wants to know is asked for it."""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        """What has to be awaited before anything is measured; None where nothing."""
        ...

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        """What has to be measured; None where nothing."""
        ...

    def judge(self, spec: JSON, answer: Answer) -> Result:
        """What the answer means."""
        ...


Checks = Mapping[str, Check]


# ---------------------------------------------------------------- what is remembered


class Measurement(msgspec.Struct, frozen=True):
    """One measurement of all of a gate's checks."""

    at: str
    outcome: Outcome
    reason: str
    message: str
    value: str = ""


class Run(msgspec.Struct, frozen=True, rename="camel"):
    """status.gates[] of a Revision. successes and errors count in a row; passes, failures and inconclusive in all; `taken`
    counts every measurement there was, also those that are not kept any more."""

    name: str
    moment: str  # Background, BeforePromotion, AfterPromotion, Step2
    release: int  # the revision's number then: who goes back to it begins anew
    phase: Phase = "Running"
    message: str = ""
    taken: int = 0
    successes: int = 0
    failures: int = 0
    inconclusive: int = 0
    errors: int = 0
    passes: int = 0
    dry_run: bool = False
    since: str = ""  # of this phase
    measurements: tuple[Measurement, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing more is measured: an error is not the end, the backend may come back."""
        return self.phase in ("Passed", "Failed", "Inconclusive")

    @property
    def settled(self) -> bool:
        """It has found something: of a dry run nothing more is awaited."""
        return self.phase != "Running"

    @property
    def last(self) -> Measurement | None:
        return self.measurements[-1] if self.measurements else None

    @property
    def blocks(self) -> bool:
        """It has found something for which the release may not go on."""
        return self.phase in ("Failed", "Inconclusive", "Error") and not self.dry_run


T = TypeVar("T")


def runs_of(status: JSON, release: int) -> dict[tuple[str, str], Run]:
    """The runs of one release, by gate and moment; what is damaged counts as not there.

    >>> kept = {"gates": [{"name": "errors", "moment": "Background", "release": 4, "taken": 2}, {"name": "odd"}]}
    >>> runs_of(kept, 4)["errors", "Background"].taken, runs_of(kept, 5)
    (2, {})
    """
    found = {}
    for raw in status.get("gates") or ():
        try:
            run = msgspec.convert(raw, Run)
        except msgspec.ValidationError:
            continue
        if run.release == release:
            found[run.name, run.moment] = run
    return found


def as_json(run: Run) -> JSON:
    """As it is written; what says nothing is left out."""
    said: JSON = msgspec.to_builtins(run)
    return {field: value for field, value in said.items() if value not in ("", (), False) or field == "phase"}


def step_moment(step: int) -> str:
    """The moment of a step, counted from 0 as status.rollout.step does.

    >>> step_moment(1)
    'Step2'
    """
    return f"Step{step + 1}"


def measured_at(run: Run) -> float | None:
    return parse_time(run.last.at) if run.last else None


# ---------------------------------------------------------------- projection


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0


class _Gate(msgspec.Struct):
    metadata: _Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")


_gate = msgspec.json.Decoder(_Gate)
_spec = msgspec.json.Decoder(GateSpec)


def project_gate(data: bytes) -> Gate:
    """A Gate's JSON to a `Gate`."""
    raw = _gate.decode(data)
    meta, invalid = raw.metadata, ""
    try:
        spec = _spec.decode(raw.spec)
    except msgspec.ValidationError as error:
        spec, invalid = GateSpec(), f"spec cannot be read: {error}"
    return Gate(meta.namespace, meta.name, meta.uid, int(meta.resource_version), meta.generation, spec, invalid)
