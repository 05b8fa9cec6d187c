"""The CRDs' own validation rules, evaluated offline: one text decides in the cluster and here.

CEL is cel-python's; here stands only what Kubernetes adds to it (k8s.io/apiserver pkg/cel/library: quantities, sums).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, cast

import celpy
import celpy.celtypes as cel
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

from fairlead.core.quantity import exact


class Undefined(Exception):
    """The rule cannot be told of this value: a field that is not there, a type that does not fit (CEL's error value)."""


class _Quantity(cel.DoubleType):
    """An amount as Kubernetes writes it ("500m", "1Ki"), exact."""

    exact: Decimal

    def __new__(cls, text: str) -> _Quantity:
        amount = exact(str(text))
        made = cast(_Quantity, super().__new__(cls, float(amount)))
        made.exact = amount
        return made


def _compare_to(left: _Quantity, right: _Quantity) -> cel.IntType:
    return cel.IntType((left.exact > right.exact) - (left.exact < right.exact))


def _sum(numbers: cel.ListType) -> cel.IntType:
    return cel.IntType(sum(cast("list[int]", list(numbers))))


_FUNCTIONS: dict[str, Callable[..., Any]] = {"quantity": _Quantity, "compareTo": _compare_to, "sum": _sum}


@cache
def _environment() -> celpy.Environment:
    return celpy.Environment()


@cache
def _program(text: str) -> celpy.Runner:
    environment = _environment()
    return environment.program(environment.compile(text), functions=_FUNCTIONS)


def holds(text: str, self: Any) -> bool:
    """Whether a rule holds for a value. Undefined where it cannot be told.

    >>> holds("has(self.min) ? self.min <= 3 : self.names.all(n, n.startsWith('a'))", {"names": ["ab", "ac"]})
    True
    >>> holds("self.map(k, self[k].size()).sum() <= 3", {"a": "1", "b": "22"})
    True
    >>> holds("quantity(self.a).compareTo(quantity(self.b)) < 0", {"a": "500m", "b": "1Ki"})
    True
    """
    try:
        return bool(_program(text).evaluate({"self": json_to_cel(self)}))
    except (CELEvalError, TypeError, ValueError) as error:
        raise Undefined(str(error)) from error


def is_transition(text: str) -> bool:
    """Whether the rule compares with what was stored before, which only the cluster knows.

    >>> is_transition("self == oldSelf"), is_transition("self.oldSelfish == 1")
    (True, False)
    """
    return re.search(r"\boldSelf\b", text) is not None


def re2(pattern: str) -> str:
    r"""A Go regular expression for Python: only there `$` is the very end, and not before a last line feed too.

    >>> re.search(re2("^a$"), "a\n") is None
    True
    """
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)
