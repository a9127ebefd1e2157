"""Kubernetes' numbers with a unit, as the server writes them: `1000m` is `1`, `0.5Gi` is `512Mi`.

https://github.com/kubernetes/apimachinery/blob/master/pkg/api/resource/quantity.go
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d+)$")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_LAST = 10**9  # nothing is smaller than a billionth


def value(text: str) -> Fraction:
    """ValueError where it is no quantity."""
    number, unit = _split(text)
    if unit in _BINARY[1:]:
        return Fraction(number) * Fraction(1 << 10 * _BINARY.index(unit))
    power = int(unit[1:]) if unit not in _DECIMAL else 3 * (_DECIMAL.index(unit) - 3)
    scale = Fraction(10**power) if power >= 0 else Fraction(1, 10**-power)
    return Fraction(number) * scale


def canonical(text: str) -> str:
    """The same quantity as the server writes it. ValueError where it is none."""
    unit = _split(text)[1]
    exact = value(text)
    rounded = Fraction(math.ceil(abs(exact) * _LAST), _LAST) * (1 if exact >= 0 else -1)
    if unit in _BINARY[1:] and abs(rounded) >= 1024 and rounded.denominator == 1:
        return _binary(int(rounded))
    return _decimal(rounded, exponents=bool(unit) and unit[0] in "eE" and len(unit) > 1)


def _split(text: str) -> tuple[str, str]:
    found = _QUANTITY.match(text.strip())
    if found is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return found[1], found[2]


def _binary(number: int) -> str:
    power = 0
    while number % 1024 == 0 and power < len(_BINARY) - 1:
        number, power = number // 1024, power + 1
    return f"{number}{_BINARY[power]}"


def _decimal(number: Fraction, *, exponents: bool) -> str:
    if number == 0:
        return "0"
    power = 0
    while number.denominator != 1:
        number, power = number * 1000, power - 1
    while number % 1000 == 0 and (power < 6 or exponents):
        number, power = number / 1000, power + 1
    if exponents:
        return f"{number}e{power * 3}" if power else str(number)
    return f"{number}{_DECIMAL[power + 3]}"
