"""Has a person said yes? Pure."""

from __future__ import annotations

from fairlead.core.meta import JSON
from fairlead.gates.model import Answer, Ask, Result, Subject, Wait


class ApprovalCheck:
    """checks[].approval: `fairlead approve` sets the annotation that says so of this gate and this release."""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        """
        >>> ApprovalCheck().waits({}, Subject("shop", "web", "uid", "x7k2", 4), 0).message
        'to be approved: `fairlead approve web`'
        """
        return None if subject.approved else Wait(f"to be approved: `fairlead approve {subject.app}`")

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        return None

    def judge(self, spec: JSON, answer: Answer) -> Result:
        return Result("Passed", "Approved", "it was approved by hand", "approved")
