"""What a release's gates say, for status and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairlead.core.conditions import parse_time
from fairlead.view.ages import age
from fairlead.view.inert import one_line
from fairlead.view.model import App, GateStatus

OPEN = ("Waiting", "Failed", "Inconclusive", "Error")  # phases that a person's word ends
_SIGNS = {"Waiting": "‖", "Running": "●", "Passed": "✓", "Failed": "✗", "Inconclusive": "?", "Error": "!"}


def shown(app: App) -> tuple[GateStatus, ...]:
    """The gates that are judged now; of an older spec's nothing is said."""
    return tuple(app.status.gates) if app.observed else ()


def line(gate: GateStatus, now: float) -> str:
    """One gate in one line: where it stands, the last value, how often and when it was measured.

    >>> gate = GateStatus("errors", "Step2", "Running", "0.004 is at most 0.01", "0.004", 2, "1970-01-01T00:01:00Z")
    >>> line(gate, 75.0)
    '● gate errors  Running  0.004, measured 2 times, last 15s ago: 0.004 is at most 0.01'
    """
    last = parse_time(gate.measured_at)
    times = "" if not gate.measured else "once" if gate.measured == 1 else f"{gate.measured} times"
    measured = f"measured {times}, last {age(last, now)} ago" if times and last is not None else ""
    facts = ", ".join(part for part in (one_line(gate.value), measured, "dry run" if gate.dry_run else "") if part)
    head = f"{_SIGNS.get(gate.phase, '·')} gate {gate.name}  {gate.phase}"
    said = one_line(gate.message)
    return f"{head}  {facts}: {said}" if facts and said else f"{head}  {facts or said}"


def steps(gates: Sequence[GateStatus], name: str, command: str, scope: str) -> Iterable[tuple[str, str]]:
    """What a person may say to gates: (command, what for).

    >>> list(steps([GateStatus("sign-off", "BeforePromotion", "Waiting")], "shop", "fairlead", ""))
    [('fairlead approve shop sign-off', 'let the release pass the gate')]
    """
    waiting = [gate for gate in gates if gate.phase in OPEN and not gate.dry_run]
    for gate in waiting:
        yield f"{command} approve {name} {gate.name}{scope}", "let the release pass the gate"
    if any(gate.phase in ("Inconclusive", "Failed") for gate in waiting):
        yield f"{command} abort {name}{scope}", "take the release back"
