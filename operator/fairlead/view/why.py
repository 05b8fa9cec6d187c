"""Why an App is where it is, in sentences: what is awaited and since when, which pods, what they say, what to do next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from fairlead.core.podstate import Pod, missing
from fairlead.view import gates
from fairlead.view.advice import Advice, advice
from fairlead.view.ages import age, duration
from fairlead.view.awaiting import pods
from fairlead.view.history import undo_target
from fairlead.view.images import short_images
from fairlead.view.inert import one_line
from fairlead.view.model import App, Event, Problem, Revision
from fairlead.view.progress import Progress, progress
from fairlead.view.verdict import Tone

MOST_SAMPLES = 3  # pods whose events and logs are worth reading


class Sample(msgspec.Struct, frozen=True, rename="camel"):
    """One pod as an example of a cause, and what it says."""

    pod: str
    container: str = ""
    words: str = ""  # the cluster's or the process's message
    log: tuple[str, ...] = ()  # the last lines of the process that ended


class Cause(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that is wrong."""

    reason: str
    count: int  # pods, 0 where it is not about pods
    since: float | None
    meaning: str
    words: str
    sample: Sample | None = None
    todo: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """A command to run next, and what it is good for."""

    command: str
    purpose: str


class Happened(msgspec.Struct, frozen=True, rename="camel"):
    """An event, with how often and when last."""

    at: float
    times: int
    warning: bool
    about: str
    reason: str
    message: str


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    headline: str
    tone: Tone
    sentences: tuple[str, ...]
    causes: tuple[Cause, ...]
    steps: tuple[Step, ...]
    events: tuple[Happened, ...]


class Evidence(msgspec.Struct, frozen=True):
    """What was read beside the App: None where it may not be read. `logs`: a process's last lines by its pod's name.
    `lost_nodes` do not answer."""

    revisions: tuple[Revision, ...] = ()
    pods: tuple[Pod, ...] | None = ()
    events: tuple[Event, ...] | None = ()
    logs: dict[str, tuple[str, ...]] = {}
    lost_nodes: frozenset[str] = frozenset()


def explain(app: App, evidence: Evidence, now: float, *, command: str = "fairlead", scope: str = "") -> Explanation:
    """The whole explanation. `command` is what this program was called as and `scope` the flag for the namespace (" -n
    prod", "" where none is needed), for the commands it recommends."""
    state = progress(app, evidence.revisions, now)
    causes = find_causes(app, state, evidence)
    return Explanation(
        headline=headline(state),
        tone=state.tone,
        sentences=tuple(_sentences(app, state, evidence, now)),
        causes=causes,
        steps=tuple(_steps(app, state, causes, evidence, command, scope)),
        events=tuple(_events(evidence.events or ())),
    )


# ---------------------------------------------------------------- the headline and the sentences under it


def headline(state: Progress) -> str:
    """The answer in one sentence."""
    name, where = state.name, f"{state.ready} of {state.desired} {pods(state.desired)} ready"
    revision = f"revision {state.revision}" if state.revision else "its first revision"
    match state.verdict:
        case "Done" if state.desired == 0:
            return f"{name} is scaled to 0, as asked: nothing is awaited."
        case "Done":
            return f"{name} is done: {revision} runs with {where}. Nothing is awaited."
        case "Failed" if state.taken_back:
            return f"{name}: the release of revision {state.taken_back} was taken back, {revision} runs with {where}."
        case "Failed":
            return f"{name} is stuck: {revision} does not get further{_of_its_own(state)}."
        case "Degraded":
            return f"{name} has been rolled out and pods have failed since: {where}."
        case "Paused":
            return f"{name} is paused with {where}: nothing moves until it is resumed."
        case "Unseen":
            return f"{name} has been changed and the operator has not looked at it yet."
        case "Deleting":
            return f"{name} is being deleted."
        case "Moving" if state.held_up:
            return f"{name} waits, and its next release has not begun: {where}."
        case "Moving":
            return f"{name} is rolling: {revision} is coming in{_of_its_own(state)}."


def _of_its_own(state: Progress) -> str:
    """How far the active revision is, which the App's total does not tell while old pods are among them."""
    row = next((row for row in state.revisions if row.active), None)
    if row is None:
        return ""
    return f", {row.ready} of its {row.desired} {pods(row.desired)} {'is' if row.ready == 1 else 'are'} ready"


