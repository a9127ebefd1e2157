"""Lengths of time as people write them: `90s`, `30m`, `1h30m`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
PATTERN = r"^([0-9]{1,6}[smhdw])+$"
EXPECTED = "a time with its unit, such as 90s, 30m, 1h30m or 7d"


def parse_duration(text: str) -> timedelta:
    """The length of time that `text` names; ValueError says what was expected."""
    if not re.match(PATTERN, text):
        raise ValueError(f"expected {EXPECTED}, not {text!r}")
    parts = re.findall(r"([0-9]+)([smhdw])", text)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def format_duration(length: timedelta) -> str:
    """The shortest such text; parts of a second are dropped."""
    rest = int(length.total_seconds())
    shown = ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, seconds)
        shown += f"{number}{unit}" if number else ""
    return shown or "0s"
