"""Amounts as Kubernetes writes them. Source: apimachinery pkg/api/resource (Quantity)."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
MOST_DIGITS = 100  # an exponent of nine digits is written quickly, and takes a gigabyte
_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|))")


def exact(text: str | int | float) -> Decimal:
    """The amount as a number. Raises ValueError where it is none.

    >>> exact("500m"), exact("1Ki"), exact("2e3"), exact(3)
    (Decimal('0.500'), Decimal('1024'), Decimal('2E+3'), Decimal('3'))
    """
    said = _FORM.fullmatch(str(text))
    if said is None:
        raise ValueError(f"{text!r} is no amount; write it as 500m, 1.5, 2k or 512Mi")
    number, exponent, suffix = said.groups()
    if suffix in _BINARY:
        return Decimal(number) * Decimal(2 ** _BINARY[suffix])
    if exponent and abs(int(exponent)) > MOST_DIGITS:
        raise ValueError(f"{text!r} has more digits than any amount; write it as 500m, 1.5, 2k or 512Mi")
    return Decimal(number).scaleb(int(exponent) if exponent else _DECIMAL[suffix])


def milli(text: str | int | float) -> int:
    """In thousandths, what is finer rounded away from zero (Quantity.MilliValue).

    >>> milli("250m"), milli("1.5"), milli("100u"), milli("1Ki")
    (250, 1500, 1, 1024000)
    """
    return int((exact(text) * 1000).to_integral_value(ROUND_UP))
