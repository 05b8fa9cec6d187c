"""Which gates of a release are to be measured now, and what the App says of them. Pure.

What is judged when is the rollout's to say (status.rollout.moment); what a run has counted is in the Revision's status. So a
measurement is due by what is stored alone, and an operator that starts anew measures neither more nor less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fairlead.core.actions import Action, Errand, Failure, Plan, merge_requeue
from fairlead.core.conditions import Condition, parse_time, timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.gates.model import (
    BACKGROUND,
    BEFORE,
    Ask,
    Check,
    Checks,
    Gate,
    GateSpec,
    Ran,
    Run,
    Subject,
    Wait,
    measured_at,
    runs_of,
    step_moment,
)
from fairlead.gates.runs import Judgement, collected, trial
from fairlead.rollout.model import App, Revision, approved_gates, progress_of


class GatesObserved(msgspec.Struct, frozen=True):
    """All that decides about an App's gates: those that it names and that there are, the Revision that is released, and the
    pods that gates have run for any of the App's Revisions."""

    app: App
    gates: Mapping[str, Gate] = {}
    revision: Revision | None = None
    pods: tuple[Pod, ...] = ()
    failures: tuple[Failure, ...] = ()


class Measure(msgspec.Struct, frozen=True):
    """The errand of one measurement: the run's, when it has been measured `taken` times. `ran`: the pods that were run for
    it, in the order of the checks that asked for them."""

    subject: Subject
    name: str
    moment: str
    taken: int
    spec: GateSpec
    ran: tuple[Ran, ...] = ()


class Judged(msgspec.Struct, frozen=True):
    """A gate that is judged now: at which moment, since when, by which rules. `problem`: why it cannot be."""

    name: str
    moment: str
    since: float
    spec: GateSpec = GateSpec()
    problem: str = ""


def plan(observed: GatesObserved, now: float, checks: Checks) -> Plan:
    """The measurements that are due, what the status says of the gates, and when to look again.

    >>> from fairlead.gates.testing import make_judged_app, make_checks
    >>> from fairlead.rollout.testing import make_revision
    >>> app = make_judged_app(active="shop-v2", moment="Background", since=0, gates=[{"name": "errors", "when": "Background", "checks": [{"pods": {}}]}])
    >>> made = plan(GatesObserved(app, {}, make_revision(number=2, hash="v2")), 0.0, make_checks())
    >>> made.errands[0].task.name, made.status["gates"][0]["phase"]
    ('errors', 'Running')
    """
    app, revision = observed.app, observed.revision
    problems = [
        f"Gate {name}: {why}; a release waits where it is to be judged by it"
        for name, why in missing(app, observed.gates)
    ]
    conditions = [Condition("Gates", "False", "GateNotFound", "; ".join(problems))] if problems else []
    if app.deleting or app.invalid:
        return Plan()
    if revision is None:
        gone, later = collected(observed.pods, frozenset(), now)
        return Plan(tuple(gone), status={"conditions": conditions} if conditions else None, requeue_after=later)
    runs = runs_of(revision.status, revision_number(app))
    pods = {pod.name: pod for pod in observed.pods if pod.owner_uid == revision.uid}
    actions: list[Action] = []
    awaited_pods: list[str] = []
    said, errands, waits = [], [], []
    for one in judged(app, observed.gates, revision):
        run = runs.get((one.name, one.moment)) or Run(one.name, one.moment, revision_number(app))
        subject = subject_of(app, revision, one.name)
        wait = Wait(one.problem) if one.problem else None if run.over else awaited(one.spec, subject, checks, now)
        due = due_at(run, one)
        ran: tuple[Ran, ...] = ()
        if not wait and not run.over and due <= now and settled(app):
            judgement = Judgement(subject, revision.name, revision.uid, one.name, one.moment, run.taken)
            tried = trial(judgement, asks_of(one.spec, subject, checks), pods, observed.failures, now)
            actions += tried.creates
            awaited_pods += tried.names
            wait, ran = tried.wait, tried.ran
        said.append(report(run, one, wait))
        if wait or run.over:
            waits.append(max(0.0, wait.until - now) if wait and wait.until is not None else None)
            continue
        waits.append(max(0.0, due - now) if due > now else None)
        if due <= now and settled(app):
            errands.append(errand(revision, Measure(subject, one.name, one.moment, run.taken, one.spec, ran)))
    gone, later = collected(observed.pods, frozenset(awaited_pods), now)
    status: JSON = {"conditions": conditions} if conditions else {}
    if said:
        status["gates"] = said
    return Plan((*actions, *gone), status or None, errands=tuple(errands), requeue_after=merge_requeue(*waits, later))


