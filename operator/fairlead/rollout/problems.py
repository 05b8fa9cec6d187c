"""Why an App is not well, in a few lines: what its pods and the API server say, grouped and counted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fairlead.core.actions import Failure, out_of_quota
from fairlead.core.conditions import parse_time, timestamp
from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod, by_age
from fairlead.rollout.model import Revision

LIMIT = 8  # problems kept in status
MESSAGE_LIMIT = 512
START_SECONDS = 30.0  # after which a pod on a node whose containers are not created is told

# What a kubelet calls one trouble by turns: when it has just failed, and while it waits to try again.
_BY_TURNS = {"ErrImagePull": "ImagePullBackOff", "Error": "CrashLoopBackOff", "OOMKilled": "CrashLoopBackOff"}


class Problem(msgspec.Struct, frozen=True):
    """One kind of trouble: the same reason in the same container of the same revision."""

    reason: str
    message: str
    count: int
    sample_pod: str = ""
    container: str = ""
    revision: str = ""
    since: float = 0.0

    def as_json(self) -> JSON:
        body: JSON = {
            "reason": self.reason,
            "message": self.message[:MESSAGE_LIMIT],
            "count": self.count,
            "since": timestamp(self.since),
        }
        optional = {"samplePod": self.sample_pod, "container": self.container, "revision": self.revision}
        return body | {field: value for field, value in optional.items() if value}


def find(
    pods: Sequence[Pod],
    strangers: Sequence[Pod],
    failures: Sequence[Failure],
    revisions: Iterable[Revision],
    status: JSON,
    now: float,
) -> list[Problem]:
    """All problems, the most frequent first. `since` is carried over from the last status while a problem lasts, also under
    the other name that a kubelet has for it.

    >>> from fairlead.rollout.testing import make_pods
    >>> bad = make_pods(2, "v2", ready=False, problem="ImagePullBackOff", message="not found", container="web")
    >>> [(p.reason, p.count, p.sample_pod) for p in find(bad, (), (), (), {}, 0)]
    [('ImagePullBackOff', 2, 'shop-v2-0')]
    >>> status = {"problems": [{"reason": "ErrImagePull", "container": "web", "since": "1970-01-01T00:01:00Z"}]}
    >>> [p.since for p in find(bad, (), (), (), status, now=90)]
    [60.0]
    """
    names = {revision.hash: revision.name for revision in revisions}
    found: dict[tuple[str, str, str], Problem] = {}
    for pod in by_age(pods):
        reason, message = pod.problem, pod.message
        if start_overdue(pod, now) == 0:
            # The kubelet says what it is only in an Event of the pod, which people may read and the operator may not.
            reason, message = "ContainerCreating", "an image is still being pulled, or a volume cannot be mounted"
        if not reason or pod.ready or pod.deleting is not None:
            continue
        key = (reason, pod.container, names.get(pod.revision, ""))
        known = found.get(key)
        count = known.count + 1 if known else 1
        # The newest message of a kind is the truest; the oldest pod is the one to look at.
        sample = known.sample_pod if known else pod.name
        found[key] = Problem(reason, message or (known.message if known else ""), count, sample, pod.container, key[2])
    for failure in failures:
        if failure.kind not in ("Pod", "Revision"):
            continue
        key = (refusal(failure), "", names.get(failure.alike, ""))
        said = f"{failure.verb} {failure.kind.lower()}s: {failure.message}"
        found[key] = Problem(key[0], said, failure.count, revision=key[2], since=failure.since)
    if strangers:
        message = f"pod {strangers[0].name} carries this App's label {strangers[0].app!r} but is not its own: the Service would send it traffic; change its labels"
        found[("SelectorConflict", "", "")] = Problem("SelectorConflict", message, len(strangers), strangers[0].name)
    since = _known_since(status)
    dated = [
        msgspec.structs.replace(problem, since=problem.since or since.get(_trouble(*key), now))
        for key, problem in found.items()
    ]
    return sorted(dated, key=lambda p: (-p.count, p.reason, p.revision, p.container))[:LIMIT]


def start_overdue(pod: Pod, now: float) -> float | None:
    """Seconds until a pod whose containers its node has yet to create is worth telling of, 0 for now; None where there is
    nothing to wait for: it runs, waits for a node, or has said what is wrong.

    >>> from fairlead.rollout.testing import make_pods
    >>> (pod,) = make_pods(1, ready=False, phase="Pending", node="n1", created=100.0)
    >>> start_overdue(pod, 110.0), start_overdue(pod, 130.0)
    (20.0, 0.0)
    """
    if not pod.starting:
        return None
    return max(0.0, pod.created + START_SECONDS - now)


def refusal(failure: Failure) -> str:
    """What kind of no the API server said to a pod: quota, pod security, a policy, or just no (403 and 422 bodies are prose).

    >>> refusal(Failure("create", "Pod", "x", 403, "Forbidden", 'pods "x" is forbidden: exceeded quota: small', 0))
    'QuotaExceeded'
    """
    if out_of_quota(failure.message):
        return "QuotaExceeded"
    message = failure.message.lower()
    if "violates podsecurity" in message:
        return "PodSecurityViolation"
    if (
        "limitrange" in message
        or ("minimum " in message and "usage per" in message)
        or ("maximum " in message and "usage per" in message)
    ):
        return "LimitRangeViolation"
    if "admission webhook" in message or "validatingadmissionpolicy" in message:
        return "AdmissionDenied"
    if "serviceaccount" in message and "not found" in message:
        return "ServiceAccountMissing"
    if "priorityclass" in message.replace(" ", ""):
        return "PriorityClassMissing"
    if failure.reason in ("NameTaken", "NamespaceTerminating"):
        return failure.reason
    return "CreateForbidden" if failure.code == 403 else "CreateRefused"


def in_words(problems: Sequence[Problem]) -> str:
    """The two worst problems as one line. How often something was refused says nothing of how many pods want for it.

    >>> in_words([Problem("ImagePullBackOff", "not found", 2, "shop-v2-0"), Problem("QuotaExceeded", "create pods: exceeded quota", 7)])
    '2 × ImagePullBackOff (shop-v2-0: not found); QuotaExceeded (create pods: exceeded quota)'
    """
    parts = []
    for problem in problems[:2]:
        count, where = (f"{problem.count} × ", f"{problem.sample_pod}: ") if problem.sample_pod else ("", "")
        what = problem.message.splitlines()[0][:200] if problem.message else ""
        parts.append(f"{count}{problem.reason}" + (f" ({where}{what})" if where or what else ""))
    return "; ".join(parts)


def _known_since(status: JSON) -> dict[tuple[str, str, str], float]:
    known: dict[tuple[str, str, str], float] = {}
    for problem in status.get("problems") or ():
        since = parse_time(problem.get("since"))
        if since is not None:
            key = _trouble(problem.get("reason", ""), problem.get("container", ""), problem.get("revision", ""))
            known[key] = min(since, known.get(key, since))
    return known


def _trouble(reason: str, container: str, revision: str) -> tuple[str, str, str]:
    return _BY_TURNS.get(reason, reason), container, revision
