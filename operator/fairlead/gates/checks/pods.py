"""Are the new pods well? Ready, not restarting, not crashing. Pure."""

from __future__ import annotations

import msgspec

from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod
from fairlead.gates.model import Answer, Ask, AskPods, PodsAnswer, Result, Subject, Wait

CRASHING = "CrashLoopBackOff"


class PodsSpec(msgspec.Struct, frozen=True, rename="camel"):
    """min_ready_percent: how many of the revision's pods are to be ready; max_restarts: of each pod, since it started."""

    min_ready_percent: int = 0
    max_restarts: int | None = None


class PodsCheck:
    """checks[].pods"""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        return None

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        return AskPods()

    def judge(self, spec: JSON, answer: Answer) -> Result:
        """A crash loop first, then restarts, then how many are ready; no pods at all say nothing.

        >>> from fairlead.rollout.testing import make_pods
        >>> pods = (*make_pods(3), *make_pods(1, ready=False, prefix="new"))
        >>> PodsCheck().judge({"minReadyPercent": 80}, PodsAnswer(pods)).message
        '3 of 4 pods are ready, at least 80 % are needed'
        """
        wanted = msgspec.convert(spec, PodsSpec)
        pods = answer.pods if isinstance(answer, PodsAnswer) else ()
        if not pods:
            return Result("Error", "NoPods", "the revision has no pods")
        crashing = [pod for pod in pods if pod.problem == CRASHING]
        if crashing:
            return Result("Failed", CRASHING, f"{_some(crashing)} in a crash loop", f"{len(crashing)} crash")
        if wanted.max_restarts is not None:
            restless = [pod for pod in pods if pod.restarts > wanted.max_restarts]
            if restless:
                most = max(pod.restarts for pod in restless)
                words = f"{_some(restless)} restarted up to {most} times, at most {wanted.max_restarts} are allowed"
                return Result("Failed", "TooManyRestarts", words, f"{most} restarts")
        ready = sum(pod.ready for pod in pods)
        value = f"{ready}/{len(pods)} ready"
        if 100 * ready < wanted.min_ready_percent * len(pods):
            words = f"{ready} of {len(pods)} pods are ready, at least {wanted.min_ready_percent} % are needed"
            return Result("Failed", "TooFewReady", words, value)
        return Result("Passed", "PodsWell", f"{ready} of {len(pods)} pods are ready", value)


def _some(pods: list[Pod]) -> str:
    """
    >>> from fairlead.rollout.testing import make_pods
    >>> _some(list(make_pods(2)))
    '2 pods (such as shop-v1-0)'
    """
    first = min(pod.name for pod in pods)
    return f"1 pod ({first})" if len(pods) == 1 else f"{len(pods)} pods (such as {first})"
