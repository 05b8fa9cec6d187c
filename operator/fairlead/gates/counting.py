"""What becomes of a gate as its results come in. Pure.

Running ──enough successes──▶ Passed           an Error holds the release and goes on measuring:
   │  ▲                                        the next result that is none takes it back to Running
   │  └──any result──┐
   ├──too many errors in a row──▶ Error
   ├──too many inconclusive────▶ Inconclusive  (waits for a person)
   └──too many failures────────▶ Failed        (the release is taken back)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.gates.model import BACKGROUND, KEPT, TEXT_LIMIT, Measurement, Phase, Result, Rules, Run, as_json, runs_of

_ORDER = ("Failed", "Error", "Inconclusive", "Passed")


def joined(results: Sequence[Result]) -> Result:
    """One result of all checks of a measurement: the worst, the first of equals; where all passed, what each said.

    >>> joined([Result("Passed", "A", "fine", "1"), Result("Error", "B", "no answer")]).reason
    'B'
    >>> joined([Result("Passed", "A", "fine", "1"), Result("Passed", "B", "good", "2")])
    Result(outcome='Passed', reason='A', message='fine; good', value='1, 2')
    """
    worst = min(results, key=lambda result: _ORDER.index(result.outcome))
    if worst.outcome != "Passed":
        return worst
    values = ", ".join(result.value for result in results if result.value)
    return Result("Passed", worst.reason, "; ".join(result.message for result in results), values)


def counted(run: Run, rules: Rules, result: Result, now: float) -> Run:
    """The run with one more result. Successes and errors count in a row, failures and inconclusive results in all.

    >>> once = counted(Run("errors", "Step2", 4), Rules(count=2), Result("Passed", "A", "fine", "0.01"), 0)
    >>> once.phase, counted(once, Rules(count=2), Result("Failed", "A", "0.07 is above 0.01", "0.07"), 30).phase
    ('Running', 'Failed')
    """
    kind = result.outcome
    measurement = Measurement(timestamp(now), kind, result.reason, result.message[:TEXT_LIMIT], result.value[:64])
    after = msgspec.structs.replace(
        run,
        taken=run.taken + 1,
        successes=run.successes + 1 if kind == "Passed" else run.successes if kind == "Error" else 0,
        failures=run.failures + (kind == "Failed"),
        inconclusive=run.inconclusive + (kind == "Inconclusive"),
        errors=run.errors + 1 if kind == "Error" else 0,
        passes=run.passes + (kind == "Passed"),
        dry_run=rules.dry_run,
        measurements=(*run.measurements, measurement)[-KEPT:],
    )
    phase = phase_of(after, rules)
    since = run.since if phase == run.phase and run.since else timestamp(now)
    return msgspec.structs.replace(after, phase=phase, since=since, message=measurement.message)


def phase_of(run: Run, rules: Rules) -> Phase:
    """What the counts mean. Too many failures come before everything else.

    >>> phase_of(Run("errors", "Background", 4, passes=90), Rules()), phase_of(Run("errors", "Step1", 4, passes=1), Rules())
    ('Running', 'Passed')
    >>> phase_of(Run("errors", "Step1", 4, errors=5), Rules())
    'Error'
    """
    if run.failures >= rules.failure_threshold:
        return "Failed"
    if run.inconclusive > rules.inconclusive_limit:
        return "Inconclusive"
    if run.errors > rules.error_limit:
        return "Error"
    if rules.success_threshold is not None and run.successes >= rules.success_threshold:
        return "Passed"
    said = run.passes + run.failures + run.inconclusive
    count = rules.count if rules.count is not None else _count(run, rules)
    return "Passed" if count is not None and said >= count else "Running"


def _count(run: Run, rules: Rules) -> int | None:
    """Where nobody said how many: one; in the background, or where successes in a row are asked for, without end."""
    return None if run.moment == BACKGROUND or rules.success_threshold is not None else 1


def recorded(
    status: JSON, name: str, moment: str, release: int, taken: int, rules: Rules, result: Result, now: float
) -> list[JSON] | None:
    """status.gates of a Revision with one more result; None where somebody has recorded that one by now: an operator that
    led before us, and was slower to end than we to begin.

    >>> found = recorded({}, "errors", "Step1", 4, 0, Rules(), Result("Passed", "A", "fine"), 0)
    >>> found[0]["phase"], recorded({"gates": found}, "errors", "Step1", 4, 0, Rules(), Result("Failed", "A", ""), 0)
    ('Passed', None)
    """
    runs = runs_of(status, release)
    run = runs.get((name, moment)) or Run(name, moment, release, since=timestamp(now))
    if run.taken != taken:
        return None
    runs[name, moment] = counted(run, rules, result, now)
    return [as_json(one if one.name == name and one.moment == moment else _brief(one)) for one in runs.values()]


def _brief(run: Run) -> Run:
    """Of a run that is over the last measurement is enough: there may be many of them, and a status has its size."""
    return msgspec.structs.replace(run, measurements=run.measurements[-1:]) if run.over else run
