"""The verbs of one release: promote, approve, abort and retry. They are annotations that name the revision they are about, so that
they mean nothing to the next one, and no manifest in git has to hold them."""

from __future__ import annotations

import click

from fairlead.cli.change import Writing, changing
from fairlead.cli.failures import Failed
from fairlead.core.conditions import timestamp
from fairlead.core.meta import ANNOTATION_ABORT, ANNOTATION_APPROVE, ANNOTATION_PROMOTE, ANNOTATION_RETRY
from fairlead.view import gates
from fairlead.view.model import App


@changing
@click.option("--full", is_flag=True, help="Pass all steps that are left: the rest of the pods follow at once.")
def promote(writing: Writing, full: bool) -> None:
    """Let a release pass the step it waits at, by setting the annotation fairlead.dev/promote to its revision and step.

    \b
      fairlead promote shop                past the pause of now; with BlueGreen: move the traffic to the preview
      fairlead promote shop --full         past all steps
    """
    number, rollout = _releasing(writing.app), writing.app.status.rollout
    if rollout.steps <= rollout.step:
        raise Failed(
            f"cannot promote {writing.name}: its release has no step before it; see: fairlead status {writing.name}"
        )
    step = rollout.step + 1
    if writing.app.spec.rollout.strategy == "BlueGreen":
        step = max(step, 2)  # the first step is the preview itself: who promotes early means the wait after it
    value = str(number) if full else f"{number}/{step}"
    told = "passes all its steps" if full else f"passes step {step} of {rollout.steps}"
    writing.annotate({ANNOTATION_PROMOTE: value}, f"revision {number} {told}")


@changing
@click.argument("gate", required=False, metavar="[GATE]")
def approve(writing: Writing, gate: str | None) -> None:
    """Let a release pass a gate, whatever it has measured or waits for, by adding its revision and name to the annotation
    fairlead.dev/approve. Without a name: the one gate that waits for somebody.

    \b
      fairlead approve shop                the gate that waits
      fairlead approve shop sign-off       this one
    """
    number, known = _releasing(writing.app), gates.shown(writing.app)
    waiting = [one.name for one in known if one.phase in gates.OPEN]
    if gate is None and len(waiting) != 1:
        which = (
            f"these gates wait: {', '.join(waiting)}; name one" if waiting else "none of its gates waits for anybody"
        )
        raise Failed(f"cannot approve {writing.name}: {which}; see: fairlead status {writing.name}")
    chosen = gate or waiting[0]
    if chosen not in {one.name for one in known}:
        judged = ", ".join(one.name for one in known) or "none"
        raise Failed(f"cannot approve {writing.name}: no gate {chosen} is judged now (judged: {judged})")
    before = ((writing.raw.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION_APPROVE) or ""
    said = [part for part in before.split(",") if part.startswith(f"{number}/")]
    value = ",".join(dict.fromkeys([*said, f"{number}/{chosen}"]))
    writing.annotate({ANNOTATION_APPROVE: value}, f"revision {number} passes gate {chosen}")


@changing
def abort(writing: Writing) -> None:
    """Take the release that is under way back to the last completed revision, by setting the annotation
    fairlead.dev/abort to its number. The template in the spec stays as it is; it is not tried again until it changes, or
    until fairlead retry."""
    number, status = _releasing(writing.app), writing.app.status
    if not status.stable_revision:
        raise Failed(
            f"cannot abort {writing.name}: this is its first release, there is nothing to go back to; scale it to 0 instead"
        )
    if status.stable_revision == status.active_revision:
        raise Failed(
            f"cannot abort {writing.name}: revision {number} is completed; to leave it: fairlead undo {writing.name}"
        )
    writing.annotate({ANNOTATION_ABORT: str(number)}, f"revision {number} is taken back")


@changing
def retry(writing: Writing) -> None:
    """Try the template again that was taken back, from its first step, by setting the annotation fairlead.dev/retry to
    the API server's time."""
    rejected = writing.app.status.rejected
    if rejected is None or not rejected.digest:
        raise Failed(
            f"cannot retry {writing.name}: no release of its template was taken back; see: fairlead history {writing.name}"
        )
    now = timestamp(writing.session.cluster.now())
    # An abort of that very revision would take it back at once.
    writing.annotate({ANNOTATION_RETRY: now, ANNOTATION_ABORT: None}, f"tries revision {rejected.number} again")


def _releasing(app: App) -> int:
    """The number of the revision that is run or rolled to."""
    if not app.observed or app.status.revision is None:
        raise Failed(f"the operator has not looked at the newest spec of {app.name} yet; see: fairlead why {app.name}")
    return app.status.revision