def _sentences(app: App, state: Progress, evidence: Evidence, now: float) -> Iterable[str]:
    if state.waiting_for:
        since = f", for {age(state.waiting_since, now)}" if state.waiting_since is not None else ""
        yield f"It waits for {state.waiting_for}{since}."
    yield from (f"{gates.line(gate, now)}." for gate in state.gates)
    yield from _deadline(state, now)
    yield from _serving(state)
    if app.metadata.deleting and app.metadata.finalizers:
        yield f"It goes when these finalizers are gone: {', '.join(app.metadata.finalizers)}."
    if evidence.pods is None:
        yield "Its pods cannot be read with your permissions: what follows is only what the operator wrote down."
    yield from state.notes


def _deadline(state: Progress, now: float) -> Iterable[str]:
    if state.gives_up_at is None:
        return
    left = state.gives_up_at - now
    if left > 0:
        end = "takes itself back" if state.goes_back else "counts as failed"
        yield f"If nothing moves for another {duration(left)}, the release {end} (progressDeadlineSeconds)."


def _serving(state: Progress) -> Iterable[str]:
    """Whether anyone suffers: the first thing a person on call wants to know."""
    if state.verdict == "Done" or state.desired == 0:
        return
    if state.taken_back and state.ready:  # the others are those of the release that failed, on their way out
        return
    old = [row for row in state.revisions if not row.active and row.ready]
    if old:
        kept = " and ".join(f"{row.ready} of revision {row.number}" for row in old)
        yield f"Meanwhile {kept} {'is' if sum(r.ready for r in old) == 1 else 'are'} ready and kept."
    elif state.ready == 0 and state.verdict != "Unseen":
        yield "No pod is ready: nothing serves at the moment."


# ---------------------------------------------------------------- causes


def find_causes(app: App, state: Progress, evidence: Evidence) -> tuple[Cause, ...]:
    """The operator's problems first; then what the pods show and it has not written down; then conditions."""
    found = evidence.pods or ()
    causes = [_from_problem(problem, found, evidence) for problem in state.problems]
    told = {cause.reason for cause in causes}
    if any(mount_trouble(pod, evidence.events or ()) for pod in found):  # which the operator only sees the outside of
        causes = [cause for cause in causes if cause.reason != "ContainerCreating"]
    causes += [cause for cause in _from_pods(app, state, evidence) if cause.reason not in told]
    told = {cause.reason for cause in causes}
    for trouble in state.troubles:
        if trouble.reason in told or (trouble.type == "Stalled" and causes):
            continue
        known = advice(trouble.reason)
        words = one_line(trouble.message)
        causes.append(Cause(trouble.reason, 0, trouble.since, known.meaning, words, todo=known.todo))
    return tuple(causes)


def _from_problem(problem: Problem, found: Sequence[Pod], evidence: Evidence) -> Cause:
    known = advice(problem.reason)
    pod = next((p for p in found if p.name == problem.sample_pod), None)
    if pod is None:  # the sample is gone: any other of the same kind will do
        pod = next((p for p in found if p.problem == problem.reason), None)
    sample = (
        _sample(pod, evidence)
        if pod
        else (Sample(problem.sample_pod, problem.container) if problem.sample_pod else None)
    )
    words = one_line(problem.message) or (sample.words if sample else "")
    return _cause(problem.reason, problem.count, problem.since_epoch, words, sample, known)


def _from_pods(app: App, state: Progress, evidence: Evidence) -> list[Cause]:
    """Pods that are not well and of which the status says nothing (yet)."""
    if state.verdict == "Deleting":
        return []
    groups: dict[str, list[Pod]] = defaultdict(list)
    for pod in evidence.pods or ():
        if pod.deleting is None and pod.owner_uid in ("", app.metadata.uid):
            reason = symptom(pod, evidence.lost_nodes) or mount_trouble(pod, evidence.events or ())
            if reason:
                groups[reason].append(pod)
    causes = []
    for reason, group in groups.items():
        first = min(group, key=lambda p: (p.created, p.name))
        sample = _sample(first, evidence)
        since = min(max(pod.created, pod.ready_since) for pod in group) or None
        causes.append(_cause(reason, len(group), since, sample.words, sample, advice(reason)))
    return sorted(causes, key=lambda cause: -cause.count)


def symptom(pod: Pod, lost_nodes: frozenset[str]) -> str:
    """What is wrong with a pod in a word, "" for nothing.

    >>> late = Pod("", "p", "u", 1, 0, phase="Running", node="n1")
    >>> symptom(late, frozenset()), symptom(late, frozenset({"n1"}))
    ('NotReady', 'NodeNotReady')
    """
    if pod.problem:
        return pod.problem
    if pod.phase != "Running" or pod.ready:
        return ""
    return "NodeNotReady" if pod.node in lost_nodes else "NotReady"


