"""Two states of one object as a short diff: what changes, two lines around it, and gaps between.

Every line has its number in the old and in the new state, in the shape that kapp has made known
(https://github.com/carvel-dev/kapp): people find the place in the file, and logs stay short.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from ci_gitops.core.secret_values import LAST_APPLIED

_AROUND = 2
_LONGEST = 300  # characters of a line
_SERVERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
GAP = "  ..."


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff; `mark` is a space, `-`, `+`, or `.` for a gap."""

    mark: Literal[" ", "-", "+", "."]
    text: str


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # chosen at run time
    """Text of several lines as people write it."""


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def shown(document: Mapping[str, Any] | None) -> list[str]:
    """An object as YAML, without what the server keeps for itself. No document has no lines."""
    if document is None:
        return []
    metadata = {name: value for name, value in (document.get("metadata") or {}).items() if name not in _SERVERS}
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping):
        metadata["annotations"] = {name: value for name, value in annotations.items() if name != LAST_APPLIED}
    kept = {name: value for name, value in document.items() if name != "status"}
    if metadata:
        kept["metadata"] = metadata
    dumped: str = yaml.dump(
        kept, Dumper=_Dumper, sort_keys=True, allow_unicode=True, default_flow_style=False, width=2**20
    )
    return dumped.splitlines()


def contextual(old: Sequence[str], new: Sequence[str], most: int | None = None) -> list[Line]:
    """The lines that differ with their neighbours; at most `most` of them, and then how many more there are."""
    lines = list(_lines(old, new))
    if most is not None and len(lines) > most:
        return [*lines[:most], Line(".", f"{GAP} {len(lines) - most} more lines")]
    return lines


def unified(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The same as a unified diff without its head, as forges colour it."""
    lines = difflib.unified_diff(list(map(_cut, old)), list(map(_cut, new)), n=_AROUND, lineterm="")
    return [line for number, line in enumerate(lines) if number >= 2]


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 2000)
    end = 0
    for group in matcher.get_grouped_opcodes(_AROUND):
        if group[0][1] > end or group[0][3] > end:
            yield Line(".", GAP)
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                for before, after in zip(range(i1, i2), range(j1, j2), strict=True):
                    yield Line(" ", f"{before + 1:3d},{after + 1:3d}   {_cut(old[before])}")
                continue
            for number in range(i1, i2):
                yield Line("-", f"{number + 1:3d}     - {_cut(old[number])}")
            for number in range(j1, j2):
                yield Line("+", f"    {number + 1:3d} + {_cut(new[number])}")
        end = group[-1][2]
    if end and end < len(old):
        yield Line(".", GAP)


def _cut(line: str) -> str:
    """A line that a log can hold: files in one line have megabytes."""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} … ({len(line)} characters)"
