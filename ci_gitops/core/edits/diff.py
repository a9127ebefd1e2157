"""Unified diffs of edits: few lines of a file change, so one walk over both texts finds them.

`difflib` compares each line with all others and needs minutes for a bundle of many thousand lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Lines that must be the same for both texts to go on together, and how many to pass at most while looking for them.
_LOOKS = ((2, 8), (1, 400))

Difference = tuple[int, int, int, int]  # old lines from, to; new lines from, to


def unified_diff(old: str, new: str, path: str, context: int = 3) -> list[str]:
    """The lines of a unified diff, without line ends; none where nothing changed."""
    before, after = _lines(old), _lines(new)
    shown: list[str] = []
    for group in _groups(list(differences(before, after)), context):
        first, last = group[0], group[-1]
        lead = min(context, first[0])
        tail = min(context, len(before) - last[1])
        shown.append(
            f"@@ -{_range(first[0] - lead, last[1] + tail)} +{_range(first[2] - lead, last[3] + tail)} @@",
        )
        position = first[0] - lead
        for start, end, new_start, new_end in group:
            shown += _marked(" ", before[position:start])
            shown += _marked("-", before[start:end])
            shown += _marked("+", after[new_start:new_end])
            position = end
        shown += _marked(" ", before[position : position + tail])
    return [f"--- a/{path}", f"+++ b/{path}", *shown] if shown else []


def differences(old: Sequence[str], new: Sequence[str]) -> Iterator[Difference]:
    """What is replaced by what, in order; between these both texts are the same."""
    i = j = 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            i, j = i + 1, j + 1
            continue
        removed, added = _until_same(old, new, i, j)
        yield i, i + removed, j, j + added
        i, j = i + removed, j + added
    if i < len(old) or j < len(new):
        yield i, len(old), j, len(new)


def _until_same(old: Sequence[str], new: Sequence[str], i: int, j: int) -> tuple[int, int]:
    """How many lines of each to pass until both go on with the same ones; the fewest, and as many of each."""
    for same, farthest in _LOOKS:
        for distance in range(1, farthest + 1):
            for removed in sorted(range(distance + 1), key=lambda count: abs(2 * count - distance)):
                a, b = i + removed, j + distance - removed
                if a < len(old) and b < len(new) and old[a : a + same] == new[b : b + same]:
                    return removed, distance - removed
    return len(old) - i, len(new) - j


def _groups(found: Sequence[Difference], context: int) -> Iterator[list[Difference]]:
    """Differences whose context would touch are shown as one."""
    group: list[Difference] = []
    for difference in found:
        if group and difference[0] - group[-1][1] > 2 * context:
            yield group
            group = []
        group.append(difference)
    if group:
        yield group


def _range(start: int, end: int) -> str:
    """`line,count` as diff writes it: one line without its count, none at the line before."""
    count = end - start
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line.rstrip("\r\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _lines(text: str) -> list[str]:
    """Lines with their ends. (`str.splitlines` also splits at characters that are no line end for Git.)"""
    *whole, last = text.split("\n")
    return [line + "\n" for line in whole] + ([last] if last else [])