def mount_trouble(pod: Pod, events: Sequence[Event]) -> str:
    """The reason where a pod does not start because a volume cannot be mounted, by its events; "" else. The kubelet says
    so nowhere else.

    >>> pod = Pod("", "p", "u", 1, 0, node="n1")
    >>> told = Event(type="Warning", reason="FailedMount", message='secret "tls" not found', involved_object={"kind": "Pod", "name": "p"})
    >>> mount_trouble(pod, [told]), mount_trouble(pod, [])
    ('SecretMissing', '')
    """
    if not pod.starting:
        return ""
    about = [e for e in events if e.reason in _MOUNTS and e.about == f"Pod/{pod.name}"]
    return (missing(max(about, key=lambda e: e.last_seen).message) or "FailedMount") if about else ""


_MOUNTS = ("FailedMount", "FailedAttachVolume")


def _cause(reason: str, count: int, since: float | None, words: str, sample: Sample | None, known: Advice) -> Cause:
    return Cause(reason, count, since, known.meaning, words, sample, known.todo)


def _sample(pod: Pod, evidence: Evidence) -> Sample:
    words = one_line(pod.message) or _event_words(pod, evidence.events or ())
    return Sample(pod.name, pod.container, words, evidence.logs.get(pod.name, ()))


def _event_words(pod: Pod, events: Sequence[Event]) -> str:
    """The newest warning about the pod: probes and mounts say what is wrong nowhere else."""
    about = [e for e in events if e.type == "Warning" and e.about == f"Pod/{pod.name}"]
    return one_line(max(about, key=lambda e: e.last_seen).message) if about else ""


def samples(app: App, found: Sequence[Pod]) -> list[Pod]:
    """The few pods whose events and logs tell most: the operator's own samples, then one for each other reason."""
    named = {problem.sample_pod for problem in app.status.problems}
    chosen: dict[str, Pod] = {}
    for pod in sorted(found, key=lambda p: (p.name not in named, p.ready, p.created, p.name)):
        if pod.ready or pod.deleting is not None:
            continue
        chosen.setdefault(pod.problem or f"NotReady on {pod.node}", pod)
    return list(chosen.values())[:MOST_SAMPLES]


# ---------------------------------------------------------------- what to do, and what happened


def _steps(
    app: App, state: Progress, causes: Sequence[Cause], evidence: Evidence, command: str, scope: str
) -> Iterable[Step]:
    if state.verdict == "Unseen":
        yield Step("kubectl get pods -A -l app.kubernetes.io/name=fairlead", "see whether the operator runs")
        return
    sample = next((cause.sample for cause in causes if cause.sample), None)
    if sample and evidence.pods is not None:
        yield Step(f"kubectl{scope} describe pod {sample.pod}", "see everything about a pod that is not well")
        if sample.log:
            container = f" -c {sample.container}" if sample.container else ""
            yield Step(
                f"kubectl{scope} logs {sample.pod}{container} --previous",
                "read the whole log of the process that ended",
            )
    yield from (Step(what, purpose) for what, purpose in gates.steps(state.gates, state.name, command, scope))
    if state.verdict == "Paused":
        yield Step(f"{command} resume {state.name}{scope}", "go on")
    if _is_the_releases_fault(state, causes):
        try:
            target = undo_target(app, evidence.revisions, None)
        except ValueError:
            return
        images = f" ({short_images(target.images)})" if target.images else ""
        yield Step(f"{command} undo {state.name}{scope}", f"go back to revision {target.number}{images}")
        if state.revision and any(r.number == state.revision for r in evidence.revisions):
            older, newer = sorted((target.number, state.revision))
            yield Step(f"{command} history {state.name}{scope} --diff {older} {newer}", "see what changed")


# What a release does to itself, also after it was rolled out; nodes that fail are not among it.
_OF_THE_RELEASE = {"CrashLoopBackOff", "Error", "OOMKilled", "Completed", "NotReady"}


def _is_the_releases_fault(state: Progress, causes: Sequence[Cause]) -> bool:
    """Whether going back may help, and has not been done."""
    if state.taken_back:
        return False
    if state.verdict == "Degraded":
        return any(cause.reason in _OF_THE_RELEASE for cause in causes)
    return state.verdict in ("Failed", "Moving") and bool(causes)


def _events(events: Sequence[Event], most: int = 8) -> Iterable[Happened]:
    newest = sorted(events, key=lambda e: e.last_seen)[-most:]
    for event in newest:
        yield Happened(
            event.last_seen, event.times, event.type == "Warning", event.about, event.reason, one_line(event.message)
        )
