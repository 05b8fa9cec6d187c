"""Whether a measured value is as it should be. Pure."""

from __future__ import annotations

import math

from fairlead.gates.model import Bounds, Result


def judge(value: float | str | bool, success: Bounds | None, failure: Bounds | None) -> Result:
    """success alone: all else is a failure; failure alone: all else is a success; both: what neither meets is
    inconclusive. What is no finite number where a number is compared is an error: it says nothing of the release.

    >>> judge(0.07, Bounds(max=0.01), None).message
    '0.07 is above 0.01'
    >>> judge(0.03, Bounds(max=0.01), Bounds(min=0.05)).outcome
    'Inconclusive'
    >>> judge(float("nan"), Bounds(max=0.01), None).outcome
    'Error'
    """
    shown = text_of(value)
    if any(_numeric(bounds) for bounds in (success, failure)) and _number(value) is None:
        return Result("Error", "NoNumber", f"{shown} is no number that could be compared", shown)
    short = missed(value, success) if success else ""
    if success and not short:
        return Result("Passed", "AsExpected", f"{shown} {_as_expected(success)}", shown)
    if failure is None and success:
        return Result("Failed", "NotAsExpected", f"{shown} {short}", shown)
    if failure and not missed(value, failure):
        return Result("Failed", "FailureCondition", f"{shown} {_as_expected(failure)}, which means failure", shown)
    if success is None:
        return Result("Passed", "AsExpected", f"{shown} is no failure", shown)
    return Result("Inconclusive", "BetweenConditions", f"{shown} meets neither success nor failure", shown)


def missed(value: float | str | bool, bounds: Bounds) -> str:
    """Which bound the value is beyond, in words; "" where it is within all.

    >>> missed(3.0, Bounds(min=1, max=2)), missed("ok", Bounds(equals="ok"))
    ('is above 2', '')
    """
    number = _number(value)
    if number is not None and bounds.min is not None and number < bounds.min:
        return f"is below {bounds.min:g}"
    if number is not None and bounds.max is not None and number > bounds.max:
        return f"is above {bounds.max:g}"
    if bounds.equals is not None and text_of(value) != bounds.equals:
        return f'is not "{bounds.equals}"'
    return ""


def text_of(value: float | str | bool) -> str:
    """As JSON writes it, and as `equals` is compared with it.

    >>> text_of(True), text_of(2.0), text_of("ok")
    ('true', '2', 'ok')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:.6g}"


def _number(value: float | str | bool) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _numeric(bounds: Bounds | None) -> bool:
    return bounds is not None and (bounds.min is not None or bounds.max is not None)


def _as_expected(bounds: Bounds) -> str:
    """
    >>> _as_expected(Bounds(min=1, max=2)), _as_expected(Bounds(equals="ok"))
    ('is at least 1 and at most 2', 'is "ok"')
    """
    said = [
        *([f"at least {bounds.min:g}"] if bounds.min is not None else ()),
        *([f"at most {bounds.max:g}"] if bounds.max is not None else ()),
        *([f'"{bounds.equals}"'] if bounds.equals is not None else ()),
    ]
    return "is " + " and ".join(said)
