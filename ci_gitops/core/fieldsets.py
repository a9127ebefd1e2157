"""Who owns which field of a live object: `metadata.managedFields`, read into paths.

Server-side apply records for each manager the set of fields that it gave, as a trie in JSON (FieldsV1,
https://kubernetes.io/docs/reference/kubernetes-api/definitions/fields-v1-v1-meta/). A plan compares an object at
exactly the fields that we own, and names who took one of them; `core/plan.py` does both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class _Missing:
    """No value at all, which is something else than null."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Item:
    """The item of a list that has these values at its key fields; each value as JSON."""

    keys: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> Item:
        return cls(tuple(sorted((name, _json(value)) for name, value in keys.items())))

    def __str__(self) -> str:
        return "[" + ",".join(f"{name}={value}" for name, value in self.keys) + "]"

    def fits(self, item: Any) -> bool:
        return isinstance(item, Mapping) and all(
            name in item and same(item[name], _read(value)) for name, value in self.keys
        )


@dataclass(frozen=True, slots=True)
class Member:
    """This value, as JSON, in a list that is a set."""

    value: str

    @classmethod
    def of(cls, value: Any) -> Member:
        return cls(_json(value))

    def __str__(self) -> str:
        return f"[={self.value}]"

    def fits(self, item: Any) -> bool:
        return same(item, _read(self.value))


#: A field's name, a place in a list, or what marks the item of a list.
Step = str | int | Item | Member
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns by one way of writing. `subresource` is empty for the object itself."""

    manager: str
    operation: str  # Apply or Update
    api_version: str
    subresource: str
    time: str
    fields: Mapping[str, Any]  # the trie as it stands

    @property
    def paths(self) -> frozenset[Path]:
        return read(self.fields)


def read(fields: Mapping[str, Any]) -> frozenset[Path]:
    """The paths that a FieldsV1 trie holds. Steps of a kind that we do not know are left out, as the server does."""
    found: set[Path] = set()
    _collect(fields, (), found)
    return frozenset(found)


def _collect(node: Mapping[str, Any], above: Path, found: set[Path]) -> None:
    for key, below in node.items():
        step = step_of(key)
        if step is None:
            continue
        path = (*above, step)
        if not below or "." in below:
            found.add(path)
        _collect(below, path, found)


def trie(paths: Iterable[Path]) -> dict[str, Any]:
    """The FieldsV1 trie that holds these paths, in the order in which servers write it."""
    root: dict[Step | None, Any] = {}
    for path in paths:
        node = root
        for step in path:
            node = node.setdefault(step, {})
        node[None] = {}
    return _written(root)


def _written(node: Mapping[Step | None, Any]) -> dict[str, Any]:
    made = {
        key: _written(below) for key, below in sorted((key_of(step), node[step]) for step in node if step is not None)
    }
    return {".": {}, **made} if made and None in node else made


def key_of(step: Step) -> str:
    """One step as a key of the trie."""
    if isinstance(step, Item):
        return "k:" + _json({name: json.loads(value) for name, value in step.keys})
    if isinstance(step, Member):
        return f"v:{step.value}"
    return f"i:{step}" if isinstance(step, int) else f"f:{step}"


@lru_cache(4096)
def step_of(key: str) -> Step | None:
    """One key of the trie; None for `.`, which stands for the node itself, and for what is unknown."""
    prefix, _, rest = key.partition(":")
    if prefix == "f":
        return rest
    if prefix == "k":
        return Item.of(json.loads(rest))
    if prefix == "v":
        return Member(_json(json.loads(rest)))
    return int(rest) if prefix == "i" else None


def entries(document: Mapping[str, Any]) -> tuple[Entry, ...]:
    """All that is known of who owns what in a live object."""
    found = (document.get("metadata") or {}).get("managedFields") or ()
    return tuple(
        Entry(
            entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""),
            entry.get("subresource", ""), entry.get("time") or "", entry.get("fieldsV1") or {},
        )
        for entry in found
    )  # fmt: skip


def applied(document: Mapping[str, Any], manager: str) -> Entry | None:
    """What `manager` owns by server-side apply; None where it never applied the object."""
    return next(
        (entry for entry in entries(document)
         if entry.manager == manager and entry.operation == "Apply" and not entry.subresource),
        None,
    )  # fmt: skip


def owned(document: Mapping[str, Any], manager: str) -> frozenset[Path]:
    """The paths that `manager` owns by server-side apply."""
    entry = applied(document, manager)
    return entry.paths if entry else frozenset()


class Owners:
    """Who owns each field of one object, other than one manager of our own."""

    def __init__(self, document: Mapping[str, Any], ours: str) -> None:
        others = [entry for entry in entries(document) if (entry.manager, entry.operation) != (ours, "Apply")]
        self._others = sorted(others, key=lambda entry: entry.time, reverse=True)
        self._paths = [entry.paths for entry in self._others]

    def of(self, path: Path) -> str | None:
        """The other manager that wrote last of those that own the field."""
        for entry, paths in zip(self._others, self._paths, strict=True):
            if path in paths:
                return entry.manager
        return None


def value_at(document: Any, path: Path) -> Any:
    """The value at `path`, or MISSING."""
    for step in path:
        if isinstance(step, str):
            document = document.get(step, MISSING) if isinstance(document, Mapping) else MISSING
        elif not isinstance(document, Sequence) or isinstance(document, str):
            return MISSING
        elif isinstance(step, int):
            document = document[step] if step < len(document) else MISSING
        else:
            document = next((item for item in document if step.fits(item)), MISSING)
        if document is MISSING:
            return MISSING
    return document


def ends(paths: Iterable[Path]) -> list[Path]:
    """The paths below which there is no other one: what a manager gave a value. Ordered as they are written."""
    paths = set(paths)
    above = {path[:length] for path in paths for length in range(len(path))}
    return sorted(paths - above, key=text)


def leaves(document: Mapping[str, Any]) -> list[Path]:
    """The paths of all values of a document that was never applied; items of lists by their place."""
    found: list[Path] = []
    _leaves(document, (), found)
    return found


def _leaves(value: Any, path: Path, found: list[Path]) -> None:
    below: Iterable[tuple[Step, Any]] = ()
    if isinstance(value, Mapping):
        below = value.items()
    elif isinstance(value, list):
        below = enumerate(value)
    if not below or not value:
        found.append(path)
        return
    for step, inner in below:
        _leaves(inner, (*path, step), found)


def text(path: Path) -> str:
    """How people read it: `spec.template.spec.containers[name="web"].image`, `metadata.labels["a.b/c"]`."""
    shown = ""
    for step in path:
        if not isinstance(step, str):
            shown += f"[{step}]" if isinstance(step, int) else str(step)
        elif _PLAIN.fullmatch(step):
            shown += f".{step}" if shown else step
        else:
            shown += f"[{_json(step)}]"
    return shown


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are one number, 1 and true are two values."""
    if type(one) is str or type(other) is str:  # nearly all values are
        return bool(one == other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@lru_cache(4096)
def _read(text_of_json: str) -> Any:
    """A value of a key field; the objects of a cluster have few different ones."""
    return json.loads(text_of_json)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