def settled(app: App) -> bool:
    """The status speaks of the spec as it is: what is to be measured may have changed with it."""
    return bool(app.status.get("observedGeneration") == app.generation)


def judged(app: App, gates: Mapping[str, Gate], revision: Revision) -> Iterator[Judged]:
    """The gates of this moment: those in the background as long as a release is under way and has a pod that serves, and
    those of the step or the promotion it is held for.

    >>> from fairlead.gates.testing import make_judged_app
    >>> from fairlead.rollout.testing import make_revision
    >>> entries = [{"name": "errors", "when": "Background", "checks": [{"pods": {}}]}, {"name": "ask", "when": "BeforePromotion"}]
    >>> app = make_judged_app(moment="BeforePromotion", since=60, gates=entries)
    >>> [(one.name, one.moment, one.since) for one in judged(app, {}, make_revision())]
    [('errors', 'Background', 0.0), ('ask', 'BeforePromotion', 60.0)]
    """
    progress = progress_of(app.status)
    if not progress.moment or app.status.get("activeRevision") != revision.name:
        return
    started, held = parse_time(progress.started_at), parse_time(progress.held_at)
    if started is not None and (app.status.get("rollout") or {}).get("available"):
        yield from (_judged(app, name, BACKGROUND, started, gates) for name in app.spec.rollout.judged_at(BACKGROUND))
    if held is not None and progress.moment != BACKGROUND:
        moment = progress.moment
        yield from (_judged(app, name, moment, held, gates) for name in app.spec.rollout.judged_at(moment))
    yield from _unrecorded(app, gates, revision, held or 0.0)


def _unrecorded(app: App, gates: Mapping[str, Gate], revision: Revision, since: float) -> Iterator[Judged]:
    """What a person has approved at another moment than this one, and no Revision says so: a release goes on at once when it
    is approved, and an operator that ends just then has not recorded it yet."""
    rollout, number = app.spec.rollout, revision_number(app)
    runs, approved = runs_of(revision.status, number), approved_gates(app.asked.approve, number)
    moments = {BEFORE, *map(step_moment, range(len(rollout.steps)))} - {progress_of(app.status).moment}
    for moment in sorted(moments):
        for name in rollout.judged_at(moment):
            if name in approved and (name, moment) not in runs:
                one = _judged(app, name, moment, since, gates)
                if _by_hand(one.spec):
                    yield one


def _by_hand(spec: GateSpec) -> bool:
    """
    >>> _by_hand(GateSpec(checks=({"approval": {}},))), _by_hand(GateSpec(checks=({"approval": {}}, {"pods": {}})))
    (True, False)
    """
    return bool(spec.checks) and all("approval" in check for check in spec.checks)


def _judged(app: App, name: str, moment: str, since: float, gates: Mapping[str, Gate]) -> Judged:
    entry = next((entry for entry in app.spec.rollout.gates if entry.name == name), None)
    if entry is not None and not entry.gate:
        return Judged(name, moment, since, entry)
    wanted = entry.gate if entry else name
    gate = gates.get(wanted)
    if gate is None or gate.invalid:
        words = (
            f"the Gate {wanted}: {gate.invalid}"
            if gate
            else f"the Gate {wanted}, which does not exist in this namespace"
        )
        return Judged(name, moment, since, problem=words)
    return Judged(name, moment, since, gate.spec)


def missing(app: App, gates: Mapping[str, Gate]) -> Iterator[tuple[str, str]]:
    """The Gates that the App names and that are not there, or cannot be read: told before a release comes to them."""
    for name in named(app):
        gate = gates.get(name)
        if gate is None:
            yield name, "there is none in this namespace"
        elif gate.invalid:
            yield name, gate.invalid


