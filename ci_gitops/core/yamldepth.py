"""How deep YAML is nested, asked before it is loaded: libyaml's composer ends the process where that has no bound."""

from __future__ import annotations

import re

import yaml

DEEPEST = 500  # levels; a real object has a tenth of it
_MANY = 1_000
_LONG_LINE = re.compile(rf"[^\n]{{{_MANY}}}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def must_be_shallow(text: str) -> None:
    """ValueError where `text` is nested deeper than people do; what is no YAML at all is left to the loader."""
    if not _may_be_deep(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ValueError(f"line {line}: nested more than {DEEPEST} levels deep")


def _may_be_deep(text: str) -> bool:
    """A level takes a bracket, or a column: most files are told by a glance."""
    return text.count("[") + text.count("{") > _MANY or _LONG_LINE.search(text) is not None
