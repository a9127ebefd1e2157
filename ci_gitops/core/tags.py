"""Which of several version tags is the newest."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"([0-9]+)")
_Part = tuple[int, int, str]


def newest(tags: Iterable[str]) -> str | None:
    """By their numbers, as people count versions: v1.10 comes after v1.9, and v2.0-rc1 before v2.0."""
    return max(tags, key=_place, default=None)


def _place(tag: str) -> tuple[list[_Part], bool, list[_Part]]:
    version, dash, pre_release = tag.partition("+")[0].partition("-")
    return _parts(version), not dash, _parts(pre_release)


def _parts(text: str) -> list[_Part]:
    """Numbers as numbers, words as words; a number comes before a word."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _NUMBER.split(text) if part]