def named(app: App) -> list[str]:
    """The Gates (by their names as objects) that an App's spec mentions.

    >>> from fairlead.rollout.testing import make_app
    >>> from fairlead.rollout.model import Step
    >>> named(make_app(steps=(Step(gate="errors"),)))
    ['errors']
    """
    rollout = app.spec.rollout
    inline = {entry.name for entry in rollout.gates}
    steps = [step.gate for step in rollout.steps if step.gate and step.gate not in inline]
    return sorted({*steps, *(entry.gate for entry in rollout.gates if entry.gate)})


def awaited(spec: GateSpec, subject: Subject, checks: Checks, now: float) -> Wait | None:
    """What has to come before a measurement: the first check's that waits; None where none does. What cannot be read (it was
    stored before a schema forbade it) waits to be corrected.

    >>> from fairlead.gates.testing import make_checks
    >>> odd = GateSpec(checks=({"http": {"port": []}},))
    >>> awaited(odd, Subject("shop", "web", "uid", "x7k2", 4), make_checks(), 0).message[:46]
    'a check to be corrected, which cannot be read:'
    """
    for check, parameters in kinds(spec.checks, checks):
        try:
            wait = check.waits(parameters, subject, now)
            check.asks(parameters, subject)
        except msgspec.ValidationError as error:
            return Wait(f"a check to be corrected, which cannot be read: {error}")
        if wait:
            return wait
    unknown = [kind for raw in spec.checks for kind in raw if kind not in checks and kind != "name"]
    return Wait(f"a check of the kind {unknown[0]!r}, which is not installed") if unknown else None


def kinds(written: Iterable[JSON], checks: Checks) -> Iterator[tuple[Check, JSON]]:
    """Each of a gate's checks with what is said of it."""
    for raw in written:
        for kind, parameters in raw.items():
            if kind in checks:
                yield checks[kind], parameters or {}


def asks_of(spec: GateSpec, subject: Subject, checks: Checks) -> list[Ask]:
    """What the checks of a gate want to know, in their order."""
    asks = (check.asks(parameters, subject) for check, parameters in kinds(spec.checks, checks))
    return [ask for ask in asks if ask is not None]


def due_at(run: Run, one: Judged) -> float:
    """When the next measurement is due: the delay after the beginning, then the interval after the last.

    >>> due_at(Run("errors", "Step2", 4), Judged("errors", "Step2", 100.0, GateSpec(delay_seconds=30)))
    130.0
    """
    last = measured_at(run)
    return one.since + one.spec.delay_seconds if last is None else last + one.spec.interval_seconds


def report(run: Run, one: Judged, wait: Wait | None) -> JSON:
    """One entry of status.gates of the App: where the run stands, with its last value, or what it waits for."""
    phase = run.phase if not wait or run.over else "Waiting"
    last = run.last
    said = {
        "name": one.name,
        "moment": one.moment,
        "phase": phase,
        "message": f"waits for {wait.message}" if wait and not run.over else run.message,
        "value": last.value if last else "",
        "measured": run.taken,
        "measuredAt": last.at if last else "",
        "since": run.since or timestamp(one.since),
    }
    said |= {"dryRun": True} if one.spec.dry_run else {}
    return {field: value for field, value in said.items() if value != ""}


def subject_of(app: App, revision: Revision, gate: str) -> Subject:
    number = revision_number(app)
    approved = gate in approved_gates(app.asked.approve, number)
    return Subject(app.namespace, app.name, app.uid, revision.hash, number, approved, image=image_of(revision))


class _Container(msgspec.Struct):
    image: str = ""


class _PodSpec(msgspec.Struct):
    containers: list[_Container] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


_template = msgspec.json.Decoder(_Template)


def image_of(revision: Revision) -> str:
    """The image of a revision's first container.

    >>> from fairlead.rollout.testing import make_revision
    >>> image_of(make_revision())
    'shop:1'
    """
    containers = _template.decode(revision.template).spec.containers
    return containers[0].image if containers else ""


def revision_number(app: App) -> int:
    """The number of the release that is under way: a revision's own may be about to change."""
    return int(app.status.get("revision") or 0)


def errand(revision: Revision, measure: Measure) -> Errand:
    return Errand(
        kind="Revision",
        namespace=revision.namespace,
        name=revision.name,
        uid=revision.uid,
        slot=(revision.uid, measure.name, measure.moment),
        task=measure,
    )
