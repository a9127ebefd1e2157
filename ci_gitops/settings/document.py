"""YAML read safely, with the place of every key and value: the ground for errors that name line and column.

Plain scalars are read by the core schema of YAML 1.2: `off`, `yes` and `1:30` are text, not a boolean or a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ci_gitops.errors import SettingsError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_VALUES = 50_000  # after aliases are followed: an alias bomb is small text and many values
_TAGS = "tag:yaml.org,2002:"
KeyPath = tuple[str | int, ...]
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key or value stands, counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """The plain data of one YAML document and where each part of it stands."""

    file: str
    data: Any = None
    values: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    _count: int = 0

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """The place of the value at `path` (or of its key), else of the nearest mapping around it."""
        places = self.keys if key else self.values
        while path and path not in places:
            path, places = path[:-1], self.values
        return places.get(path, Place(1, 1))

    def error(self, message: str, place: Place, hint: str | None = None) -> SettingsError:
        return SettingsError(f"{self.file}:{place.line}:{place.column}: {message}", hint=hint)

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        place = _place(node.start_mark)
        if self._count > MAX_VALUES:
            raise self.error(f"the file stands for more than {MAX_VALUES} values.", place, "Are its aliases nested?")
        if len(path) > MAX_DEPTH:
            raise self.error(f"the file is nested more than {MAX_DEPTH} levels deep.", place)
        if not node.tag.startswith(_TAGS):
            raise self.error(f"the tag {node.tag} is not known.", place)
        self.values.setdefault(path, place)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, number)) for number, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error("a key must be text.", place)
            key = key_node.value
            if key == "<<" and key_node.tag == f"{_TAGS}merge":
                merged = {**self._merge(value_node, path), **merged}
                continue
            if key in own:
                first = self.keys[(*path, key)]
                raise self.error(f"the key {key!r} stands here a second time (first in line {first.line}).", place)
            self.keys[(*path, key)] = place
            self._forget((*path, key))
            own[key] = self.build(value_node, (*path, key))
        return {**merged, **own}

    def _forget(self, path: KeyPath) -> None:
        """Places of a merged value that the mapping's own one replaces."""
        if path in self.values:
            for known in [known for known in self.values if known[: len(path)] == path]:
                del self.values[known]

    def _merge(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise self.error("'<<' takes a mapping, or a list of mappings.", _place(source.start_mark))
            merged = {**self.build(source, path), **merged}
        return merged

    def _scalar(self, node: Any) -> Any:
        text: str = node.value
        if node.style in ("'", '"', "|", ">") or (node.tag == f"{_TAGS}str" and text not in _WORDS):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text) if len(text) < 20 else text
        return float(text) if _FLOAT.fullmatch(text) else text


def read(text: str, file: str) -> Document:
    """The one document of `text`; SettingsError names `file`, line and column of what is wrong."""
    document = Document(file)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise SettingsError(f"{file}: this is not text (character {error.start}).") from error
    if size > MAX_BYTES:
        raise SettingsError(f"{file}: the file is larger than {MAX_BYTES // 1024} KiB.")
    try:
        _check_depth(text, document)
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        raise _syntax(error, document, text) from error
    if len(nodes) > 1:
        raise document.error("expected one YAML document, not several.", _place(nodes[1].start_mark))
    if nodes and nodes[0] is not None:
        document.data = document.build(nodes[0], ())
    document.data = {} if document.data is None else document.data
    return document


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_depth(text: str, document: Document) -> None:
    """Before anything recursive sees the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise document.error(f"the file is nested more than {MAX_DEPTH} levels deep.", _place(event.start_mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _syntax(error: yaml.YAMLError, document: Document, text: str) -> SettingsError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = _place(mark) if mark else Place(1, 1)
        problem = error.problem or error.context or "it cannot be read"
        if "".join(text.splitlines()[place.line - 1 : place.line])[place.column - 1 :].startswith("\t"):
            problem = "a tab stands where only spaces may"
        return document.error(f"this is not YAML: {problem}.", place)
    return SettingsError(f"{document.file}: this is not YAML: {str(error).splitlines()[0]}.")
