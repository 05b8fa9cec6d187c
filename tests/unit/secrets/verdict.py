"""What a plan says of an object that is sealed, in the one condition it has."""

from __future__ import annotations

from fairlead.core.actions import Plan


def said(found: Plan) -> tuple[str, str]:
    """(status, reason)"""
    assert found.status is not None
    (condition,) = found.status["conditions"]
    return condition.status, condition.reason


def message(found: Plan) -> str:
    assert found.status is not None
    return str(found.status["conditions"][0].message)
